//! The seam to the engines: what every log promises.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::event::{Blame, EventId, Fault, SubscriptionId};
use crate::eventlog::{
    Appended, Attempt, Changes, Cursor, DeliveryKey, DeliveryState, Draft, Entry, Extent,
    KeptReceipt, LowWatermark, Observed, Position, ReceiptId, Registry, Retention, Retry, Revision,
    SequenceCheckpoint, SetAside, Trimmed,
};

/// Bounds of what the log holds in memory and leaves free on disk.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Bytes of drafts that may wait for a commit; more are refused with [`LogError::Busy`], as is a
    /// single batch that is larger.
    pub waiting_bytes: usize,
    /// Bytes of recent entries kept in memory for followers.
    pub tail_bytes: usize,
    /// Bytes of the disk that stay free for the delivery state; events are refused below it, with
    /// [`LogError::Full`].
    pub reserve_bytes: u64,
    /// How many percent of the disk may be in use before operators are warned.
    pub warn_percent: u8,
    /// From how many percent of the disk in use on events are refused.
    pub refuse_percent: u8,
    /// How long receipts of delivery are kept.
    pub receipt_age: Duration,
}

impl Default for LogLimits {
    /// 32 MiB waiting, 16 MiB of tail, 256 MiB of disk, 80 and 92 percent, receipts for 400 days.
    fn default() -> Self {
        Self {
            waiting_bytes: 32 * 1024 * 1024,
            tail_bytes: 16 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
            warn_percent: 80,
            refuse_percent: 92,
            receipt_age: Duration::from_hours(400 * 24),
        }
    }
}

/// How full the disk of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskLevel {
    /// There is room.
    Enough,
    /// It is filling up; operators are warned.
    Low,
    /// No event is taken; the delivery state is still written.
    Full,
}

/// How much to read at once: whichever bound is met first, but always one if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The most items.
    pub items: usize,
    /// The most bytes of data.
    pub bytes: usize,
}

impl Default for Page {
    /// 256 items, 1 MiB.
    fn default() -> Self {
        Self { items: 256, bytes: 1024 * 1024 }
    }
}

/// Why the log did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Too much waits for the disk already; nothing was stored.
    #[error("the log has {waiting} bytes waiting for the disk, its limit is {limit}; try again")]
    Busy {
        /// Bytes that wait.
        waiting: usize,
        /// Bytes that may wait.
        limit: usize,
    },
    /// The disk is full, or nearly so; nothing was stored.
    #[error(
        "the disk of {place} is full: {free} bytes are free; events are taken while {reserve} are \
         and less than {percent} % is in use; free some space"
    )]
    Full {
        /// The data directory.
        place: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that stay free.
        reserve: u64,
        /// The percentage in use from which on events are refused.
        percent: u8,
    },
    /// Someone else wrote the document first.
    #[error("the document has changed: expected revision {expected:?}, found {found:?}")]
    Stale {
        /// The revision that was to be replaced.
        expected: Option<Revision>,
        /// The revision that is there.
        found: Option<Revision>,
    },
    /// A write failed once, and nothing is accepted until the gateway has restarted and recovered.
    #[error("the log has stopped taking events after a failed write; restart the gateway")]
    Broken,
    /// The gateway is stopping.
    #[error("the log is closed")]
    Closed,
    /// The store failed.
    #[error("cannot {action} in {place}")]
    Storage {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or database.
        place: String,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why changes of the delivery state were not written.
pub enum CommitError {
    /// The disk is full to the last byte; they can be tried again.
    NoRoom {
        /// [`LogError::Full`].
        error: LogError,
        /// The changes, none of which was written.
        changes: Box<Changes>,
    },
    /// Anything else; they are lost.
    Failed(LogError),
}

impl CommitError {
    /// Gives the changes back where they can be tried again.
    pub(super) fn of(error: LogError, changes: Changes) -> Self {
        match error {
            LogError::Full { .. } => Self::NoRoom { error, changes: Box::new(changes) },
            other => Self::Failed(other),
        }
    }
}

/// Shows the error only, because dead letters hold events.
impl fmt::Debug for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { error, .. } | Self::Failed(error) => error.fmt(f),
        }
    }
}

impl From<CommitError> for LogError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NoRoom { error, .. } | CommitError::Failed(error) => error,
        }
    }
}

impl Blame for LogError {
    fn fault(&self) -> Fault {
        match self {
            Self::Busy { .. } | Self::Full { .. } | Self::Closed => Fault::Later,
            Self::Stale { .. } => Fault::Caller,
            Self::Broken | Self::Storage { .. } => Fault::Ours,
        }
    }
}

