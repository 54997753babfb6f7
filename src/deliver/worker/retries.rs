//! The deliveries of one subscription that wait for their next attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::event::Timestamp;
use crate::eventlog::{DeliveryKey, Retry};

/// No schedule and no sink makes a delivery wait for so long: one that is due later was put off
/// before the clock was set back, perhaps by years.
const FARTHEST: Duration = Duration::from_hours(36);

/// Waiting deliveries, by name, and by due time those that are not held.
#[derive(Debug, Default)]
pub struct Retries {
    waiting: BTreeMap<DeliveryKey, Retry>,
    /// How many of them belong to no replay.
    live: usize,
    due: BTreeSet<(Timestamp, DeliveryKey)>,
}

impl Retries {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many wait that belong to no replay.
    pub fn live(&self) -> usize {
        self.live
    }

    /// The one of the oldest event that belongs to no replay.
    pub fn oldest(&self) -> Option<&Retry> {
        // Names without a replay come first, in the order of their events.
        self.waiting.values().next().filter(|retry| retry.key.replay.is_none())
    }

    /// Tells whether a delivery waits.
    pub fn contains(&self, key: &DeliveryKey) -> bool {
        self.waiting.contains_key(key)
    }

    /// Adds a delivery, or moves it to another due time.
    pub fn insert(&mut self, retry: Retry) {
        self.remove(&retry.key);
        self.live += usize::from(retry.key.replay.is_none());
        self.due.insert((retry.due, retry.key.clone()));
        self.waiting.insert(retry.key.clone(), retry);
    }

    /// Takes a delivery out.
    pub fn remove(&mut self, key: &DeliveryKey) -> Option<Retry> {
        let retry = self.waiting.remove(key)?;
        self.live -= usize::from(retry.key.replay.is_none());
        self.due.remove(&(retry.due, retry.key.clone()));
        Some(retry)
    }

    /// All of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Retry> {
        self.waiting.values()
    }

    /// Keeps a delivery from being taken, whenever it is due, until it is let go.
    pub fn hold(&mut self, key: &DeliveryKey) {
        if let Some(retry) = self.waiting.get(key) {
            self.due.remove(&(retry.due, key.clone()));
        }
    }

    /// Lets a delivery be taken when it is due.
    pub fn let_go(&mut self, key: &DeliveryKey) {
        if let Some(retry) = self.waiting.get(key) {
            self.due.insert((retry.due, key.clone()));
        }
    }

    /// Lets every delivery be taken when it is due.
    pub fn let_all_go(&mut self) {
        self.due = self.waiting.values().map(|retry| (retry.due, retry.key.clone())).collect();
    }

    /// Tells whether a delivery is due, or was put off so far that only the clock can have been
    /// set back.
    pub fn has_due(&self, now: Timestamp) -> bool {
        self.first_due(now).is_some()
    }

    /// Takes out the delivery that has been due for longest, if one is due.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Retry> {
        let (_, key) = self.first_due(now)?.clone();
        self.remove(&key)
    }

    fn first_due(&self, now: Timestamp) -> Option<&(Timestamp, DeliveryKey)> {
        let first = self.due.first().filter(|(due, _)| *due <= now);
        first.or_else(|| self.due.last().filter(|(due, _)| due.since(now) > FARTHEST))
    }

    /// When the next delivery that is not held is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }
}
