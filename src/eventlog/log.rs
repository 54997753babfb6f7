//! The seam to the record of events: what every log promises.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::{
    Aged, Appended, Draft, Entry, Extent, LogError, LowWatermark, Observed, Page, Position,
    Retention, Tail, Trimmed,
};

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

/// An append-only, ordered record of events.
///
/// 1. **Durable.** When [`append`](Self::append) returns, its entries survive a crash and a power
///    cut.
/// 2. **Ordered.** Ids and positions grow together, also when the clock steps back; positions have
///    no gaps, and a reader that has seen two of them can read every one between that lies above
///    the [`low_watermark`](Self::low_watermark). None is given twice, also after everything was
///    dropped.
/// 3. **Whole.** A batch is stored entirely or not at all.
/// 4. **Once.** A draft whose origin is in the log already (for 24 hours) is not stored again.
/// 5. **Kept.** Nothing is dropped that a cursor has not settled or that waits for another attempt.
/// 6. **Old by its own count.** Ages count the time in which the store was open, whatever the machine's
///    clock does meanwhile.
#[async_trait]
pub trait Log: Send + Sync {
    /// Names a batch of drafts, makes it durable, and says for each what became of it, in order.
    ///
    /// Drafts of one batch that share an origin count as repeats of the first.
    ///
    /// # Errors
    ///
    /// Later: too much waits, or the disk is full. Ours: the store failed; after that the batch may
    /// or may not be in the log, and appending it again is harmless where drafts have an origin.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped future leaves the caller in the same doubt as an error.
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError>;

    /// The position of the newest durable entry, as far as it is known here: at most the truth.
    fn head(&self) -> Position;

    /// Asks the store how far the log reaches. From then on [`head`](Self::head),
    /// [`low_watermark`](Self::low_watermark) and [`disk`](Self::disk) are at least as new as the
    /// question.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn fresh_head(&self) -> Result<Position, LogError>;

    /// How full the disk is, as far as it is known here.
    fn disk(&self) -> DiskLevel;

    /// How far the log was dropped, as far as it is known here: at most the truth.
    fn low_watermark(&self) -> LowWatermark;

    /// Hands each group of own entries to a tail from now on, just before the head tells of them,
    /// so that nobody need read them back; says whether nobody else appends. Of a log that does
    /// not, everything is read.
    fn feed(&self, _tail: Arc<Tail>) -> bool {
        false
    }

    /// Tells followers that the head has moved.
    fn watch(&self) -> watch::Receiver<Position>;

    /// Reads entries after a position, in order: those up to [`head`](Self::head), and maybe newer
    /// ones. What is missing above the low watermark was lost; [`Tailed`](crate::eventlog::Tailed)
    /// refuses such a page.
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

    /// Finds the entries after a position that came of an envelope with this id, whatever its
    /// source, in order: one for each publication that wanted it, and more where several sources use
    /// the same ids. Where equal content was swallowed, it is the entry that has the content.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn of_envelope(
        &self,
        envelope_id: &str,
        after: Position,
        page: Page,
    ) -> Result<Vec<Arc<Entry>>, LogError>;

    /// Reads the violations that a publication let pass with an entry; nothing if there were none,
    /// or the log does not hold the entry any more.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError>;

    /// The position just before the first entry whose id is `from` or higher; where none is known,
    /// [`head`](Self::head) or a newer one.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn seek(&self, from: EventId) -> Result<Position, LogError>;

    /// Says what is older than an age.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn aged(&self, age: Duration) -> Result<Aged, LogError>;

    /// Says how far entries are settled by all cursors but those of `released`, and how large the
    /// log is.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError>;

    /// Drops a slice of the oldest entries that may go; their contents tell repeats and conflicts
    /// no more. Ask again while there is more, [not at once](Trimmed::PAUSE).
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

    /// Makes everything durable and stops the engine.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn close(&self) -> Result<(), LogError>;
}
