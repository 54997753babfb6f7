//! The one thread that writes: a group of requests, one transaction, one sync, then the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ambient::{Clock, Entropy};
use crate::eventlog::id_generator::IdGenerator;
use crate::eventlog::sqlite::append::Appending;
use crate::eventlog::sqlite::checkpoint::Checkpoints;
use crate::eventlog::sqlite::database::{Database, begin, is_busy};
use crate::eventlog::sqlite::gauges::Gauges;
use crate::eventlog::sqlite::holding::DirectoryLock;
use crate::eventlog::sqlite::queue::{AgeRequest, Group, Queue, Reply, WriteRequest};
use crate::eventlog::sqlite::recent::Recent;
use crate::eventlog::sqlite::records::Written;
use crate::eventlog::sqlite::running::{PastAges, RunningTime};
use crate::eventlog::sqlite::schemas::SchemaMarks;
use crate::eventlog::sqlite::space::Space;
use crate::eventlog::sqlite::sweeping::Sweeping;
use crate::eventlog::sqlite::tree::TreeWriter;
use crate::eventlog::sqlite::trim::{Trimming, free_bytes};
use crate::eventlog::sqlite::{
    actions, changes, letters, quarantine, receipts, records, schemas, sequence_checkpoints,
    signatures,
};
use crate::eventlog::{CommitError, LogError, LowWatermark, Position, Revision, Tail};
use crate::transparency::Frontier;

/// What the writer shares with those who ask and read.
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) queue: Queue,
    pub(super) tail: OnceLock<Arc<Tail>>,
    pub(super) head: watch::Sender<Position>,
    /// The position of the first leaf of the tree, and the tree over what is durable.
    pub(super) tree: Mutex<(Position, Frontier)>,
    pub(super) low_watermark: Mutex<LowWatermark>,
    /// Whether a transaction that drops entries is being committed.
    pub(super) is_dropping: AtomicBool,
    pub(super) space: Space,
}

impl Shared {
    /// Tells how far the log was dropped, unless more was told already.
    pub(super) fn tell_low_watermark(&self, low_watermark: LowWatermark) {
        let mut told = self.low_watermark.lock().unwrap_or_else(PoisonError::into_inner);
        if low_watermark.position > told.position {
            *told = low_watermark;
        }
    }

    /// Tells of the tree over what is durable.
    fn tell_tree(&self, tree: &TreeWriter) {
        let mut told = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        *told = (tree.first(), tree.frontier().clone());
    }
}

/// Everything that the writing thread owns.
pub(super) struct LogWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    pub(super) checkpoints: Checkpoints,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) id_generator: IdGenerator,
    pub(super) trimming: Trimming,
    pub(super) tree: TreeWriter,
    pub(super) recent: Recent,
    /// Whether the disk was full at the last write. What makes room must not fail for what can wait.
    pub(super) was_full: bool,
    pub(super) sweeping: Sweeping,
    pub(super) running: RunningTime,
    pub(super) marks: SchemaMarks,
    pub(super) gauges: Gauges,
    pub(super) _lock: DirectoryLock,
}

/// An answer that is given once the transaction is durable, or has failed.
type WriterAnswer = Box<dyn FnOnce(Result<(), LogError>)>;

/// Refuses whoever comes after the writer has ended without being told to.
struct Tripwire(Arc<Shared>);

impl Drop for Tripwire {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.break_down();
        }
    }
}

impl LogWriter {
    /// Writes groups until the queue is closed and empty, or a write has failed.
    pub(super) fn run(mut self) {
        let _tripwire = Tripwire(Arc::clone(&self.shared));
        while let Some(group) = self.shared.queue.next_group() {
            if group.requests.is_empty() && !self.running.is_due(self.clock.running()) {
                continue;
            }
            if !self.write(group) {
                self.shared.queue.break_down();
                return;
            }
            self.checkpoints.after_commit(&self.connection);
        }
        self.keep_running_time();
        self.checkpoints.finish(&self.connection);
    }

    /// Keeps how long the gateway has run. What cannot be kept makes nothing older.
    fn keep_running_time(&mut self) {
        if let Ok(transaction) = begin(&mut self.connection, || true)
            && self.running.count(&transaction, (self.clock.running(), true)).is_ok()
            && self.running.keep(&transaction).is_ok()
        {
            let _ = transaction.commit();
        }
    }

