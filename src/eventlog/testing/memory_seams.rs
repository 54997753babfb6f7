//! The seams beside the log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::testing::memory::{Held, MemoryLog, fill};
use crate::eventlog::{
    Attempt, Attempts, Changes, CommitError, DeadLetter, DeadLetterCount, DeadLetterId,
    DeadLetterQuery, DeadLetterUsage, DeadLetters, DeliveryKey, DeliveryState, DroppedDeadLetter,
    GivenUp, KeptReceipt, LogError, Page, Position, ReceiptId, ReceiptKey, Receipts, Record,
    RecordKey, Registry, Retry, Revision, SavedDeliveries, SequenceCheckpoint,
};

impl Held {
    /// Keeps a dead letter under the next number of its subscription, in place of the one that its
    /// delivery had.
    pub(super) fn keep_letter(&mut self, letter: DeadLetter) {
        self.drop_letter(&letter.key);
        let last = self.last_dead_letter.entry(letter.key.subscription.clone()).or_default();
        last.0 += 1;
        let name = (letter.key.subscription.clone(), *last);
        if letter.key.replay.is_none() {
            let given_up = GivenUp { reason: Arc::clone(&letter.reason), at: letter.at };
            self.given_up.insert(letter.key.clone(), (letter.position, given_up));
        }
        self.ages.letters.insert(name.clone(), self.ages.now);
        self.dead_letters.insert(name, DeadLetter { id: *last, redriven: false, ..letter });
    }

    /// Drops the dead letter of a delivery.
    pub(super) fn drop_letter(&mut self, key: &DeliveryKey) {
        self.dead_letters.retain(|_, letter| letter.key != *key);
        self.given_up.remove(key);
    }

    /// The dead letter of a number, if it is listed.
    fn listed(&mut self, of: &SubscriptionId, id: DeadLetterId) -> Option<&mut DeadLetter> {
        let found = self.dead_letters.get_mut(&(of.clone(), id));
        found.filter(|letter| !letter.redriven)
    }
}

impl MemoryLog {
    /// Says from now on whether there is no room for changes, as a test wishes.
    pub(crate) fn fill(&self, full: bool) {
        self.hold().unwrap().full = full;
    }

    /// Loses an entry, as no log may.
    pub(crate) fn lose(&self, at: Position) {
        self.hold().unwrap().entries.retain(|entry| entry.position != at);
    }

    pub(super) fn must_have_room(&self) -> Result<(), LogError> {
        let full =
            || LogError::Full { place: "memory".to_owned(), free: 0, reserve: 0, percent: 0 };
        if self.hold()?.full { Err(full()) } else { Ok(()) }
    }
}

#[async_trait]
impl DeliveryState for MemoryLog {
    async fn load(&self) -> Result<SavedDeliveries, LogError> {
        let held = self.hold()?;
        let cursors = held.cursors.iter().map(|(id, cursor)| (id.clone(), cursor.clone()));
        let mut retries: Vec<Retry> = held.retries.values().cloned().collect();
        retries.sort_by_key(|retry| retry.due);
        Ok(SavedDeliveries { cursors: cursors.collect(), retries })
    }

    async fn retry(&self, key: &DeliveryKey) -> Result<Option<Retry>, LogError> {
        Ok(self.hold()?.retries.get(key).cloned())
    }

    async fn commit(&self, changes: Changes) -> Result<(), CommitError> {
        match self.must_have_room().and_then(|()| self.hold()) {
            Ok(mut held) => held.apply(changes, self.limits.receipt_age),
            Err(error) => return Err(CommitError::of(error, changes)),
        }
        Ok(())
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), LogError> {
        let mut held = self.hold()?;
        held.cursors.remove(subscription);
        held.sequence_checkpoints.retain(|(owner, _), _| owner != subscription);
        held.retries.retain(|key, _| key.subscription != *subscription);
        held.dead_letters.retain(|(owner, _), _| owner != subscription);
        held.last_dead_letter.remove(subscription);
        held.given_up.retain(|key, _| key.subscription != *subscription);
        held.attempts.retain(|attempt| attempt.key.subscription != *subscription);
        held.receipts.retain(|_, receipt| receipt.key.subscription != *subscription);
        held.drop_receipt_keys();
        Ok(())
    }

    async fn sequence_checkpoints_around(
        &self,
        subscription: &SubscriptionId,
        place: Position,
    ) -> Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>), LogError> {
        let held = self.hold()?;
        let at = |position| (subscription.clone(), Position(position));
        let before = held.sequence_checkpoints.range(at(0)..=at(place.0)).next_back();
        let after = held.sequence_checkpoints.range(at(place.0)..=at(u64::MAX));
        let after = after.map(|(_, kept)| *kept).find(|kept| kept.position > place);
        Ok((before.map(|(_, kept)| *kept), after))
    }

    async fn prune_sequence_checkpoints(&self, dropped: Position) -> Result<(), LogError> {
        let mut held = self.hold()?;
        let mut newest = BTreeMap::new();
        for (id, position) in held.sequence_checkpoints.keys().filter(|(_, at)| *at <= dropped) {
            newest.insert(id.clone(), *position);
        }
        held.sequence_checkpoints
            .retain(|(id, at), _| newest.get(id).is_none_or(|newest| at >= newest));
        Ok(())
    }
}

