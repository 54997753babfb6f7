//! Which keys a log was last used with, so that lost ones are told and not silently replaced.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{Blame, Fault};
use crate::eventlog::{LogError, RecordKey, Registry, Revision};
use crate::keys::{DataKey, KeyRing, NoteSigningKey, RingError};

const KIND: &str = "keys";
const ID: &str = "gateway";

/// The names of the keys of a gateway; nothing of them is secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogKeys {
    /// The fingerprint of the data key.
    data_key: String,
    /// The thumbprints of the signing keys.
    signing: BTreeSet<String>,
    /// The note key; nothing where a gateway of before has named the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Why the keys that are there are not those of the log; each says how to go on.
#[derive(Debug, thiserror::Error)]
pub enum LostKeys {
    /// There is no data key.
    #[error("the data key is lost: {place} is not there, and {reason}; {HOW_TO_GO_ON}")]
    NoDataKey {
        /// Where it should be.
        place: String,
        /// Why there was one.
        reason: &'static str,
    },
    /// The data key is another.
    #[error("{place} is not the data key that the log was written with; {HOW_TO_GO_ON}")]
    OtherDataKey {
        /// Where it is.
        place: String,
    },
    /// The note key is gone, or another.
    #[error(
        "{place} is not the key under which checkpoints of this log are known to others; \
         {HOW_TO_GO_ON}"
    )]
    NoteKey {
        /// Where it should be.
        place: String,
    },
    /// All signing keys are gone.
    #[error(
        "the signing keys are lost: the log names {}, and {place} is not there; {HOW_TO_GO_ON}",
        list(.kids)
    )]
    NoSigningKey {
        /// Where the first of them should be.
        place: String,
        /// Those that the log names.
        kids: BTreeSet<String>,
    },
}

const HOW_TO_GO_ON: &str = "put the key directory back from a backup or, if it is lost for good, \
                            run `sealway keys adopt`, which says what does not open any more";

/// Why the names of keys cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum LogKeysError {
    /// The registry failed.
    #[error("cannot read or keep the names of the keys in the log")]
    Registry(#[source] LogError),
    /// The document holds something else.
    #[error("the log names its keys in a way that this sealway does not know")]
    Damaged(#[source] serde_json::Error),
    /// The ring cannot be read.
    #[error(transparent)]
    Ring(#[from] RingError),
}

impl Blame for LostKeys {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl Blame for LogKeysError {
    fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Ring(error) => error.fault(),
            Self::Damaged(_) => Fault::Ours,
        }
    }
}

impl LogKeys {
    /// The keys of a ring, its data key and its note key.
    pub fn of(ring: &KeyRing, data_key: &DataKey, note_key: &NoteSigningKey) -> Self {
        let signing = ring.keys().into_iter().map(|key| key.age.kid).collect();
        Self { data_key: data_key.fingerprint(), signing, note: Some(note_key.fingerprint()) }
    }

    /// Reads what a log names; nothing where no gateway has yet said so.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn read(registry: &dyn Registry) -> Result<Option<(Self, Revision)>, LogKeysError> {
        let found = registry.get(&key()).await.map_err(LogKeysError::Registry)?;
        let Some(record) = found else { return Ok(None) };
        let names = serde_json::from_str(&record.body).map_err(LogKeysError::Damaged)?;
        Ok(Some((names, record.revision)))
    }

    /// Has the log name these keys from now on.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn keep(&self, registry: &dyn Registry) -> Result<(), LogKeysError> {
        let found = Self::read(registry).await?;
        if found.as_ref().is_some_and(|(names, _)| names == self) {
            return Ok(());
        }
        let body = serde_json::to_string(self).map_err(LogKeysError::Damaged)?;
        let expected = found.map(|(_, revision)| revision);
        registry.put(&key(), expected, body).await.map_err(LogKeysError::Registry)?;
        Ok(())
    }

    /// Holds what is there against what the log names.
    ///
    /// Signing keys turn and are revoked while no gateway runs, so that other ones beside the same
    /// data key are no loss; none at all is.
    ///
    /// # Errors
    ///
    /// The operator's turn: keys are lost.
    pub fn check(
        &self,
        ring: &KeyRing,
        data_key: Option<&DataKey>,
        note_key: Option<&NoteSigningKey>,
    ) -> Result<(), LostKeys> {
        self.check_ring(ring, data_key)?;
        let Some(named) = &self.note else { return Ok(()) };
        if note_key.is_some_and(|key| key.fingerprint() == *named) {
            return Ok(());
        }
        Err(LostKeys::NoteKey { place: ring.place_of_note_key() })
    }

    fn check_ring(&self, ring: &KeyRing, data_key: Option<&DataKey>) -> Result<(), LostKeys> {
        let place = ring.place_of_data_key();
        match data_key {
            None => Err(LostKeys::NoDataKey { place, reason: "the log was written with one" }),
            Some(found) if found.fingerprint() != self.data_key => {
                Err(LostKeys::OtherDataKey { place })
            }
            Some(_) if ring.keys().is_empty() => match self.signing.first() {
                Some(first) => Err(LostKeys::NoSigningKey {
                    place: ring.place_of(first),
                    kids: self.signing.clone(),
                }),
                None => Ok(()),
            },
            Some(_) => Ok(()),
        }
    }
}

