//! The log itself: asks the writer, and reads from memory or from the disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use crate::ambient::{Clock, Disk, Entropy};
use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::append::resume;
use crate::eventlog::sqlite::checkpoint::Checkpoints;
use crate::eventlog::sqlite::database::{Database, LogOpenError};
use crate::eventlog::sqlite::gauges::Gauges;
use crate::eventlog::sqlite::holding::{Displaced, OpenedFiles};
use crate::eventlog::sqlite::queue::{AgeRequest, Queue, Reply, WriteRequest};
use crate::eventlog::sqlite::readers::ReadPool;
use crate::eventlog::sqlite::recent::{Pace, Recent};
use crate::eventlog::sqlite::running::RunningTime;
use crate::eventlog::sqlite::schemas::SchemaMarks;
use crate::eventlog::sqlite::space::Space;
use crate::eventlog::sqlite::sweeping::Sweeping;
use crate::eventlog::sqlite::tree::TreeWriter;
use crate::eventlog::sqlite::trim::Trimming;
use crate::eventlog::sqlite::writer::{LogWriter, Shared};
use crate::eventlog::sqlite::{envelopes, observed, queries, trim};
use crate::eventlog::{
    Aged, Appended, DiskLevel, Draft, Entry, Extent, Log, LogError, LogLimits, LowWatermark,
    Observed, Page, Position, Retention, Tail, Trimmed,
};
use crate::telemetry::Metrics;

/// A durable log in one directory, for one gateway at a time.
///
/// Dropping it without [`close`](Log::close) blocks until what waits is written.
pub struct SqliteLog {
    pub(super) shared: Arc<Shared>,
    pub(super) readers: ReadPool,
    writer: Mutex<Option<JoinHandle<()>>>,
    files: OpenedFiles,
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
        let counted = (clock.now(), clock.running());
        let running = RunningTime::resume(&connection, counted).map_err(failed)?;
        let tree = TreeWriter::resume(&connection, id_generator.head()).map_err(failed)?;
        let recent = Recent::resume(&connection, Pace::USUAL).map_err(failed)?;
        let shared = Arc::new(Shared {
            database: database.clone(),
            queue: Queue::new(limits.waiting_bytes),
            tail: OnceLock::new(),
            head: watch::Sender::new(id_generator.head()),
            tree: Mutex::new((tree.first(), tree.frontier().clone())),
            low_watermark: Mutex::new(trimming.low_watermark),
            is_dropping: AtomicBool::new(false),
            space: Space::new(directory.to_owned(), disk, limits, metrics),
        });
        let failed = |source| LogOpenError::Directory { directory: directory.to_owned(), source };
        let files = OpenedFiles::of(directory).map_err(failed)?;
        let checkpoints = Checkpoints::start(database.open_for_writing()?).map_err(failed)?;
        let writer = LogWriter {
            shared: Arc::clone(&shared),
            connection,
            checkpoints,
            clock,
            entropy,
            id_generator,
            trimming,
            tree,
            recent,
            was_full: false,
            sweeping: Sweeping::keeping(&limits),
            running,
            marks: SchemaMarks::default(),
            gauges: Gauges::of(metrics),
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("eventlog-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(failed)?;
        let readers = ReadPool::new(database.clone());
        Ok(Arc::new(Self { shared, readers, writer: Mutex::new(Some(thread)), files }))
    }

    /// Whether the names of its files still lead to them, and no other process has taken its
    /// directory. Where they do not, nothing more is accepted.
    ///
    /// # Errors
    ///
    /// Ours: someone has renamed, removed or replaced one, or another gateway is there.
    pub fn check_files(&self) -> Result<(), Displaced> {
        self.files.check().inspect_err(|_| self.shared.queue.break_down())
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
impl Log for SqliteLog {
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| WriteRequest::Append(batch, reply)).await
    }

    fn head(&self) -> Position {
        *self.shared.head.borrow()
    }

    async fn fresh_head(&self) -> Result<Position, LogError> {
        if self.shared.is_dropping.load(Ordering::SeqCst) {
            // Dropped entries are gone a moment before the writer tells of it.
            let trimming = self.readers.run("read the low watermark", Trimming::resume).await?;
            self.shared.tell_low_watermark(trimming.low_watermark);
        }
        Ok(self.head())
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

    fn feed(&self, tail: Arc<Tail>) -> bool {
        // The first one stays.
        self.shared.tail.set(tail).is_ok()
    }

    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError> {
        let head = self.head();
        if after >= head {
            return Ok(Vec::new());
        }
        self.readers.run("read events", move |c| queries::entries(c, after, head, page)).await
    }

    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError> {
        let ids = ids.to_vec();
        self.readers.run("find events", move |c| queries::find(c, &ids)).await
    }

    async fn of_envelope(
        &self,
        envelope_id: &str,
        after: Position,
        page: Page,
    ) -> Result<Vec<Arc<Entry>>, LogError> {
        let id = envelope_id.to_owned();
        self.readers
            .run("find the events of an envelope", move |c| envelopes::entries(c, &id, after, page))
            .await
    }

    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError> {
        self.readers.run("read violations", move |c| observed::of(c, at)).await
    }

    async fn seek(&self, from: EventId) -> Result<Position, LogError> {
        self.readers.run("seek an event", move |c| queries::seek(c, from)).await
    }

    async fn aged(&self, age: Duration) -> Result<Aged, LogError> {
        self.ask(|reply| WriteRequest::ByAge(AgeRequest::Find(age, reply))).await
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

    async fn close(&self) -> Result<(), LogError> {
        self.readers.close();
        let Some(writer) = self.take_writer() else { return Ok(()) };
        match tokio::task::spawn_blocking(move || writer.join()).await {
            Ok(Ok(())) if !self.shared.queue.is_broken() => Ok(()),
            _ => Err(LogError::Broken),
        }
    }
}