#[async_trait]
impl Registry for MemoryLog {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, LogError> {
        Ok(self.hold()?.records.get(key).cloned())
    }

    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, LogError> {
        let held = self.hold()?;
        let first = RecordKey { kind, id: String::new() };
        let of_kind = held.records.range(first..).take_while(|(key, _)| key.kind == kind);
        Ok(of_kind.map(|(_, record)| record.clone()).collect())
    }

    async fn put(
        &self,
        key: &RecordKey,
        expected: Option<Revision>,
        body: String,
    ) -> Result<Revision, LogError> {
        self.must_have_room()?;
        let mut held = self.hold()?;
        let found = held.records.get(key).map(|record| record.revision);
        if found != expected {
            return Err(LogError::Stale { expected, found });
        }
        held.last_revision.0 += 1;
        let revision = held.last_revision;
        let record = Record { id: key.id.clone(), revision, changed: self.clock.now(), body };
        held.records.insert(key.clone(), record);
        let now = held.ages.now;
        held.ages.documents.insert(revision, now);
        Ok(revision)
    }

    async fn remove(&self, key: &RecordKey, expected: Revision) -> Result<(), LogError> {
        let mut held = self.hold()?;
        let found = held.records.get(key).map(|record| record.revision);
        if found != Some(expected) {
            return Err(LogError::Stale { expected: Some(expected), found });
        }
        held.records.remove(key);
        Ok(())
    }
}

#[async_trait]
impl DeadLetters for MemoryLog {
    async fn dead_letters(
        &self,
        query: &DeadLetterQuery,
        page: Page,
    ) -> Result<Vec<DeadLetter>, LogError> {
        let held = self.hold()?;
        let chosen = held.dead_letters.values().filter(|letter| query.chooses(letter)).cloned();
        Ok(fill(chosen, page, |letter| letter.event.data.text().len() + letter.detail.len()))
    }

    async fn count_chosen(&self, query: &DeadLetterQuery) -> Result<u64, LogError> {
        let held = self.hold()?;
        Ok(held.dead_letters.values().filter(|letter| query.chooses(letter)).count() as u64)
    }

