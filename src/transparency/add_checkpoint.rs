//! What a log asks of a witness, as C2SP tlog-witness has it: to cosign a checkpoint, with a proof that
//! its tree begins with the one that the witness cosigned last.

use std::fmt;
use std::str::FromStr;

use base64_simd::STANDARD;

use crate::transparency::head::size_of;
use crate::transparency::{NoteError, SignedNote, TreeHash};

/// No proof has more hashes.
const MOST_HASHES: usize = 63;
/// What the first line begins with.
const OLD: &str = "old ";

/// The body of a request to `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// How many leaves the tree has that the witness cosigned last; 0 if there is none.
    pub old: u64,
    /// That the tree of the note begins with that one.
    pub proof: Vec<TreeHash>,
    /// The checkpoint, with the signature of its log.
    pub note: SignedNote,
}

impl AddCheckpoint {
    /// A longer body is not read: a note with its proof.
    pub const LONGEST: usize = 72 * 1024;
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{OLD}{}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode_to_string(hash.to_bytes()))?;
        }
        write!(f, "\n{}", self.note)
    }
}

fn hash_of(line: &str) -> Option<TreeHash> {
    let bytes = STANDARD.decode_to_vec(line).ok()?;
    bytes.try_into().ok().map(TreeHash::from_bytes)
}

impl FromStr for AddCheckpoint {
    type Err = NoteError;

    fn from_str(body: &str) -> Result<Self, Self::Err> {
        if body.len() > Self::LONGEST {
            return Err(NoteError::Malformed);
        }
        let (head, note) = body.split_once("\n\n").ok_or(NoteError::Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| size_of(line.strip_prefix(OLD)?));
        let proof = lines.take(MOST_HASHES + 1).map(hash_of).collect::<Option<Vec<_>>>();
        match (old, proof) {
            (Some(old), Some(proof)) if proof.len() <= MOST_HASHES => {
                Ok(Self { old, proof, note: note.parse()? })
            }
            _ => Err(NoteError::Malformed),
        }
    }
}
