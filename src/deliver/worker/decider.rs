//! Decides whether a subscription wants an entry: what is cheap at once, when it is the turn of its
//! consumer, and what is not on a thread of its own, one entry at a time.
//!
//! What comes of it depends on the event, the filter and its budget alone, and never on how busy the
//! gateway is or what else a consumer asks for: the numbers of deliveries follow from it, and are the
//! same after every crash.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use moka::future::Cache;

use crate::ambient::{FairTurns, Tasks};
use crate::deliver::worker::consumer_turns::ConsumerTurns;
use crate::event::ConsumerId;
use crate::eventlog::{Entry, Position};
use crate::route::{BoundedFilter, Budget, EventTree, Filter, MatchOutcome, PatternConfig};
use crate::subscriptions::Subscription;
use crate::telemetry::{Counter, Metric, Metrics};

/// Decisions that are remembered, so that they are made once however many have the same filter or
/// read again: of those that took long, and of those that did not.
const REMEMBERED: u64 = 16_384;
/// Steps from which on a decision is worth remembering.
const WORTH_REMEMBERING: u64 = 250;
/// To read an event costs about a step for so many bytes of it.
const BYTES_OF_A_STEP: usize = 4;

/// Whether a subscription wants an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryDecision {
    /// It does.
    Wanted,
    /// It does not.
    Unwanted,
    /// It takes more work to tell than its budget allows: it has a number and a link, and is a dead
    /// letter.
    GivenUp,
}

impl EntryDecision {
    /// What a filter has decided with all that may be done for it.
    pub const fn of(outcome: MatchOutcome) -> Self {
        match outcome {
            MatchOutcome::Matches => Self::Wanted,
            MatchOutcome::Differs => Self::Unwanted,
            MatchOutcome::Undecided => Self::GivenUp,
        }
    }

    /// Whether the entry has a number among the deliveries of the subscription.
    pub const fn is_numbered(self) -> bool {
        matches!(self, Self::Wanted | Self::GivenUp)
    }
}

/// Nothing is decided, because the gateway stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway is stopping")]
pub struct NotDecided;

/// Asks filters, and never keeps other work waiting for long. Clones share their turns.
#[derive(Clone)]
pub struct Decider {
    config: PatternConfig,
    at_once: Arc<ConsumerTurns>,
    at_length: Arc<FairTurns<ConsumerId>>,
    made_at_once: Cache<DecidedKey, EntryDecision>,
    made_at_length: Cache<DecidedKey, EntryDecision>,
    steps_followed: Counter,
    steps_at_once: Counter,
    steps_at_length: Counter,
    tasks: Tasks,
}

/// What was asked of which entry: it has the same answer for everybody who asks it.
#[derive(Clone)]
struct DecidedKey {
    /// Its place is not given to another filter as long as it is known here, and it is not kept.
    filter: Weak<Filter>,
    budget: Budget,
    position: Position,
}

impl DecidedKey {
    fn of(asked: &BoundedFilter, entry: &Entry) -> Self {
        let (filter, budget) = (Arc::downgrade(&asked.filter), asked.budget);
        Self { filter, budget, position: entry.position }
    }

    fn parts(&self) -> (usize, u64, Position) {
        (self.filter.as_ptr().addr(), self.budget.steps(), self.position)
    }
}

impl PartialEq for DecidedKey {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for DecidedKey {}

impl Hash for DecidedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Decider {
    /// Decides with the work that these settings allow at once.
    pub fn new(config: PatternConfig, tasks: Tasks, metrics: &Metrics) -> Self {
        let steps = |place| metrics.counter(Metric::FilterSteps, &[place]);
        Self {
            config,
            at_once: Arc::default(),
            at_length: Arc::default(),
            made_at_once: Cache::builder().max_capacity(REMEMBERED).build(),
            made_at_length: Cache::builder().max_capacity(REMEMBERED).build(),
            steps_followed: steps("following"),
            steps_at_once: steps("reading"),
            steps_at_length: steps("at-length"),
            tasks,
        }
    }

    /// The settings.
    pub const fn config(&self) -> PatternConfig {
        self.config
    }

    /// Counts what the filters of all took of new entries.
    pub const fn steps_followed(&self) -> &Counter {
        &self.steps_followed
    }

