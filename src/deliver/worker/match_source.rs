//! Finds the matches of one subscription in log order, in its inbox or in the log.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::deliver::worker::decider::{Decider, EntryDecision, NotDecided};
use crate::deliver::worker::inbox::Taken;
use crate::deliver::worker::log_page::LogPage;
use crate::deliver::worker::{DeliveryContext, Inbox};
use crate::event::Timestamp;
use crate::eventlog::{Entry, Position};
use crate::subscriptions::Subscription;

/// Matches that are taken out of the inbox at once.
const MOST_TAKEN: usize = 1024;

/// For so many matches room is kept when all are taken, for most come one by one.
const ROOM_KEPT: usize = 16;

/// An entry that has a number among the deliveries of a subscription.
#[derive(Clone, Debug)]
pub(super) struct FoundMatch {
    pub(super) entry: Arc<Entry>,
    /// Whether it was too much work to tell that it matches.
    pub(super) given_up: bool,
}

/// The matches that are found and not numbered yet.
pub(super) struct MatchSource {
    context: Arc<DeliveryContext>,
    inbox: Arc<Inbox>,
    queue: VecDeque<FoundMatch>,
    /// How far the log is known once the queue is empty.
    known: Position,
    /// Whether there is more of the log to read at once.
    has_more: bool,
    /// The page after what is known, once it is wanted.
    page: LogPage,
    /// The entry after what is known, while it is decided beside everything else.
    undecided: Option<UndecidedEntry>,
}

/// An entry that nothing after it can be numbered before. Nobody waits for one that is dropped: it leaves the
/// line.
struct UndecidedEntry {
    entry: Arc<Entry>,
    deciding: AbortOnDropHandle<Result<EntryDecision, NotDecided>>,
    decided: Option<Result<EntryDecision, NotDecided>>,
}

impl MatchSource {
    /// Starts after `known`.
    pub(super) fn new(context: Arc<DeliveryContext>, inbox: Arc<Inbox>, known: Position) -> Self {
        let (queue, page) = (VecDeque::new(), LogPage::long());
        Self { context, inbox, queue, known, has_more: false, page, undecided: None }
    }

    /// How far the log is known once everything found is taken.
    pub(super) const fn known(&self) -> Position {
        self.known
    }

