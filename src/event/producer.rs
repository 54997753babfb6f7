//! Who sent an event, as the gateway has authenticated it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a producer has shown to be let in.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProducerKind {
    /// The key of a caller of the API.
    Caller,
    /// An access key of the embedded bus.
    AccessKey,
    /// A queue that the gateway reads.
    Queue,
}

impl ProducerKind {
    /// All of them.
    const ALL: [Self; 3] = [Self::Caller, Self::AccessKey, Self::Queue];

    /// The stable word.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::AccessKey => "access-key",
            Self::Queue => "queue",
        }
    }

    /// Finds a kind by its word.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.text() == text)
    }
}

/// A producer: what it has shown to be let in, and its name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventProducer {
    /// What it has shown.
    pub kind: ProducerKind,
    /// The caller's name, the access key id, or the ARN of the queue; never a secret.
    pub name: Arc<str>,
}

/// For people: ``caller `shop` ``.
impl fmt::Display for EventProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ProducerKind::Caller => "caller",
            ProducerKind::AccessKey => "access key",
            ProducerKind::Queue => "queue",
        };
        write!(f, "{kind} `{}`", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_word_and_a_producer_is_named_for_people() {
        for kind in ProducerKind::ALL {
            assert_eq!(ProducerKind::from_text(kind.text()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.text());
        }
        assert_eq!(ProducerKind::from_text("stranger"), None);
        let producer = EventProducer { kind: ProducerKind::AccessKey, name: "AKIA".into() };
        assert_eq!(producer.to_string(), "access key `AKIA`");
    }
}
