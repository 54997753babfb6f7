//! The event as consumers see it: a CloudEvent, version 1.0, in its JSON form.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::event::canonical::write_string;
use crate::event::{
    AttributeName, AttributeValue, Data, EventContext, EventDigest, EventId, EventSource,
    EventTime, EventType, IdempotencyKey, SUBJECT, Salt, Subject, TraceContext, decode_segment,
};

/// The value of `specversion`.
pub const SPEC_VERSION: &str = "1.0";

/// The value of `datacontenttype`.
pub(super) const DATA_CONTENT_TYPE: &str = "application/json";

/// The member of an event's tree that holds the event's name where that is not its `type`. No
/// attribute has such a name.
pub const EVENT_NAME: &str = "\0name";

/// One event with all its context attributes, named and ready to be offered.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEvent {
    /// The gateway's ULID.
    pub id: EventId,
    /// The context in which it happened.
    pub source: EventSource,
    /// What kind of occurrence it was.
    pub event_type: EventType,
    /// What it was about.
    pub subject: Option<Subject>,
    /// When it occurred, by the producer's word.
    pub time: EventTime,
    /// Where the schema of the data is served.
    pub dataschema: Option<Arc<str>>,
    /// The name of its content; extension attribute `idempotencykey`.
    pub idempotency_key: IdempotencyKey,
    /// What stands for it where its data is not shown; not part of the JSON form.
    pub digest: EventDigest,
    /// What the digest is salted with, which makes it one of form 2; not part of the JSON form.
    /// Events of before there were salts have none, and a digest of form 1.
    pub salt: Option<Salt>,
    /// The producer's trace; extension attribute `traceparent`.
    pub trace: Option<TraceContext>,
    /// What its publication decided beside all this; nothing for most events, and for those of
    /// before there was any of it.
    pub context: Option<Arc<EventContext>>,
    /// What it is about.
    pub data: Data,
}