    /// Decides what is cheap; nothing: it takes more work.
    pub async fn at_once(
        &self,
        subscription: &Subscription,
        entry: &Entry,
    ) -> Option<EntryDecision> {
        let Some(asked) = asked(subscription, entry) else {
            return Some(EntryDecision::Unwanted);
        };
        self.cheaply(&subscription.consumer, &asked, entry).await
    }

    async fn cheaply(
        &self,
        consumer: &ConsumerId,
        asked: &BoundedFilter,
        entry: &Entry,
    ) -> Option<EntryDecision> {
        let key = DecidedKey::of(asked, entry);
        for made in [&self.made_at_once, &self.made_at_length] {
            if let Some(made) = made.get(&key).await {
                return Some(made);
            }
        }
        let allowed = self.config.at_once().each;
        let decide = || {
            let tree = asked.filter.tree_of(&entry.event);
            let (outcome, steps) = asked.decide_within(&EventTree::of(&tree), allowed);
            let unread = if asked.filter.reads_data() { 0 } else { entry.event.data.text().len() };
            let read = (entry.weight() - unread) / BYTES_OF_A_STEP;
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            ((outcome, steps), steps.saturating_add(read))
        };
        let (outcome, steps) = self.at_once.take(consumer, decide).await;
        self.steps_at_once.add(steps);
        let is_final = outcome != MatchOutcome::Undecided || allowed >= asked.budget.steps();
        let decided = is_final.then(|| EntryDecision::of(outcome))?;
        if steps >= WORTH_REMEMBERING {
            self.made_at_once.insert(key, decided).await;
        }
        Some(decided)
    }

    /// Decides, however much work it is, up to the budget of the filter.
    ///
    /// # Errors
    ///
    /// Later: the gateway stops.
    pub async fn decide(
        &self,
        subscription: &Subscription,
        entry: &Entry,
    ) -> Result<EntryDecision, NotDecided> {
        match asked(subscription, entry) {
            Some(asked) => self.decide_for(&subscription.consumer, &asked, entry).await,
            None => Ok(EntryDecision::Unwanted),
        }
    }

    /// Decides for a filter that need not belong to a subscription of now, up to its budget.
    ///
    /// # Errors
    ///
    /// Later: the gateway stops.
    pub async fn decide_for(
        &self,
        consumer: &ConsumerId,
        asked: &BoundedFilter,
        entry: &Entry,
    ) -> Result<EntryDecision, NotDecided> {
        if let Some(decided) = self.cheaply(consumer, asked, entry).await {
            return Ok(decided);
        }
        tokio::select! {
            decided = self.at_length(consumer, asked, entry) => decided,
            () = self.tasks.stopping().cancelled() => Err(NotDecided),
        }
    }

    /// Decides beside everything else, when it is the turn of the consumer.
    ///
    /// Cancel safe: whoever does not wait any more leaves the line.
    async fn at_length(
        &self,
        consumer: &ConsumerId,
        asked: &BoundedFilter,
        entry: &Entry,
    ) -> Result<EntryDecision, NotDecided> {
        let turn = self.at_length.take(consumer).await;
        let key = DecidedKey::of(asked, entry);
        // Whoever was in front may have asked the same.
        if let Some(made) = self.made_at_length.get(&key).await {
            return Ok(made);
        }
        let (event, asked) = (entry.event.clone(), asked.clone());
        let work = move || {
            let tree = asked.filter.tree_of(&event);
            let (outcome, steps) = asked.decide_within(&EventTree::of(&tree), u64::MAX);
            // The turn is the work's own, which goes on when nobody waits for it any more.
            (EntryDecision::of(outcome), steps, turn)
        };
        // Who was stopped half way has decided nothing.
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| NotDecided)?;
        let (decided, steps, _turn) = done;
        self.steps_at_length.add(steps);
        self.made_at_length.insert(key, decided).await;
        Ok(decided)
    }
}

/// What is asked of an entry that the consumer could hear when it came; nothing: it could not.
fn asked(subscription: &Subscription, entry: &Entry) -> Option<BoundedFilter> {
    subscription.asked_at(entry.position).filter(|_| subscription.could_hear(entry))
}
