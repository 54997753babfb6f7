//! One delivery: its name, and how it waits for its next attempt.

use crate::event::{ChainValue, EventId, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::Position;

/// Names one delivery: an event for a subscription, live or in a replay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// For whom.
    pub subscription: SubscriptionId,
    /// The replay that it belongs to; nothing for live traffic.
    pub replay: Option<ReplayId>,
    /// Which event.
    pub event: EventId,
}

/// A delivery that failed and waits for its next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Where its event is in the log.
    pub position: Position,
    /// Its sequence number and the chain before it; nothing in a replay.
    pub link: Option<(u64, ChainValue)>,
    /// How many attempts were made, by the schedule's count.
    pub attempts: u32,
    /// When the first attempt was made.
    pub first_attempt: Timestamp,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// Whether it was a dead letter that someone brought back.
    pub redriven: bool,
}
