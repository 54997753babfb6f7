//! The witnesses that whoever verifies believes, and the checkpoints with cosignatures that they have kept.

use crate::event::Timestamp;
use crate::transparency::{LogNote, NoteError, NoteKey, SignedNote, TreeRoot, WitnessKey};

/// Whom to believe about the tree over a log, beside the log.
///
/// What was kept of before makes false dates and other histories show: a witness that is honest has said how
/// large the tree was at a moment.
#[derive(Clone, Debug, Default)]
pub struct WitnessTrust {
    keys: Vec<WitnessKey>,
    quorum: usize,
    log_key: Option<NoteKey>,
    origin: Option<String>,
    /// The smallest tree first.
    kept: Vec<KeptTree>,
}

/// A tree that witnesses have cosigned.
#[derive(Clone, Debug)]
struct KeptTree {
    tree: TreeRoot,
    cosigned: Vec<(WitnessKey, Timestamp)>,
    /// The latest moment at which the log was this large and no larger, of this tree and all smaller ones.
    latest: Timestamp,
    /// The earliest moment at which the log was this large, of this tree and all larger ones.
    earliest: Timestamp,
}

/// Why a kept checkpoint cannot be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WitnessTrustError {
    /// It is none.
    #[error("it is no checkpoint of a log")]
    NoCheckpoint,
    /// The log's key has not signed it, or a witness's signature is none of its key.
    #[error("{0}")]
    Signature(#[source] NoteError),
    /// No witness that is believed has cosigned it, so that it says nothing.
    #[error("none of the witnesses that are believed has cosigned it")]
    NotCosigned,
    /// It is of another log than one before.
    #[error("it is of the log {0}, and one before of {1}")]
    OtherLog(String, String),
    /// Witnesses have cosigned two trees of one size.
    #[error(
        "it is of {0} leaves with another root than one before: the log has two histories, and a witness has cosigned both"
    )]
    Forked(u64),
}

impl WitnessTrust {
    /// Believes these witnesses, so many of which must have cosigned, and this key of the log or any.
    pub fn new(keys: Vec<WitnessKey>, quorum: usize, log_key: Option<NoteKey>) -> Self {
        let origin = log_key.as_ref().map(|key| key.name().to_owned());
        Self { keys, quorum, log_key, origin, kept: Vec::new() }
    }

    /// Takes a checkpoint that was kept.
    ///
    /// # Errors
    ///
    /// The caller's turn: it says nothing, or not of the same log.
    pub fn keep(&mut self, note: &SignedNote) -> Result<(), WitnessTrustError> {
        let said: LogNote = note.text.parse().map_err(|_| WitnessTrustError::NoCheckpoint)?;
        let cosigned = self.cosigners(note).map_err(WitnessTrustError::Signature)?;
        let origin = self.origin.get_or_insert_with(|| said.origin.clone());
        if *origin != said.origin {
            return Err(WitnessTrustError::OtherLog(said.origin, origin.clone()));
        }
        let times = || cosigned.iter().map(|(_, at)| *at);
        let (Some(latest), Some(earliest)) = (times().max(), times().min()) else {
            return Err(WitnessTrustError::NotCosigned);
        };
        if self.contradicts(&said.tree) {
            return Err(WitnessTrustError::Forked(said.tree.size));
        }
        self.kept.push(KeptTree { tree: said.tree, cosigned, latest, earliest });
        self.kept.sort_by_key(|one| one.tree.size);
        self.spread();
        Ok(())
    }

    /// A log that was small at a moment was no larger before, and one that was large no smaller after.
    fn spread(&mut self) {
        let mut latest = Timestamp::from_unix_nanos(i64::MIN);
        for one in &mut self.kept {
            latest = latest.max(one.latest);
            one.latest = latest;
        }
        let mut earliest = Timestamp::from_unix_nanos(i64::MAX);
        for one in self.kept.iter_mut().rev() {
            earliest = earliest.min(one.earliest);
            one.earliest = earliest;
        }
    }

    /// The witnesses of these that have cosigned a note, and when; the log's key must have signed it.
    pub(super) fn cosigners(
        &self,
        note: &SignedNote,
    ) -> Result<Vec<(WitnessKey, Timestamp)>, NoteError> {
        if let Some(key) = &self.log_key {
            key.verify(note)?;
        }
        let mut found = Vec::new();
        for key in &self.keys {
            match key.verify(note) {
                Ok(at) => found.push((key.clone(), at)),
                Err(NoteError::Unsigned) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// How many must have cosigned; nothing is asked for where no witness is believed.
    pub(super) fn quorum(&self) -> usize {
        if self.keys.is_empty() { 0 } else { self.quorum }
    }

    /// The log that kept checkpoints and the key are of.
    pub(super) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether a kept tree of this size has another root.
    pub(super) fn contradicts(&self, tree: &TreeRoot) -> bool {
        self.kept.iter().any(|one| one.tree.size == tree.size && one.tree.root != tree.root)
    }

    /// The latest moment at which the log did not have a leaf, as a witness saw it, and how many it had.
    pub(super) fn latest_without(&self, index: u64) -> Option<(Timestamp, u64)> {
        let upto = self.kept.partition_point(|one| one.tree.size <= index);
        self.kept.get(upto.checked_sub(1)?).map(|one| (one.latest, one.tree.size))
    }

    /// The earliest moment at which the log had a leaf, as a witness saw it.
    pub(super) fn earliest_with(&self, index: u64) -> Option<Timestamp> {
        let from = self.kept.partition_point(|one| one.tree.size <= index);
        self.kept.get(from).map(|one| one.earliest)
    }

    /// Whether a witness cosigned a smaller tree after a larger one, or the other way round.
    pub(super) fn goes_back(&self, key: &WitnessKey, (size, at): (u64, Timestamp)) -> bool {
        self.kept.iter().any(|one| {
            let mut own = one.cosigned.iter().filter(|(by, _)| by == key);
            own.any(|(_, then)| {
                (*then < at && one.tree.size > size) || (*then > at && one.tree.size < size)
            })
        })
    }
}
