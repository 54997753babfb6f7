//! What a producer sent and could not be read, with all that is needed to read it again.

use std::fmt;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::event::{EventProducer, Violation};

/// The headers of a trace, which are others each time that a request is sent.
const TRACE: [&str; 2] = ["traceparent", "x-amzn-trace-id"];
/// The media type of a batch of CloudEvents, and of one of them.
const BATCH_AND_ITEM: (&str, &str) =
    ("application/cloudevents-batch+json", "application/cloudevents+json");

/// A body, or one item of a batch, that could not be read as an event.
#[derive(Clone, PartialEq, Eq)]
pub struct Unparsed {
    /// Who sent it.
    pub producer: EventProducer,
    /// The headers that say how it is read.
    pub headers: KeptHeaders,
    /// What was sent, byte for byte, in its content coding.
    pub body: Vec<u8>,
    /// The id that the event has on its producer's bus, if it can be told.
    pub id: Option<String>,
    /// Why it cannot be read, where and under which code.
    pub reason: Violation,
}

impl Unparsed {
    /// Names what was sent: equal if the same is sent again, whatever trace the request belongs to.
    pub fn identity(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        // Lengths keep apart what stands next to each other.
        let mut add = |part: &[u8]| {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(self.id.as_deref().unwrap_or_default().as_bytes());
        for (name, value) in self.headers.0.iter().filter(|(name, _)| !TRACE.contains(&&**name)) {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        add(&self.body);
        digest.finalize().into()
    }
}

/// Shows who sent it and its size only.
impl fmt::Debug for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unparsed({}, {} bytes)", self.producer, self.body.len())
    }
}

/// The headers of a request that say how its body is read, and nothing of who sent it; or what stands
/// beside the body of a message of a queue.
///
/// Values are kept byte for byte, each byte as the character of that number.
#[derive(Clone, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct KeptHeaders(Vec<(String, String)>);

/// Shows how many there are, because attributes of events are among them.
impl fmt::Debug for KeptHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptHeaders({})", self.0.len())
    }
}

/// Kept headers that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("cannot read kept headers back")]
pub struct KeptHeadersError(#[source] serde_json::Error);

impl KeptHeaders {
    /// Takes the headers that a body is read by.
    pub fn of(headers: &HeaderMap) -> Self {
        let keep = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = value.as_bytes().iter().copied().map(char::from).collect();
            is_kept(name).then(|| (name.as_str().to_owned(), value))
        };
        Self(headers.iter().filter_map(keep).collect())
    }

    /// Takes the headers by which one item of a batch, of which the content coding is undone, is read
    /// when it stands alone.
    pub fn of_item(headers: &HeaderMap) -> Self {
        let (batch, item) = BATCH_AND_ITEM;
        let alone = |(name, value): (String, String)| {
            let is_type = name == CONTENT_TYPE.as_str();
            let essence = value.split(';').next().unwrap_or_default().trim();
            let is_batch = is_type && essence.eq_ignore_ascii_case(batch);
            (name, if is_batch { item.to_owned() } else { value })
        };
        let kept = Self::of(headers).0.into_iter();
        let of_all = |name: &str| name.starts_with("ce-") || name == CONTENT_ENCODING.as_str();
        Self(kept.filter(|(name, _)| !of_all(name)).map(alone).collect())
    }

    /// What stands beside the body of a message of a queue, under names as headers have them.
    pub(super) fn of_message<'a>(pairs: impl Iterator<Item = (String, &'a str)>) -> Self {
        let keep = |(name, value): (String, &str)| {
            (name.to_ascii_lowercase(), value.bytes().map(char::from).collect())
        };
        Self(pairs.map(keep).collect())
    }

    /// The headers as they came; none that HTTP does not allow.
    pub fn to_map(&self) -> HeaderMap {
        let read = |(name, value): &(String, String)| {
            let bytes: Option<Vec<u8>> =
                value.chars().map(|character| u8::try_from(character).ok()).collect();
            let name = name.parse::<HeaderName>().ok()?;
            Some((name, HeaderValue::from_bytes(&bytes?).ok()?))
        };
        let mut map = HeaderMap::new();
        for (name, value) in self.0.iter().filter_map(read) {
            map.append(name, value);
        }
        map
    }

    /// Writes them as a JSON array of names and values.
    ///
    /// # Errors
    ///
    /// Ours: they cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, KeptHeadersError> {
        serde_json::to_string(self).map_err(KeptHeadersError)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// Ours: what was kept is damaged.
    pub fn from_json(text: &str) -> Result<Self, KeptHeadersError> {
        serde_json::from_str(text).map_err(KeptHeadersError)
    }
}

