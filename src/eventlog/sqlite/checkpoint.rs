//! Moves committed pages from the WAL into the database, after the producers are answered.

use rusqlite::Connection;

/// The WAL is emptied when it has grown to so many pages (32 MiB).
const PAGES: i64 = 4096;

/// Empties the WAL if it has grown long.
pub(super) fn after_commit(connection: &Connection) {
    if wal_pages(connection, "NOOP").is_some_and(|pages| pages >= PAGES) {
        wal_pages(connection, "PASSIVE");
    }
}

/// Empties the WAL, so that the next start has nothing to recover.
pub(super) fn at_close(connection: &Connection) {
    wal_pages(connection, "TRUNCATE");
}

/// Runs a checkpoint and gives the number of pages that the WAL holds. One that fails is tried
/// again after a later commit; until then the WAL holds what the database does not.
fn wal_pages(connection: &Connection, mode: &str) -> Option<i64> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let pages = connection
        .prepare_cached(&sql)
        .and_then(|mut pragma| pragma.query_row([], |row| row.get(1)));
    pages.inspect_err(|error| tracing::warn!(%error, "the log cannot be checkpointed")).ok()
}
