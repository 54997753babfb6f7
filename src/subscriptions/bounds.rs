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

/// Gives an address that may be dialled its normal form, which is kept, shown and compared: small letters
/// in scheme and host, no default port, no dot segments, and ASCII alone. What one reader would take for
/// another address than the next has none.
pub(super) fn normal_address(pointer: &str, text: &str) -> Result<String, Invalid> {
    let refuse = |problem: &str| Err(Invalid::new(pointer, problem));
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refuse("leave spaces, line breaks and control characters out of the address");
    }
    if text.contains('\\') {
        return refuse("use `/` and no `\\` in the address");
    }
    let url = address(pointer, text)?;
    let after_scheme = text.split_once(':').map_or("", |(_, rest)| rest);
    let Some(rest) = after_scheme.strip_prefix("//").filter(|rest| !rest.starts_with('/')) else {
        return refuse("write the address as https://HOST/PATH, with two slashes and a host");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("leave user name, password and fragment out of the address");
    }
    if authority.contains('%') {
        return refuse("write the host without percent-encoding");
    }
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        return refuse("write the host without a dot at its end");
    }
    if url.port() == Some(0) {
        return refuse("no server listens at port 0");
    }
    let normal = url.to_string();
    // What was encoded may have become longer.
    address(pointer, &normal).map(|_| normal)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> Result<String, String> {
        normal_address("/sink", text).map_err(|invalid| invalid.problem)
    }

    #[test]
    fn an_address_has_one_form() {
        for (text, expected) in [
            ("https://shop.example/events", "https://shop.example/events"),
            ("https://shop.example", "https://shop.example/"),
            ("HTTPS://Shop.EXAMPLE/Events", "https://shop.example/Events"),
            ("https://shop.example:443/events", "https://shop.example/events"),
            ("http://shop.example:80/", "http://shop.example/"),
            ("https://shop.example:/", "https://shop.example/"),
            ("https://shop.example:8443/", "https://shop.example:8443/"),
            ("http://shop.example:443/", "http://shop.example:443/"),
            ("https://shop.example/a/../b/./c", "https://shop.example/b/c"),
            ("https://shop.example/a/%2e%2E/b", "https://shop.example/b"),
            ("https://shop.example/../..", "https://shop.example/"),
            ("https://b\u{fc}cher.example/", "https://xn--bcher-kva.example/"),
            ("https://B\u{dc}CHER.example/", "https://xn--bcher-kva.example/"),
            ("https://shop.example/\u{fc}?\u{fc}", "https://shop.example/%C3%BC?%C3%BC"),
            ("https://[2001:DB8:0:0:0:0:0:1]/", "https://[2001:db8::1]/"),
            ("https://[2001:db8::1]:443/", "https://[2001:db8::1]/"),
            ("https://[::ffff:192.0.2.1]/", "https://[::ffff:c000:201]/"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("https://shop.example/a//b?x=1&y=%2F", "https://shop.example/a//b?x=1&y=%2F"),
            ("https://shop.example?x", "https://shop.example/?x"),
        ] {
            assert_eq!(normal(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_readers_take_for_different_addresses_is_refused() {
        for (text, told) in [
            ("http:///x", "two slashes and a host"),
            ("https:////shop.example/", "two slashes and a host"),
            ("https:/shop.example/", "two slashes and a host"),
            ("https:shop.example/", "two slashes and a host"),
            ("https://shop.example/\n", "line breaks"),
            ("\thttps://shop.example/", "control characters"),
            (" https://shop.example/", "spaces"),
            ("https://shop.example/ ", "spaces"),
            ("https://shop.example/a b", "spaces"),
            ("https://shop\n.example/", "line breaks"),
            ("https://shop.example/\u{a0}", "spaces"),
            ("https://shop.example/\u{0}", "control characters"),
            ("https:\\\\shop.example\\x", "no `\\`"),
            ("https://shop.example\\@evil.example/", "no `\\`"),
            ("https://user@shop.example/", "user name"),
            ("https://user:word@shop.example/", "user name"),
            ("https://@shop.example/", "user name"),
            ("https://shop.example/#part", "fragment"),
            ("https://shop.example/#", "fragment"),
            ("https://shop.example./", "dot at its end"),
            ("https://sh%6fp.example/", "percent-encoding"),
            ("https://shop.example:0/", "port 0"),
            ("https://shop.example:99999/", "not an absolute address"),
            ("https://[::1/", "not an absolute address"),
            ("https://[fe80::1%25eth0]/", "not an absolute address"),
            ("https://", "not an absolute address"),
            ("shop.example", "not an absolute address"),
            ("//shop.example/", "not an absolute address"),
            ("ftp://shop.example/", "https address"),
            ("file:///etc/passwd", "https address"),
            ("arn:aws:events:eu-west-1:111122223333:event-bus/x", "protocol: EVENTBRIDGE"),
        ] {
            let problem = normal(text).unwrap_err();
            assert!(problem.contains(told), "{text}: {problem}");
        }
        let long = format!("https://shop.example/{}", "\u{fc}".repeat(500));
        assert!(normal(&long).unwrap_err().contains("2048"), "it is longer once it is encoded");
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_and_leads_to_the_same_place(
            text in prop_oneof![
                "(https?|HTTP):/{0,4}[a-zA-Z0-9.:@%\\[\\]-]{0,20}[/?#\\\\]?\\PC{0,20}",
                any::<String>(),
            ],
        ) {
            if let Ok(normal) = normal(&text) {
                prop_assert!(normal.bytes().all(|byte| matches!(byte, b'!'..=b'~')), "{normal:?}");
                prop_assert!(normal.starts_with("https://") || normal.starts_with("http://"));
                let (url, given) = (Url::parse(&normal).unwrap(), Url::parse(&text).unwrap());
                prop_assert!(url == given && url.host_str().is_some_and(|host| !host.is_empty()));
                prop_assert_eq!(normal_address("/sink", &normal).ok(), Some(normal));
            }
        }
    }
}
