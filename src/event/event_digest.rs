//! How the digest of an event is computed, in both its forms: from the event, and from its token.

use std::fmt::{Display, Write as _};
use std::iter::Peekable;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::event::canonical::{write, write_string};
use crate::event::cloudevent::DATA_CONTENT_TYPE;
use crate::event::content::{START, write_attributes};
use crate::event::{
    AttributeName, AttributeValue, CloudEvent, ContentDigest, EventDigest, SPEC_VERSION, Salt,
    canonical,
};

/// What stands around the event and the version of its publication in what is digested: the canonical
/// form of an object with these two members.
const BEFORE_EVENT: &str = r#"{"event":"#;
const BEFORE_VERSION: &str = r#","pub_ver":"#;

/// Writes the members of an event in the order of their names, its extensions among them.
///
/// Names of attributes are ASCII: their order as bytes is that of UTF-16.
struct MemberWriter<'a, E: Iterator<Item = (&'a AttributeName, &'a AttributeValue)>> {
    text: String,
    is_first: bool,
    extensions: Peekable<E>,
}

impl<'a, E: Iterator<Item = (&'a AttributeName, &'a AttributeValue)>> MemberWriter<'a, E> {
    /// Begins a member, behind the extensions that stand before it.
    fn begin(&mut self, name: &str) {
        self.extensions_while(|extension| extension < name);
        self.name(name);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.begin(name);
        write_string(&mut self.text, value);
    }

    /// Writes a text in which nothing needs an escape.
    fn plain(&mut self, name: &str, value: &dyn Display) {
        self.begin(name);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "\"{value}\"");
    }

    fn extensions_while(&mut self, is_next: impl Fn(&str) -> bool) {
        while let Some((name, value)) = self.extensions.next_if(|(name, _)| is_next(name.as_str()))
        {
            self.name(name.as_str());
            match value {
                AttributeValue::Text(value) => write_string(&mut self.text, value),
                value => {
                    let _ = write!(self.text, "{value}");
                }
            }
        }
    }

    fn name(&mut self, name: &str) {
        self.text.push(if self.is_first { '{' } else { ',' });
        self.is_first = false;
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }
}

impl CloudEvent {
    /// The digest of its content alone: `data`, `source`, `subject` and `type`.
    pub fn content_digest(&self) -> ContentDigest {
        let mut rest = String::with_capacity(128);
        write_attributes(&mut rest, &self.source, &self.event_type, self.subject.as_ref());
        let hash = Sha256::new_with_prefix(START).chain_update(self.data.text());
        ContentDigest::from_bytes(hash.chain_update(rest).finalize().into())
    }

    /// Its digest of form 2 under a salt: the HMAC-SHA-256 over the canonical JSON (RFC 8785) of an
    /// object with the members `event`, which is [its JSON form](Self::to_json), and `pub_ver`, which
    /// is [the version of its publication](Self::publication_version) and missing without one.
    ///
    /// The data is taken as the canonical text that it is, and not parsed.
    pub fn salted_digest(&self, salt: Salt) -> EventDigest {
        let (before, mut after) = self.around_data();
        write_version(&mut after, self.publication_version().as_deref());
        hmac_under(salt, [BEFORE_EVENT, &before, self.data.text(), &after])
    }

    /// Whether it still is what was digested.
    pub fn has_its_digest(&self) -> bool {
        let expected = match self.salt {
            Some(salt) => self.salted_digest(salt),
            None => self.content_digest().into(),
        };
        self.digest == expected
    }

    /// The canonical form of the event, up to the text of its data and behind it.
    fn around_data(&self) -> (String, String) {
        let extensions = self.extensions().peekable();
        // Both have room for an ordinary event: this is made for each that is appended.
        let text = String::with_capacity(64);
        let mut members = MemberWriter { text, is_first: true, extensions };
        members.begin("data");
        let before = std::mem::replace(&mut members.text, String::with_capacity(768));
        members.text("datacontenttype", DATA_CONTENT_TYPE);
        if let Some(dataschema) = &self.dataschema {
            members.text("dataschema", dataschema);
        }
        members.plain("id", &self.id);
        members.plain("idempotencykey", &self.idempotency_key);
        members.text("source", self.source.as_str());
        members.text("specversion", SPEC_VERSION);
        if let Some(subject) = &self.subject {
            members.text("subject", subject.as_str());
        }
        members.plain("time", &self.time);
        if let Some(trace) = &self.trace {
            members.text("traceparent", trace.as_str());
        }
        members.text("type", self.event_type.as_str());
        members.extensions_while(|_| true);
        members.text.push('}');
        (before, members.text)
    }
}

