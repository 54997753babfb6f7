//! Old matches that a replay hands to a courier, and what it is told of each.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::event::ReplayId;
use crate::eventlog::Entry;

/// An old match that a replay hands to the courier of its subscription.
#[derive(Debug)]
pub struct ReplayedMatch {
    /// Which replay.
    pub replay: ReplayId,
    /// What.
    pub entry: Arc<Entry>,
    /// Where the replay hears of it.
    pub ticket: ReplayTicket,
}

/// What became of a match of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// It waits behind another of its subject; what becomes of it is told later.
    Behind,
    /// It has waited behind another of its subject, and its first attempt begins.
    Begun,
    /// Its first attempt delivered it.
    Delivered,
    /// Its first attempt failed, and it waits for the next.
    Retrying,
    /// Its first attempt gave it up.
    GivenUp,
    /// The consumer may not hear it any more; nothing was attempted.
    Unheard,
    /// The courier has let go of it: hand it over again.
    Lost,
}

/// Tells a replay what became of one of its matches, also where the courier goes.
#[derive(Debug)]
pub struct ReplayTicket {
    number: u64,
    told: mpsc::UnboundedSender<(u64, ReplayOutcome)>,
    is_behind: bool,
    is_settled: bool,
}

impl ReplayTicket {
    /// A ticket for the match that the replay knows by this number.
    pub const fn new(number: u64, told: mpsc::UnboundedSender<(u64, ReplayOutcome)>) -> Self {
        Self { number, told, is_behind: false, is_settled: false }
    }

    /// Says that the match waits for its subject.
    pub(super) fn wait_behind(&mut self) {
        self.is_behind = true;
        self.send(ReplayOutcome::Behind);
    }

    /// Says that the first attempt begins, if the match has waited for its subject; tells whether anybody
    /// still wants to know.
    pub(super) fn begin(&mut self) -> bool {
        if std::mem::take(&mut self.is_behind) {
            self.send(ReplayOutcome::Begun);
        }
        !self.told.is_closed()
    }

    /// Says what became of the match.
    pub(super) fn settle(mut self, outcome: ReplayOutcome) {
        self.is_settled = true;
        self.send(outcome);
    }

    fn send(&self, outcome: ReplayOutcome) {
        // A replay that has ended wants to know nothing more.
        let _ = self.told.send((self.number, outcome));
    }
}

impl Drop for ReplayTicket {
    fn drop(&mut self) {
        if !self.is_settled {
            self.send(ReplayOutcome::Lost);
        }
    }
}
