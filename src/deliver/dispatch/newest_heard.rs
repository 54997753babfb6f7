//! Remembers the newest event that the consumer of each subscription may know of.

use moka::future::Cache;

use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::eventlog::Position;
use crate::subscriptions::Subscription;

/// Subscriptions of which it is remembered.
const REMEMBERED: u64 = 16_384;

/// For each subscription, what was found and up to where it was looked, so that who asks again and again
/// costs what has come meanwhile.
pub(super) struct NewestHeard(Cache<(SubscriptionId, Timestamp), (Position, EventId)>);

impl NewestHeard {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).build())
    }

    /// What was found, and up to where.
    pub(super) async fn known(&self, of: &Subscription) -> Option<(Position, EventId)> {
        self.0.get(&(of.id.clone(), of.created)).await
    }

    /// Keeps what was found up to a place.
    pub(super) async fn keep(&self, of: &Subscription, found: (Position, EventId)) {
        self.0.insert((of.id.clone(), of.created), found).await;
    }
}
