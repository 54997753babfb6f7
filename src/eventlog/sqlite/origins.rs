//! Deliveries by producers' buses: what repeats by a bus are told by.

use rusqlite::{Connection, OptionalExtension, params};

use crate::eventlog::Origin;
use crate::eventlog::sqlite::rows::{self, Known};
use crate::eventlog::sqlite::running::Older;

/// The newest event with an origin, and when the log took it.
pub(super) fn newest(connection: &Connection, origin: Origin) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached("SELECT event, accepted FROM origins WHERE origin = ?")?
        .query_row([origin.0], |row| Ok((rows::event_id(row, 0)?, rows::timestamp(row, 1)?)))
        .optional()
}

/// Takes an event as the newest with its origin, unless a newer one is known.
pub(super) fn remember(
    connection: &Connection,
    origin: Origin,
    (event, accepted): Known,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO origins (origin, event, accepted) VALUES (?, ?, ?)
             ON CONFLICT (origin) DO UPDATE SET event = excluded.event, accepted = excluded.accepted
              WHERE excluded.event > event",
        )?
        .execute(params![origin.0, event.to_bytes(), accepted.unix_nanos()])?;
    Ok(())
}

/// Drops expired origins among the next few in key order, and says where to go on.
///
/// Sweeping two rows for each one that is added bounds the table at about twice what is live, with
/// no index over time and no long pause.
pub(super) fn sweep(
    connection: &Connection,
    after: &[u8],
    count: usize,
    older: &Older,
) -> rusqlite::Result<Vec<u8>> {
    let (last, looked_at): (Option<Vec<u8>>, i64) = connection
        .prepare_cached(
            "SELECT max(origin), count(*) FROM
               (SELECT origin FROM origins WHERE origin > ? ORDER BY origin LIMIT ?)",
        )?
        .query_row(params![after, rows::signed(count as u64)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let Some(last) = last else { return Ok(Vec::new()) };
    connection
        .prepare_cached(
            "DELETE FROM origins WHERE origin > ? AND origin <= ?
               AND (event <= ? OR event <= ? AND accepted < ?)",
        )?
        .execute(params![
            after,
            last,
            older.through.event.to_bytes(),
            older.uncounted.event.to_bytes(),
            older.before.unix_nanos()
        ])?;
    // At the end of the table, the next sweep begins at the front again.
    Ok(if looked_at < rows::signed(count as u64) { Vec::new() } else { last })
}
