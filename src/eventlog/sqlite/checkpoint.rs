//! Moves committed pages from the WAL into the database, beside the writer.
//!
//! A checkpoint of many pages takes as long as dozens of commits, so a thread of its own does it
//! while commits go on. What was committed meanwhile is little, and the writer moves that itself,
//! between two groups: only then is the whole WAL in the database, and the next commit can begin it
//! anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// The thread is asked when so many pages wait in the WAL (16 MiB).
const BEGIN: u64 = 2048;
/// The writer does the rest when no more than so many wait (2 MiB).
const FINISH: u64 = 256;
/// The writer stops for a checkpoint when the WAL is so long (256 MiB): the thread cannot keep up.
const FORCE: u64 = 32_768;

/// The thread that moves pages, and what it is doing.
#[derive(Debug)]
pub(super) struct Checkpoints {
    ask: SyncSender<()>,
    busy: Arc<AtomicBool>,
    /// Whether the thread has moved the bulk of the WAL.
    moved: bool,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (ask, asked) = mpsc::sync_channel(1);
        let busy = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&busy);
        let work = move || {
            while asked.recv().is_ok() {
                checkpoint(&connection, "PASSIVE");
                done.store(false, Ordering::Release);
            }
        };
        let thread =
            std::thread::Builder::new().name("eventlog-checkpoint".to_owned()).spawn(work)?;
        Ok(Self { ask, busy, moved: false, thread })
    }

    /// Does what is due after a commit, on the writer's connection.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        if self.busy.load(Ordering::Acquire) {
            return;
        }
        let Some(wal) = checkpoint(connection, "NOOP") else { return };
        let waiting = wal.pages.saturating_sub(wal.moved);
        if wal.pages >= FORCE || (self.moved && waiting <= FINISH) {
            checkpoint(connection, "PASSIVE");
            self.moved = false;
        } else if self.moved || waiting >= BEGIN {
            // Each pass is shorter than the one before, as long as the thread is faster.
            self.moved = true;
            self.busy.store(true, Ordering::Release);
            // The thread is idle, so its channel has room.
            let _ = self.ask.try_send(());
        }
    }

    /// Empties the WAL, so that the next start has nothing to recover.
    pub(super) fn finish(self, connection: &Connection) {
        drop(self.ask);
        // A thread that panicked has said so; its work is done here.
        let _ = self.thread.join();
        checkpoint(connection, "TRUNCATE");
    }
}

/// How long the WAL is, and how much of it is in the database.
struct Wal {
    pages: u64,
    moved: u64,
}

/// Runs a checkpoint; `NOOP` only looks. One that fails is tried again after a later commit, and
/// until then the WAL holds what the database does not.
fn checkpoint(connection: &Connection, mode: &str) -> Option<Wal> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let wal = connection.prepare_cached(&sql).and_then(|mut pragma| {
        pragma.query_row([], |row| Ok(Wal { pages: count(row.get(1)?), moved: count(row.get(2)?) }))
    });
    wal.inspect_err(|error| tracing::warn!(%error, "the log cannot be checkpointed")).ok()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::eventlog::sqlite::database::Database;

    #[test]
    fn the_wal_begins_anew_while_commits_go_on() {
        let directory = TempDir::new().unwrap();
        let database = Database::of(directory.path()).unwrap();
        let connection = database.open_for_writing().unwrap();
        let mut checkpoints = Checkpoints::start(database.open_for_writing().unwrap()).unwrap();
        let body = "x".repeat(32 * 1024);
        let mut longest = 0;
        let mut anew = 0;
        let mut last = 0;

        while anew < 2 {
            connection
                .execute("INSERT OR REPLACE INTO records VALUES ('a', 'b', 1, 1, ?)", [&body])
                .unwrap();
            checkpoints.after_commit(&connection);
            let pages = checkpoint(&connection, "NOOP").unwrap().pages;
            longest = longest.max(pages);
            anew += usize::from(pages < last);
            last = pages;
        }

        assert!((BEGIN..FORCE + 100).contains(&longest), "{longest} pages");
        checkpoints.finish(&connection);
        assert_eq!(checkpoint(&connection, "NOOP").unwrap().pages, 0);
    }
}