    /// Writes one group and answers it; says whether the log can go on.
    fn write(&mut self, group: Group) -> bool {
        let mut answers = Vec::with_capacity(group.requests.len());
        let mut waiting = group.requests.into_iter();
        let written = self.write_all(&mut waiting, &mut answers);
        // Whoever is answered must find room for what comes next.
        self.shared.queue.release(group.bytes);
        match written {
            Ok(()) => {
                for answer in answers {
                    answer(Ok(()));
                }
                true
            }
            Err(full) if full.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                // Nothing was written: a full disk fails before the sync, and what a failed write
                // has left behind the end of the WAL is overwritten by the next one.
                let Shared { space, queue, .. } = &*self.shared;
                self.was_full = true;
                space.found_full();
                queue.found_full();
                for answer in answers {
                    answer(Err(space.full()));
                }
                waiting.for_each(|request| request.refuse(space.full()));
                true
            }
            Err(busy) if is_busy(&busy) => {
                // Nothing was tried, and whoever holds the database may do so for ever.
                tracing::error!(
                    "another process holds the database of the log, and what waits is not written"
                );
                waiting.for_each(|request| request.refuse(LogError::Closed));
                false
            }
            Err(source) => {
                let source = Arc::new(source);
                tracing::error!(error = %source, "the log cannot be written and takes no more events");
                let database = &self.shared.database;
                let error = || database.error("write", Arc::clone(&source));
                for answer in answers {
                    answer(Err(error()));
                }
                waiting.for_each(|request| request.refuse(error()));
                false
            }
        }
    }

    fn write_all(
        &mut self,
        requests: &mut impl Iterator<Item = WriteRequest>,
        answers: &mut Vec<WriterAnswer>,
    ) -> rusqlite::Result<()> {
        let now = self.clock.now();
        let Shared { queue, .. } = &*self.shared;
        let transaction = begin(&mut self.connection, || queue.is_closing())?;
        let mut running = self.running;
        running.count(&transaction, (self.clock.running(), !self.was_full))?;
        self.recent.after_failure(&transaction)?;
        let mut appending = Appending {
            connection: &transaction,
            id_generator: self.id_generator,
            now,
            entropy: &*self.entropy,
            running,
            past: PastAges::of(&transaction, &running)?,
            entries: Vec::new(),
            trimming: self.trimming,
            tree: self.tree.clone(),
            recent: &mut self.recent,
            // What a failed transaction has marked is looked up again.
            marks: std::mem::take(&mut self.marks),
        };
        for request in requests {
            self.sweeping.count(&request);
            if request.grows()
                && let Some(full) = self.shared.space.refusal()
            {
                request.refuse(full);
                continue;
            }
            execute(&mut appending, request, answers)?;
        }
        let Appending {
            id_generator, entries, mut trimming, mut tree, recent, past, marks, ..
        } = appending;
        trimming.count_new(&transaction, id_generator.head())?;
        tree.flush(&transaction)?;
        recent.owe(entries.len());
        if !self.was_full {
            recent.move_rows(&transaction, (past.origins(), trimming.low_watermark))?;
        }
        self.shared.space.reuse(free_bytes(&transaction)?);
        self.sweeping.origins += entries.len();
        self.sweeping.sweep(&transaction, &running)?;
        running.wrote();
        self.shared
            .is_dropping
            .store(trimming.low_watermark != self.trimming.low_watermark, Ordering::SeqCst);
        let begun = Instant::now();
        transaction.commit()?;
        self.gauges.observe(entries.len(), begun.elapsed(), id_generator.head());

        self.running = running;
        self.id_generator = id_generator;
        self.tree = tree;
        self.recent.committed();
        self.was_full = false;
        self.marks = marks;
        self.publish_low_watermark(trimming);
        if !entries.is_empty() {
            // Together, so that nobody who has read an entry is told of a head before it.
            self.shared.head.send_modify(|head| {
                if let Some(tail) = self.shared.tail.get() {
                    tail.extend(entries);
                }
                self.shared.tell_tree(&self.tree);
                *head = id_generator.head();
            });
        }
        Ok(())
    }

    fn publish_low_watermark(&mut self, trimming: Trimming) {
        if trimming.low_watermark != self.trimming.low_watermark {
            self.shared.tell_low_watermark(trimming.low_watermark);
        }
        self.shared.is_dropping.store(false, Ordering::SeqCst);
        self.trimming = trimming;
    }
}

