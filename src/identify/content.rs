//! The canonical bytes that an event's key and digest are made of.

use json_patch::jsonptr::PointerBuf;
use md5::{Digest as _, Md5};
use serde_json::Value;
use sha2::Sha256;

use crate::event::{ContentDigest, EventSource, EventType, IdempotencyKey, Subject};
use crate::identify::CanonicalError;
use crate::identify::canonical;

/// The content of an event in canonical form: what it says, without when and under which id.
///
/// The text is the canonical JSON (RFC 8785) of an object with the members `data`, `source`,
/// `subject` and `type`; an event without a subject has no member `subject`.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    text: String,
    data_end: usize,
}

/// Before the data, which comes first among the members.
const START: &str = r#"{"data":"#;

impl Content {
    /// Brings the content of an event into its canonical form.
    ///
    /// # Errors
    ///
    /// The caller's turn: the data holds a number that is not exact.
    pub fn of(
        source: &EventSource,
        event_type: &EventType,
        subject: Option<&Subject>,
        data: &Value,
    ) -> Result<Self, CanonicalError> {
        let mut text = String::with_capacity(512);
        text.push_str(START);
        canonical::write(&mut text, data)?;
        let data_end = text.len();
        text.push_str(r#","source":"#);
        canonical::write_string(&mut text, source.as_str());
        if let Some(subject) = subject {
            text.push_str(r#","subject":"#);
            canonical::write_string(&mut text, subject.as_str());
        }
        text.push_str(r#","type":"#);
        canonical::write_string(&mut text, event_type.as_str());
        text.push('}');
        Ok(Self { text, data_end })
    }

    /// The canonical text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The canonical text of the data alone.
    pub fn data_text(&self) -> &str {
        self.text.get(START.len()..self.data_end).unwrap_or_default()
    }

    /// The name of the content.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        key_of(&self.text)
    }

    /// The proof of the content.
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::from_bytes(Sha256::digest(&self.text).into())
    }
}

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
        let mut text = String::from(r#"{"key":"#);
        canonical::write(&mut text, &Value::Object(parts))?;
        text.push_str(r#","source":"#);
        canonical::write_string(&mut text, source.as_str());
        text.push_str(r#","type":"#);
        canonical::write_string(&mut text, event_type.as_str());
        text.push('}');
        Ok(Self(text))
    }

    /// The canonical text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The name that the text gives.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        key_of(&self.0)
    }
}

fn key_of(text: &str) -> IdempotencyKey {
    IdempotencyKey::from_bytes(Md5::digest(text).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn source() -> EventSource {
        EventSource::new("/payments").unwrap()
    }

    fn event_type() -> EventType {
        EventType::new("Payment.Authorised").unwrap()
    }

    fn content(data: &Value) -> Content {
        let subject = Subject::new("Payment.Authorised").unwrap();
        Content::of(&source(), &event_type(), Some(&subject), data).unwrap()
    }

    #[test]
    fn the_content_is_four_members_in_canonical_order() {
        let content = content(&json!({"b": 1.0, "a": "x\"y"}));

        assert_eq!(content.data_text(), r#"{"a":"x\"y","b":1}"#);
        assert_eq!(
            content.text(),
            r#"{"data":{"a":"x\"y","b":1},"source":"/payments","subject":"Payment.Authorised","type":"Payment.Authorised"}"#
        );
        let tree: Value = serde_json::from_str(content.text()).unwrap();
        assert_eq!(canonical(&tree).unwrap(), content.text());
    }

    #[test]
    fn a_content_without_a_subject_has_no_such_member() {
        let content = Content::of(&source(), &event_type(), None, &json!({})).unwrap();

        assert_eq!(
            content.text(),
            r#"{"data":{},"source":"/payments","type":"Payment.Authorised"}"#
        );
    }

    /// Computed with `md5sum` and `sha256sum` over the text.
    #[test]
    fn key_and_digest_are_those_that_other_tools_compute() {
        let content = Content::of(&source(), &event_type(), None, &json!({})).unwrap();

        assert_eq!(content.idempotency_key().to_string(), "777a3f7703ca8e14cbbe97ff52dd0520");
        assert_eq!(
            content.digest().to_string(),
            "21533009897f14b47ff9cb842f54c86fcc639adaa73b4230d0f4e84dab0475d6"
        );
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

    proptest! {
        #[test]
        fn the_key_does_not_depend_on_the_order_of_members(
            members in proptest::collection::btree_map(any::<String>(), any::<i32>(), 0..8),
        ) {
            let forward: Value = members.iter().map(|(n, v)| (n.clone(), json!(v))).collect();
            let backward: Value = members.iter().rev().map(|(n, v)| (n.clone(), json!(v))).collect();

            prop_assert_eq!(content(&forward).idempotency_key(), content(&backward).idempotency_key());
            prop_assert_eq!(content(&forward).digest(), content(&backward).digest());
        }
    }
}
