//! Why a store did not do as asked.

use crate::event::{Blame, Fault};
use crate::eventlog::{Position, Revision};

/// Why the log did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Too much waits for the disk already; nothing was stored.
    #[error("the log has {waiting} bytes waiting for the disk, its limit is {limit}; try again")]
    Busy {
        /// Bytes that wait.
        waiting: usize,
        /// Bytes that may wait.
        limit: usize,
    },
    /// The disk is full, or nearly so; nothing was stored.
    #[error(
        "the disk of {place} is full: {free} bytes are free; events are taken while {reserve} are \
         and less than {percent} % is in use; free some space"
    )]
    Full {
        /// The data directory.
        place: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that stay free.
        reserve: u64,
        /// The percentage in use from which on events are refused.
        percent: u8,
    },
    /// Someone else wrote the document first.
    #[error("the document has changed: expected revision {expected:?}, found {found:?}")]
    Stale {
        /// The revision that was to be replaced.
        expected: Option<Revision>,
        /// The revision that is there.
        found: Option<Revision>,
    },
    /// A write failed once, and nothing is accepted until the gateway has restarted and recovered.
    #[error("the log has stopped taking events after a failed write; restart the gateway")]
    Broken,
    /// Another owner has taken delivery over.
    #[error("another gateway has taken over delivery; this one stops")]
    Fenced,
    /// The gateway is stopping.
    #[error("the log is closed")]
    Closed,
    /// An entry is missing that was not dropped.
    #[error("the log has lost the entry at position {at}; restore it from a backup")]
    Hole {
        /// The last place of the hole.
        at: Position,
    },
    /// Hashes of the tree are missing, which never go.
    #[error("the tree over the log lacks hashes; `sealway log verify` says where")]
    TreeHole,
    /// The store failed.
    #[error("cannot {action} in {place}")]
    Storage {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or database.
        place: String,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Blame for LogError {
    fn fault(&self) -> Fault {
        match self {
            Self::Busy { .. } | Self::Full { .. } | Self::Fenced | Self::Closed => Fault::Later,
            Self::Stale { .. } => Fault::Caller,
            Self::Broken | Self::Hole { .. } | Self::TreeHole | Self::Storage { .. } => Fault::Ours,
        }
    }
}
