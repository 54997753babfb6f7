//! A replay as a durable job.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{Decider, EntryDecision, NotDecided};
use crate::event::{ConsumerId, EventId, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{Entry, Position, Revision};
use crate::jobs::{Job, JobState};
use crate::route::{BoundedFilter, Filter, FilterError};
use crate::subscriptions::WishText;

/// Which events are replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The first id wanted.
    pub from: EventId,
    /// The last id wanted.
    pub to: EventId,
    /// Only events of these types, with the wildcards of subscriptions; empty: all.
    pub types: Vec<String>,
}

impl Selection {
    /// Makes the test for one entry: in the range, of a type wanted, and a match of `filter`.
    ///
    /// # Errors
    ///
    /// The caller's turn: a type cannot be read.
    pub fn test(
        &self,
        (consumer, filter): (&ConsumerId, Arc<Filter>),
        decider: &Decider,
    ) -> Result<SelectionTest, FilterError> {
        let types = Filter::new(&self.types, &[])?;
        let asked = BoundedFilter { filter, budget: decider.config().budget() };
        let (consumer, decider) = (consumer.clone(), decider.clone());
        Ok(SelectionTest { range: self.from..=self.to, types, consumer, asked, decider })
    }
}

/// Tells which entries are replayed.
pub struct SelectionTest {
    range: RangeInclusive<EventId>,
    types: Filter,
    consumer: ConsumerId,
    asked: BoundedFilter,
    decider: Decider,
}

impl SelectionTest {
    /// Whether an entry is replayed, or given up because it is too much work to tell.
    ///
    /// # Errors
    ///
    /// Later: the gateway stops.
    pub async fn decide(&self, entry: &Entry) -> Result<EntryDecision, NotDecided> {
        let is_meant = self.range.contains(&entry.event.id)
            && self.types.matches(&self.types.tree_of(&entry.event));
        if is_meant {
            self.decider.decide_for(&self.consumer, &self.asked, entry).await
        } else {
            Ok(EntryDecision::Unwanted)
        }
    }
}

/// What became of the events of a replay so far, by their first attempt.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayCounts {
    /// Events of the range that match, counted before the replay began.
    pub matched: u64,
    /// Delivered at the first attempt.
    pub delivered: u64,
    /// Failed at the first attempt and handed to the subscription's retries.
    pub retrying: u64,
    /// Given up at the first attempt.
    pub given_up: u64,
}

impl ReplayCounts {
    /// How many events were attempted.
    pub const fn attempted(&self) -> u64 {
        self.delivered + self.retrying + self.given_up
    }
}

/// A replay of a range of the log to one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its name, which consumers see as the claim `rpl`.
    pub id: ReplayId,
    /// For whom.
    pub subscription: SubscriptionId,
    /// When that subscription was created; nothing in a replay that an older gateway kept.
    pub owner: Option<Timestamp>,
    /// Which events.
    pub selection: Selection,
    /// The `types` and `filters` of the subscription when it was asked for, which hold to its end.
    pub wish: WishText,
    /// Events per second; 0 for no bound.
    pub rate: u32,
    /// Where it stands.
    pub state: JobState,
    /// Everything up to here was attempted.
    pub reached: Position,
    /// What became of the events so far.
    pub counts: ReplayCounts,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it came further last.
    pub moved: Timestamp,
    /// For how long it has stood still since then while the gateway ran.
    pub stood: Duration,
    /// The revision of what is kept.
    pub revision: Revision,
}

/// What is kept of a replay.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptReplay {
    subscription: SubscriptionId,
    #[serde(default)]
    owner: Option<Timestamp>,
    from: String,
    to: String,
    types: Vec<String>,
    wish: WishText,
    rate: u32,
    state: JobState,
    reached: u64,
    counts: ReplayCounts,
    created: Timestamp,
    #[serde(default)]
    moved: Option<Timestamp>,
    #[serde(default)]
    stood_seconds: u64,
}

impl Job for Replay {
    const KIND: &'static str = "replay";
    type Id = ReplayId;
    type Kept = KeptReplay;

    fn to_kept(&self) -> KeptReplay {
        KeptReplay {
            subscription: self.subscription.clone(),
            owner: self.owner,
            from: self.selection.from.to_string(),
            to: self.selection.to.to_string(),
            types: self.selection.types.clone(),
            wish: self.wish.clone(),
            rate: self.rate,
            state: self.state,
            reached: self.reached.0,
            counts: self.counts,
            created: self.created,
            moved: Some(self.moved),
            stood_seconds: self.stood.as_secs(),
        }
    }

    fn restore(id: &str, kept: KeptReplay, revision: Revision) -> Option<Self> {
        Some(Self {
            id: id.parse().ok()?,
            subscription: kept.subscription,
            owner: kept.owner,
            wish: kept.wish,
            selection: Selection {
                from: kept.from.parse().ok()?,
                to: kept.to.parse().ok()?,
                types: kept.types,
            },
            rate: kept.rate,
            state: kept.state,
            reached: Position(kept.reached),
            counts: kept.counts,
            created: kept.created,
            moved: kept.moved.unwrap_or(kept.created),
            stood: Duration::from_secs(kept.stood_seconds),
            revision,
        })
    }

    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn subscription(&self) -> &SubscriptionId {
        &self.subscription
    }

    fn times(&self) -> (Option<Timestamp>, Timestamp) {
        (self.owner, self.created)
    }

    fn state(&self) -> JobState {
        self.state
    }

    fn become_state(&mut self, state: JobState) {
        self.state = state;
    }

    fn revision(&mut self) -> &mut Revision {
        &mut self.revision
    }

    fn hold(&self) -> Option<(Position, Timestamp)> {
        (self.state == JobState::Running).then_some((self.reached, self.moved))
    }
}
