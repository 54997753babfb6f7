//! Which log this is: the name that a copy keeps and a restored log does not.

use serde::{Deserialize, Serialize};

use crate::ambient::Entropy;
use crate::event::{EventId, Timestamp};
use crate::eventlog::{LogError, Position, RecordKey, Registry};

const KIND: &str = "log";
const ID: &str = "identity";

/// The name of a log, and whether it was brought back from a backup and nobody has said that it may
/// deliver.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogIdentity {
    /// A random name.
    pub id: String,
    /// Set by a restore, until an operator has said that this log is the one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<RestoredFrom>,
}

/// What a log was brought back from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoredFrom {
    /// When it was brought back.
    pub at: Timestamp,
    /// The newest position that the backup held.
    pub head: u64,
}

/// How far a log had come at one moment, in numbers that never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogMark {
    /// The newest position, which counts all events that were ever taken.
    pub head: Position,
    /// The event there.
    pub newest: EventId,
    /// The last revision of all documents.
    pub revision: u64,
}

impl LogIdentity {
    /// A new name.
    pub fn generate(entropy: &dyn Entropy, restored: Option<RestoredFrom>) -> Self {
        Self { id: format!("{:032x}", entropy.next_u128()), restored }
    }

    /// Where it is kept.
    pub fn key() -> RecordKey {
        RecordKey { kind: KIND, id: ID.to_owned() }
    }

    /// Reads what is kept; nothing if that is not understood.
    pub fn from_body(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// What is kept.
    pub fn body(&self) -> String {
        // Texts and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The identity of a log, which gets one where it has none: it is new, or from before.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn of(registry: &dyn Registry, entropy: &dyn Entropy) -> Result<Self, LogError> {
        let found = registry.get(&Self::key()).await?;
        let expected = found.as_ref().map(|record| record.revision);
        if let Some(known) = found.and_then(|record| Self::from_body(&record.body)) {
            return Ok(known);
        }
        let new = Self::generate(entropy, None);
        registry.put(&Self::key(), expected, new.body()).await?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;

    #[test]
    fn an_identity_reads_what_it_writes() {
        let restored = Some(RestoredFrom { at: Timestamp::EPOCH, head: 7 });
        for restored in [None, restored] {
            let one = LogIdentity::generate(&SeededEntropy::new(1), restored);
            assert_eq!(LogIdentity::from_body(&one.body()), Some(one));
        }
        assert_eq!(LogIdentity::from_body("{"), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_kept_there_is_read_or_not_understood(body in ".{0,200}") {
            if let Some(read) = LogIdentity::from_body(&body) {
                proptest::prop_assert_eq!(LogIdentity::from_body(&read.body()), Some(read));
            }
        }
    }
}
