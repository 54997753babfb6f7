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
use crate::eventlog::sqlite::database::{Database, OpenError};
use crate::eventlog::sqlite::queue::{Queue, Reply, Request};
use crate::eventlog::sqlite::readers::Readers;
use crate::eventlog::sqlite::space::Space;
use crate::eventlog::sqlite::trim::Trimming;
use crate::eventlog::sqlite::writer::{Gauges, Shared, Sweeping, Writer};
use crate::eventlog::sqlite::{milestones, observed, queries, receipts, records, trim};
use crate::eventlog::tail::Tail;
use crate::eventlog::{
    Appended, Attempt, Changes, CommitError, Cursor, DeliveryKey, DeliveryState, DiskLevel, Draft,
    Entry, Error, EventLog, Extent, Floor, Limits, Milestone, Observed, Page, Position, Receipt,
    ReceiptId, Record, RecordKey, Registry, Retention, Retry, Revision, Trimmed,
};
use crate::telemetry::Metrics;

/// A durable log in one directory, for one gateway at a time.
///
/// Dropping it without [`close`](EventLog::close) blocks until what waits is written.
pub struct SqliteLog {
    shared: Arc<Shared>,
    pub(super) readers: Readers,
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
        limits: Limits,
        (clock, entropy, disk): (Arc<dyn Clock>, Arc<dyn Entropy>, Arc<dyn Disk>),
        metrics: &Metrics,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_database(&Database::of(directory)?, limits, (clock, entropy, disk), metrics)
    }

    /// Opens a database that was found already.
    pub(in crate::eventlog) fn open_database(
        database: &Database,
        limits: Limits,
        (clock, entropy, disk): (Arc<dyn Clock>, Arc<dyn Entropy>, Arc<dyn Disk>),
        metrics: &Metrics,
    ) -> Result<Arc<Self>, OpenError> {
        let directory = database.directory();
        let lock = database.lock()?;
        let connection = database.open_for_writing()?;
        let failed = |source| database.open_error(source);
        let trimming = Trimming::resume(&connection).map_err(failed)?;
        let mint = resume(&connection, trimming.floor).map_err(failed)?;
        let shared = Arc::new(Shared {
            database: database.clone(),
            queue: Queue::new(limits.waiting_bytes),
            tail: Tail::new(limits.tail_bytes),
            head: watch::Sender::new(mint.head()),
            floor: Mutex::new(trimming.floor),
            space: Space::new(directory.to_owned(), disk, limits, metrics),
        });
        let failed = |source| OpenError::Directory { directory: directory.to_owned(), source };
        let checkpoints = Checkpoints::start(database.open_for_writing()?).map_err(failed)?;
        let writer = Writer {
            shared: Arc::clone(&shared),
            connection,
            checkpoints,
            clock,
            entropy,
            mint,
            trimming,
            sweeping: Sweeping::keeping(limits.receipt_age),
            gauges: Gauges::of(metrics),
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("eventlog-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(failed)?;
        let readers = Readers::new(database.clone());
        Ok(Arc::new(Self { shared, readers, writer: Mutex::new(Some(thread)) }))
    }

    /// Hands a request to the writer and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(request(reply))?;
        // A writer that ends without an answer has failed.
        answer.await.unwrap_or(Err(Error::Broken))
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
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| Request::Append(batch, reply)).await
    }

    fn head(&self) -> Position {
        *self.shared.head.borrow()
    }

    fn disk(&self) -> DiskLevel {
        self.shared.space.level()
    }

    fn floor(&self) -> Floor {
        *self.shared.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.shared.head.subscribe()
    }

    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, Error> {
        let head = self.head();
        if after >= head {
            return Ok(Vec::new());
        }
        if let Some(recent) = self.shared.tail.read(after, page) {
            return Ok(recent);
        }
        self.readers.run("read events", move |c| queries::entries(c, after, head, page)).await
    }

    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, Error> {
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

    async fn observed(&self, at: Position) -> Result<Option<Observed>, Error> {
        self.readers.run("read violations", move |c| observed::of(c, at)).await
    }

    async fn seek(&self, from: EventId) -> Result<Position, Error> {
        match self.shared.tail.seek(from) {
            Some(position) => Ok(position),
            None => self.readers.run("seek an event", move |c| queries::seek(c, from)).await,
        }
    }

    async fn load(&self) -> Result<DeliveryState, Error> {
        self.readers.run("load the delivery state", queries::delivery_state).await
    }

    async fn load_one(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<(Option<Cursor>, Vec<Retry>), Error> {
        let of = subscription.clone();
        self.readers.run("load the delivery state", move |c| queries::state_of(c, &of)).await
    }

    async fn retry(&self, key: &DeliveryKey) -> Result<Option<Retry>, Error> {
        let key = key.clone();
        self.readers.run("read a retry", move |c| queries::retry(c, &key)).await
    }

    async fn commit(&self, changes: Changes) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Request::Commit(changes, reply)).map_err(CommitError::Failed)?;
        answer.await.unwrap_or(Err(CommitError::Failed(Error::Broken)))
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), Error> {
        // Many attempts go in slices, so that events and deliveries are written in between.
        while self.ask(|reply| Request::Forget(subscription.clone(), reply)).await? {}
        Ok(())
    }

    async fn milestones_around(
        &self,
        subscription: &SubscriptionId,
        place: Position,
    ) -> Result<(Option<Milestone>, Option<Milestone>), Error> {
        let of = subscription.clone();
        self.readers.run("find a milestone", move |c| milestones::around(c, &of, place)).await
    }

    async fn prune_milestones(&self, dropped: Position) -> Result<(), Error> {
        let mut first = Some(String::new());
        while let Some(name) = first {
            first = self.ask(|reply| Request::PruneMilestones(name, dropped, reply)).await?;
        }
        Ok(())
    }

    async fn attempts(
        &self,
        subscription: Option<&SubscriptionId>,
        event: Option<EventId>,
        page: Page,
    ) -> Result<Vec<Attempt>, Error> {
        let of = subscription.cloned();
        self.readers
            .run("list attempts", move |c| queries::attempts(c, of.as_ref(), event, page))
            .await
    }

    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, Error> {
        let (released, head) = (released.clone(), self.head());
        self.readers
            .run("measure the log", move |connection| trim::extent(connection, &released, head))
            .await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, Error> {
        self.ask(|reply| Request::Trim(retention.clone(), reply)).await
    }

    async fn receipts(
        &self,
        subscription: &SubscriptionId,
        event: Option<EventId>,
        after: ReceiptId,
        page: Page,
    ) -> Result<Vec<Receipt>, Error> {
        let of = subscription.clone();
        self.readers.run("list receipts", move |c| receipts::list(c, &of, event, after, page)).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.readers.close();
        let Some(writer) = self.take_writer() else { return Ok(()) };
        match tokio::task::spawn_blocking(move || writer.join()).await {
            Ok(Ok(())) if !self.shared.queue.is_broken() => Ok(()),
            _ => Err(Error::Broken),
        }
    }
}

#[async_trait]
impl Registry for SqliteLog {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, Error> {
        let key = key.clone();
        self.readers.run("read a document", move |c| records::get(c, &key)).await
    }

    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, Error> {
        self.readers.run("list documents", move |c| records::list(c, kind)).await
    }

    async fn put(
        &self,
        key: &RecordKey,
        expected: Option<Revision>,
        body: String,
    ) -> Result<Revision, Error> {
        let key = key.clone();
        self.ask(|reply| Request::Put(key, expected, body, reply)).await
    }

    async fn remove(&self, key: &RecordKey, expected: Revision) -> Result<(), Error> {
        let key = key.clone();
        self.ask(|reply| Request::Remove(key, expected, reply)).await
    }
}
