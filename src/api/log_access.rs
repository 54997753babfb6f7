//! What the log shows to others, and to whom.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::eventlog::ProofAccess;
use crate::keys::NoteSigningKey;
use crate::witness::Witnesses;

/// What proves something of the log to others.
pub struct LogProofs {
    /// Signs its checkpoints.
    pub note_key: Arc<NoteSigningKey>,
    /// Has others cosign them.
    pub witnesses: Witnesses,
    /// Who may have them, proofs and tiles.
    pub access: ProofAccess,
    /// One read of the tree at a time: whoever asks, known or not, has one of the readers of the log, and the
    /// others are for consumers.
    pub reading: Semaphore,
    /// Whether the log lacks what is known of it, and is looked at all the same: nothing is signed in its
    /// name then.
    pub is_set_back: bool,
    /// The name of the gateway under which the log began: its origins have it.
    pub began: String,
}

impl LogProofs {
    /// Signs with this key, asks these witnesses, and answers these callers.
    pub fn new(note_key: Arc<NoteSigningKey>, witnesses: Witnesses, access: ProofAccess) -> Self {
        let reading = Semaphore::new(1);
        Self { note_key, witnesses, access, reading, is_set_back: false, began: String::new() }
    }
}
