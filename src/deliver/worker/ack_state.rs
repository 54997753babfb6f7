//! How much of a subscription its consumer has, by its own word.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::deliver::worker::OldestRetry;
use crate::event::EventId;
use crate::eventlog::{Cursor, Position, Retry, SequenceCheckpoint};

/// What the consumer of a subscription without a sink has acknowledged, and what was brought back
/// for it. The log keeps both: the first as the subscription's cursor, the second as its retries.
#[derive(Debug)]
pub struct AckState {
    held: Mutex<HeldOut>,
    changed: Notify,
    /// Held by whoever acknowledges, so that one acknowledgement builds on the other.
    pub turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct HeldOut {
    acknowledged: Cursor,
    returned: BTreeMap<EventId, Retry>,
}

impl AckState {
    /// Goes on from what the log kept.
    pub fn new(acknowledged: Cursor, returned: Vec<Retry>) -> Self {
        // A replay that began while there was a sink has ended with it.
        let live = returned.into_iter().filter(|retry| retry.key.replay.is_none());
        let returned = live.map(|retry| (retry.key.event, retry)).collect();
        Self {
            held: Mutex::new(HeldOut { acknowledged, returned }),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HeldOut> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was acknowledged.
    pub fn acknowledged(&self) -> Cursor {
        self.held().acknowledged.clone()
    }

    /// Whether a numbered match was acknowledged.
    pub fn has(&self, sequence: u64) -> bool {
        let cursor = &self.held().acknowledged;
        sequence <= cursor.sequence || cursor.ahead.contains(sequence)
    }

    /// Up to where everything was acknowledged.
    pub fn settled(&self) -> Position {
        self.held().acknowledged.settled
    }

    /// What was brought back and is not settled again, oldest first.
    pub fn returned(&self) -> Vec<Retry> {
        self.held().returned.values().cloned().collect()
    }

    /// The oldest event of what was brought back.
    pub fn oldest_returned(&self) -> Option<OldestRetry> {
        self.held().returned.first_key_value().map(|(_, retry)| OldestRetry::from(retry))
    }

    /// How many numbered matches are not acknowledged, and how many deliveries were brought back.
    pub fn waiting(&self, sequence: u64) -> (u64, usize) {
        let held = self.held();
        let cursor = &held.acknowledged;
        let ahead: u64 = cursor.ahead.ranges().iter().map(|(first, last)| last - first + 1).sum();
        (sequence.saturating_sub(cursor.sequence).saturating_sub(ahead), held.returned.len())
    }

    /// Moves what was acknowledged on; it never moves back.
    pub fn acknowledge(&self, cursor: Cursor) -> Cursor {
        let mut held = self.held();
        if cursor.settled >= held.acknowledged.settled {
            held.acknowledged = cursor;
        }
        let now = held.acknowledged.clone();
        drop(held);
        self.changed.notify_one();
        now
    }

    /// Moves past entries that do not match, where everything before them is acknowledged; gives
    /// the cursor to keep if it has moved.
    pub fn pass(&self, place: SequenceCheckpoint) -> Option<Cursor> {
        let mut held = self.held();
        let cursor = &mut held.acknowledged;
        let moves = cursor.sequence == place.sequence && cursor.settled < place.position;
        moves.then(|| {
            cursor.settled = place.position;
            cursor.clone()
        })
    }

    /// Takes a delivery that was brought back.
    pub(super) fn bring_back(&self, retry: Retry) {
        if retry.key.replay.is_none() {
            self.held().returned.insert(retry.key.event, retry);
        }
    }

    /// Settles a delivery that was brought back; gives it if there was one.
    pub fn take_back(&self, event: EventId) -> Option<Retry> {
        let taken = self.held().returned.remove(&event);
        if taken.is_some() {
            self.changed.notify_one();
        }
        taken
    }

    /// Waits until something was acknowledged.
    ///
    /// Cancel safe.
    pub(super) async fn change(&self) {
        self.changed.notified().await;
    }
}