    async fn last_dead_letter(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<DeadLetterId, LogError> {
        Ok(self.hold()?.last_dead_letter.get(subscription).copied().unwrap_or_default())
    }

    async fn dead_letter(&self, key: &DeliveryKey) -> Result<Option<DeadLetter>, LogError> {
        Ok(self.hold()?.dead_letters.values().find(|letter| letter.key == *key).cloned())
    }

    async fn given_up(&self, key: &DeliveryKey) -> Result<Option<GivenUp>, LogError> {
        Ok(self.hold()?.given_up.get(key).map(|(_, given_up)| given_up.clone()))
    }

    async fn count_dead_letters(
        &self,
        subscription: Option<&SubscriptionId>,
    ) -> Result<Vec<DeadLetterCount>, LogError> {
        let held = self.hold()?;
        let mut counts = BTreeMap::new();
        for letter in held.dead_letters.values() {
            let owner = &letter.key.subscription;
            if subscription.is_none_or(|id| owner == id) {
                let kind = (owner.clone(), Arc::clone(&letter.reason), letter.redriven);
                *counts.entry(kind).or_default() += 1;
            }
        }
        let count = |((subscription, reason, redriven), count)| DeadLetterCount {
            subscription,
            reason,
            redriven,
            count,
        };
        Ok(counts.into_iter().map(count).collect())
    }

    async fn revive(&self, letters: Vec<(DeadLetterId, Retry)>) -> Result<Vec<Retry>, LogError> {
        let mut held = self.hold()?;
        let mut revived = Vec::new();
        for (id, retry) in letters {
            if let Some(letter) = held.listed(&retry.key.subscription, id) {
                letter.redriven = true;
                held.retries.insert(retry.key.clone(), retry.clone());
                revived.push(retry);
            }
        }
        Ok(revived)
    }

    async fn dismiss(
        &self,
        subscription: &SubscriptionId,
        id: DeadLetterId,
    ) -> Result<bool, LogError> {
        let mut held = self.hold()?;
        let is_listed = held.listed(subscription, id).is_some();
        if is_listed {
            held.dead_letters.remove(&(subscription.clone(), id));
        }
        Ok(is_listed)
    }

    async fn expire_dead_letters(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<(DeliveryKey, Arc<str>)>, LogError> {
        let mut held = self.hold()?;
        let of = |name| held.ages.letters.get(name);
        let mut old: Vec<_> = held
            .dead_letters
            .iter()
            .filter(|(name, letter)| !letter.redriven && held.ages.is_old(of(*name), age))
            .map(|(name, _)| (of(name).copied(), name.clone()))
            .collect();
        old.sort_unstable();
        old.truncate(most);
        let dropped = old.into_iter().filter_map(|(_, name)| held.dead_letters.remove(&name));
        Ok(dropped.map(|letter| (letter.key, letter.reason)).collect())
    }

    async fn dead_letter_usage(&self) -> Result<Vec<DeadLetterUsage>, LogError> {
        let held = self.hold()?;
        let mut usage: BTreeMap<SubscriptionId, DeadLetterUsage> = BTreeMap::new();
        for letter in held.dead_letters.values() {
            let of = &letter.key.subscription;
            let one = usage.entry(of.clone()).or_insert_with(|| DeadLetterUsage::none(of.clone()));
            one.entries += 1;
            one.bytes += letter.bytes_on_disk();
            if letter.redriven {
                one.redriven += 1;
                one.redriven_bytes += letter.bytes_on_disk();
            }
        }
        Ok(usage.into_values().collect())
    }

    async fn drop_dead_letters(
        &self,
        subscription: &SubscriptionId,
        most: usize,
        bytes: u64,
    ) -> Result<Vec<DroppedDeadLetter>, LogError> {
        let mut held = self.hold()?;
        let listed = held
            .dead_letters
            .iter()
            .filter(|((owner, _), letter)| owner == subscription && !letter.redriven);
        let mut gone = 0;
        let is_wanted = |(_, letter): &(_, &DeadLetter)| {
            let is_wanted = gone < bytes;
            gone += letter.bytes_on_disk();
            is_wanted
        };
        let oldest: Vec<_> =
            listed.take(most).take_while(is_wanted).map(|(name, _)| name.clone()).collect();
        let dropped = oldest.into_iter().filter_map(|name| held.dead_letters.remove(&name));
        let name = |letter: DeadLetter| DroppedDeadLetter {
            bytes: letter.bytes_on_disk(),
            key: letter.key,
            reason: letter.reason,
        };
        Ok(dropped.map(name).collect())
    }
}

#[async_trait]
impl Receipts for MemoryLog {
    async fn receipts(
        &self,
        subscription: &SubscriptionId,
        event: Option<EventId>,
        after: ReceiptId,
        page: Page,
    ) -> Result<Vec<KeptReceipt>, LogError> {
        let held = self.hold()?;
        let receipts = held
            .receipts
            .range(ReceiptId(after.0.saturating_add(1))..)
            .map(|(_, receipt)| receipt)
            .filter(|receipt| receipt.key.subscription == *subscription)
            .filter(|receipt| event.is_none_or(|id| receipt.key.event == id))
            .cloned();
        Ok(fill(receipts, page, |receipt| receipt.jws.len()))
    }

    async fn receipt_keys(&self, of: &SubscriptionId) -> Result<Vec<ReceiptKey>, LogError> {
        let held = self.hold()?;
        let own = held.receipt_keys.iter().filter(|(_, key)| key.subscription == *of);
        Ok(own.map(|(_, key)| key.clone()).rev().collect())
    }

    async fn count_receipts(&self) -> Result<Vec<(SubscriptionId, u64)>, LogError> {
        let mut counts = BTreeMap::new();
        for receipt in self.hold()?.receipts.values() {
            *counts.entry(receipt.key.subscription.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn drop_receipts(
        &self,
        subscription: &SubscriptionId,
        most: usize,
    ) -> Result<usize, LogError> {
        let mut held = self.hold()?;
        let own =
            held.receipts.values().filter(|receipt| receipt.key.subscription == *subscription);
        let oldest: Vec<_> = own.take(most).map(|receipt| receipt.id).collect();
        held.receipts.retain(|id, _| !oldest.contains(id));
        held.drop_receipt_keys();
        Ok(oldest.len())
    }
}

#[async_trait]
impl Attempts for MemoryLog {
    async fn attempts(
        &self,
        subscription: Option<&SubscriptionId>,
        event: Option<EventId>,
        page: Page,
    ) -> Result<Vec<Attempt>, LogError> {
        let held = self.hold()?;
        let attempts = held
            .attempts
            .iter()
            .rev()
            .filter(|attempt| subscription.is_none_or(|id| attempt.key.subscription == *id))
            .filter(|attempt| event.is_none_or(|id| attempt.key.event == id))
            .cloned();
        Ok(fill(attempts, page, |attempt| attempt.detail.len()))
    }
}
