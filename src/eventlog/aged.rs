//! What is older than an age, counted in the time in which gateways ran.

use crate::event::Timestamp;
use crate::eventlog::{Position, Record, Revision};

/// What is older than an age.
///
/// An age counts the time in which a gateway ran on the log, and nothing of it is read from the machine's
/// clock: one that leaps makes nothing older, and one that is set back keeps nothing longer. It may be told
/// late, by a hundredth of the age or by a second, and is never told early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// Events up to here are older.
    pub position: Position,
    /// Documents whose revision is not above it are older.
    pub(in crate::eventlog) revision: Revision,
    /// Documents up to this revision were there before ages were counted; they are older if they changed
    /// before this moment.
    pub(in crate::eventlog) uncounted: Option<(Revision, Timestamp)>,
}

impl Aged {
    /// Whether a document has not changed for so long.
    pub fn has(&self, record: &Record) -> bool {
        record.revision <= self.revision
            || self
                .uncounted
                .is_some_and(|(last, before)| record.revision <= last && record.changed < before)
    }
}
