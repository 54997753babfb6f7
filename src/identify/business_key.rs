//! The name of an event by which its domain tells two events apart.

use json_patch::jsonptr::PointerBuf;
use serde_json::{Value, json};

use crate::event::{CanonicalError, EventSource, EventType, IdempotencyKey, canonical};

/// The parts of an event by which its domain tells two events apart.
///
/// The text is the canonical JSON of an object with the members `key`, an object that gives for each
/// pointer what it finds, `source` and `type`.
#[derive(Clone, PartialEq, Eq)]
pub struct BusinessKey(String);

/// Why a business key cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusinessKeyError {
    /// The data lacks a part of the key.
    #[error("the data has nothing at `{pointer}`, which is part of the key")]
    Missing {
        /// Where the part should be.
        pointer: String,
    },
    /// A part of the key holds a number that is not exact.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl BusinessKey {
    /// Takes what `pointers`, which begin with `/data`, find in the data.
    ///
    /// # Errors
    ///
    /// The caller's turn: a part of the key is missing, or holds a number that is not exact.
    pub fn of(
        source: &EventSource,
        event_type: &EventType,
        pointers: &[PointerBuf],
        data: &Value,
    ) -> Result<Self, BusinessKeyError> {
        let mut parts = serde_json::Map::new();
        for pointer in pointers {
            let found = pointer
                .split_front()
                .filter(|(member, _)| member.encoded() == "data")
                .and_then(|(_, rest)| rest.resolve(data).ok())
                .ok_or_else(|| BusinessKeyError::Missing { pointer: pointer.to_string() })?;
            parts.insert(pointer.to_string(), found.clone());
        }
        let key = json!({
            "key": parts, "source": source.as_str(), "type": event_type.as_str(),
        });
        Ok(Self(canonical(&key)?))
    }

    /// The canonical text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The name that the text gives.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> EventSource {
        EventSource::new("/payments").unwrap()
    }

    fn event_type() -> EventType {
        EventType::new("Payment.Authorised").unwrap()
    }

    #[test]
    fn a_business_key_ignores_the_rest_of_the_data() {
        let pointers: Vec<PointerBuf> =
            ["/data/payment/id", "/data/amount"].map(|p| PointerBuf::parse(p).unwrap()).into();
        let key = |data| BusinessKey::of(&source(), &event_type(), &pointers, &data);

        let one = key(json!({"payment": {"id": 7}, "amount": 1.0, "note": "a"})).unwrap();
        let other = key(json!({"payment": {"id": 7.0}, "amount": 1, "note": "b"})).unwrap();

        assert_eq!(
            one.text(),
            r#"{"key":{"/data/amount":1,"/data/payment/id":7},"source":"/payments","type":"Payment.Authorised"}"#
        );
        assert_eq!(one.idempotency_key(), other.idempotency_key());
        assert_eq!(
            key(json!({"amount": 1})).map(|_| ()),
            Err(BusinessKeyError::Missing { pointer: "/data/payment/id".into() })
        );
    }
}
