//! How far a running replay is, and what is in flight.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;

use crate::deliver::{Delivery, Progress, Verdict};
use crate::event::{ChainValue, Timestamp};
use crate::eventlog::{Cursor, Position, SequenceSet};
use crate::jobs::Replay;

/// An attempt that has ended: its number in the replay, its delivery, and what that means; nothing
/// if it could not be made.
pub(super) type Done = (u64, Arc<Delivery>, Option<Verdict>);

/// What a running replay holds in memory.
pub(super) struct ReplayRun {
    /// Numbers here are the replay's own and never leave it.
    pub(super) progress: Progress,
    pub(super) in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    /// When the next attempt may begin.
    pub(super) next: Timestamp,
    /// When the job was last written down.
    pub(super) kept: Timestamp,
    /// Whether there was no room for that.
    pub(super) full: bool,
    /// When it was last counted for how long it stands still.
    looked: Timestamp,
}

impl ReplayRun {
    /// Begins where a replay has come to.
    pub(super) fn new(replay: &Replay, now: Timestamp) -> Self {
        let cursor = Cursor {
            settled: Position(replay.reached.0),
            sequence: 0,
            chain: ChainValue::start(&replay.subscription),
            ahead: SequenceSet::default(),
            failing_since: None,
        };
        Self {
            progress: Progress::resume(cursor),
            in_flight: FuturesUnordered::new(),
            next: now,
            kept: now,
            full: false,
            looked: now,
        }
    }

    /// Counts for how long a replay stands still: what has passed since the last look, and `most`
    /// at the most.
    pub(super) fn stand(&mut self, replay: &mut Replay, (now, most): (Timestamp, Duration)) {
        replay.stood = replay.stood.saturating_add(now.since(self.looked).min(most));
        self.looked = now;
    }
}
