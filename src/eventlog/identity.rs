//! Which log this is: the name that a copy keeps and a restored log does not.

use serde::{Deserialize, Serialize};

use crate::ambient::Entropy;
use crate::event::{EventId, Timestamp};
use crate::eventlog::{LogError, Position, RecordKey, Registry};
use crate::transparency::TreeHead;

const KIND: &str = "log";
const ID: &str = "identity";

/// The name of a log, and whether it was brought back from a backup and nobody has said that it may
/// deliver.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogIdentity {
    /// A random name.
    pub id: String,
    /// The name that it had in its first incarnation; nothing if that is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// The name that it had before this one; what was noted under that one tells nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Where it ended when it was found to lack its end, if events were taken since and nobody has said
    /// that it is the one to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_short: Option<u64>,
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
    /// The tree over the log.
    pub tree: TreeHead,
}

impl LogIdentity {
    /// A new name.
    pub fn generate(entropy: &dyn Entropy, restored: Option<RestoredFrom>) -> Self {
        let id = format!("{:032x}", entropy.next_u128());
        Self { id, restored, ..Self::default() }
    }

    /// The name of the log that goes on from this one as another incarnation.
    pub fn succeeded(&self, entropy: &dyn Entropy, restored: Option<RestoredFrom>) -> Self {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Self {
            lineage: named(self.lineage()),
            replaces: named(&self.id),
            ..Self::generate(entropy, restored)
        }
    }

    /// The same log, which is the one to go on with.
    #[must_use]
    pub fn confirmed(&self) -> Self {
        Self { restored: None, found_short: None, ..self.clone() }
    }

    /// The name that all incarnations of the log have in common.
    pub fn lineage(&self) -> &str {
        self.lineage.as_deref().unwrap_or(&self.id)
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
            let next = one.succeeded(&SeededEntropy::new(2), None);
            assert_eq!((next.lineage(), next.replaces.as_deref()), (&*one.id, Some(&*one.id)));
            let later = next.succeeded(&SeededEntropy::new(3), restored);
            assert_eq!((later.lineage(), later.replaces.as_deref()), (&*one.id, Some(&*next.id)));
            for identity in [one, next, later] {
                assert_eq!(LogIdentity::from_body(&identity.body()), Some(identity));
            }
        }
        assert_eq!(LogIdentity::from_body("{"), None);
    }

    #[test]
    fn a_log_without_a_name_has_no_lineage_to_go_on_with() {
        let next = LogIdentity::default().succeeded(&SeededEntropy::new(1), None);

        assert_eq!((next.lineage(), next.replaces.as_deref()), (&*next.id, None));
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