impl CloudEvent {
    /// Writes the JSON event format (CloudEvents JSON format 1.0, section 3), without copying a tree.
    pub fn to_json(&self) -> String {
        let mut text = String::with_capacity(self.data.text().len() + 512);
        // Writing to a string cannot fail.
        let _ = write!(text, r#"{{"specversion":"{SPEC_VERSION}","id":"{}""#, self.id);
        for (name, value) in self.text_attributes() {
            let _ = write!(text, r#","{name}":"#);
            write_string(&mut text, &value);
        }
        for (name, value) in self.extensions() {
            let _ = write!(text, r#","{name}":{}"#, value.to_json());
        }
        let _ = write!(text, r#","data":{}}}"#, self.data.text());
        text
    }

    /// Builds the tree that filters are matched against: the attributes, `data` as a tree, and the
    /// event's name as [`EVENT_NAME`] where that is not its type.
    ///
    /// The first time it takes the tree that the data was made from; later ones read its text.
    pub fn to_tree(&self) -> Value {
        let mut tree = self.attribute_members();
        tree.insert("data".into(), self.data.to_tree());
        Value::Object(tree)
    }

    /// The same without `data`, which is neither taken nor read.
    pub fn to_attribute_tree(&self) -> Value {
        Value::Object(self.attribute_members())
    }

    fn attribute_members(&self) -> Map<String, Value> {
        let mut tree = Map::with_capacity(12);
        tree.insert("specversion".into(), SPEC_VERSION.into());
        tree.insert("id".into(), self.id.to_string().into());
        for (name, value) in self.text_attributes() {
            tree.insert(name.into(), value.into_owned().into());
        }
        for (name, value) in self.extensions() {
            tree.insert(name.to_string(), value.to_json());
        }
        if let Some(name) = self.context.as_ref().and_then(|context| context.name.as_ref()) {
            tree.insert(EVENT_NAME.into(), name.as_str().into());
        }
        tree
    }

    /// The name that `types` of subscriptions match: the one that its publication gives it, with
    /// the prefix of its domain. It is the `type`, unless the contract fixes another.
    pub fn name(&self) -> &EventType {
        let named = self.context.as_ref().and_then(|context| context.name.as_ref());
        named.unwrap_or(&self.event_type)
    }

    /// The version of its publication: that of the message in its contract, which is the last segment
    /// of the address of its schema.
    pub fn publication_version(&self) -> Option<Cow<'_, str>> {
        let (_, version) = self.dataschema.as_deref()?.rsplit_once('/')?;
        Some(decode_segment(version))
    }

    /// Its extension attributes by name, without the gateway's own.
    pub fn extensions(&self) -> impl Iterator<Item = (&AttributeName, &AttributeValue)> {
        self.context.iter().flat_map(|context| &context.extensions)
    }

    /// Those of [`text_attributes`](Self::text_attributes) that may stand outside of tokens.
    pub fn clear_attributes(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let sealed = self.context.as_ref().is_some_and(|context| context.subject_sealed);
        self.text_attributes().filter(move |(name, _)| !(sealed && *name == SUBJECT))
    }

    /// Those of its extension attributes that may stand outside of tokens.
    pub fn clear_extensions(&self) -> impl Iterator<Item = (&AttributeName, &AttributeValue)> {
        let context = self.context.iter();
        context.flat_map(|context| {
            context.extensions.iter().filter(|(name, _)| context.clear.contains(*name))
        })
    }

    /// The attributes after `specversion` and `id`, each as the text that the JSON form carries.
    pub fn text_attributes(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let optional = |name, value: Option<_>| value.map(|value| (name, Cow::Borrowed(value)));
        [
            Some(("source", Cow::Borrowed(self.source.as_str()))),
            Some(("type", Cow::Borrowed(self.event_type.as_str()))),
            optional("subject", self.subject.as_ref().map(Subject::as_str)),
            Some(("time", Cow::Owned(self.time.to_string()))),
            Some(("datacontenttype", Cow::Borrowed(DATA_CONTENT_TYPE))),
            optional("dataschema", self.dataschema.as_deref()),
            Some(("idempotencykey", Cow::Owned(self.idempotency_key.to_string()))),
            optional("traceparent", self.trace.as_ref().map(TraceContext::as_str)),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> CloudEvent {
        CloudEvent {
            id: EventId::from_parts(1_795_282_931_000, 7),
            source: EventSource::new("/payments").unwrap(),
            event_type: EventType::new("Payment.Authorised").unwrap(),
            subject: None,
            time: "2026-11-21T20:17:00Z".parse().unwrap(),
            dataschema: Some("https://gw.example/schemas/x".into()),
            idempotency_key: IdempotencyKey::from_bytes([1; 16]),
            digest: EventDigest::from_bytes([2; 32]),
            salt: None,
            trace: None,
            context: None,
            data: Data::from_text(r#"{"quote":"\"","n":1}"#.to_owned()),
        }
    }

    #[test]
    fn the_text_form_and_the_tree_are_the_same_event() {
        let event = event();

        let text: Value = serde_json::from_str(&event.to_json()).unwrap();

        assert_eq!(text, event.to_tree());
        assert_eq!(text["datacontenttype"], "application/json");
        assert!(text.get("subject").is_none());
    }

    #[test]
    fn extension_attributes_stand_in_the_event_and_outside_only_if_they_are_clear() {
        let name = |text: &str| text.parse::<AttributeName>().unwrap();
        let context = EventContext {
            name: Some(EventType::new("Payment.Authorised").unwrap()),
            extensions: [
                (name("tenant"), AttributeValue::text("eu").unwrap()),
                (name("attempt"), AttributeValue::Integer(3)),
            ]
            .into(),
            clear: [name("tenant")].into(),
            subject_sealed: true,
        };
        let event = CloudEvent {
            event_type: EventType::new("com.x.v1").unwrap(),
            subject: Some(Subject::new("customer-7").unwrap()),
            context: Some(Arc::new(context)),
            ..event()
        };

        let json: Value = serde_json::from_str(&event.to_json()).unwrap();
        assert_eq!((&json["tenant"], &json["attempt"]), (&"eu".into(), &3.into()));
        assert_eq!(json["subject"], "customer-7");
        let mut tree = event.to_tree();
        let named = tree.as_object_mut().unwrap().remove(EVENT_NAME);
        assert_eq!((named, tree), (Some("Payment.Authorised".into()), json));
        assert_eq!(event.name().as_str(), "Payment.Authorised");
        assert!(event.clear_attributes().all(|(name, _)| name != SUBJECT));
        let clear: Vec<&str> = event.clear_extensions().map(|(name, _)| name.as_str()).collect();
        assert_eq!(clear, ["tenant"]);
    }

    #[test]
    fn debug_shows_no_data() {
        assert!(!format!("{:?}", event()).contains("quote"));
    }
}
