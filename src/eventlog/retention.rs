//! What may be dropped from the old end of the log, and what was.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::eventlog::Position;

/// What may be dropped: entries that are too old, and the oldest of a log that is too large.
///
/// Whatever it says, an entry stays that a cursor has not settled, that waits for another attempt,
/// or that lies after `hold`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries that the log took before this moment are too old; nothing: none is.
    pub before: Option<Timestamp>,
    /// The bytes that the entries may take on disk, with their keys in indexes; beyond them the oldest
    /// go. Nothing: any number.
    pub bytes: Option<u64>,
    /// Nothing after this position goes: someone reads on from there.
    pub hold: Position,
    /// Subscriptions that never receive again; their cursors and retries keep nothing.
    pub released: BTreeSet<SubscriptionId>,
}

/// What retention has to know before it drops anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Everything up to here is settled by the cursors that count.
    pub settled: Position,
    /// The bytes that the entries above the low watermark take on disk. Nothing else that is kept counts:
    /// neither the quarantine nor what consumers cause, such as dead letters.
    pub bytes: u64,
}

/// How far the log has been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowWatermark {
    /// Everything up to here is gone, but for entries that wait for another attempt; everything
    /// after it is there.
    pub position: Position,
    /// The id of the entry at that position.
    pub id: EventId,
}

impl LowWatermark {
    /// Nothing was dropped yet.
    pub const START: Self = Self { position: Position::START, id: EventId::MIN };

    /// Says of an event that is not there whether it may have been dropped.
    pub fn is_above(self, id: EventId) -> bool {
        self != Self::START && id <= self.id
    }
}

/// What one slice of dropping came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries that were dropped.
    pub dropped: u64,
    /// Whether there may be more to drop at once.
    pub more: bool,
}

impl Trimmed {
    /// How long to wait before the next slice, if there is no hurry: appends have the disk to
    /// themselves so long. It is about twice a slice's own work.
    pub const PAUSE: Duration = Duration::from_millis(5);
}
