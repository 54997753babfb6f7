//! When what the log in memory keeps has come, in the time in which it was open.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::{ActionId, Aged, DeadLetterId, Position, QuarantineId, ReceiptId, Revision};

/// When everything has come.
#[derive(Default)]
pub(super) struct HeldAges {
    /// How long the log is open.
    pub(super) now: Duration,
    pub(super) entries: BTreeMap<EventId, (Duration, Position)>,
    pub(super) documents: BTreeMap<Revision, Duration>,
    pub(super) letters: BTreeMap<(SubscriptionId, DeadLetterId), Duration>,
    pub(super) quarantined: BTreeMap<QuarantineId, Duration>,
    pub(super) receipts: BTreeMap<ReceiptId, Duration>,
    pub(super) actions: BTreeMap<ActionId, Duration>,
}

impl HeldAges {
    /// Whether what came at some time is older than an age.
    pub(super) fn is_old(&self, came: Option<&Duration>, age: Duration) -> bool {
        came.is_some_and(|came| came.saturating_add(age) < self.now)
    }

    /// Whether an event is older than an age.
    pub(super) fn has_event(&self, id: EventId, age: Duration) -> bool {
        self.is_old(self.entries.get(&id).map(|(came, _)| came), age)
    }

    /// What is older than an age.
    pub(super) fn aged(&self, age: Duration) -> Aged {
        let old = |(came, position): &(Duration, Position)| {
            self.is_old(Some(came), age).then_some(*position)
        };
        let position = self.entries.values().filter_map(old).max().unwrap_or(Position::START);
        let old = self.documents.iter().filter(|(_, came)| self.is_old(Some(came), age));
        let revision = old.map(|(revision, _)| *revision).max().unwrap_or(Revision(0));
        Aged { position, revision, uncounted: None }
    }
}
