//! An event as its producer's bus describes it, before anything is checked.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{EventTime, OWN_SOURCE, TraceContext, json};

/// Tells whether a producer's `source` could be taken for the gateway's own.
pub(super) fn is_own_source(source: &str) -> bool {
    source.trim().eq_ignore_ascii_case(OWN_SOURCE)
}

/// The EventBridge envelope: what every source turns its input into.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Envelope {
    /// The producer's id of the event: unique together with `source` where the bus repeats itself.
    pub id: String,
    /// The producer.
    pub source: String,
    /// The kind of event, in the producer's own words.
    pub detail_type: String,
    /// When it occurred, as its producer wrote it.
    pub time: EventTime,
    /// The producer's account: twelve digits, if the bus tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The bus's region, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The EventBridge archive's replay that sends the event again, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_name: Option<String>,
    /// The resources concerned.
    #[serde(default)]
    pub resources: Vec<String>,
    /// What it is about: a JSON object, or any JSON value as the data of a CloudEvent.
    pub detail: Value,
}

/// An event as it came in; nothing about it is promised.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Received {
    /// What the producer's bus said.
    pub envelope: Envelope,
    /// Whether the bus gives a repeat of the event the same id, so that a repeat is recognised.
    pub repeatable: bool,
    /// The producer's trace, as a `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How an event is read back: as it was let in, with the levels of the envelope around it.
const KEPT: json::Limits = json::Limits::new(usize::MAX, 1002);

/// A kept event that cannot be written or read back.
#[derive(Debug, thiserror::Error)]
pub enum ReceivedError {
    /// It is no JSON any more.
    #[error("cannot read a kept event back")]
    Json(#[source] json::Error),
    /// It is JSON of another shape, or cannot be written.
    #[error("a kept event has another shape")]
    Shape(#[source] serde_json::Error),
}

impl Envelope {
    /// The tree that publication patterns are matched against and patches start from:
    /// EventBridge's JSON form, version 0, with empty text for an unknown account or region, and with
    /// `replay-name` in an event that a replay sends again.
    pub fn to_tree(&self) -> Value {
        // Cloned and not serialised, which would take each number apart.
        self.around(self.detail.clone())
    }

    /// Shows the same tree without a copy of the detail, which is in it meanwhile.
    pub fn with_tree<T>(&mut self, look: impl FnOnce(&Value) -> T) -> T {
        let detail = std::mem::take(&mut self.detail);
        let mut tree = self.around(detail);
        let seen = look(&tree);
        self.detail = tree.get_mut("detail").map(Value::take).unwrap_or_default();
        seen
    }

    fn around(&self, detail: Value) -> Value {
        let members = [
            ("version", "0".into()),
            ("id", self.id.as_str().into()),
            ("detail-type", self.detail_type.as_str().into()),
            ("source", self.source.as_str().into()),
            ("account", self.account.as_deref().unwrap_or_default().into()),
            ("time", self.time.to_string().into()),
            ("region", self.region.as_deref().unwrap_or_default().into()),
            ("resources", self.resources.as_slice().into()),
            ("detail", detail),
        ];
        let replay = self.replay_name.as_deref().map(|name| ("replay-name", name.into()));
        let members = members.into_iter().chain(replay);
        let mut tree = Map::with_capacity(10);
        tree.extend(members.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(tree)
    }
}

impl Received {
    /// The producer's trace, if it sent one that can be read.
    pub fn trace(&self) -> Option<TraceContext> {
        self.traceparent.as_deref()?.parse().ok()
    }

    /// Writes the event in the gateway's own JSON form, for quarantine.
    ///
    /// # Errors
    ///
    /// Ours: the event cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, ReceivedError> {
        serde_json::to_string(self).map_err(ReceivedError::Shape)
    }

    /// Reads what [`to_json`](Self::to_json) wrote as a tree, member for member.
    ///
    /// # Errors
    ///
    /// Ours: what was kept is damaged.
    pub fn tree(text: &str) -> Result<Value, ReceivedError> {
        json::read_event(text.as_bytes(), KEPT).map_err(ReceivedError::Json)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// Ours: what was kept is damaged.
    pub fn from_json(text: &str) -> Result<Self, ReceivedError> {
        let mut tree = Self::tree(text)?;
        // The detail goes around the library, which would take some of its members for its own.
        let detail = tree.pointer_mut("/envelope/detail").map(Value::take);
        let mut received: Self = serde_json::from_value(tree).map_err(ReceivedError::Shape)?;
        received.envelope.detail = detail.unwrap_or_default();
        Ok(received)
    }
}

#[cfg(test)]
impl Envelope {
    /// An order's event with this detail, for tests.
    pub(crate) fn example(detail: Value) -> Self {
        Self {
            id: "e1".to_owned(),
            source: "order-service".to_owned(),
            detail_type: "OrderCreated".to_owned(),
            time: "2026-11-21T20:17:00Z".parse().unwrap(),
            account: None,
            region: None,
            replay_name: None,
            resources: vec![],
            detail,
        }
    }
}

/// Shows names only, because detail is data.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({} {} {})", self.source, self.detail_type, self.id)
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.envelope.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_library_takes_for_its_own_and_what_nests_deeply_comes_back() {
        let deep = (0..990).fold(json!(1), |inner, _| json!([inner]));
        let own = json!({"$serde_json::private::Number": "x", "deep": deep});
        let received =
            Received { envelope: Envelope::example(own), repeatable: true, traceparent: None };

        let kept = received.to_json().unwrap();

        assert_eq!(Received::from_json(&kept).unwrap(), received);
        assert_eq!(Received::tree(&kept).unwrap()["envelope"]["detail"], received.envelope.detail);
    }

    #[test]
    fn a_received_event_survives_quarantine_and_hides_its_detail_in_logs() {
        let received = Received {
            envelope: Envelope {
                region: Some("eu-west-1".into()),
                replay_name: Some("of-may".into()),
                time: "9999-12-31T23:59:59.0+01:00".parse().unwrap(),
                ..Envelope::example(json!({"card": "4111"}))
            },
            repeatable: true,
            traceparent: None,
        };

        assert_eq!(Received::from_json(&received.to_json().unwrap()).unwrap(), received);
        assert!(!format!("{received:?}").contains("4111"));
        assert_eq!(received.envelope.to_tree()["detail"]["card"], "4111");
        assert_eq!(received.envelope.to_tree()["replay-name"], "of-may");
        let live = Envelope { replay_name: None, ..received.envelope };
        assert!(live.to_tree().get("replay-name").is_none());
    }
}
