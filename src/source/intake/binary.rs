//! CloudEvents in binary mode: attributes as `ce-` headers, data as the body (HTTP binding 1.0,
//! section 3.1).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::event::{Timestamp, json};
use crate::source::Received;
use crate::source::intake::Unreadable;
use crate::source::intake::attributes::Attributes;

/// Takes one event from headers and body. Extension attributes other than `traceparent` are left
/// out, since nothing crosses that no publication names.
///
/// # Errors
///
/// The caller's turn: a header is repeated or cannot be decoded, or this is not a CloudEvent whose
/// data is a JSON object.
pub(super) fn receive(
    headers: &HeaderMap,
    body: &[u8],
    header_trace: Option<&str>,
    limits: json::Limits,
    now: Timestamp,
) -> Result<Received, Unreadable> {
    let attributes = Attributes {
        specversion: attribute(headers, "ce-specversion", "specversion")?,
        id: attribute(headers, "ce-id", "id")?,
        source: attribute(headers, "ce-source", "source")?,
        event_type: attribute(headers, "ce-type", "type")?,
        subject: attribute(headers, "ce-subject", "subject")?,
        time: attribute(headers, "ce-time", "time")?,
        datacontenttype: headers
            .get(CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or_default().to_owned()),
        traceparent: attribute(headers, "ce-traceparent", "traceparent")?
            .or_else(|| header_trace.map(str::to_owned)),
    };
    let data = match body {
        [] => None,
        body => Some(json::read_event(body, limits).map_err(Unreadable::Json)?),
    };
    attributes.around(data, now)
}

/// The id that the headers give, whatever else they lack.
pub(super) fn id(headers: &HeaderMap) -> Option<String> {
    attribute(headers, "ce-id", "id").ok().flatten()
}

fn attribute(
    headers: &HeaderMap,
    header: &str,
    name: &'static str,
) -> Result<Option<String>, Unreadable> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unreadable::new(name, "is there twice"));
    }
    let decoded = decode(value.as_bytes());
    decoded
        .map(Some)
        .ok_or_else(|| Unreadable::new(name, "is not percent-encoded UTF-8 (HTTP binding 3.1.3.2)"))
}

/// Undoes quoting and one round of percent-encoding (section 3.1.3.2); nothing if the bytes are not
/// what an encoder makes.
fn decode(value: &[u8]) -> Option<String> {
    let unquoted = match value {
        [b'"', inner @ .., b'"'] => unquote(inner)?,
        plain => plain.to_vec(),
    };
    let mut decoded = Vec::with_capacity(unquoted.len());
    let mut bytes = unquoted.into_iter();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

fn unquote(inner: &[u8]) -> Option<Vec<u8>> {
    let mut unquoted = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => unquoted.push(bytes.next()?),
            b'"' => return None,
            byte => unquoted.push(byte),
        }
    }
    Some(unquoted)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn header_values_are_unquoted_and_decoded_once() {
        assert_eq!(decode(b"Euro%20%E2%82%AC").as_deref(), Some("Euro \u{20ac}"));
        assert_eq!(decode(b"\"a \\\"b\\\" %25\"").as_deref(), Some("a \"b\" %"));
        assert_eq!(decode(b"%2525").as_deref(), Some("%25"));
        for broken in [&b"%"[..], b"%2", b"%zz", b"%ff", b"\"a\"b\"", b"\"a\\\""] {
            assert_eq!(decode(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_encoding_and_decoding(text in ".{0,40}") {
            let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let encoded = encoded.concat();
            prop_assert_eq!(decode(encoded.as_bytes()), Some(text));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
