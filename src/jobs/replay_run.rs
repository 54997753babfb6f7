//! How far a running replay is, and what it has handed over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::deliver::{Progress, ReplayOutcome, ReplayTicket, ReplayedMatch};
use crate::event::{ChainValue, Timestamp};
use crate::eventlog::{Cursor, Entry, Position, SequenceSet};
use crate::jobs::Replay;

/// Bytes of matches that may wait behind others of their subject, beside those under way.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A match that was handed over, and of which it is not known what became.
struct HandedMatch {
    entry: Arc<Entry>,
    /// Whether it waits behind another of its subject.
    is_behind: bool,
}

/// What a running replay holds in memory.
pub(super) struct ReplayRun {
    /// Numbers here are the replay's own and never leave it.
    progress: Progress,
    handed: BTreeMap<u64, HandedMatch>,
    /// Bytes of those that wait behind others.
    behind: usize,
    under_way: usize,
    tell: mpsc::UnboundedSender<(u64, ReplayOutcome)>,
    told: mpsc::UnboundedReceiver<(u64, ReplayOutcome)>,
    /// When the next match may be handed over.
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
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            progress: Progress::resume(cursor),
            handed: BTreeMap::new(),
            behind: 0,
            under_way: 0,
            tell,
            told,
            next: now,
            kept: now,
            full: false,
            looked: now,
        }
    }

    /// Everything up to here was read.
    pub(super) const fn read(&self) -> Position {
        self.progress.scanned()
    }

    /// Everything up to here was attempted.
    pub(super) const fn reached(&self) -> Position {
        self.progress.cursor().settled
    }

    /// Notes that everything up to here was read.
    pub(super) fn pass(&mut self, position: Position) {
        self.progress.pass(position);
    }

    /// Whether it is known what became of everything.
    pub(super) fn is_settled(&self) -> bool {
        self.handed.is_empty()
    }

    /// Whether one more match may be handed over, where so many may be under way.
    pub(super) fn has_room(&self, parallel: u16) -> bool {
        self.under_way < usize::from(parallel.max(1)) && self.behind < MOST_BYTES && !self.full
    }

    /// Makes what is handed over of the next match.
    pub(super) fn begin(&mut self, replay: &Replay, entry: Arc<Entry>) -> ReplayedMatch {
        let event = &entry.event;
        let number = self.progress.number(entry.position, event.id, event.digest).sequence;
        self.under_way += 1;
        self.handed.insert(number, HandedMatch { entry: Arc::clone(&entry), is_behind: false });
        self.match_of(replay, number, entry)
    }

    fn match_of(&self, replay: &Replay, number: u64, entry: Arc<Entry>) -> ReplayedMatch {
        let ticket = ReplayTicket::new(number, self.tell.clone());
        ReplayedMatch { replay: replay.id.clone(), entry, ticket }
    }

    /// Waits until something became of a match.
    ///
    /// Cancel safe.
    pub(super) async fn outcome(&mut self) -> Option<(u64, ReplayOutcome)> {
        self.told.recv().await
    }

    /// Notes what became of a match; gives what has to be handed over again.
    pub(super) fn account(
        &mut self,
        replay: &mut Replay,
        (number, outcome): (u64, ReplayOutcome),
    ) -> Option<ReplayedMatch> {
        let counts = &mut replay.counts;
        match outcome {
            ReplayOutcome::Behind => {
                self.set_behind(number, true);
                return None;
            }
            ReplayOutcome::Begun => {
                self.set_behind(number, false);
                return None;
            }
            ReplayOutcome::Lost => {
                self.set_behind(number, false);
                let entry = Arc::clone(&self.handed.get(&number)?.entry);
                return Some(self.match_of(replay, number, entry));
            }
            ReplayOutcome::Delivered => counts.delivered += 1,
            ReplayOutcome::Retrying => counts.retrying += 1,
            ReplayOutcome::GivenUp => counts.given_up += 1,
            ReplayOutcome::Unheard => {}
        }
        self.let_go(number);
        self.progress.settle(number);
        // It need not be the oldest: what waits behind others of its subject is no standing still.
        replay.stood = Duration::ZERO;
        None
    }

    fn set_behind(&mut self, number: u64, is_behind: bool) {
        let Some(handed) = self.handed.get_mut(&number) else { return };
        let weight = handed.entry.weight();
        match (std::mem::replace(&mut handed.is_behind, is_behind), is_behind) {
            (false, true) => {
                (self.under_way, self.behind) = (self.under_way - 1, self.behind + weight);
            }
            (true, false) => {
                (self.under_way, self.behind) = (self.under_way + 1, self.behind - weight);
            }
            _ => {}
        }
    }

    /// Forgets a match that nobody will attempt; it is not settled.
    pub(super) fn let_go(&mut self, number: u64) {
        self.set_behind(number, false);
        if self.handed.remove(&number).is_some() {
            self.under_way -= 1;
        }
    }

    /// Counts for how long a replay stands still: what has passed since the last look, and `most`
    /// at the most.
    pub(super) fn stand(&mut self, replay: &mut Replay, (now, most): (Timestamp, Duration)) {
        replay.stood = replay.stood.saturating_add(now.since(self.looked).min(most));
        self.looked = now;
    }
}
