//! What witnesses have cosigned, newest of each, and how it outlives a restart.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;
use crate::eventlog::{LogError, RecordKey, Registry};
use crate::transparency::{LogNote, SignedNote, TreeRoot, WitnessKey};

const KIND: &str = "witness";
const ID: &str = "cosigned";

/// A checkpoint of the log with the cosignature of one witness.
#[derive(Clone, Debug)]
pub(super) struct Cosigned {
    /// Of which tree.
    pub(super) tree: TreeRoot,
    /// The note, with the signatures of the log and of this witness.
    pub(super) note: SignedNote,
    /// When the gateway got it.
    pub(super) at: Timestamp,
}

/// The same, as it is kept.
#[derive(Deserialize, Serialize)]
struct KeptCosigned {
    witness: String,
    note: String,
    at: Timestamp,
}

/// What each witness has cosigned last, in the order of the settings.
pub(super) struct KeptNotes(Mutex<Vec<Option<Cosigned>>>);

impl KeptNotes {
    /// Reads what is kept of these witnesses for this log; nothing of one that says what it does not
    /// understand, or that its witness has not signed.
    pub(super) async fn read(
        registry: &dyn Registry,
        origin: &str,
        keys: &[WitnessKey],
    ) -> Result<Self, LogError> {
        let found = registry.get(&key()).await?;
        let kept: Vec<KeptCosigned> =
            found.and_then(|record| serde_json::from_str(&record.body).ok()).unwrap_or_default();
        let of = |key: &WitnessKey| {
            let named = key.to_string();
            let one = kept.iter().find(|one| one.witness == named)?;
            let note: SignedNote = one.note.parse().ok()?;
            key.verify(&note).ok()?;
            let said: LogNote = note.text.parse().ok()?;
            (said.origin == origin).then_some(Cosigned { tree: said.tree, note, at: one.at })
        };
        Ok(Self(Mutex::new(keys.iter().map(of).collect())))
    }

    /// What each has cosigned.
    pub(super) fn all(&self) -> Vec<Option<Cosigned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What one has cosigned.
    pub(super) fn of(&self, witness: usize) -> Option<Cosigned> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(witness).cloned().flatten()
    }

    /// Takes what one has cosigned, or forgets it.
    pub(super) fn set(&self, witness: usize, cosigned: Option<Cosigned>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get_mut(witness) {
            *place = cosigned;
        }
    }

    /// Has the registry keep it.
    pub(super) async fn write(
        &self,
        registry: &dyn Registry,
        keys: &[WitnessKey],
    ) -> Result<(), LogError> {
        let kept: Vec<_> = keys
            .iter()
            .zip(self.all())
            .filter_map(|(key, cosigned)| {
                let Cosigned { note, at, .. } = cosigned?;
                Some(KeptCosigned { witness: key.to_string(), note: note.to_string(), at })
            })
            .collect();
        // Texts and numbers always serialize.
        let body = serde_json::to_string(&kept).unwrap_or_default();
        let before = registry.get(&key()).await?.map(|record| record.revision);
        registry.put(&key(), before, body).await.map(|_| ())
    }
}

fn key() -> RecordKey {
    RecordKey { kind: KIND, id: ID.to_owned() }
}
