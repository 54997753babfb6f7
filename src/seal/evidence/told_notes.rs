//! What was read of the checkpoints of a bundle.

use crate::event::{EventId, Timestamp};
use crate::transparency::WitnessKey;

/// That a witness that is believed has cosigned a tree of the bundle's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleCosignature {
    /// Who.
    pub witness: WitnessKey,
    /// How many leaves the tree had.
    pub size: u64,
    /// When, by the witness's clock.
    pub at: Timestamp,
}

/// What was read of checkpoints and of what they are held against.
#[derive(Debug, Default)]
pub(super) struct ToldNotes {
    /// Checkpoints that fit.
    pub(super) count: u64,
    /// By whom that is believed they were cosigned.
    pub(super) cosignatures: Vec<BundleCosignature>,
    /// The last event that is in the tree, and its leaf.
    pub(super) last: Option<(u64, EventId)>,
}