/// Whether a header says how a body is read: its type and coding, attributes of an event in binary
/// mode, and its trace. Credentials never are.
fn is_kept(name: &HeaderName) -> bool {
    let name = name.as_str();
    [CONTENT_TYPE.as_str(), CONTENT_ENCODING.as_str()].contains(&name)
        || TRACE.contains(&name)
        || name.starts_with("ce-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::ProducerKind;

    fn map(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn headers_that_say_how_to_read_are_kept_and_credentials_are_not() {
        let sent = map(&[
            ("content-type", b"application/json"),
            ("ce-id", b"a"),
            ("ce-id", b"b\xff"),
            ("authorization", b"Bearer secret"),
            ("x-api-key", b"secret"),
            ("cookie", b"secret"),
        ]);

        let kept = KeptHeaders::of(&sent).to_json().unwrap();

        assert!(!kept.contains("secret"));
        let again = KeptHeaders::from_json(&kept).unwrap().to_map();
        let ids: Vec<_> = again.get_all("ce-id").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(ids, [&b"a"[..], b"b\xff"]);
        assert_eq!(again.len(), 3);
    }

    #[test]
    fn an_item_of_a_batch_is_read_again_as_one_event() {
        let batch = map(&[("content-type", b"application/cloudevents-batch+json; charset=utf-8")]);
        let item = KeptHeaders::of_item(&batch).to_map();
        assert_eq!(item["content-type"], "application/cloudevents+json");
        let envelopes = map(&[
            ("content-type", b"application/json"),
            ("ce-type", b"T"),
            ("content-encoding", b"gzip"),
        ]);
        let item = KeptHeaders::of_item(&envelopes).to_map();
        assert_eq!((&item["content-type"], item.len()), (&"application/json".parse().unwrap(), 1));
    }

    #[test]
    fn what_is_sent_again_is_the_same_whatever_its_trace_and_nothing_else_is() {
        let sent = |headers: &[(&'static str, &[u8])], body: &str, id: &str| Unparsed {
            producer: EventProducer { kind: ProducerKind::Caller, name: "shop".into() },
            headers: KeptHeaders::of(&map(headers)),
            body: body.as_bytes().to_vec(),
            id: Some(id.to_owned()),
            reason: Violation { pointer: String::new(), code: "x".into(), message: "y".into() },
        };
        let first = sent(&[("ce-id", b"a"), ("x-amzn-trace-id", b"Root=1")], "{", "a");

        let again = sent(&[("ce-id", b"a"), ("x-amzn-trace-id", b"Root=2")], "{", "a");
        assert_eq!(first.identity(), again.identity());
        for other in [
            sent(&[("ce-id", b"b")], "{", "a"),
            sent(&[("ce-id", b"a")], "{{", "a"),
            sent(&[("ce-id", b"a")], "{", "b"),
            sent(&[], "ce-ida{", "a"),
        ] {
            assert_ne!(first.identity(), other.identity());
        }
    }

    #[test]
    fn what_was_sent_is_not_shown() {
        let unparsed = Unparsed {
            producer: EventProducer { kind: ProducerKind::Caller, name: "shop".into() },
            headers: KeptHeaders::of(&map(&[("ce-subject", b"card")])),
            body: b"4111".to_vec(),
            id: None,
            reason: Violation { pointer: String::new(), code: "x".into(), message: "y".into() },
        };
        let shown = format!("{unparsed:?}{:?}", unparsed.headers);
        assert_eq!(shown, "Unparsed(caller `shop`, 4 bytes)KeptHeaders(1)");
    }

    proptest! {
        #[test]
        fn any_header_value_survives(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let mut sent = HeaderMap::new();
                sent.insert("ce-subject", value);
                let json = KeptHeaders::of(&sent).to_json().unwrap();
                prop_assert_eq!(KeptHeaders::from_json(&json).unwrap().to_map(), sent);
            }
        }

        #[test]
        fn arbitrary_kept_text_never_panics(text in "\\[?.{0,40}\\]?") {
            if let Ok(kept) = KeptHeaders::from_json(&text) {
                let _ = kept.to_map();
            }
        }
    }
}
