//! What is noted of deliveries and not written yet, the newest word on each thing.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{
    Attempt, Changes, Cursor, DeadLetter, DeliveryKey, FencingEpoch, KeptReceipt, Position,
    ReceiptKey, Retry, SequenceCheckpoint,
};

/// How many attempts may wait for room; then the oldest are dropped. Nothing follows from them.
pub const MOST_ATTEMPTS: usize = 16 * 1024;
/// So many removed subscriptions are remembered: whatever still served an older one has ended.
const REMOVED: usize = 4096;

/// How far a cursor has come: what is settled, up to which number, and how much ahead of it.
type CursorPlace = (Position, u64, u64);

fn place(cursor: &Cursor) -> CursorPlace {
    let ahead = cursor.ahead.ranges().iter().map(|(first, last)| last - first + 1).sum();
    (cursor.settled, cursor.sequence, ahead)
}

/// The notes of a ledger, which are written together.
#[derive(Default)]
pub(super) struct PendingChanges {
    /// How many batches were taken before: the number of the one that is gathered.
    pub(super) batch: u64,
    /// When the oldest of it was noted.
    pub(super) since: Option<Timestamp>,
    pub(super) cursors: BTreeMap<SubscriptionId, Cursor>,
    pub(super) sequence_checkpoints: Vec<(SubscriptionId, SequenceCheckpoint)>,
    /// Nothing: it is settled.
    pub(super) retries: BTreeMap<DeliveryKey, Option<Retry>>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) receipts: Vec<KeptReceipt>,
    pub(super) receipt_keys: BTreeSet<ReceiptKey>,
    /// How far each subscription had come by what was noted, written or not.
    furthest: BTreeMap<SubscriptionId, CursorPlace>,
    /// Removed subscriptions, and how many were removed before each. A map, because every note looks
    /// its subscription up.
    removed: BTreeMap<SubscriptionId, u64>,
    /// Whether another owner notes everything from now on.
    pub(super) fenced: bool,
}

impl PendingChanges {
    /// Takes what was noted, and still knows whose notes not to take.
    pub(super) fn take(&mut self) -> Self {
        let (removed, batch) = (std::mem::take(&mut self.removed), self.batch + 1);
        let furthest = std::mem::take(&mut self.furthest);
        let next = Self { batch, removed, furthest, fenced: self.fenced, ..Self::default() };
        std::mem::replace(self, next)
    }

    /// Notes a cursor, unless the subscription has come further already: whoever notes one may have been
    /// overtaken since it read it.
    pub(super) fn advance(&mut self, subscription: &SubscriptionId, cursor: &Cursor) {
        let place = place(cursor);
        let furthest = self.furthest.entry(subscription.clone()).or_insert(place);
        if place >= *furthest {
            *furthest = place;
            self.cursors.insert(subscription.clone(), cursor.clone());
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.cursors.len()
            + self.sequence_checkpoints.len()
            + self.retries.len()
            + self.dead_letters.len()
            + self.attempts.len()
            + self.receipts.len()
    }

    /// Puts what found no room, and was noted at that time, back before what was noted since.
    pub(super) fn put_back(&mut self, older: Changes, since: Option<Timestamp>) {
        let Changes {
            epoch: _,
            cursors,
            sequence_checkpoints,
            retries,
            settled,
            dead_letters,
            attempts,
            receipts,
            receipt_keys,
        } = older;
        let waiting = retries.into_iter().map(|retry| (retry.key.clone(), Some(retry)));
        let older = Self {
            batch: self.batch,
            since: since.or(self.since),
            cursors: cursors.into_iter().collect(),
            sequence_checkpoints,
            retries: waiting.chain(settled.into_iter().map(|key| (key, None))).collect(),
            dead_letters,
            attempts,
            receipts,
            receipt_keys: receipt_keys.into_iter().collect(),
            furthest: std::mem::take(&mut self.furthest),
            removed: std::mem::take(&mut self.removed),
            fenced: self.fenced,
        };
        let newer = std::mem::replace(self, older);
        self.cursors.extend(newer.cursors);
        self.sequence_checkpoints.extend(newer.sequence_checkpoints);
        self.retries.extend(newer.retries);
        self.dead_letters.extend(newer.dead_letters);
        self.attempts.extend(newer.attempts);
        self.receipts.extend(newer.receipts);
        self.receipt_keys.extend(newer.receipt_keys);
        let surplus = self.attempts.len().saturating_sub(MOST_ATTEMPTS);
        self.attempts.drain(..surplus);
    }

    /// The same as the log takes it.
    pub(super) fn into_changes(self, epoch: FencingEpoch) -> Changes {
        let (mut retries, mut settled) = (Vec::new(), Vec::new());
        for (key, retry) in self.retries {
            match retry {
                Some(retry) => retries.push(retry),
                None => settled.push(key),
            }
        }
        Changes {
            epoch,
            cursors: self.cursors.into_iter().collect(),
            sequence_checkpoints: self.sequence_checkpoints,
            retries,
            settled,
            dead_letters: self.dead_letters,
            attempts: self.attempts,
            receipts: self.receipts,
            receipt_keys: self.receipt_keys.into_iter().collect(),
        }
    }

    /// Whether a subscription was removed.
    pub(super) fn is_removed(&self, subscription: &SubscriptionId) -> bool {
        self.removed.contains_key(subscription)
    }

    /// Forgets everything of a subscription, which is removed until it is [`opened`](Self::open).
    pub(super) fn remove(&mut self, subscription: &SubscriptionId) {
        self.cursors.remove(subscription);
        self.furthest.remove(subscription);
        self.sequence_checkpoints.retain(|(owner, _)| owner != subscription);
        self.retries.retain(|key, _| key.subscription != *subscription);
        self.dead_letters.retain(|letter| letter.key.subscription != *subscription);
        self.attempts.retain(|attempt| attempt.key.subscription != *subscription);
        self.receipts.retain(|receipt| receipt.key.subscription != *subscription);
        self.receipt_keys.retain(|key| key.subscription != *subscription);
        let before = self.removed.values().max().map_or(0, |newest| newest + 1);
        self.removed.insert(subscription.clone(), before);
        if self.removed.len() > REMOVED {
            let oldest = before.saturating_sub(REMOVED as u64);
            self.removed.retain(|_, removed| *removed > oldest);
        }
    }

    /// A subscription of this name is not removed any more.
    pub(super) fn open(&mut self, subscription: &SubscriptionId) {
        self.removed.remove(subscription);
        self.furthest.remove(subscription);
    }
}