/// An append-only, ordered record of events, and the state of their delivery.
///
/// Every engine keeps these promises, and `conformance` tests each of them:
///
/// 1. **Durable.** When [`append`](Self::append) returns, its entries survive a crash and a power
///    cut. When [`commit`](Self::commit) returns, its changes survive a crash of the process; they
///    may wait up to 100 ms for the disk, so a power cut can repeat deliveries and never drop one.
/// 2. **Ordered.** Ids and positions grow together, also when the clock steps back; positions have
///    no gaps, and a reader that has seen two of them can read every one between that lies above
///    the [`low_watermark`](Self::low_watermark). None is given twice, also after everything was dropped.
/// 3. **Whole.** A batch is stored entirely or not at all.
/// 4. **Once.** A draft whose origin is in the log already (for 24 hours) is not stored again.
/// 5. **Kept.** Nothing is dropped that a cursor has not settled or that waits for another attempt.
#[async_trait]
pub trait EventLog: Registry + SetAside {
    /// Names a batch of drafts, makes it durable, and says for each what became of it, in order.
    ///
    /// Drafts of one batch that share an origin count as repeats of the first.
    ///
    /// # Errors
    ///
    /// Later: too much waits, or the disk is full. Ours: the store failed; after that the batch may or may not be in the
    /// log, and appending it again is harmless where drafts have an origin.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped future leaves the caller in the same doubt as an error.
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError>;

    /// The position of the newest durable entry.
    fn head(&self) -> Position;

    /// How full the disk is; it may have been asked up to a second ago.
    fn disk(&self) -> DiskLevel;

    /// How far the log was dropped.
    fn low_watermark(&self) -> LowWatermark;

    /// Tells followers that the head has moved.
    fn watch(&self) -> watch::Receiver<Position>;

    /// Reads entries after a position, in order. Recent ones come from memory.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError>;

    /// Finds entries by id, in the order asked, each or nothing.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError>;

    /// Reads the violations that a publication let pass with an entry; nothing if there were none,
    /// or the log does not hold the entry any more.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError>;

    /// The position just before the first entry whose id is `from` or higher.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn seek(&self, from: EventId) -> Result<Position, LogError>;

    /// Loads every cursor and every waiting retry, once, at start.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn load(&self) -> Result<DeliveryState, LogError>;

    /// Loads the cursor and every waiting retry of one subscription.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn load_one(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<(Option<Cursor>, Vec<Retry>), LogError> {
        let DeliveryState { cursors, mut retries } = self.load().await?;
        let mut cursors = cursors.into_iter().filter(|(of, _)| of == subscription);
        retries.retain(|retry| retry.key.subscription == *subscription);
        Ok((cursors.next().map(|(_, cursor)| cursor), retries))
    }

    /// Reads the waiting retry of one delivery.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn retry(&self, key: &DeliveryKey) -> Result<Option<Retry>, LogError>;

    /// Writes changes of the delivery state together.
    ///
    /// # Errors
    ///
    /// Later: the disk is full to the last byte; none of them was written, and they come back. Ours:
    /// the store failed.
    async fn commit(&self, changes: Changes) -> Result<(), CommitError>;

    /// Forgets the cursor, milestones, retries, dead letters, attempts and receipts of a
    /// subscription.
    ///
    /// Others are served while many attempts and receipts are forgotten.
    ///
    /// # Cancel safety
    ///
    /// Dropped, or cut off by a crash, it may leave some attempts and receipts; they go by their age
    /// or with the next call.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), LogError>;

    /// Finds the newest milestone of a subscription at or before a place, and the oldest after it.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn sequence_checkpoints_around(
        &self,
        subscription: &SubscriptionId,
        place: Position,
    ) -> Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>), LogError>;

    /// Drops the milestones of all subscriptions from which nothing can be read any more, once the
    /// entries up to `dropped` are gone. Of each subscription the newest at or before that place
    /// stays, and so does every later one. Others are served meanwhile.
    ///
    /// Whoever drops entries keeps a milestone at `dropped` for each subscription first
    /// (`deliver::Reader::place`), so that the entries that stay can be numbered.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn prune_sequence_checkpoints(&self, dropped: Position) -> Result<(), LogError>;

    /// Lists attempts, newest first: of one subscription or of one event or of both.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn attempts(
        &self,
        subscription: Option<&SubscriptionId>,
        event: Option<EventId>,
        page: Page,
    ) -> Result<Vec<Attempt>, LogError>;

    /// Says how far entries are settled by all cursors but those of `released`, and how large the log
    /// is.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError>;

    /// Drops a slice of the oldest entries that may go; their contents tell repeats and conflicts no
    /// more. Ask again while there is more, [not at once](Trimmed::PAUSE).
    ///
    /// A slice is so small that appends of the same moment hardly wait for it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped, it may or may not have dropped its slice.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn trim(&self, retention: &Retention) -> Result<Trimmed, LogError>;

    /// Lists the receipts of a subscription with an id above `after`, oldest first; of one event or of
    /// all.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn receipts(
        &self,
        subscription: &SubscriptionId,
        event: Option<EventId>,
        after: ReceiptId,
        page: Page,
    ) -> Result<Vec<KeptReceipt>, LogError>;

    /// Makes everything durable and stops the engine.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn close(&self) -> Result<(), LogError>;
}
