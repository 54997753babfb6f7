//! What the log in memory drops.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::event::SubscriptionId;
use crate::eventlog::testing::memory::Held;
use crate::eventlog::{Entry, LowWatermark, Position, Retention, Trimmed};

impl Held {
    /// The last position that every cursor has settled and nobody holds.
    pub(super) fn settled(&self, released: &BTreeSet<SubscriptionId>, hold: Position) -> Position {
        let cursors = self.cursors.iter().filter(|(id, _)| !released.contains(id));
        cursors.map(|(_, cursor)| cursor.settled).fold(hold, Position::min)
    }

    /// What the entries above the low watermark take.
    pub(super) fn bytes(&self) -> u64 {
        let low_watermark = self.low_watermark.position;
        let kept = self.entries.iter().filter(|entry| entry.position > low_watermark);
        kept.map(|entry| self.bytes_of(entry)).sum()
    }

    fn bytes_of(&self, entry: &Entry) -> u64 {
        let observed = self.observed.get(&entry.position);
        let violations = observed.map(|own| serde_json::to_string(own.violations()).unwrap().len());
        entry.bytes_on_disk(violations.unwrap_or_default())
    }

    /// Drops all that may go at once: nobody waits for a disk here.
    pub(super) fn trim(&mut self, retention: &Retention) -> Trimmed {
        let keeps = |id: &SubscriptionId| !retention.released.contains(id);
        let bound = self.settled(&retention.released, retention.hold);
        let retries = self.retries.iter().filter(|(key, _)| keeps(&key.subscription));
        let waiting: BTreeSet<Position> = retries.map(|(_, retry)| retry.position).collect();
        let mut bytes = self.bytes();
        let mut kept = VecDeque::new();
        let mut dropped = 0;
        while let Some(entry) = self.entries.pop_front_if(|entry| {
            let is_passed = entry.position <= self.low_watermark.position;
            let too_old = retention.before.is_some_and(|before| entry.accepted < before);
            let too_much = retention.bytes.is_some_and(|most| bytes > most);
            entry.position <= bound && (is_passed || too_old || too_much)
        }) {
            let (position, id) = (entry.position, entry.event.id);
            if position > self.low_watermark.position {
                bytes -= self.bytes_of(&entry);
                self.low_watermark = LowWatermark { position, id };
            }
            if waiting.contains(&position) {
                kept.push_back(entry);
                continue;
            }
            dropped += 1;
            self.observed.remove(&position);
            let Some(digest) = self.digests.remove(&position) else { continue };
            let content = (entry.event.idempotency_key, digest, Arc::clone(&entry.publication));
            if self.contents.get(&content).is_some_and(|(newest, _)| *newest == id) {
                self.contents.remove(&content);
            }
        }
        let passed = self.low_watermark.position;
        self.given_up.retain(|_, (position, _)| *position > passed);
        kept.append(&mut self.entries);
        self.entries = kept;
        Trimmed { dropped, more: false }
    }
}
