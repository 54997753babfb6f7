//! How a log keeps its incarnations: small documents, which a backup has and a restore adds to.

use serde::{Deserialize, Serialize};

use crate::eventlog::{LogError, Record, RecordKey, Registry};
use crate::transparency::{Incarnation, LogHead};

const KIND: &str = "incarnation";

/// An incarnation that a restore has begun, and the signed record of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptIncarnation {
    /// What is known of it.
    pub incarnation: Incarnation,
    /// The record, signed when a gateway first ran on it; nothing if none has yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What a log that is brought back, or set back, is to go on as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIncarnation {
    /// Its number, greater than all that are known.
    pub number: u64,
    /// How far the log before had come, as far as that is known.
    pub before: Option<LogHead>,
}

/// A document that is not what a gateway has written there.
#[derive(Debug, thiserror::Error)]
#[error("the document of the kind `{KIND}` with the name `{name}` cannot be read")]
struct UnreadableIncarnation {
    name: String,
}

impl KeptIncarnation {
    /// Where one is kept.
    pub fn key(number: u64) -> RecordKey {
        // Names sort as numbers do.
        RecordKey { kind: KIND, id: format!("{number:020}") }
    }

    /// The kind of documents that they are.
    pub const fn kind() -> &'static str {
        KIND
    }

    /// Reads what is kept.
    ///
    /// # Errors
    ///
    /// Ours: it is not what was written there.
    pub fn from_record(record: &Record) -> Result<Self, LogError> {
        let read: Option<Self> = serde_json::from_str(&record.body).ok();
        let named = |kept: &Self| {
            Self::key(kept.incarnation.number).id == record.id && kept.incarnation.is_sound()
        };
        read.filter(named).ok_or_else(|| LogError::Storage {
            action: "read the incarnations of the log",
            place: "its documents".to_owned(),
            source: Box::new(UnreadableIncarnation { name: record.id.clone() }),
        })
    }

    /// What is kept.
    pub fn body(&self) -> String {
        // Texts and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// All of a log, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or one of them is damaged.
    pub async fn list(registry: &dyn Registry) -> Result<Vec<Self>, LogError> {
        registry.list(KIND).await?.iter().map(Self::from_record).collect()
    }

    /// Keeps the signed record of one that is kept without.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn keep(&self, registry: &dyn Registry) -> Result<(), LogError> {
        let key = Self::key(self.incarnation.number);
        let found = registry.get(&key).await?;
        registry.put(&key, found.map(|record| record.revision), self.body()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::eventlog::Revision;
    use crate::transparency::{TreeHead, TreeRoot};

    fn record(body: String, id: String) -> Record {
        Record { id, revision: Revision(1), changed: Timestamp::EPOCH, body }
    }

    fn kept() -> KeptIncarnation {
        let tree = Some(TreeHead { first: 1, tree: TreeRoot::empty() });
        let survivors = LogHead { incarnation: 1, position: 0, event: None, tree };
        let incarnation = Incarnation {
            number: 2,
            id: "a".to_owned(),
            began: Timestamp::EPOCH,
            survivors,
            before: None,
        };
        KeptIncarnation { incarnation, token: None }
    }

    #[test]
    fn one_reads_what_it_wrote_under_its_own_name_alone() {
        let kept = kept();
        let id = KeptIncarnation::key(2).id;
        let read = KeptIncarnation::from_record(&record(kept.body(), id.clone())).unwrap();
        assert_eq!(read, kept);

        let elsewhere = record(kept.body(), KeptIncarnation::key(3).id);
        assert!(KeptIncarnation::from_record(&elsewhere).is_err());
        let mut unsound = kept;
        unsound.incarnation.survivors.incarnation = 2;
        assert!(KeptIncarnation::from_record(&record(unsound.body(), id)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_kept_there_is_read_or_an_error(body in ".{0,200}") {
            let read = KeptIncarnation::from_record(&record(body, KeptIncarnation::key(2).id));
            if let Ok(read) = read {
                proptest::prop_assert!(read.incarnation.is_sound());
            }
        }
    }
}
