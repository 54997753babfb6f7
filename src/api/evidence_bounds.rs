//! How far a bundle goes, and where it ended.

use crate::event::EventId;
use crate::eventlog::{Position, SequenceCheckpoint};

/// How far a bundle goes at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExportBounds {
    /// Behind this position there is nothing in it.
    pub(super) through: Position,
    /// Once it has so many bytes, it ends.
    pub(super) bytes: u64,
}

/// How a bundle ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct BundleEnd {
    /// The place behind its last event.
    pub(super) place: SequenceCheckpoint,
    /// That event, or the one before the bundle.
    pub(super) head: Option<EventId>,
    /// How many events are in it.
    pub(super) events: u64,
}
