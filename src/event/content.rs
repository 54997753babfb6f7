//! The canonical bytes that an event's key and content digest are made of.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::event::canonical;
use crate::event::{
    CanonicalError, ContentDigest, EventSource, EventType, IdempotencyKey, Subject,
};

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
pub(super) const START: &str = r#"{"data":"#;

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
        write_attributes(&mut text, source, event_type, subject);
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
        IdempotencyKey::of(&self.text)
    }

    /// The proof of the content.
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::from_bytes(Sha256::digest(&self.text).into())
    }
}

/// Writes what follows the data: the other members, and the end of the object.
pub(super) fn write_attributes(
    text: &mut String,
    source: &EventSource,
    event_type: &EventType,
    subject: Option<&Subject>,
) {
    text.push_str(r#","source":"#);
    canonical::write_string(text, source.as_str());
    if let Some(subject) = subject {
        text.push_str(r#","subject":"#);
        canonical::write_string(text, subject.as_str());
    }
    text.push_str(r#","type":"#);
    canonical::write_string(text, event_type.as_str());
    text.push('}');
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
