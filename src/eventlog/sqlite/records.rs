//! Reads and writes the registry's documents.

use rusqlite::{Connection, OptionalExtension, params};

use crate::event::Timestamp;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Record, RecordKey, Revision};

/// What a conditional write comes to: done, or the revision that was found instead.
pub(super) type Written<T> = Result<T, Option<Revision>>;

pub(super) fn get(connection: &Connection, key: &RecordKey) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(
            "SELECT id, revision, changed, body FROM records WHERE kind = ? AND id = ?",
        )?
        .query_row(params![key.kind, key.id], rows::record)
        .optional()
}

pub(super) fn list(connection: &Connection, kind: &str) -> rusqlite::Result<Vec<Record>> {
    connection
        .prepare_cached(
            "SELECT id, revision, changed, body FROM records WHERE kind = ? ORDER BY id",
        )?
        .query_map([kind], rows::record)?
        .collect()
}

/// Writes a document if its revision is the expected one; needs a transaction that may write.
pub(super) fn put(
    connection: &Connection,
    key: &RecordKey,
    expected: Option<Revision>,
    body: &str,
    now: Timestamp,
) -> rusqlite::Result<Written<Revision>> {
    let found = revision(connection, key)?;
    if found != expected {
        return Ok(Err(found));
    }
    let next = next_revision(connection)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO records (kind, id, revision, changed, body)
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![key.kind, key.id, rows::signed(next.0), now.unix_nanos(), body])?;
    Ok(Ok(next))
}

/// Removes a document if its revision is the expected one; needs a transaction that may write.
pub(super) fn remove(
    connection: &Connection,
    key: &RecordKey,
    expected: Revision,
) -> rusqlite::Result<Written<()>> {
    let found = revision(connection, key)?;
    if found != Some(expected) {
        return Ok(Err(found));
    }
    connection
        .prepare_cached("DELETE FROM records WHERE kind = ? AND id = ?")?
        .execute(params![key.kind, key.id])?;
    Ok(Ok(()))
}

/// Takes a revision that no document has had.
fn next_revision(connection: &Connection) -> rusqlite::Result<Revision> {
    connection
        .prepare_cached("UPDATE revisions SET last = last + 1 RETURNING last")?
        .query_row([], |row| row.get(0))
        .map(|last| Revision(rows::unsigned(last)))
}

fn revision(connection: &Connection, key: &RecordKey) -> rusqlite::Result<Option<Revision>> {
    connection
        .prepare_cached("SELECT revision FROM records WHERE kind = ? AND id = ?")?
        .query_row(params![key.kind, key.id], |row| row.get(0))
        .optional()
        .map(|revision| revision.map(|revision| Revision(rows::unsigned(revision))))
}
