//! The log itself: asks the writer, and reads from memory or from the disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use crate::ambient::{Clock, Disk, Entropy};
use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::append::resume;
use crate::eventlog::sqlite::checkpoint::Checkpoints;
use crate::eventlog::sqlite::database::{Database, LogOpenError};
use crate::eventlog::sqlite::queue::{Queue, Reply, WriteRequest};
use crate::eventlog::sqlite::readers::ReadPool;
use crate::eventlog::sqlite::space::Space;
use crate::eventlog::sqlite::trim::Trimming;
use crate::eventlog::sqlite::writer::{Gauges, LogWriter, Shared, Sweeping};
use crate::eventlog::sqlite::{observed, queries, receipts, records, sequence_checkpoints, trim};
use crate::eventlog::tail::Tail;
use crate::eventlog::{
    Appended, Attempt, Changes, CommitError, Cursor, DeliveryKey, DeliveryState, DiskLevel, Draft,
    Entry, EventLog, Extent, KeptReceipt, LogError, LogLimits, LowWatermark, Observed, Page,
    Position, ReceiptId, Record, RecordKey, Registry, Retention, Retry, Revision,
    SequenceCheckpoint, Trimmed,
};
use crate::telemetry::Metrics;

/// A durable log in one directory, for one gateway at a time.
///
/// Dropping it without [`close`](EventLog::close) blocks until what waits is written.
pub struct SqliteLog {
    shared: Arc<Shared>,
    pub(super) readers: ReadPool,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteLog {
    /// Opens the log of a directory, or begins one; locks the directory until it is closed.
    ///
    /// Blocks for as long as recovery after a crash takes: well under a second.
    ///
    /// # Errors
    ///
    /// Later: another gateway holds the directory. The caller's turn: a newer gateway has written
    /// it. Ours: it is damaged or cannot be opened.
    pub fn open(
        directory: &Path,
        limits: LogLimits,
        (clock, entropy, disk): (Arc<dyn Clock>, Arc<dyn Entropy>, Arc<dyn Disk>),
        metrics: &Metrics,
    ) -> Result<Arc<Self>, LogOpenError> {
        Self::open_database(&Database::of(directory)?, limits, (clock, entropy, disk), metrics)
    }

    /// Opens a database that was found already.
    pub(in crate::eventlog) fn open_database(
        database: &Database,
        limits: LogLimits,
        (clock, entropy, disk): (Arc<dyn Clock>, Arc<dyn Entropy>, Arc<dyn Disk>),
        metrics: &Metrics,
    ) -> Result<Arc<Self>, LogOpenError> {
        let directory = database.directory();
        let lock = database.lock()?;
        let connection = database.open_for_writing()?;
        let failed = |source| database.open_error(source);
        let trimming = Trimming::resume(&connection).map_err(failed)?;
        let id_generator = resume(&connection, trimming.low_watermark).map_err(failed)?;
        let shared = Arc::new(Shared {
            database: database.clone(),
            queue: Queue::new(limits.waiting_bytes),
            tail: Tail::new(limits.tail_bytes),
            head: watch::Sender::new(id_generator.head()),
            low_watermark: Mutex::new(trimming.low_watermark),
            space: Space::new(directory.to_owned(), disk, limits, metrics),
        });
        let failed = |source| LogOpenError::Directory { directory: directory.to_owned(), source };
        let checkpoints = Checkpoints::start(database.open_for_writing()?).map_err(failed)?;
        let writer = LogWriter {
            shared: Arc::clone(&shared),
            connection,
            checkpoints,
            clock,
            entropy,
            id_generator,
            trimming,
            sweeping: Sweeping::keeping(limits.receipt_age),
            gauges: Gauges::of(metrics),
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("eventlog-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(failed)?;
        let readers = ReadPool::new(database.clone());
        Ok(Arc::new(Self { shared, readers, writer: Mutex::new(Some(thread)) }))
    }

    /// Hands a request to the writer and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> WriteRequest,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(request(reply))?;
        // A writer that ends without an answer has failed.
        answer.await.unwrap_or(Err(LogError::Broken))
    }

    fn take_writer(&self) -> Option<JoinHandle<()>> {
        self.shared.queue.close();
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        if let Some(writer) = self.take_writer() {
            // A writer that panicked has refused everyone already.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| WriteRequest::Append(batch, reply)).await
    }

    fn head(&self) -> Position {
        *self.shared.head.borrow()
    }

    fn disk(&self) -> DiskLevel {
        self.shared.space.level()
    }

    fn low_watermark(&self) -> LowWatermark {
        *self.shared.low_watermark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.shared.head.subscribe()
    }

    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError> {
        let head = self.head();
        if after >= head {
            return Ok(Vec::new());
        }
        if let Some(recent) = self.shared.tail.read(after, page) {
            return Ok(recent);
        }
        self.readers.run("read events", move |c| queries::entries(c, after, head, page)).await
    }

    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError> {
        let mut found: Vec<_> = ids.iter().map(|id| self.shared.tail.find(*id)).collect();
        let missing: Vec<EventId> = ids
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(id, _)| *id)
            .collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let older = self.readers.run("find events", move |c| queries::find(c, &missing)).await?;
        let places = found.iter_mut().filter(|found| found.is_none());
        places.zip(older).for_each(|(place, entry)| *place = entry);
        Ok(found)
    }

    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError> {
        self.readers.run("read violations", move |c| observed::of(c, at)).await
    }

    async fn seek(&self, from: EventId) -> Result<Position, LogError> {
        match self.shared.tail.seek(from) {
            Some(position) => Ok(position),
            None => self.readers.run("seek an event", move |c| queries::seek(c, from)).await,
        }
    }

    async fn load(&self) -> Result<DeliveryState, LogError> {
        self.readers.run("load the delivery state", queries::delivery_state).await
    }

    async fn load_one(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<(Option<Cursor>, Vec<Retry>), LogError> {
        let of = subscription.clone();
        self.readers.run("load the delivery state", move |c| queries::state_of(c, &of)).await
    }

    async fn retry(&self, key: &DeliveryKey) -> Result<Option<Retry>, LogError> {
        let key = key.clone();
        self.readers.run("read a retry", move |c| queries::retry(c, &key)).await
    }

    async fn commit(&self, changes: Changes) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.shared
            .queue
            .push(WriteRequest::Commit(changes, reply))
            .map_err(CommitError::Failed)?;
        answer.await.unwrap_or(Err(CommitError::Failed(LogError::Broken)))
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), LogError> {
        // Many attempts go in slices, so that events and deliveries are written in between.
        while self.ask(|reply| WriteRequest::Forget(subscription.clone(), reply)).await? {}
        Ok(())
    }

    async fn sequence_checkpoints_around(
        &self,
        subscription: &SubscriptionId,
        place: Position,
    ) -> Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>), LogError> {
        let of = subscription.clone();
        self.readers
            .run("find a milestone", move |c| sequence_checkpoints::around(c, &of, place))
            .await
    }

    async fn prune_sequence_checkpoints(&self, dropped: Position) -> Result<(), LogError> {
        let mut first = Some(String::new());
        while let Some(name) = first {
            first = self.ask(|reply| WriteRequest::PruneMilestones(name, dropped, reply)).await?;
        }
        Ok(())
    }

    async fn attempts(
        &self,
        subscription: Option<&SubscriptionId>,
        event: Option<EventId>,
        page: Page,
    ) -> Result<Vec<Attempt>, LogError> {
        let of = subscription.cloned();
        self.readers
            .run("list attempts", move |c| queries::attempts(c, of.as_ref(), event, page))
            .await
    }

    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError> {
        let (released, head) = (released.clone(), self.head());
        self.readers
            .run("measure the log", move |connection| trim::extent(connection, &released, head))
            .await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, LogError> {
        self.ask(|reply| WriteRequest::Trim(retention.clone(), reply)).await
    }

    async fn receipts(
        &self,
        subscription: &SubscriptionId,
        event: Option<EventId>,
        after: ReceiptId,
        page: Page,
    ) -> Result<Vec<KeptReceipt>, LogError> {
        let of = subscription.clone();
        self.readers.run("list receipts", move |c| receipts::list(c, &of, event, after, page)).await
    }

    async fn close(&self) -> Result<(), LogError> {
        self.readers.close();
        let Some(writer) = self.take_writer() else { return Ok(()) };
        match tokio::task::spawn_blocking(move || writer.join()).await {
            Ok(Ok(())) if !self.shared.queue.is_broken() => Ok(()),
            _ => Err(LogError::Broken),
        }
    }
}

#[async_trait]
impl Registry for SqliteLog {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, LogError> {
        let key = key.clone();
        self.readers.run("read a document", move |c| records::get(c, &key)).await
    }

    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, LogError> {
        self.readers.run("list documents", move |c| records::list(c, kind)).await
    }

    async fn put(
        &self,
        key: &RecordKey,
        expected: Option<Revision>,
        body: String,
    ) -> Result<Revision, LogError> {
        let key = key.clone();
        self.ask(|reply| WriteRequest::Put(key, expected, body, reply)).await
    }

    async fn remove(&self, key: &RecordKey, expected: Revision) -> Result<(), LogError> {
        let key = key.clone();
        self.ask(|reply| WriteRequest::Remove(key, expected, reply)).await
    }
}