    /// Whether there is more of the log to read at once.
    pub(super) const fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether what comes next is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.page.is_reading()
    }

    /// Forgets that there was more to read, until the next look.
    pub(super) const fn rest(&mut self) {
        self.has_more = false;
    }

    /// Tells whether everything found is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many matches are found and not taken.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The next match, which stays.
    pub(super) fn first(&self) -> Option<Arc<Entry>> {
        self.queue.front().map(|found| Arc::clone(&found.entry))
    }

    /// When the next match was accepted.
    pub(super) fn first_accepted(&self) -> Option<Timestamp> {
        self.queue.front().map(|found| found.entry.accepted)
    }

    /// Takes the next match out.
    pub(super) fn take(&mut self) -> Option<FoundMatch> {
        let next = self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue.shrink_to(ROOM_KEPT);
        }
        next
    }

    /// Waits until the inbox has something, a page is read, or what was undecided is decided.
    ///
    /// Cancel safe.
    pub(super) async fn arrival(&mut self) {
        match &mut self.undecided {
            // Nothing that arrives can go before it.
            Some(undecided) if undecided.decided.is_none() => {
                let decided = (&mut undecided.deciding).await;
                undecided.decided = Some(decided.unwrap_or(Err(NotDecided)));
            }
            _ if self.page.is_reading() => poll_fn(|context| self.page.poll_arrival(context)).await,
            _ => self.inbox.arrival().await,
        }
    }

    /// Looks for further matches once everything found is taken; says whether there are some. What is to be
    /// read arrives later.
    pub(super) async fn gather(&mut self, subscription: &Subscription) -> bool {
        if !self.settle_undecided() {
            return false;
        }
        if !self.queue.is_empty() {
            return true;
        }
        // The follower hands nothing over before what is read.
        if self.page.is_reading() {
            return false;
        }
        match self.inbox.take(MOST_TAKEN) {
            Taken::Matches(matches, known) => {
                // The follower may hand over what was meanwhile read from the log.
                let read = self.known;
                let heard =
                    |entry: &Arc<Entry>| entry.position > read && subscription.could_hear(entry);
                let new = matches.into_iter().filter(heard);
                self.queue.extend(new.map(|entry| FoundMatch { entry, given_up: false }));
                self.known = self.known.max(known);
            }
            // On the heap while it lasts: mostly the inbox has all.
            Taken::Behind => self.has_more = Box::pin(self.read_log(subscription)).await,
        }
        !self.queue.is_empty()
    }

    /// Takes what was decided; says whether there is nothing to wait for.
    fn settle_undecided(&mut self) -> bool {
        let Some(undecided) = self.undecided.take_if(|one| one.decided.is_some()) else {
            return self.undecided.is_none();
        };
        // Where the gateway stops it is read again when it starts.
        if let Some(Ok(decision)) = undecided.decided {
            self.known = undecided.entry.position;
            self.has_more = true;
            self.find(Arc::clone(&undecided.entry), decision);
        }
        true
    }

    fn find(&mut self, entry: Arc<Entry>, decision: EntryDecision) {
        if decision.is_numbered() {
            let given_up = decision == EntryDecision::GivenUp;
            self.queue.push_back(FoundMatch { entry, given_up });
        }
    }

    /// Takes a page of the log, or begins to read it; says whether there may be more at once.
    async fn read_log(&mut self, subscription: &Subscription) -> bool {
        let entries = match self.page.after(&self.context, self.known) {
            None => return false,
            Some(Ok(entries)) => entries,
            Some(Err(error)) => {
                tracing::error!(
                    subscription.id = %subscription.id,
                    error = &error as &dyn std::error::Error,
                    "Cannot read the log for subscription {}", subscription.shown(),
                );
                return false;
            }
        };
        if entries.is_empty() {
            return !self.inbox.caught_up(self.known) && self.context.store.log.head() > self.known;
        }
        for entry in entries {
            let position = entry.position;
            let Some(decision) = self.context.decider.at_once(subscription, &entry).await else {
                self.begin_to_decide(subscription, entry);
                return false;
            };
            self.find(entry, decision);
            self.known = position;
        }
        true
    }

    /// Has an entry decided beside everything else; only this subscription waits for it.
    fn begin_to_decide(&mut self, subscription: &Subscription, entry: Arc<Entry>) {
        let (decider, subscription) = (self.context.decider.clone(), subscription.clone());
        let asked = Arc::clone(&entry);
        let deciding = async move { decider.decide(&subscription, &asked).await };
        let deciding = self.context.tasks.spawn(deciding);
        let deciding = AbortOnDropHandle::new(deciding);
        self.undecided = Some(UndecidedEntry { entry, deciding, decided: None });
    }

    /// Lets everything found go; it is read again after `from` when it is wanted.
    pub(super) fn let_go(&mut self, from: Position) {
        self.forget(from);
        self.has_more = false;
        self.inbox.let_go();
    }

    /// Goes back to the log after `from`, because the filter has changed.
    ///
    /// What is dropped here must be read again, also if everything had been read since the inbox
    /// was last sent back to the log.
    pub(super) fn start_over(&mut self, from: Position) {
        self.forget(from);
        self.inbox.fall_behind();
    }

    fn forget(&mut self, from: Position) {
        self.queue = VecDeque::new();
        self.known = from;
        self.page.forget();
        // What comes of it is remembered by who decides.
        self.undecided = None;
    }
}

/// The entries that have a number among the deliveries of a subscription.
///
/// # Errors
///
/// Later: the gateway stops.
pub(super) async fn matches_of(
    decider: &Decider,
    subscription: &Subscription,
    entries: &[Arc<Entry>],
) -> Result<Vec<FoundMatch>, NotDecided> {
    let mut found = Vec::new();
    for entry in entries {
        let decision = decider.decide(subscription, entry).await?;
        if decision.is_numbered() {
            let given_up = decision == EntryDecision::GivenUp;
            found.push(FoundMatch { entry: Arc::clone(entry), given_up });
        }
    }
    Ok(found)
}
