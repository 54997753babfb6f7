//! `OPTIONS /events`: tells senders of events that the gateway expects them (HTTP 1.1 Web Hooks for
//! Event Delivery 1.0.2, section 4).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::api::{Code, Problem};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");
/// The methods of the path.
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS, POST");
/// There is no bound on requests a minute.
const ANY_RATE: HeaderValue = HeaderValue::from_static("*");
/// The longest DNS name.
const LONGEST_ORIGIN: usize = 253;
/// The most digits of a rate.
const LONGEST_RATE: usize = 9;

/// Agrees to be sent events by the origin that asks.
///
/// The handshake protects others from senders, and lets nobody in: every event is still published with
/// a credential. It needs none itself, because senders show none here and the answer says nothing that
/// differs from gateway to gateway. `WebHook-Request-Callback` is not followed: anyone could have the
/// gateway dial any address with it.
#[utoipa::path(
    options, path = "/events", tag = "public",
    operation_id = "events_consent",
    params(
        ("WebHook-Request-Origin" = Option<String>, Header,
            description = "The DNS name of the system that wants to send events"),
        ("WebHook-Request-Rate" = Option<u32>, Header,
            description = "How many requests a minute it wants to send")
    ),
    responses(
        (status = 200, description = "The origin may send events",
            headers(
                ("WebHook-Allowed-Origin" = String, description = "The origin that asked"),
                ("WebHook-Allowed-Rate" = String,
                    description = "The rate that was asked for, or `*`"))),
        (status = 204, description = "Nobody asked; `Allow` lists the methods"),
        (status = 400, description = "A problem: the origin or the rate is malformed")
    )
)]
pub async fn answer(headers: HeaderMap) -> Result<Response, Problem> {
    let Some(origin) = only(&headers, &REQUEST_ORIGIN, is_origin)? else {
        return Ok((StatusCode::NO_CONTENT, [(header::ALLOW, ALLOW)]).into_response());
    };
    let rate = only(&headers, &REQUEST_RATE, is_rate)?.unwrap_or(ANY_RATE);
    let consent = [(ALLOWED_ORIGIN, origin), (ALLOWED_RATE, rate), (header::ALLOW, ALLOW)];
    Ok((StatusCode::OK, consent).into_response())
}

/// Takes a header that may be there once and in one form.
fn only(
    headers: &HeaderMap,
    name: &HeaderName,
    is_good: fn(&[u8]) -> bool,
) -> Result<Option<HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || !is_good(value.as_bytes()) {
        let form = if *name == REQUEST_ORIGIN {
            "`WebHook-Request-Origin` must be one DNS name"
        } else {
            "`WebHook-Request-Rate` must be one whole number of requests a minute, 1 or more"
        };
        return Err(Problem::new(Code::BadRequest, form));
    }
    Ok(Some(value.clone()))
}

/// A DNS expression: labels of letters, digits, `-` and `_`, the first perhaps `*`.
fn is_origin(text: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let labels = text.strip_prefix(b"*.").unwrap_or(text);
    text.len() <= LONGEST_ORIGIN && labels.split(|byte| *byte == b'.').all(is_label)
}

fn is_rate(text: &[u8]) -> bool {
    (1..=LONGEST_RATE).contains(&text.len())
        && text.iter().all(u8::is_ascii_digit)
        && text.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_dns_name_and_nothing_else() {
        let long = ["a"; 127].join(".");
        for good in ["eventgrid.azure.net", "localhost", "*.example.com", "a_b.example", &long] {
            assert!(is_origin(good.as_bytes()), "{good}");
        }
        let longer = format!("{long}.a");
        for bad in ["", ".", "a..b", "a b", "*", "a.*.b", "https://a", "a,b", "a\u{e9}", &longer] {
            assert!(!is_origin(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_rate_is_a_positive_whole_number() {
        assert!(["1", "120", "007", "999999999"].iter().all(|rate| is_rate(rate.as_bytes())));
        for bad in ["", "0", "000", "-1", "1.5", "1 ", "1234567890", "*"] {
            assert!(!is_rate(bad.as_bytes()), "{bad}");
        }
    }
}
