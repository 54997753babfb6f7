//! Decides whether a subscription wants an entry: what is cheap at once, and what is not on a thread
//! of its own, one entry at a time.
//!
//! What comes of it depends on the event, the filter and its budget alone, and never on how busy the
//! gateway is: the numbers of deliveries follow from it, and are the same after every crash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::ambient::Tasks;
use crate::event::{ConsumerId, SubscriptionId, Timestamp};
use crate::eventlog::{Entry, Position, Revision};
use crate::route::{BoundedFilter, EventTree, LEAST_STEPS, MatchOutcome, PatternConfig};
use crate::subscriptions::Subscription;

/// Decisions that took long and are remembered, so that reading again costs nothing.
const REMEMBERED: u64 = 16_384;

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

/// Asks filters, and never keeps other work waiting for long. Clones share one thread.
#[derive(Clone)]
pub struct Decider {
    config: PatternConfig,
    turn: Arc<Semaphore>,
    /// One place in front of that for each consumer that has something to decide.
    lines: Arc<Mutex<ConsumerLines>>,
    made: Cache<DecidedKey, EntryDecision>,
    tasks: Tasks,
}

/// The line of each consumer, as long as somebody stands in it.
type ConsumerLines = HashMap<Option<ConsumerId>, Weak<Semaphore>>;

/// A subscription as it was then, and an entry.
type DecidedKey = (SubscriptionId, Timestamp, Revision, Position);

impl Decider {
    /// Decides with the work that these settings allow at once.
    pub fn new(config: PatternConfig, tasks: Tasks) -> Self {
        let made = Cache::builder().max_capacity(REMEMBERED).build();
        let (turn, lines) = (Arc::new(Semaphore::new(1)), Arc::default());
        Self { config, turn, lines, made, tasks }
    }

    /// The settings.
    pub const fn config(&self) -> PatternConfig {
        self.config
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
        self.cheaply(&asked, entry).await
    }

    async fn cheaply(&self, asked: &BoundedFilter, entry: &Entry) -> Option<EntryDecision> {
        let allowed = self.config.at_once().each;
        let (outcome, steps) = {
            let tree = entry.event.to_tree();
            asked.decide_within(&EventTree::of(&tree), allowed)
        };
        if steps > LEAST_STEPS {
            // It was work for a good part of a millisecond, and others need their turn.
            tokio::task::yield_now().await;
        }
        let is_final = outcome != MatchOutcome::Undecided || allowed >= asked.budget.steps();
        is_final.then(|| EntryDecision::of(outcome))
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
        let Some(asked) = asked(subscription, entry) else {
            return Ok(EntryDecision::Unwanted);
        };
        let Subscription { id, created, revision, .. } = subscription;
        let key = (id.clone(), *created, *revision, entry.position);
        // Most have nothing that took long.
        if self.made.entry_count() > 0
            && let Some(made) = self.made.get(&key).await
        {
            return Ok(made);
        }
        if let Some(decided) = self.cheaply(&asked, entry).await {
            return Ok(decided);
        }
        let decided = self.at_length(Some(&subscription.consumer), asked, entry).await?;
        self.made.insert(key, decided).await;
        Ok(decided)
    }

    /// Decides for a filter that belongs to no subscription of now, up to its budget.
    ///
    /// # Errors
    ///
    /// Later: the gateway stops.
    pub async fn decide_for(
        &self,
        asked: &BoundedFilter,
        entry: &Entry,
    ) -> Result<EntryDecision, NotDecided> {
        match self.cheaply(asked, entry).await {
            Some(decided) => Ok(decided),
            None => self.at_length(None, asked.clone(), entry).await,
        }
    }

    fn line_of(&self, consumer: Option<&ConsumerId>) -> Arc<Semaphore> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&consumer.cloned()).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Semaphore::new(1));
        lines.insert(consumer.cloned(), Arc::downgrade(&line));
        line
    }

    /// Decides beside everything else, when it is its turn: turns go round by consumer, and who asks for
    /// none has a line with others like it.
    ///
    /// Cancel safe: whoever does not wait any more leaves the line.
    async fn at_length(
        &self,
        consumer: Option<&ConsumerId>,
        asked: BoundedFilter,
        entry: &Entry,
    ) -> Result<EntryDecision, NotDecided> {
        let event = entry.event.clone();
        let work = move || {
            let tree = event.to_tree();
            asked.decide(&EventTree::of(&tree))
        };
        let line = self.line_of(consumer);
        let decide = async {
            let own = line.acquire_owned().await.map_err(|_| NotDecided)?;
            let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| NotDecided)?;
            let work = move || {
                // Held by the work itself, which goes on when nobody waits for it any more.
                let _turns = (own, turn);
                work()
            };
            // Who was stopped half way has decided nothing.
            tokio::task::spawn_blocking(work).await.map_err(|_| NotDecided)
        };
        tokio::select! {
            outcome = decide => outcome.map(EntryDecision::of),
            () = self.tasks.stopping().cancelled() => Err(NotDecided),
        }
    }
}

/// What is asked of an entry that the consumer could hear when it came; nothing: it could not.
fn asked(subscription: &Subscription, entry: &Entry) -> Option<BoundedFilter> {
    subscription.asked_at(entry.position).filter(|_| subscription.could_hear(entry))
}