/// Does what a request asks, and keeps the answer for after the commit.
fn execute(
    appending: &mut Appending<'_>,
    request: WriteRequest,
    answers: &mut Vec<WriterAnswer>,
) -> rusqlite::Result<()> {
    let connection = appending.connection;
    match request {
        WriteRequest::Append(drafts, reply) => {
            keep(answers, reply, appending.append(drafts).map(Ok))
        }
        WriteRequest::Quarantine(batch, quota, reply) => {
            keep(answers, reply, appending.quarantine(&batch, quota).map(Ok))
        }
        WriteRequest::QuarantineBytes(batch, quota, reply) => {
            keep(answers, reply, appending.quarantine_bytes(&batch, quota).map(Ok))
        }
        WriteRequest::Unquarantine(id, reply) => {
            keep(answers, reply, quarantine::remove(connection, id).map(Ok))
        }
        WriteRequest::Revive(letters, reply) => {
            keep(answers, reply, letters::revive(connection, letters).map(Ok))
        }
        WriteRequest::Dismiss(subscription, id, reply) => {
            keep(answers, reply, letters::dismiss(connection, &subscription, id).map(Ok))
        }
        WriteRequest::ByAge(request) => {
            execute_by_age(connection, &appending.running, request, answers)
        }
        WriteRequest::DropDeadLetters(of, most, reply) => {
            keep(answers, reply, letters::drop_oldest(connection, &of, most).map(Ok))
        }
        WriteRequest::DropReceipts(of, most, reply) => {
            keep(answers, reply, receipts::forget(connection, &of, most).map(Ok))
        }
        WriteRequest::Commit(changes, reply) => {
            let applied = changes::apply(connection, &changes);
            answers.push(Box::new(move |written| {
                let _ = reply.send(written.map_err(|error| CommitError::of(error, changes)));
            }));
            applied
        }
        WriteRequest::Forget(subscription, reply) => {
            keep(answers, reply, changes::forget(connection, &subscription).map(Ok))
        }
        WriteRequest::PruneSequenceCheckpoints(first, dropped, reply) => {
            keep(answers, reply, sequence_checkpoints::prune(connection, &first, dropped).map(Ok))
        }
        WriteRequest::Trim(retention, reply) => {
            let trimmed = appending.trimming.slice(connection, &retention);
            keep(answers, reply, trimmed.map(Ok))
        }
        WriteRequest::KeepSchemas(new, reply) => {
            keep(answers, reply, schemas::keep(connection, &new).map(Ok))
        }
        WriteRequest::KeepOldSchemas(old, reply) => {
            keep(answers, reply, schemas::keep_old(connection, &old, appending.now).map(Ok))
        }
        WriteRequest::KeepSignature(seen, oldest, reply) => {
            keep(answers, reply, signatures::keep(connection, &seen, oldest).map(Ok))
        }
        WriteRequest::BeginAction(action, reply) => {
            keep(answers, reply, actions::begin(connection, &action).map(Ok))
        }
        WriteRequest::EndAction(id, end, reply) => {
            keep(answers, reply, actions::end(connection, id, &end).map(Ok))
        }
        WriteRequest::Put(key, expected, body, reply) => {
            let written = records::put(connection, &key, expected, &body, appending.now);
            keep(answers, reply, written.map(|written| unless_stale(written, expected)))
        }
        WriteRequest::Remove(key, expected, reply) => {
            let written = records::remove(connection, &key, expected);
            keep(answers, reply, written.map(|written| unless_stale(written, Some(expected))))
        }
    }
}

/// Does what a request asks that goes by an age.
fn execute_by_age(
    connection: &Connection,
    running: &RunningTime,
    request: AgeRequest,
    answers: &mut Vec<WriterAnswer>,
) -> rusqlite::Result<()> {
    match request {
        AgeRequest::Find(age, reply) => keep(answers, reply, running.aged(connection, age).map(Ok)),
        AgeRequest::ExpireDeadLetters(age, most, reply) => {
            let older = running.older(connection, age)?;
            keep(answers, reply, letters::expire(connection, &older, most).map(Ok))
        }
        AgeRequest::ExpireQuarantined(age, most, reply) => {
            let older = running.older(connection, age)?;
            keep(answers, reply, quarantine::expire(connection, &older, most).map(Ok))
        }
    }
}

/// What a conditional write came to, as its caller is told.
fn unless_stale<T>(written: Written<T>, expected: Option<Revision>) -> Result<T, LogError> {
    written.map_err(|found| LogError::Stale { expected, found })
}

/// Keeps an answer; where the store has failed, the whole group will hear of it instead.
fn keep<T: 'static>(
    answers: &mut Vec<WriterAnswer>,
    reply: Reply<T>,
    done: rusqlite::Result<Result<T, LogError>>,
) -> rusqlite::Result<()> {
    let (value, outcome) = match done {
        Ok(value) => (value, Ok(())),
        Err(source) => (Err(LogError::Broken), Err(source)),
    };
    answers.push(Box::new(move |written| {
        // Nobody may wait any more; what is written stays written.
        let _ = reply.send(written.and(value));
    }));
    outcome
}
