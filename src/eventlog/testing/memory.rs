//! A log in memory: entries, the state of their delivery, and documents.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::ambient::{Clock, Entropy};
use crate::event::{ContentDigest, EventId, IdempotencyKey, Salt, SubscriptionId, Timestamp};
use crate::eventlog::id_generator::{IdGenerator, ORIGIN_WINDOW};
use crate::eventlog::page::Filling;
use crate::eventlog::testing::memory_actions::HeldActions;
use crate::eventlog::testing::memory_ages::HeldAges;
use crate::eventlog::testing::memory_schemas::HeldSchemas;
use crate::eventlog::{
    Aged, Appended, Attempt, Changes, Cursor, DeadLetter, DeadLetterId, DeliveryKey, DiskLevel,
    Draft, Entry, Extent, GivenUp, KeptReceipt, KeptSignature, Log, LogError, LogLimits,
    LowWatermark, Observed, Origin, Page, Position, QuarantineId, Quarantined, ReceiptId,
    ReceiptKey, Record, RecordKey, Retention, Retry, Revision, SequenceCheckpoint, Trimmed,
};
use crate::transparency::{HeldTree, LeafData};

/// A log in memory: every promise but durability.
pub struct MemoryLog {
    pub(super) limits: LogLimits,
    pub(super) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    head: watch::Sender<Position>,
    /// Whether reads wait.
    stalls: watch::Sender<bool>,
    held: Mutex<Held>,
}

pub(super) type StoredContent = (IdempotencyKey, ContentDigest, Arc<str>);

pub(super) struct Held {
    closed: bool,
    pub(super) full: bool,
    id_generator: IdGenerator,
    pub(super) entries: VecDeque<Arc<Entry>>,
    pub(super) observed: BTreeMap<Position, Observed>,
    envelopes: BTreeMap<Arc<str>, BTreeSet<EventId>>,
    pub(super) low_watermark: LowWatermark,
    origins: BTreeMap<Origin, (EventId, Timestamp)>,
    pub(super) contents: BTreeMap<StoredContent, (EventId, Timestamp)>,
    /// Of each entry, what tells its content from any other.
    pub(super) digests: BTreeMap<Position, ContentDigest>,
    pub(super) cursors: BTreeMap<SubscriptionId, Cursor>,
    pub(super) sequence_checkpoints: BTreeMap<(SubscriptionId, Position), SequenceCheckpoint>,
    pub(super) retries: BTreeMap<DeliveryKey, Retry>,
    pub(super) dead_letters: BTreeMap<(SubscriptionId, DeadLetterId), DeadLetter>,
    pub(super) last_dead_letter: BTreeMap<SubscriptionId, DeadLetterId>,
    pub(super) given_up: BTreeMap<DeliveryKey, (Position, GivenUp)>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) receipts: BTreeMap<ReceiptId, KeptReceipt>,
    last_receipt: ReceiptId,
    pub(super) receipt_keys: Vec<(ReceiptId, ReceiptKey)>,
    pub(super) quarantine: BTreeMap<QuarantineId, Quarantined>,
    pub(super) last_quarantined: QuarantineId,
    pub(super) records: BTreeMap<RecordKey, Record>,
    pub(super) last_revision: Revision,
    pub(super) schemas: HeldSchemas,
    pub(super) signatures: Vec<KeptSignature>,
    pub(super) actions: HeldActions,
    pub(super) ages: HeldAges,
    pub(super) tree: HeldTree,
    pub(super) leaves: Vec<LeafData>,
}