impl EventDigest {
    /// The digest of an event as its token carries it: of form 2 under the salt and with the version
    /// of the publication that stand in the token; of form 1 if there is no salt.
    ///
    /// Nothing if it is no event of the gateway.
    pub fn of_token(event: &Value, salted: Option<(Salt, Option<&str>)>) -> Option<Self> {
        let Some((salt, version)) = salted else { return Self::of_content(event) };
        let mut text = BEFORE_EVENT.to_owned();
        write(&mut text, event).ok()?;
        write_version(&mut text, version);
        Some(hmac_under(salt, [text.as_str()]))
    }

    fn of_content(event: &Value) -> Option<Self> {
        let [source, kind] = ["source", "type"].map(|name| event.get(name)?.as_str());
        let mut content = json!({"data": event.get("data")?, "source": source?, "type": kind?});
        if let Some(subject) = event.get("subject") {
            content.as_object_mut()?.insert("subject".to_owned(), subject.as_str()?.into());
        }
        let digest = Sha256::digest(canonical(&content).ok()?);
        Some(Self::from_bytes(digest.into()))
    }
}

/// Writes the member behind the event, if there is one, and the end of what is digested.
fn write_version(text: &mut String, version: Option<&str>) {
    if let Some(version) = version {
        text.push_str(BEFORE_VERSION);
        write_string(text, version);
    }
    text.push('}');
}

