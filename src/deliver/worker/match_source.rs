//! Finds the matches of one subscription in log order, in its inbox or in the log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::deliver::worker::Inbox;
use crate::deliver::worker::inbox::Taken;
use crate::eventlog::{Entry, Log, Page, Position};
use crate::subscriptions::Subscription;

/// Matches that are taken out of the inbox at once.
const MOST_TAKEN: usize = 1024;

/// The matches that are found and not numbered yet.
pub(super) struct MatchSource {
    log: Arc<dyn Log>,
    inbox: Arc<Inbox>,
    queue: VecDeque<Arc<Entry>>,
    /// How far the log is known once the queue is empty.
    known: Position,
    /// Whether there is more of the log to read at once.
    has_more: bool,
}

impl MatchSource {
    /// Starts after `known`.
    pub(super) fn new(log: Arc<dyn Log>, inbox: Arc<Inbox>, known: Position) -> Self {
        Self { log, inbox, queue: VecDeque::new(), known, has_more: false }
    }

    /// How far the log is known once everything found is taken.
    pub(super) const fn known(&self) -> Position {
        self.known
    }

    /// Whether there is more of the log to read at once.
    pub(super) const fn has_more(&self) -> bool {
        self.has_more
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
        self.queue.front().map(Arc::clone)
    }

    /// Takes the next match out.
    pub(super) fn take(&mut self) -> Option<Arc<Entry>> {
        self.queue.pop_front()
    }

    /// Waits until the inbox has something.
    ///
    /// Cancel safe.
    pub(super) async fn arrival(&self) {
        self.inbox.arrival().await;
    }

    /// Looks for further matches once everything found is taken; says whether there are some.
    pub(super) async fn gather(&mut self, subscription: &Subscription) -> bool {
        match self.inbox.take(MOST_TAKEN) {
            Taken::Matches(matches, known) => {
                // The follower may hand over what was meanwhile read from the log.
                let read = self.known;
                let heard =
                    |entry: &Arc<Entry>| entry.position > read && subscription.could_hear(entry);
                self.queue.extend(matches.into_iter().filter(heard));
                self.known = self.known.max(known);
            }
            Taken::Behind => self.has_more = self.read_log(subscription).await,
        }
        !self.queue.is_empty()
    }

    /// Reads a page of the log; says whether there may be more.
    async fn read_log(&mut self, subscription: &Subscription) -> bool {
        let entries = match self.log.read(self.known, Page::default()).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(
                    subscription.id = %subscription.id,
                    error = &error as &dyn std::error::Error,
                    "Cannot read the log for subscription {}", subscription.id,
                );
                return false;
            }
        };
        let Some(last) = entries.last().map(|entry| entry.position) else {
            return !self.inbox.caught_up(self.known) && self.log.head() > self.known;
        };
        self.queue.extend(matches_of(subscription, &entries).cloned());
        self.known = last;
        true
    }

    /// Lets everything found go; it is read again after `from` when it is wanted.
    pub(super) fn let_go(&mut self, from: Position) {
        self.queue.clear();
        self.known = from;
        self.has_more = false;
        self.inbox.let_go();
    }

    /// Goes back to the log after `from`, because the filter has changed.
    ///
    /// What is dropped here must be read again, also if everything had been read since the inbox
    /// was last sent back to the log.
    pub(super) fn start_over(&mut self, from: Position) {
        self.queue.clear();
        self.known = from;
        self.inbox.fall_behind();
    }
}

/// The entries that a subscription wanted when they came.
pub(super) fn matches_of<'a>(
    subscription: &'a Subscription,
    entries: &'a [Arc<Entry>],
) -> impl Iterator<Item = &'a Arc<Entry>> {
    entries.iter().filter(|entry| {
        let filter = subscription.filter_at(entry.position);
        subscription.could_hear(entry)
            && filter.is_some_and(|filter| filter.matches(&entry.event.to_tree()))
    })
}