impl MemoryLog {
    /// Starts empty.
    pub fn new(limits: LogLimits, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<Self> {
        let held = Held {
            closed: false,
            full: false,
            id_generator: IdGenerator::after(EventId::MIN, Position::START),
            entries: VecDeque::new(),
            observed: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            low_watermark: LowWatermark::START,
            origins: BTreeMap::new(),
            contents: BTreeMap::new(),
            digests: BTreeMap::new(),
            cursors: BTreeMap::new(),
            sequence_checkpoints: BTreeMap::new(),
            retries: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            last_dead_letter: BTreeMap::new(),
            given_up: BTreeMap::new(),
            attempts: Vec::new(),
            receipts: BTreeMap::new(),
            last_receipt: ReceiptId::default(),
            receipt_keys: Vec::new(),
            quarantine: BTreeMap::new(),
            last_quarantined: QuarantineId::default(),
            records: BTreeMap::new(),
            last_revision: Revision(0),
            schemas: HeldSchemas::default(),
            signatures: Vec::new(),
            actions: HeldActions::default(),
            ages: HeldAges::default(),
            tree: HeldTree::empty(),
            leaves: Vec::new(),
        };
        let head = watch::Sender::new(Position::START);
        let stalls = watch::Sender::new(false);
        Arc::new(Self { limits, clock, entropy, head, stalls, held: Mutex::new(held) })
    }

    /// Has reads of the log wait, or lets them go on.
    pub fn stall_reads(&self, stalls: bool) {
        self.stalls.send_replace(stalls);
    }

    pub(super) fn hold(&self) -> Result<MutexGuard<'_, Held>, LogError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.ages.now = self.clock.running();
        if held.closed { Err(LogError::Closed) } else { Ok(held) }
    }
}

impl Held {
    fn append(
        &mut self,
        mut draft: Draft,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Option<Appended> {
        let content = (draft.idempotency_key, draft.digest, Arc::clone(&draft.publication));
        let same_origin = draft.origin.and_then(|origin| self.origins.get(&origin));
        let same_content = draft.deduplicate.zip(self.contents.get(&content));
        let same_content = same_content.filter(|(window, (_, at))| now.since(*at) < *window);
        let repeats = [same_origin.map(|known| (ORIGIN_WINDOW, known)), same_content];
        for (window, (of, _)) in repeats.into_iter().flatten() {
            if !self.ages.has_event(*of, window) {
                let of = *of;
                self.envelopes.entry(draft.envelope_id).or_default().insert(of);
                return Some(Appended::Duplicate { of });
            }
        }
        let key = draft.idempotency_key;
        let first = (key, ContentDigest::from_bytes([0; 32]), Arc::from(""));
        let conflict = self
            .contents
            .range(first..)
            .take_while(|((other, _, _), _)| *other == key)
            .find(|((_, digest, _), _)| *digest != draft.digest)
            .map(|(_, (event, _))| *event);
        let (id, position) = self.id_generator.next(now, entropy)?;
        if let Some(origin) = draft.origin {
            self.origins.insert(origin, (id, now));
        }
        self.ages.entries.insert(id, (self.ages.now, position));
        self.digests.insert(position, draft.digest);
        self.contents.insert(content, (id, now));
        self.envelopes.entry(Arc::clone(&draft.envelope_id)).or_default().insert(id);
        if let Some(observed) = draft.observed.take() {
            self.observed.insert(position, observed);
        }
        if let Some(dataschema) = &draft.dataschema {
            self.schemas.mark(dataschema, (id, now));
        }
        let salt = Salt::from_bytes(entropy.next_u128().to_be_bytes());
        let entry = Entry::new(draft, id, position, now).salted(salt);
        let entry = Entry { conflict, ..entry };
        let leaf = LeafData::new(entry.event.id, entry.event.digest);
        self.tree.push(&leaf);
        self.leaves.push(leaf);
        self.entries.push_back(Arc::new(entry));
        Some(Appended::New { id, position, conflict })
    }

    pub(super) fn apply(&mut self, changes: Changes, receipt_age: Duration) {
        self.cursors.extend(changes.cursors);
        let sequence_checkpoints = changes.sequence_checkpoints.into_iter();
        self.sequence_checkpoints
            .extend(sequence_checkpoints.map(|(id, place)| ((id, place.position), place)));
        for key in &changes.settled {
            self.retries.remove(key);
            self.drop_letter(key);
        }
        self.retries.extend(changes.retries.into_iter().map(|retry| (retry.key.clone(), retry)));
        changes.dead_letters.into_iter().for_each(|letter| self.keep_letter(letter));
        self.attempts.extend(changes.attempts);
        self.receipts.retain(|id, _| !self.ages.is_old(self.ages.receipts.get(id), receipt_age));
        for receipt in changes.receipts {
            self.last_receipt.0 += 1;
            let id = self.last_receipt;
            self.ages.receipts.insert(id, self.ages.now);
            self.receipts.insert(id, KeptReceipt { id, ..receipt });
        }
        for key in changes.receipt_keys {
            self.receipt_keys.retain(|(_, kept)| *kept != key);
            self.receipt_keys.push((self.last_receipt, key));
        }
        self.drop_receipt_keys();
    }

    /// Drops keys whose last receipt is gone, and of too many the one that was not used for longest.
    pub(super) fn drop_receipt_keys(&mut self) {
        let receipts = &self.receipts;
        let first = |of: &SubscriptionId| {
            receipts.iter().find(|(_, one)| one.key.subscription == *of).map(|(id, _)| *id)
        };
        self.receipt_keys
            .retain(|(last, key)| first(&key.subscription).is_some_and(|first| *last >= first));
        let mut counts = BTreeMap::new();
        let mut kept: Vec<_> = std::mem::take(&mut self.receipt_keys);
        kept.reverse();
        kept.retain(|(_, key)| {
            let count: &mut usize = counts.entry(key.subscription.clone()).or_default();
            *count += 1;
            *count <= ReceiptKey::MOST
        });
        kept.reverse();
        self.receipt_keys = kept;
    }
}

/// Takes items until the page is full.
pub(super) fn fill<T>(
    items: impl Iterator<Item = T>,
    page: Page,
    weigh: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut filling = Filling::new(page);
    items.take_while(|item| filling.accepts(weigh(item))).collect()
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        let mut held = self.hold()?;
        let now = self.clock.now();
        let appended = batch
            .into_iter()
            .map(|draft| held.append(draft, now, &*self.entropy).ok_or(LogError::Broken))
            .collect();
        self.head.send_if_modified(|head| {
            let moved = *head < held.id_generator.head();
            *head = held.id_generator.head();
            moved
        });
        appended
    }