fn hmac_under<'a>(salt: Salt, parts: impl IntoIterator<Item = &'a str>) -> EventDigest {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salt.to_bytes());
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part.as_bytes());
    }
    let mut digest = [0; 32];
    let tag = context.sign();
    digest.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    EventDigest::from_bytes(digest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::event::{
        AttributeName, Data, EventContext, EventId, EventSource, EventType, IdempotencyKey,
        Subject, json,
    };

    #[derive(Deserialize)]
    struct Case {
        comment: String,
        event: String,
        slt: Option<String>,
        pub_ver: Option<String>,
        digested: String,
        digest: String,
    }

    fn cases() -> Vec<Case> {
        let cases = include_str!("../../tests/vectors/digest/events.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        assert_eq!(cases.len(), 8);
        cases
    }

    #[test]
    fn the_digests_are_those_that_another_program_computes() {
        for case in cases() {
            let event = json::read(case.event.as_bytes(), json::Limits::default()).unwrap();
            let salt = case.slt.map(|salt| salt.parse::<Salt>().unwrap());

            let digest =
                EventDigest::of_token(&event, salt.map(|one| (one, case.pub_ver.as_deref())));

            assert_eq!(digest.unwrap().to_string(), case.digest, "{}", case.comment);
            if let Some(salt) = salt {
                assert_eq!(hmac_under(salt, [&*case.digested]), digest.unwrap());
            }
        }
    }

    /// The event of the first cases, as the log has it.
    fn event() -> CloudEvent {
        let name = |text: &str| text.parse::<AttributeName>().unwrap();
        let extensions = [
            (name("tenant"), AttributeValue::text("eu").unwrap()),
            (name("attempt"), AttributeValue::Integer(3)),
            (name("urgent"), AttributeValue::Boolean(true)),
            (name("abroad"), AttributeValue::Boolean(false)),
        ];
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let schema = "https://events.example.com/schemas/orders/Order.Created/1.0.0";
        CloudEvent {
            id: "01KAKR4ABCDEFGHJKMNPQRSTV2".parse().unwrap(),
            source: EventSource::new("/orders").unwrap(),
            event_type: EventType::new("Order.Created").unwrap(),
            subject: Some(Subject::new("Order.Created").unwrap()),
            time: "2026-11-21T20:17:00Z".parse().unwrap(),
            dataschema: Some(schema.into()),
            idempotency_key: "9d2a1c1e0a3b4c5d6e7f809122334455".parse().unwrap(),
            digest: EventDigest::from_bytes([0; 32]),
            salt: None,
            trace: Some(trace.parse().unwrap()),
            context: Some(Arc::new(EventContext {
                extensions: extensions.into(),
                ..EventContext::default()
            })),
            data: Data::from_text(r#"{"amount":600,"orderId":102}"#.to_owned()),
        }
    }

    fn digest_in_token(event: &CloudEvent, salt: Salt) -> EventDigest {
        let sent = json::read(event.to_json().as_bytes(), json::Limits::default()).unwrap();
        EventDigest::of_token(&sent, Some((salt, event.publication_version().as_deref()))).unwrap()
    }

    #[test]
    fn the_log_computes_the_same_from_the_event() {
        let cases = cases();
        let salt: Salt = cases[1].slt.as_deref().unwrap().parse().unwrap();
        let event = event();

        assert_eq!(event.content_digest().to_string(), cases[0].digest);
        assert_eq!(event.salted_digest(salt).to_string(), cases[1].digest);
        let without = CloudEvent { dataschema: None, ..event };
        assert_eq!(digest_in_token(&without, salt), without.salted_digest(salt));
    }

    #[test]
    fn nothing_of_an_event_can_be_changed_without_its_digest() {
        let salt = Salt::from_bytes([7; 16]);
        let event = CloudEvent { salt: Some(salt), digest: event().salted_digest(salt), ..event() };
        assert!(event.has_its_digest());
        let changed = [
            CloudEvent { id: EventId::MIN, ..event.clone() },
            CloudEvent { source: EventSource::new("/other").unwrap(), ..event.clone() },
            CloudEvent { event_type: EventType::new("Other").unwrap(), ..event.clone() },
            CloudEvent { subject: None, ..event.clone() },
            CloudEvent { time: "2026-11-21T20:17:00.0Z".parse().unwrap(), ..event.clone() },
            CloudEvent { dataschema: Some("https://x/orders/O/1.0.1".into()), ..event.clone() },
            CloudEvent { dataschema: None, ..event.clone() },
            CloudEvent { idempotency_key: IdempotencyKey::from_bytes([0; 16]), ..event.clone() },
            CloudEvent { trace: None, ..event.clone() },
            CloudEvent { context: None, ..event.clone() },
            CloudEvent { data: Data::from_text("{}".to_owned()), ..event.clone() },
            CloudEvent { salt: Some(Salt::from_bytes([8; 16])), ..event.clone() },
            CloudEvent { salt: None, ..event.clone() },
        ];
        for (index, changed) in changed.iter().enumerate() {
            assert!(!changed.has_its_digest(), "{index}");
        }
    }

    #[test]
    fn what_is_no_event_of_the_gateway_has_no_digest_of_form_1() {
        for event in [
            json!({}),
            json!({"source": "/s", "type": "T"}),
            json!({"source": "/s", "type": 1, "data": {}}),
            json!({"source": "/s", "type": "T", "data": {}, "subject": null}),
        ] {
            assert_eq!(EventDigest::of_token(&event, None), None, "{event}");
        }
    }

    proptest! {
        #[test]
        fn whatever_its_texts_an_event_has_the_digest_of_its_token(
            subject in "[^\\x00-\\x1f\\x7f-\\x9f]{1,20}",
            names in proptest::collection::btree_set("[a-z0-9]{1,20}", 0..5),
            value in "[ -~é\u{20ac}\u{1f600}]{1,20}",
            text: String,
            salt: [u8; 16],
        ) {
            let names = names.iter().filter_map(|name| name.parse::<AttributeName>().ok());
            let value = AttributeValue::text(&value).unwrap();
            let extensions = names.map(|name| (name, value.clone())).collect();
            let data = canonical(&json!({"text": text, "number": 1.5})).unwrap();
            let event = CloudEvent {
                subject: Subject::new(&subject).ok(),
                context: Some(Arc::new(EventContext { extensions, ..EventContext::default() })),
                data: Data::from_text(data),
                ..event()
            };
            let salt = Salt::from_bytes(salt);
            prop_assert_eq!(digest_in_token(&event, salt), event.salted_digest(salt));
            prop_assert_eq!(
                EventDigest::of_token(&event.to_tree(), None),
                Some(event.content_digest().into())
            );
        }
    }
}
