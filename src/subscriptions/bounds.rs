//! Bounds that parts of a document keep wherever they stand: of numbers and of addresses.

use url::Url;

use crate::subscriptions::Invalid;

/// Refuses a number that is less or more.
pub(super) fn within(
    pointer: &str,
    value: Option<u32>,
    least: u32,
    most: u32,
) -> Result<(), Invalid> {
    match value {
        Some(value) if value < least || value > most => {
            Err(Invalid::new(pointer, &format!("use {least} to {most}")))
        }
        _ => Ok(()),
    }
}

/// Reads an address that may be dialled, as far as its text shows.
pub(super) fn address(pointer: &str, text: &str) -> Result<Url, Invalid> {
    let refuse = |problem: &str| Invalid::new(pointer, problem);
    if text.len() > 2048 {
        return Err(refuse("an address has at most 2048 characters"));
    }
    let url =
        Url::parse(text).map_err(|error| refuse(&format!("not an absolute address: {error}")))?;
    if url.scheme() == "arn" && pointer == "/sink" {
        return Err(refuse(
            "use an https address with a host, or `protocol: EVENTBRIDGE` for the ARN of a bus",
        ));
    }
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(refuse("use an https address with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(refuse("leave user name, password and fragment out of the address"));
    }
    Ok(url)
}
