//! A store that behaves as if it were far away: what it knows is late, what it does takes a while,
//! and a new owner of delivery fences the one before.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{MutexGuard, watch};

use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::eventlog::testing::MemoryLog;
use crate::eventlog::{
    Action, ActionEnd, ActionId, ActionQuery, Actions, Aged, Appended, Attempt, Attempts, Changes,
    CommitError, ContractChoice, DeadLetter, DeadLetterCount, DeadLetterId, DeadLetterQuery,
    DeadLetterUsage, DeadLetters, DeliveryKey, DeliveryState, DiskLevel, Draft, DroppedDeadLetter,
    Entry, Extent, FencingEpoch, GivenUp, KeptContract, KeptEntry, KeptReceipt, KeptSchema,
    KeptSignature, Leases, Log, LogError, LogTree, LowWatermark, NewAction, NewQuarantined,
    NewSchema, Observed, Page, Position, Quarantine, QuarantineCount, QuarantineId,
    QuarantineQuery, QuarantineQuota, QuarantineSize, Quarantined, ReceiptId, ReceiptKey, Receipts,
    Record, RecordKey, Registry, Retention, Retry, Revision, SavedDeliveries, Schemas,
    SequenceCheckpoint, SignatureStore, Store, Trimmed, UnreadBytes,
};
use crate::transparency::{LeafData, StoredSpan, TreeHash, TreeHead};

/// One node's view of a store that others share.
pub(crate) struct RemoteStore {
    shared: Arc<MemoryLog>,
    /// What this node knew when it last asked.
    known: Mutex<(LowWatermark, DiskLevel)>,
    head: watch::Sender<Position>,
    newest_owner: AtomicU64,
    wire: tokio::sync::Mutex<()>,
}

impl RemoteStore {
    /// Looks at a store as it is now.
    pub(crate) fn over(shared: Arc<MemoryLog>) -> Arc<Self> {
        let known = Mutex::new((shared.low_watermark(), shared.disk()));
        let head = watch::Sender::new(shared.head());
        let newest_owner = AtomicU64::new(0);
        Arc::new(Self { shared, known, head, newest_owner, wire: tokio::sync::Mutex::default() })
    }

    /// Its seams.
    pub(crate) fn store(self: &Arc<Self>) -> Store {
        Store { leases: Arc::clone(self) as _, ..Store::of(self) }
    }

    /// The way there: requests go one after the other, in the order in which they came.
    async fn travel(&self) -> MutexGuard<'_, ()> {
        let wire = self.wire.lock().await;
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        wire
    }

    fn known(&self) -> (LowWatermark, DiskLevel) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seam: what this node does itself, and what it asks the shared store, after a while and for a
/// while.
macro_rules! seam {
    (
        $seam:ident { $($own:tt)* }
        far { $($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)* }
    ) => {
        #[async_trait]
        impl $seam for RemoteStore {
            $($own)*

            $(async fn $name(&self, $($argument: $kind),*) -> $answer {
                let _wire = self.travel().await;
                let answer = self.shared.$name($($argument),*).await;
                tokio::task::yield_now().await;
                answer
            })*
        }
    };
}

