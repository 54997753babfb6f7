//! What the log shows to others, and to whom.

use std::sync::Arc;

use crate::eventlog::ProofAccess;
use crate::keys::NoteSigningKey;

/// What proves something of the log to others.
pub struct LogProofs {
    /// Signs its checkpoints.
    pub note_key: Arc<NoteSigningKey>,
    /// Who may have them, proofs and tiles.
    pub access: ProofAccess,
}
