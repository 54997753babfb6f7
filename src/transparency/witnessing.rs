//! What an honest witness cosigns, as C2SP tlog-witness has it: what its log has signed, and what begins
//! with all that the witness has cosigned before.

use crate::transparency::{
    AddCheckpoint, LogNote, NoteKey, ProofError, TreeRoot, verify_consistency,
};

/// Why a witness does not cosign.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WitnessRefusal {
    /// The note is no checkpoint, or claims to be older than what it is to follow.
    #[error("this is no checkpoint that follows an older one")]
    Malformed,
    /// The witness does not know the log.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// No key of the log has signed it.
    #[error("no key that this witness knows for the log has signed the checkpoint")]
    Unsigned,
    /// The log takes another tree for the one that the witness cosigned last.
    #[error("the tree that was cosigned last has {0} leaves")]
    OtherSize(u64),
    /// The log has signed two trees of one size.
    #[error("a tree of {0} leaves with another root was cosigned before: two histories")]
    Forked(u64),
    /// It is not proved that the tree has only grown.
    #[error("it is not proved that the tree begins with the one that was cosigned last")]
    Unproved,
}

/// Judges a request, with the keys of all logs that are known and what was cosigned last of its log;
/// gives what is to be cosigned, and kept first.
///
/// # Errors
///
/// The log's turn: nothing may be cosigned.
pub fn judge_checkpoint(
    request: &AddCheckpoint,
    logs: &[NoteKey],
    latest: impl FnOnce(&LogNote) -> Option<TreeRoot>,
) -> Result<LogNote, WitnessRefusal> {
    let note: LogNote = request.note.text.parse().map_err(|_| WitnessRefusal::Malformed)?;
    let mut keys = logs.iter().filter(|key| key.name() == note.origin).peekable();
    if keys.peek().is_none() {
        return Err(WitnessRefusal::UnknownLog);
    }
    if !keys.any(|key| key.verify(&request.note).is_ok()) {
        return Err(WitnessRefusal::Unsigned);
    }
    if request.old > note.tree.size {
        return Err(WitnessRefusal::Malformed);
    }
    let latest = latest(&note).unwrap_or_else(TreeRoot::empty);
    if request.old != latest.size {
        return Err(WitnessRefusal::OtherSize(latest.size));
    }
    match verify_consistency(&latest, &note.tree, &request.proof) {
        Ok(()) => Ok(note),
        Err(ProofError::Forked) => Err(WitnessRefusal::Forked(latest.size)),
        Err(_) => Err(WitnessRefusal::Unproved),
    }
}