seam! {
    Log {
        fn head(&self) -> Position {
            *self.head.borrow()
        }

        async fn fresh_head(&self) -> Result<Position, LogError> {
            let _wire = self.travel().await;
            let head = self.shared.fresh_head().await?;
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
                (self.shared.low_watermark(), self.shared.disk());
            self.head.send_if_modified(|known| {
                let is_news = *known < head;
                *known = head.max(*known);
                is_news
            });
            Ok(head)
        }

        fn disk(&self) -> DiskLevel {
            self.known().1
        }

        fn low_watermark(&self) -> LowWatermark {
            self.known().0
        }

        fn watch(&self) -> watch::Receiver<Position> {
            self.head.subscribe()
        }
    }
    far {
        append(batch: Vec<Draft>) -> Result<Vec<Appended>, LogError>;
        read(after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError>;
        find(ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError>;
        of_envelope(envelope_id: &str, after: Position, page: Page)
            -> Result<Vec<Arc<Entry>>, LogError>;
        observed(at: Position) -> Result<Option<Observed>, LogError>;
        seek(from: EventId) -> Result<Position, LogError>;
        aged(age: Duration) -> Result<Aged, LogError>;
        extent(released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError>;
        trim(retention: &Retention) -> Result<Trimmed, LogError>;
        close() -> Result<(), LogError>;
    }
}

#[async_trait]
impl Leases for RemoteStore {
    async fn acquire(&self) -> Result<FencingEpoch, LogError> {
        let _wire = self.travel().await;
        Ok(FencingEpoch(self.newest_owner.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

seam! {
    DeliveryState {
        async fn commit(&self, changes: Changes) -> Result<(), CommitError> {
            let _wire = self.travel().await;
            if changes.epoch.0 < self.newest_owner.load(Ordering::SeqCst) {
                return Err(CommitError::Fenced);
            }
            self.shared.commit(changes).await
        }
    }
    far {
        load() -> Result<SavedDeliveries, LogError>;
        retry(key: &DeliveryKey) -> Result<Option<Retry>, LogError>;
        forget(subscription: &SubscriptionId) -> Result<(), LogError>;
        sequence_checkpoints_around(subscription: &SubscriptionId, place: Position)
            -> Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>), LogError>;
        prune_sequence_checkpoints(dropped: Position) -> Result<(), LogError>;
    }
}

seam! {
    Registry {}
    far {
        get(key: &RecordKey) -> Result<Option<Record>, LogError>;
        list(kind: &'static str) -> Result<Vec<Record>, LogError>;
        put(key: &RecordKey, expected: Option<Revision>, body: String) -> Result<Revision, LogError>;
        remove(key: &RecordKey, expected: Revision) -> Result<(), LogError>;
    }
}

seam! {
    DeadLetters {}
    far {
        dead_letters(query: &DeadLetterQuery, page: Page) -> Result<Vec<DeadLetter>, LogError>;
        count_chosen(query: &DeadLetterQuery) -> Result<u64, LogError>;
        last_dead_letter(subscription: &SubscriptionId) -> Result<DeadLetterId, LogError>;
        dead_letter(key: &DeliveryKey) -> Result<Option<DeadLetter>, LogError>;
        given_up(key: &DeliveryKey) -> Result<Option<GivenUp>, LogError>;
        count_dead_letters(subscription: Option<&SubscriptionId>)
            -> Result<Vec<DeadLetterCount>, LogError>;
        revive(letters: Vec<(DeadLetterId, Retry)>) -> Result<Vec<Retry>, LogError>;
        dismiss(subscription: &SubscriptionId, id: DeadLetterId) -> Result<bool, LogError>;
        expire_dead_letters(age: Duration, most: usize)
            -> Result<Vec<(DeliveryKey, Arc<str>)>, LogError>;
        dead_letter_usage() -> Result<Vec<DeadLetterUsage>, LogError>;
        drop_dead_letters(subscription: &SubscriptionId, most: usize, bytes: u64)
            -> Result<Vec<DroppedDeadLetter>, LogError>;
    }
}

seam! {
    Quarantine {}
    far {
        quarantine(batch: Vec<NewQuarantined>, quota: QuarantineQuota)
            -> Result<Vec<KeptEntry>, LogError>;
        quarantine_bytes(batch: Vec<UnreadBytes>, quota: QuarantineQuota)
            -> Result<Vec<KeptEntry>, LogError>;
        quarantined(query: &QuarantineQuery, page: Page) -> Result<Vec<Quarantined>, LogError>;
        count_quarantined() -> Result<Vec<QuarantineCount>, LogError>;
        quarantine_size(producers: usize) -> Result<QuarantineSize, LogError>;
        unquarantine(id: QuarantineId) -> Result<bool, LogError>;
        expire_quarantined(age: Duration, most: usize) -> Result<Vec<Arc<str>>, LogError>;
    }
}

seam! {
    Receipts {}
    far {
        receipts(subscription: &SubscriptionId, event: Option<EventId>, after: ReceiptId, page: Page)
            -> Result<Vec<KeptReceipt>, LogError>;
        receipt_keys(subscription: &SubscriptionId) -> Result<Vec<ReceiptKey>, LogError>;
        count_receipts() -> Result<Vec<(SubscriptionId, u64)>, LogError>;
        drop_receipts(subscription: &SubscriptionId, most: usize) -> Result<usize, LogError>;
    }
}

seam! {
    Schemas {}
    far {
        keep_schemas(schemas: Vec<NewSchema>) -> Result<(), LogError>;
        lacks_old_schemas() -> Result<bool, LogError>;
        keep_old_schemas(schemas: Vec<NewSchema>) -> Result<(), LogError>;
        schema_at(address: &str) -> Result<Option<KeptSchema>, LogError>;
        schema_named(dataschema: &str) -> Result<Option<KeptSchema>, LogError>;
        kept_contract(path: &str, choice: &ContractChoice)
            -> Result<Option<KeptContract>, LogError>;
    }
}

seam! {
    SignatureStore {}
    far {
        keep_signature(seen: KeptSignature, oldest: Timestamp) -> Result<(), LogError>;
        kept_signatures(since: Timestamp) -> Result<Vec<KeptSignature>, LogError>;
    }
}

seam! {
    LogTree {}
    far {
        tree_head() -> Result<TreeHead, LogError>;
        tree_hashes(spans: Vec<StoredSpan>) -> Result<Option<Vec<Vec<TreeHash>>>, LogError>;
        tree_leaves(indexes: Range<u64>) -> Result<Option<Vec<LeafData>>, LogError>;
    }
}

seam! {
    Attempts {}
    far {
        attempts(subscription: Option<&SubscriptionId>, event: Option<EventId>, page: Page)
            -> Result<Vec<Attempt>, LogError>;
    }
}

seam! {
    Actions {}
    far {
        begin_action(action: NewAction) -> Result<ActionId, LogError>;
        end_action(id: ActionId, end: ActionEnd) -> Result<(), LogError>;
        actions(query: &ActionQuery, page: Page) -> Result<Vec<Action>, LogError>;
    }
}
