//! Keeps to the order that a subscription asks for.

use std::collections::{BTreeMap, VecDeque};

use crate::deliver::outcome::Delivery;
use crate::deliver::worker::SubjectTurn;
use crate::deliver::worker::retries::Retries;
use crate::deliver::worker::subject_queues::{QueueKey, SubjectQueues};
use crate::event::{ReplayId, Subject};
use crate::eventlog::{DeliveryKey, Retry};
use crate::subscriptions::{Ordering, Subscription};

/// The order in which matches are attempted, and those that are numbered and wait for their first
/// attempt.
pub(super) struct Order {
    pub(super) rule: Rule,
    /// Matches whose turn it is, by their numbers.
    pub(super) ready: BTreeMap<u64, Delivery>,
    /// Matches of replays whose turn it is.
    pub(super) replayed: VecDeque<Delivery>,
}

/// What may be attempted when.
pub(super) enum Rule {
    /// As they come, many at once.
    Free,
    /// By subject, as soon as it is known what waits in which queue.
    Unknown,
    /// By subject.
    BySubject(SubjectQueues),
}

impl Rule {
    /// The rule that a subscription asks for.
    pub(super) fn of(subscription: &Subscription) -> Self {
        match subscription.document.config.ordering {
            Ordering::None => Self::Free,
            Ordering::Subject => Self::Unknown,
        }
    }
}

impl Order {
    /// The order that a subscription asks for, while nothing waits for its first attempt.
    pub(super) fn of(subscription: &Subscription) -> Self {
        Self { rule: Rule::of(subscription), ready: BTreeMap::new(), replayed: VecDeque::new() }
    }

    /// Whether it is known what may be attempted.
    pub(super) const fn is_known(&self) -> bool {
        !matches!(self.rule, Rule::Unknown)
    }

    /// The queues, if there are some.
    pub(super) const fn queues(&self) -> Option<&SubjectQueues> {
        match &self.rule {
            Rule::BySubject(queues) => Some(queues),
            Rule::Free | Rule::Unknown => None,
        }
    }

    /// The queues, to be changed.
    pub(super) const fn queues_mut(&mut self) -> Option<&mut SubjectQueues> {
        match &mut self.rule {
            Rule::BySubject(queues) => Some(queues),
            Rule::Free | Rule::Unknown => None,
        }
    }

    /// Bytes that wait for their turn.
    pub(super) fn bytes(&self) -> usize {
        self.queues().map_or(0, SubjectQueues::bytes)
    }

    /// Dead letters that hold up the events of their subject.
    pub(super) fn blocked(&self) -> usize {
        self.queues().map_or(0, SubjectQueues::blocked)
    }

    /// Whether this dead letter holds up the events of its subject.
    pub(super) fn is_dead(&self, key: &DeliveryKey) -> bool {
        key.replay.is_none() && self.queues().is_some_and(|queues| queues.is_dead(key.event))
    }

    /// Takes a match, numbered or of a replay; gives it back if it may be attempted now.
    pub(super) fn offer(&mut self, delivery: Delivery) -> Option<Delivery> {
        match self.queues_mut() {
            Some(queues) => queues.first(delivery),
            None => Some(delivery),
        }
    }

    /// Notes that a further attempt begins; says in which queue.
    pub(super) fn begin(&mut self, retry: &Retry) -> Option<QueueKey> {
        self.queues_mut()?.begin(retry)
    }

    /// Whether it is the turn of a match of a replay.
    pub(super) fn has_replayed(&self) -> bool {
        !self.replayed.is_empty()
    }

    /// Takes the match of a replay out whose turn it has been for longest.
    pub(super) fn take_replayed(&mut self) -> Option<Delivery> {
        self.replayed.pop_front()
    }

