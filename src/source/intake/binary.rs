//! CloudEvents in binary mode: attributes as `ce-` headers, data as the body (HTTP binding 1.0,
//! section 3.1).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::event::{Timestamp, json};
use crate::source::Received;
use crate::source::intake::Unreadable;
use crate::source::intake::attributes::{Attributes, check_content_type, own_trace};
use crate::source::intake::warnings::{WarningKind, Warnings, is_attribute_name};

/// What the name of each header of an attribute begins with.
const PREFIX: &str = "ce-";
/// The headers that are read; all others are extensions.
const READ: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "dataschema", "traceparent"];

/// Whether headers give attributes of a CloudEvent, with or without the `ce-specversion` that makes it
/// one in binary mode.
pub(super) fn gives_attributes(headers: &HeaderMap) -> bool {
    ["ce-id", "ce-source", "ce-type"].iter().any(|name| headers.contains_key(*name))
}

/// Takes one event from headers and body. Extension attributes other than `traceparent` are left
/// out, since nothing crosses that no publication names; so one that breaks a rule costs a warning.
///
/// # Errors
///
/// The caller's turn: a header is repeated or cannot be decoded, or this is not a CloudEvent whose
/// data is JSON.
pub(super) fn receive(
    headers: &HeaderMap,
    body: &[u8],
    header_trace: Option<&str>,
    limits: json::Limits,
    seen: &Warnings,
    now: Timestamp,
) -> Result<Received, Unreadable> {
    let mut warnings = extensions(headers);
    let (dataschema, trace) = (header(headers, "ce-dataschema"), header(headers, "ce-traceparent"));
    if dataschema.is_err() {
        warnings.push(WarningKind::DataSchema);
    }
    let traceparent = own_trace(trace, header_trace, &mut warnings);
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
        dataschema: dataschema.unwrap_or_default(),
        traceparent,
        warnings,
    };
    check_content_type(attributes.datacontenttype.as_deref())?;
    let data = match body {
        [] => None,
        body => Some(json::read_event(body, limits).map_err(Unreadable::Json)?),
    };
    attributes.around(data, seen, now)
}

/// The id that the headers give, whatever else they lack.
pub(super) fn id(headers: &HeaderMap) -> Option<String> {
    attribute(headers, "ce-id", "id").ok().flatten()
}

fn attribute(
    headers: &HeaderMap,
    name_of_header: &str,
    name: &'static str,
) -> Result<Option<String>, Unreadable> {
    header(headers, name_of_header).map_err(|problem| Unreadable::new(name, problem))
}

/// The text of a header, or what is wrong with it.
fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("is there twice");
    }
    let decoded = decode(value.as_bytes());
    decoded.map(Some).ok_or("is not percent-encoded UTF-8 (HTTP binding 3.1.3.2)")
}

/// The rules that extensions break: they are all text here.
fn extensions(headers: &HeaderMap) -> Vec<WarningKind> {
    let names = headers.keys().filter_map(|name| name.as_str().strip_prefix(PREFIX));
    names
        .filter(|name| !READ.contains(name))
        .filter_map(|name| {
            let is_allowed =
                |text: Option<String>| text.is_some_and(|text| !text.contains(char::is_control));
            if !is_attribute_name(name) {
                Some(WarningKind::Name)
            } else if !header(headers, &format!("{PREFIX}{name}")).is_ok_and(is_allowed) {
                Some(WarningKind::Extension)
            } else {
                None
            }
        })
        .collect()
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
