//! A replay as a durable job.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{Decider, EntryDecision, NotDecided};
use crate::event::{ConsumerId, EventId, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{Entry, Position, Revision};
use crate::route::{BoundedFilter, Filter, FilterError};
use crate::subscriptions::{Subscription, WishText};

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
        let is_meant =
            self.range.contains(&entry.event.id) && self.types.matches(&entry.event.to_tree());
        if is_meant {
            self.decider.decide_for(&self.consumer, &self.asked, entry).await
        } else {
            Ok(EntryDecision::Unwanted)
        }
    }
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayState {
    /// It reads and delivers.
    Running,
    /// Every event of the range was attempted; those that failed are tried again like live ones.
    Completed,
    /// Someone stopped it.
    Cancelled,
}

impl fmt::Display for ReplayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        })
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

/// Says whether a job is of this subscription and not of an earlier one of its name; `owner` is when
/// the subscription of the job was created, where that is known.
pub(super) fn belongs(
    owner: Option<Timestamp>,
    created: Timestamp,
    subscription: &Subscription,
) -> bool {
    owner.map_or(created >= subscription.created, |owner| owner == subscription.created)
}

impl Replay {
    /// Whether it is of this subscription and not of an earlier one of its name.
    pub fn belongs_to(&self, subscription: &Subscription) -> bool {
        self.subscription == subscription.id && belongs(self.owner, self.created, subscription)
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
    pub state: ReplayState,
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
