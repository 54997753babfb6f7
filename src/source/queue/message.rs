//! A message of a queue: its body, and what stands beside it.

use std::fmt;

use http::{HeaderMap, HeaderValue};

use crate::event::{Timestamp, TraceContext};
use crate::source::KeptHeaders;
use crate::source::trace::trace_of;

const ID: &str = "sqs-message-id";
const GROUP: &str = "sqs-message-group-id";
const DEDUPLICATION: &str = "sqs-message-deduplication-id";
const SENT: &str = "sqs-sent-timestamp";
const TRACE: &str = "x-amzn-trace-id";
/// What stands before the name of an attribute that the sender chose.
const ATTRIBUTE: &str = "sqs-attribute-";

/// A message as SQS hands it out.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct QueueMessage {
    /// The id that SQS gave it: the same each time that it comes, also after a redrive to another queue.
    pub id: String,
    /// The body.
    pub body: String,
    /// The group within which a FIFO queue keeps the order.
    pub group: Option<String>,
    /// The id by which a FIFO queue knows repeats for five minutes. Later the same one may name another
    /// message, so that it names no event.
    pub deduplication: Option<String>,
    /// When it was sent to its queue.
    pub sent: Option<Timestamp>,
    /// `AWSTraceHeader`.
    pub trace: Option<String>,
    /// The attributes that its sender chose: names and texts.
    pub attributes: Vec<(String, String)>,
}

impl QueueMessage {
    /// What stands beside the body, as the quarantine keeps it.
    pub(super) fn headers(&self) -> KeptHeaders {
        let sent = self.sent.map(|sent| sent.unix_ms().to_string());
        let own = [
            (ID, Some(self.id.as_str())),
            (GROUP, self.group.as_deref()),
            (DEDUPLICATION, self.deduplication.as_deref()),
            (SENT, sent.as_deref()),
            (TRACE, self.trace.as_deref()),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let chosen = self.attributes.iter();
        let chosen = chosen.map(|(name, value)| (name_of_header(name), value.as_str()));
        KeptHeaders::of_message(own.chain(chosen))
    }

    /// The message of which the quarantine kept the body and what stood beside it.
    pub(super) fn kept(headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let one = |name: &str| headers.get(name).map(text);
        let attributes = headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(ATTRIBUTE)?.to_owned(), text(value)))
        });
        Self {
            id: one(ID).unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
            group: one(GROUP),
            deduplication: one(DEDUPLICATION),
            sent: one(SENT).and_then(|sent| sent_at(&sent)),
            trace: one(TRACE),
            attributes: attributes.chain(one("traceparent").map(traceparent)).collect(),
        }
    }

    /// The trace that it belongs to: that of its attribute `traceparent`, or else of `AWSTraceHeader`.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        let mut headers = HeaderMap::new();
        let own = self.attribute("traceparent");
        for (name, value) in [("traceparent", own), (TRACE, self.trace.as_deref())] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        trace_of(&headers)
    }

    /// An attribute that its sender, or the service that sent it, chose.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let named = self.attributes.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

/// When a message was sent, in milliseconds since 1970 as SQS writes it.
pub(super) fn sent_at(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_unix_ms)
}

/// A trace is another one each time that an event is sent, and is kept under the name that says so.
fn name_of_header(attribute: &str) -> String {
    let is_trace = attribute.eq_ignore_ascii_case("traceparent");
    if is_trace { "traceparent".to_owned() } else { format!("{ATTRIBUTE}{attribute}") }
}

fn traceparent(value: String) -> (String, String) {
    ("traceparent".to_owned(), value)
}

/// Shows its id only.
impl fmt::Debug for QueueMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueMessage({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trace_is_read_from_either_place() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let own = "00-00000000000000000000000000000001-0000000000000002-01";
        let mut message =
            QueueMessage { trace: Some(header.to_owned()), ..QueueMessage::default() };
        let trace_id = |message: &QueueMessage| message.trace().unwrap().trace_id().to_owned();

        assert_eq!(trace_id(&message), "5759e988bd862e3fe1be46a994272793");
        message.attributes.push(("traceparent".to_owned(), own.to_owned()));
        assert_eq!(trace_id(&message), "00000000000000000000000000000001");
        message.trace = Some("Root=\n".to_owned());
        message.attributes.clear();
        assert_eq!(message.trace(), None);
    }

    proptest! {
        #[test]
        fn what_stands_beside_a_body_comes_back_from_the_quarantine(
            id in "[a-f0-9-]{1,36}",
            body in any::<String>(),
            optional in proptest::option::of("[!-~äé]{1,20}"),
            sent in proptest::option::of(0_i64..4_000_000_000_000),
            attributes in proptest::collection::btree_map("[a-z0-9_.-]{1,12}", "[!-~ü]{1,12}", 0..5),
        ) {
            let message = QueueMessage {
                id,
                body: body.clone(),
                group: optional.clone(),
                deduplication: optional.clone(),
                sent: sent.map(Timestamp::from_unix_ms),
                trace: optional,
                attributes: attributes.into_iter().collect(),
            };
            let kept = message.headers().to_json().unwrap();
            let headers = KeptHeaders::from_json(&kept).unwrap().to_map();
            let mut again = QueueMessage::kept(&headers, body.as_bytes());
            again.attributes.sort();
            prop_assert_eq!(again.attributes, message.attributes.clone());
            again.attributes = message.attributes.clone();
            prop_assert!(again == message);
        }

        #[test]
        fn arbitrary_attributes_never_panic(name in any::<String>(), value in any::<String>()) {
            let attributes = vec![(name, value.clone())];
            let message =
                QueueMessage { trace: Some(value), attributes, ..QueueMessage::default() };
            let _ = message.trace();
            let _ = QueueMessage::kept(&message.headers().to_map(), b"");
        }
    }
}
