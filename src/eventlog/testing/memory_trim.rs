//! What the log in memory drops.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::event::SubscriptionId;
use crate::eventlog::testing::memory::Held;
use crate::eventlog::{LowWatermark, Position, Retention, Trimmed};

impl Held {
    /// The last position that every cursor has settled and nobody holds.
    pub(super) fn settled(&self, released: &BTreeSet<SubscriptionId>, hold: Position) -> Position {
        let cursors = self.cursors.iter().filter(|(id, _)| !released.contains(id));
        cursors.map(|(_, cursor)| cursor.settled).fold(hold, Position::min)
    }

    /// Drops all that may go at once: nobody waits for a disk here.
    pub(super) fn trim(&mut self, retention: &Retention) -> Trimmed {
        let keeps = |id: &SubscriptionId| !retention.released.contains(id);
        let bound = self.settled(&retention.released, retention.hold);
        let retries = self.retries.iter().filter(|(key, _)| keeps(&key.subscription));
        let waiting: BTreeSet<Position> = retries.map(|(_, retry)| retry.position).collect();
        let bytes: u64 = self.entries.iter().map(|entry| entry.weight() as u64).sum();
        let mut excess = retention.bytes.map_or(0, |most| bytes.saturating_sub(most));
        let mut kept = VecDeque::new();
        let mut dropped = 0;
        while let Some(entry) = self.entries.pop_front_if(|entry| {
            let too_old = retention.before.is_some_and(|before| entry.accepted < before);
            entry.position <= bound && (too_old || excess > 0)
        }) {
            let (position, id) = (entry.position, entry.event.id);
            if position > self.low_watermark.position {
                self.low_watermark = LowWatermark { position, id };
            }
            if waiting.contains(&position) {
                kept.push_back(entry);
                continue;
            }
            dropped += 1;
            self.observed.remove(&position);
            excess = excess.saturating_sub(entry.weight() as u64);
            let Some(digest) = self.digests.remove(&position) else { continue };
            let content = (entry.event.idempotency_key, digest, Arc::clone(&entry.publication));
            if self.contents.get(&content).is_some_and(|(newest, _)| *newest == id) {
                self.contents.remove(&content);
            }
        }
        kept.append(&mut self.entries);
        self.entries = kept;
        Trimmed { dropped, more: false }
    }
}
