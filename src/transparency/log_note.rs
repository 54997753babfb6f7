//! What a note says of a log: a checkpoint, as C2SP tlog-checkpoint has it.

use std::fmt;
use std::str::FromStr;

use base64_simd::STANDARD;

use crate::transparency::head::size_of;
use crate::transparency::{NoteError, TreeHash, TreeRoot};

/// The tree of a log, in three lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogNote {
    /// Which log: its address without a scheme.
    pub origin: String,
    /// How many leaves the tree has, and their root.
    pub tree: TreeRoot,
}

impl LogNote {
    /// The origin of an incarnation of the log below an address, which is also the name of its key: the
    /// first has the address alone, later ones have their number behind it.
    ///
    /// Without the scheme and a slash at the end; what the name of a key may not have is written as
    /// addresses write it.
    pub fn origin_of(address: &str, incarnation: u64) -> String {
        let name = address.split_once("://").map_or(address, |(_, rest)| rest);
        let name = name.trim_end_matches('/').replace('+', "%2B");
        if incarnation > 1 { format!("{name}/{incarnation}") } else { name }
    }

    /// The origin of an incarnation of the log of a gateway, by the name that stands in its tokens.
    pub fn origin_of_issuer(issuer: &str, incarnation: u64) -> String {
        Self::origin_of(&format!("{}/log", issuer.trim_end_matches('/')), incarnation)
    }
}

/// The text of the note, with the end of its last line.
impl fmt::Display for LogNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode_to_string(self.tree.root.to_bytes());
        writeln!(f, "{}\n{}\n{root}", self.origin, self.tree.size)
    }
}

/// Reads the text of a note; lines that follow the three are not looked at.
impl FromStr for LogNote {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Malformed);
        let (origin, digits, root) = (line()?, line()?, line()?);
        let size = size_of(digits).ok_or(NoteError::Malformed)?;
        let root = STANDARD.decode_to_vec(root).ok().and_then(|root| root.try_into().ok());
        let root = TreeHash::from_bytes(root.ok_or(NoteError::Malformed)?);
        if lines.any(str::is_empty) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { origin: origin.to_owned(), tree: TreeRoot { size, root } })
    }
}
