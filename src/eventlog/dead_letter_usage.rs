//! How much dead letters take.

use std::sync::Arc;

use crate::event::SubscriptionId;
use crate::eventlog::DeliveryKey;

/// How many dead letters a subscription has, and how much they take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterUsage {
    /// Whose.
    pub subscription: SubscriptionId,
    /// How many, with those that are being redriven.
    pub entries: u64,
    /// The most bytes that they take on disk.
    pub bytes: u64,
    /// How many of them are being redriven.
    pub redriven: u64,
    /// The most bytes that those take.
    pub redriven_bytes: u64,
}

impl DeadLetterUsage {
    /// Of nothing.
    pub const fn none(subscription: SubscriptionId) -> Self {
        Self { subscription, entries: 0, bytes: 0, redriven: 0, redriven_bytes: 0 }
    }

    /// How many are listed.
    pub const fn listed(&self) -> u64 {
        self.entries.saturating_sub(self.redriven)
    }
}

/// A dead letter that was dropped because there are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedDeadLetter {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Why it was given up.
    pub reason: Arc<str>,
    /// The most bytes that it took on disk.
    pub bytes: u64,
}
