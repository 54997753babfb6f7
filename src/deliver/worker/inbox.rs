//! Hands matched entries from the follower of the log to one worker, without ever waiting for it:
//! backpressure ends here, because a full inbox sends its worker to the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::eventlog::{Entry, Position};

/// Entries that an inbox holds; a courier that has more to do reads the log itself.
const CAPACITY: usize = 512;

/// For so many matches room is kept when all are taken, for most come one by one.
const ROOM_KEPT: usize = 16;

/// How far the follower has matched the log for every subscription that is not behind.
#[derive(Debug, Default)]
pub struct Followed {
    position: AtomicU64,
    advanced: Notify,
}

impl Followed {
    /// Notes that every match up to here was handed over.
    pub fn advance(&self, position: Position) {
        self.position.fetch_max(position.0, Ordering::Release);
        self.advanced.notify_one();
    }

    /// Every match up to here was handed over.
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Waits until the log was followed further than it was when this was asked last.
    ///
    /// Cancel safe.
    pub async fn advanced(&self) {
        self.advanced.notified().await;
    }
}

/// The place where matched entries wait for one courier.
///
/// A courier that falls behind is not waited for: the inbox stops taking entries, and the courier
/// reads the log until it has caught up. A slow consumer therefore costs a cursor, not memory.
#[derive(Debug)]
pub struct Inbox {
    followed: Arc<Followed>,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    /// Whether the courier reads the log itself.
    behind: bool,
    /// The newest entry that was not taken because the courier is behind.
    missed: Position,
}

/// What a courier finds in its inbox.
#[derive(Debug)]
pub enum Taken {
    /// Matches in log order, and how far the log is thereby known.
    Matches(Vec<Arc<Entry>>, Position),
    /// The courier is behind and has to read the log.
    Behind,
}

impl Inbox {
    /// Starts behind, so that a courier first reads what it has missed.
    pub fn new(followed: Arc<Followed>) -> Self {
        let state = State { behind: true, ..State::default() };
        Self { followed, state: Mutex::new(state), arrived: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over matches in log order; called by the follower only.
    pub fn put(&self, matches: Vec<Arc<Entry>>) {
        let Some(newest) = matches.last().map(|entry| entry.position) else { return };
        {
            let mut state = self.state();
            if state.behind || state.entries.len() + matches.len() > CAPACITY {
                state.behind = true;
                state.missed = state.missed.max(newest);
            } else {
                // A follower that begins anew hands the last ones over twice.
                let newest = state.entries.back().map_or(Position::START, |entry| entry.position);
                state.entries.extend(matches.into_iter().filter(|entry| entry.position > newest));
            }
        }
        self.arrived.notify_one();
    }

    /// Sends the worker to the log for an entry that is not decided, and for everything after it up
    /// to `newest`; called by the follower only, after the matches before it were put.
    pub fn miss(&self, newest: Position) {
        {
            let mut state = self.state();
            state.behind = true;
            state.missed = state.missed.max(newest);
        }
        self.arrived.notify_one();
    }

    /// Takes up to `most` entries.
    pub fn take(&self, most: usize) -> Taken {
        let mut state = self.state();
        if state.entries.is_empty() && state.behind {
            return Taken::Behind;
        }
        let count = most.min(state.entries.len());
        let matches: Vec<_> = state.entries.drain(..count).collect();
        if state.entries.is_empty() {
            state.entries.shrink_to(ROOM_KEPT);
        }
        // The follower hands over before it advances, and needs this lock to hand over: what it
        // has followed while the lock is held and nothing is left was looked at completely.
        let known = match (state.entries.front(), state.behind) {
            (Some(next), _) => Position(next.position.0.saturating_sub(1)),
            (None, false) => self.followed.position(),
            (None, true) => matches.last().map_or(Position::START, |entry| entry.position),
        };
        Taken::Matches(matches, known)
    }

    /// Leaves the log and goes back to being handed entries, if everything was read up to here.
    pub fn caught_up(&self, scanned: Position) -> bool {
        let mut state = self.state();
        let complete = scanned >= self.followed.position().max(state.missed);
        if complete {
            state.behind = false;
        }
        complete
    }

    /// Sends the courier back to the log, because its filter has changed.
    pub fn fall_behind(&self) {
        self.let_go();
        self.arrived.notify_one();
    }

    /// Holds nothing more in memory for a courier that has to wait; it will read the log.
    pub fn let_go(&self) {
        let mut state = self.state();
        state.behind = true;
        state.entries = VecDeque::new();
    }

    /// Has the worker look how far the log was followed, though nothing was put.
    pub fn look(&self) {
        self.arrived.notify_one();
    }

    /// Waits until something was put, or the courier was sent back to the log.
    ///
    /// Cancel safe.
    pub async fn arrival(&self) {
        self.arrived.notified().await;
    }
}
