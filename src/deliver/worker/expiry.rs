//! Gives up matches that were never offered: those that have waited too long, and the oldest of too
//! many.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deliver::limits::BacklogLimit;
use crate::deliver::outcome::Reason;
use crate::deliver::worker::log_page::LogPage;
use crate::deliver::worker::match_source::{FoundMatch, MatchSource, matches_of};
use crate::deliver::worker::next_check::NextCheck;
use crate::deliver::worker::order::Order;
use crate::deliver::worker::retries::Retries;
use crate::deliver::worker::{DeliveryContext, Progress};
use crate::event::{ChainValue, Timestamp};
use crate::eventlog::{DeadLetter, DeadLetterId, DeliveryKey, Entry, Position};
use crate::subscriptions::Subscription;

/// Matches that are given up together; others are served before the next.
const SLICE: usize = 256;
/// How often a backlog is looked at that was within its bounds.
const TICK: Duration = Duration::from_secs(5);

/// Holds the backlog of one subscription within its bounds.
pub(super) struct Expiry {
    /// When the backlog is looked at next.
    next: NextCheck,
    /// Whether there is more to give up at once.
    has_more: bool,
    /// The places of matches that are not gathered yet, as far as they were counted.
    ahead: VecDeque<Position>,
    /// How far they were counted.
    counted: Position,
    /// What is counted next.
    page: LogPage,
}

/// What of a courier a look at its backlog needs.
pub(super) struct Backlog<'a> {
    /// What all workers share.
    pub(super) context: &'a DeliveryContext,
    /// Whose backlog it is.
    pub(super) subscription: &'a Arc<Subscription>,
    /// How far it has come.
    pub(super) progress: &'a mut Progress,
    /// What is not numbered yet.
    pub(super) match_source: &'a mut MatchSource,
    /// What is numbered and waits.
    pub(super) order: &'a mut Order,
    /// What waits for another attempt.
    pub(super) retries: &'a mut Retries,
}

impl Expiry {
    /// Looks at once.
    pub(super) fn new() -> Self {
        Self {
            next: NextCheck::at_once(),
            has_more: false,
            ahead: VecDeque::new(),
            counted: Position::START,
            page: LogPage::long(),
        }
    }

    /// Whether there is more to give up at once.
    pub(super) const fn has_more(&self) -> bool {
        self.has_more
    }

    /// Is ready once what is counted next is read.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.page.poll_arrival(context)
    }

    /// Whether it is time to look at the backlog of a subscription, if that has a bound.
    pub(super) fn is_due(&self, context: &DeliveryContext, subscription: &Subscription) -> bool {
        let has_bound = context.limit_of(subscription) != BacklogLimit::default();
        has_bound && self.next.is_due(context.clock.now())
    }

    /// Gives up what is due, in the order of the log, as it would have been delivered: numbered, and
    /// with its link.
    ///
    /// What it gives is to be written with the cursor before the next look, so that a crash neither
    /// repeats nor skips it, and the writer sets the pace.
    pub(super) async fn look(&mut self, mut backlog: Backlog<'_>) -> Vec<DeadLetter> {
        let limit = backlog.context.limit_of(backlog.subscription);
        let now = backlog.context.clock.now();
        self.has_more = false;
        let mut letters = Vec::new();
        let mut taken = 0;
        let mut due = now;
        let mut is_searching = false;
        while taken < SLICE {
            let Some(oldest) = backlog.oldest().await else {
                if backlog.match_source.is_reading() {
                    return letters;
                }
                is_searching = backlog.match_source.has_more();
                break;
            };
            let is_old = limit.age.is_some_and(|age| now.since(oldest.accepted) > age);
            let is_over = is_old || self.is_too_long(&backlog, limit.events, &oldest).await;
            if self.page.is_reading() {
                return letters;
            }
            if !is_over {
                due = limit.due(oldest.accepted);
                break;
            }
            letters.extend(backlog.give_up(now));
            taken += 1;
        }
        // Where the oldest is found and may stay, what lies behind it is nothing to look for.
        self.has_more = taken == SLICE || is_searching;
        self.next.looked(now, if self.has_more { now } else { now.after(TICK).max(due) });
        letters
    }

    /// Whether more matches wait than may, counted as far as it takes to know and was read.
    async fn is_too_long(
        &mut self,
        backlog: &Backlog<'_>,
        most: Option<u64>,
        oldest: &Entry,
    ) -> bool {
        let Some(most) = most else { return false };
        let head = backlog.context.store.log.head();
        // Not all that is in the log matches, so no more than this can wait.
        if head.0.saturating_sub(oldest.position.0) < most {
            return false;
        }
        let known = backlog.match_source.known();
        let found = backlog.order.waiting() + backlog.match_source.len();
        while self.ahead.pop_front_if(|place| *place <= known).is_some() {}
        self.counted = self.counted.max(known);
        let waiting = |ahead: usize| (found + ahead) as u64;
        while waiting(self.ahead.len()) <= most && self.counted < head {
            let Some(Ok(entries)) = self.page.after(backlog.context, self.counted) else {
                return false;
            };
            let Some(last) = entries.last() else { break };
            self.counted = last.position;
            let found = matches_of(&backlog.context.decider, backlog.subscription, &entries).await;
            let Ok(found) = found else { return false };
            self.ahead.extend(found.iter().map(|found| found.entry.position));
        }
        waiting(self.ahead.len()) > most
    }
}

impl Backlog<'_> {
    /// The oldest match that was not offered: one that is numbered and waits, or else the next; a page
    /// of the log is read for it at most.
    async fn oldest(&mut self) -> Option<Arc<Entry>> {
        if let Some(waiting) = self.order.oldest() {
            return Some(Arc::clone(&waiting.entry));
        }
        if self.match_source.is_empty() {
            self.progress.pass(self.match_source.known());
            self.match_source.gather(self.subscription).await;
        }
        let oldest = self.match_source.first();
        if oldest.is_none() {
            self.progress.pass(self.match_source.known());
        }
        oldest
    }

    /// Settles the oldest match, numbered if it was not; gives a dead letter, unless it was offered
    /// before a crash.
    fn give_up(&mut self, now: Timestamp) -> Option<DeadLetter> {
        if let Some(waiting) = self.order.take_oldest(self.retries) {
            let link = waiting.link?;
            self.progress.settle(link.0);
            let why = Reason::Expired;
            return Some(letter_of(self.subscription, &waiting.entry, (link, why), now));
        }
        let FoundMatch { entry, given_up } = self.match_source.take()?;
        let why = if given_up { Reason::Undecided } else { Reason::Expired };
        let event = &entry.event;
        let numbered = self.progress.number(entry.position, event.id, event.digest);
        self.progress.settle(numbered.sequence);
        let link = (numbered.sequence, numbered.previous);
        (!numbered.settled).then(|| letter_of(self.subscription, &entry, (link, why), now))
    }
}

/// The dead letter of a match that was never offered.
pub fn letter_of(
    subscription: &Subscription,
    entry: &Entry,
    (link, reason): ((u64, ChainValue), Reason),
    at: Timestamp,
) -> DeadLetter {
    let (subscription, event) = (subscription.id.clone(), entry.event.clone());
    DeadLetter {
        id: DeadLetterId(0),
        key: DeliveryKey { subscription, replay: None, event: event.id },
        position: entry.position,
        link: Some(link),
        event,
        reason: reason.word().into(),
        attempts: 0,
        status: None,
        detail: "".into(),
        at,
        redriven: false,
    }
}