    fn head(&self) -> Position {
        *self.head.borrow()
    }

    async fn fresh_head(&self) -> Result<Position, LogError> {
        Ok(self.head())
    }

    fn disk(&self) -> DiskLevel {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.full { DiskLevel::Full } else { DiskLevel::Enough }
    }

    fn low_watermark(&self) -> LowWatermark {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).low_watermark
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError> {
        // The sender is here.
        let _ = self.stalls.subscribe().wait_for(|stalls| !stalls).await;
        let held = self.hold()?;
        let skip = held.entries.partition_point(|entry| entry.position <= after);
        let entries = held.entries.iter().skip(skip).map(Arc::clone);
        Ok(fill(entries, page, |entry| entry.weight()))
    }

    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError> {
        let held = self.hold()?;
        let find = |id: &EventId| {
            let at = held.entries.binary_search_by_key(id, |entry| entry.event.id).ok()?;
            held.entries.get(at).map(Arc::clone)
        };
        Ok(ids.iter().map(find).collect())
    }

    async fn of_envelope(
        &self,
        envelope_id: &str,
        after: Position,
        page: Page,
    ) -> Result<Vec<Arc<Entry>>, LogError> {
        let held = self.hold()?;
        let ids = held.envelopes.get(envelope_id).into_iter().flatten();
        let find = |id: &EventId| {
            let at = held.entries.binary_search_by_key(id, |entry| entry.event.id).ok()?;
            held.entries.get(at).filter(|entry| entry.position > after).map(Arc::clone)
        };
        Ok(fill(ids.filter_map(find), page, |entry| entry.weight()))
    }

    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError> {
        Ok(self.hold()?.observed.get(&at).cloned())
    }

    async fn seek(&self, from: EventId) -> Result<Position, LogError> {
        let held = self.hold()?;
        let first = held.entries.partition_point(|entry| entry.event.id < from);
        let first = held.entries.get(first).map(|entry| Position(entry.position.0 - 1));
        Ok(first.unwrap_or(held.id_generator.head()))
    }

    async fn aged(&self, age: Duration) -> Result<Aged, LogError> {
        Ok(self.hold()?.ages.aged(age))
    }

    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError> {
        let held = self.hold()?;
        let settled = held.settled(released, held.id_generator.head());
        Ok(Extent { settled, bytes: held.bytes() })
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, LogError> {
        Ok(self.hold()?.trim(retention))
    }

    async fn close(&self) -> Result<(), LogError> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        Ok(())
    }
}