    /// Takes out every match of a replay that waits for its first attempt.
    pub(super) fn drop_replayed(
        &mut self,
        replay: &ReplayId,
        retries: &mut Retries,
    ) -> Vec<DeliveryKey> {
        let is_of = |delivery: &Delivery| delivery.replay.as_ref() == Some(replay);
        let behind = self.queues_mut().map_or_else(Vec::new, |queues| queues.take_replay(replay));
        let ready: Vec<Delivery> = self.replayed.iter().filter(|one| is_of(one)).cloned().collect();
        self.replayed.retain(|one| !is_of(one));
        for delivery in &ready {
            let queue_key = QueueKey::of(delivery.replay.as_ref(), &delivery.entry.event);
            if let Some(queues) = self.queues_mut() {
                queues.end(queue_key, delivery.rank());
                self.turn(queue_key, retries);
            }
        }
        ready.iter().chain(&behind).map(Delivery::key).collect()
    }

    /// Whether it is the turn of a match that waits.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The oldest match whose turn it is.
    pub(super) fn first_ready(&self) -> Option<&Delivery> {
        self.ready.first_key_value().map(|(_, delivery)| delivery)
    }

    /// Takes the oldest match out whose turn it is.
    pub(super) fn take_ready(&mut self) -> Option<Delivery> {
        self.ready.pop_first().map(|(_, delivery)| delivery)
    }

    /// Lets a match be attempted.
    pub(super) fn make_ready(&mut self, delivery: Delivery) {
        match delivery.link {
            Some((sequence, _)) => drop(self.ready.insert(sequence, delivery)),
            None => self.replayed.push_back(delivery),
        }
    }

    /// Lets whose turn it is in a queue go.
    pub(super) fn turn(&mut self, queue_key: QueueKey, retries: &mut Retries) {
        if let Some(next) = self.queues_mut().and_then(|queues| queues.turn(queue_key, retries)) {
            self.make_ready(next);
        }
    }

    /// Whether a numbered match of a subject waits for its turn.
    pub(super) fn turn_of(&self, sequence: u64, subject: Option<&Subject>) -> SubjectTurn {
        if self.ready.contains_key(&sequence) {
            return SubjectTurn::Next;
        }
        let ahead = self
            .queues()
            .and_then(|queues| queues.ahead_of(QueueKey::named(None, subject), sequence));
        ahead.map_or(SubjectTurn::None, |(sequence, event)| SubjectTurn::After { event, sequence })
    }

    /// How many numbered matches wait for their first attempt.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.queues().map_or(0, SubjectQueues::firsts)
    }

    /// The oldest numbered match that waits for its first attempt.
    pub(super) fn oldest(&self) -> Option<&Delivery> {
        let ready = self.ready.first_key_value().map(|(sequence, delivery)| (*sequence, delivery));
        let behind = self.queues().and_then(SubjectQueues::oldest_first);
        let oldest = ready.into_iter().chain(behind).min_by_key(|(sequence, _)| *sequence);
        oldest.map(|(_, delivery)| delivery)
    }

    /// Takes the oldest numbered match out that waits for its first attempt, which it will not
    /// have: those behind it in its queue go on.
    pub(super) fn take_oldest(&mut self, retries: &mut Retries) -> Option<Delivery> {
        let (sequence, _) = self.oldest()?.link?;
        if let Some(taken) = self.queues_mut().and_then(|queues| queues.take_first(sequence)) {
            return Some(taken);
        }
        let taken = self.ready.remove(&sequence)?;
        let queue_key = QueueKey::of(None, &taken.entry.event);
        if let Some(queues) = self.queues_mut() {
            queues.end(queue_key, sequence);
            self.turn(queue_key, retries);
        }
        Some(taken)
    }

    /// Frees the queue of a delivery that will not be attempted any more.
    pub(super) fn abandon(&mut self, retry: &Retry, retries: &mut Retries) {
        if let Some(queue_key) = self.queues_mut().and_then(|queues| queues.abandon(retry)) {
            self.turn(queue_key, retries);
        }
    }
}