fn key() -> RecordKey {
    RecordKey { kind: KIND, id: ID.to_owned() }
}

fn list(kids: &BTreeSet<String>) -> String {
    kids.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ambient::SystemEntropy;
    use crate::event::Timestamp;
    use crate::keys::{KeyStore, MemoryKeyStore};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);

    fn ring(store: &Arc<MemoryKeyStore>) -> KeyRing {
        let rules = crate::keys::Config::default().lifecycle();
        KeyRing::read(Arc::clone(store) as Arc<dyn KeyStore>, rules).unwrap()
    }

    #[test]
    fn a_data_key_that_is_gone_or_another_and_signing_keys_that_are_gone_are_lost() {
        let store = Arc::new(MemoryKeyStore::new());
        let first = ring(&store);
        first.tick(NOW).unwrap();
        let data_key = first.data_key(&SystemEntropy, NOW).unwrap();
        let note_key = first.note_key(NOW).unwrap();
        let names = LogKeys::of(&first, &data_key, &note_key);
        assert!(names.check(&first, Some(&data_key), Some(&note_key)).is_ok());

        let empty = ring(&Arc::new(MemoryKeyStore::new()));
        let lost = names.check(&empty, None, None).unwrap_err();
        assert!(matches!(lost, LostKeys::NoDataKey { .. }), "{lost}");
        assert!(lost.to_string().contains("sealway keys adopt"), "{lost}");
        let other = DataKey::generate(&SystemEntropy);
        let lost = names.check(&first, Some(&other), Some(&note_key)).unwrap_err();
        assert!(matches!(lost, LostKeys::OtherDataKey { .. }), "{lost}");
        let lost = names.check(&empty, Some(&data_key), Some(&note_key)).unwrap_err();
        assert!(matches!(lost, LostKeys::NoSigningKey { .. }), "{lost}");
    }

    #[test]
    fn a_note_key_that_is_gone_or_another_is_lost_where_the_log_names_one() {
        let store = Arc::new(MemoryKeyStore::new());
        let ring = ring(&store);
        ring.tick(NOW).unwrap();
        let data_key = ring.data_key(&SystemEntropy, NOW).unwrap();
        let note_key = ring.note_key(NOW).unwrap();
        let names = LogKeys::of(&ring, &data_key, &note_key);
        let other = NoteSigningKey::generate().unwrap();
        for found in [None, Some(&other)] {
            let lost = names.check(&ring, Some(&data_key), found).unwrap_err();
            assert!(matches!(lost, LostKeys::NoteKey { .. }), "{lost}");
        }

        let before = LogKeys { note: None, ..names };
        assert!(before.check(&ring, Some(&data_key), None).is_ok());
    }

    #[test]
    fn keys_that_turned_while_no_gateway_ran_are_not_lost() {
        let store = Arc::new(MemoryKeyStore::new());
        let before = ring(&store);
        before.tick(NOW).unwrap();
        let data_key = before.data_key(&SystemEntropy, NOW).unwrap();
        let note_key = before.note_key(NOW).unwrap();
        let names = LogKeys::of(&before, &data_key, &note_key);
        let old = before.keys().remove(0).age.kid;

        before.revoke(&old, NOW).unwrap();

        let after = ring(&store);
        assert!(after.keys().iter().all(|key| key.age.kid != old));
        assert!(names.check(&after, Some(&data_key), Some(&note_key)).is_ok());
    }
}
