//! The bodies in which a token travels, and those in which a sink refuses one.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::deliver::sink::Parcel;
use crate::subscriptions::ContentMode;

/// The error codes of pushed Security Event Tokens (RFC 8935, section 2.4).
const CODES: [&str; 6] = [
    "invalid_request",
    "invalid_key",
    "invalid_issuer",
    "invalid_audience",
    "authentication_failed",
    "access_denied",
];

/// The body that a mode asks for: the token, or in structured mode a CloudEvent in JSON that holds it
/// (CloudEvents JSON format, section 3).
pub(super) fn body(mode: ContentMode, parcel: Parcel) -> Bytes {
    match mode {
        ContentMode::Binary | ContentMode::Set => Bytes::from(parcel.token),
        ContentMode::Structured => Bytes::from(structured(parcel)),
    }
}

/// A CloudEvent in JSON that shows what may be shown and whose data is the token.
pub(super) fn structured(parcel: Parcel) -> String {
    let Parcel { id, attributes, extensions, sequence, replay, token, .. } = parcel;
    let mut event: Map<String, Value> = Map::new();
    let mut put = |name: &str, value: String| event.insert(name.to_owned(), Value::String(value));
    put("id", id.to_string());
    for (name, value) in attributes {
        put(name, value);
    }
    if let Some(sequence) = sequence {
        put("sequence", sequence.to_string());
    }
    if let Some(replay) = replay {
        put("sealwayreplay", replay.to_string());
    }
    put("specversion", "1.0".to_owned());
    put("datacontenttype", "application/jwt".to_owned());
    put("data", token.into());
    event.extend(extensions.iter().map(|(name, value)| (name.to_string(), value.to_json())));
    Value::Object(event).to_string()
}

/// How a receiver of Security Event Tokens refuses one (RFC 8935, section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetError {
    /// One of the codes of section 2.4.
    pub code: &'static str,
    /// What it says to people.
    pub description: String,
}

#[derive(Deserialize)]
struct RefusedSet {
    err: String,
    #[serde(default)]
    description: String,
}

impl SetError {
    /// Reads the body of an answer with status 400; nothing if it is of another kind.
    pub fn read(body: &[u8]) -> Option<Self> {
        let RefusedSet { err, description } = serde_json::from_slice(body).ok()?;
        let code = CODES.into_iter().find(|code| *code == err)?;
        Some(Self { code, description })
    }

    /// Whether the receiver could not decrypt the token or did not know the key that signed it:
    /// another one may do, so it is no refusal for good.
    pub fn asks_for_another_key(&self) -> bool {
        self.code == "invalid_key"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AttributeValue, EventId};

    #[test]
    fn only_the_error_bodies_of_the_rfc_are_read() {
        let read = |body: &str| SetError::read(body.as_bytes());
        let error = read(r#"{"err":"invalid_key","description":"kid 7","more":1}"#).unwrap();
        assert_eq!((error.code, &*error.description), ("invalid_key", "kid 7"));
        assert!(error.asks_for_another_key());
        assert!(!read(r#"{"err":"access_denied"}"#).unwrap().asks_for_another_key());
        for other in ["", "{}", "null", r#"{"err":"my_own"}"#, r#"{"err":1}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_structured_event_holds_the_token_as_its_data() {
        let id = EventId::from_parts(1, 7);
        let parcel = Parcel {
            id,
            name: None,
            attributes: vec![("type", "A.B".to_owned())],
            extensions: vec![("tries".parse().unwrap(), AttributeValue::Integer(3))],
            sequence: Some(3),
            replay: Some("again".parse().unwrap()),
            attempt: 1,
            token: "a.b.c".to_owned().into(),
        };
        let body = body(ContentMode::Structured, parcel);
        let event: Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0", "id": id.to_string(), "type": "A.B", "tries": 3,
            "sequence": "3", "sealwayreplay": "again",
            "datacontenttype": "application/jwt", "data": "a.b.c",
        });
        assert_eq!(event, expected);
    }
}
