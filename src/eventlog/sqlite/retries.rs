//! Cursors and waiting retries on the disk.

use rusqlite::{Connection, OptionalExtension, params};

use crate::event::SubscriptionId;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Cursor, DeliveryKey, Retry, SavedDeliveries};

/// Loads the cursor and the retries of one subscription.
pub(super) fn of_subscription(
    connection: &Connection,
    of: &SubscriptionId,
) -> rusqlite::Result<(Option<Cursor>, Vec<Retry>)> {
    let cursor = connection
        .prepare_cached(
            "SELECT subscription, settled, sequence, chain, ahead, failing_since FROM cursors
             WHERE subscription = ?",
        )?
        .query_row([of.as_str()], rows::cursor)
        .optional()?;
    let sql = format!("SELECT {} FROM retries WHERE subscription = ? ORDER BY due", rows::RETRY);
    let mut retries = connection.prepare_cached(&sql)?;
    let retries = retries.query_map([of.as_str()], rows::retry)?.collect::<Result<_, _>>()?;
    Ok((cursor.map(|(_, cursor)| cursor), retries))
}

/// Loads every cursor and retry.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<SavedDeliveries> {
    let cursors = connection
        .prepare(
            "SELECT subscription, settled, sequence, chain, ahead, failing_since FROM cursors",
        )?
        .query_map([], rows::cursor)?
        .collect::<Result<_, _>>()?;
    let retries = connection
        .prepare(&format!("SELECT {} FROM retries ORDER BY due", rows::RETRY))?
        .query_map([], rows::retry)?
        .collect::<Result<_, _>>()?;
    Ok(SavedDeliveries { cursors, retries })
}

/// Reads one retry.
pub(super) fn get(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<Option<Retry>> {
    let sql = format!(
        "SELECT {} FROM retries WHERE subscription = ? AND replay = ? AND event = ?",
        rows::RETRY
    );
    connection.prepare_cached(&sql)?.query_row(rows::key_columns(key), rows::retry).optional()
}

/// Keeps a retry in place of the one that its delivery had.
pub(super) fn put(connection: &Connection, retry: &Retry) -> rusqlite::Result<()> {
    let (sequence, chain) = rows::link_columns(retry.link);
    connection
        .prepare_cached("INSERT OR REPLACE INTO retries
               (subscription, replay, event, position, sequence, chain, attempts, first_attempt, due,
                redriven)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            retry.key.subscription.as_str(),
            rows::replay_text(&retry.key),
            retry.key.event.to_bytes(),
            rows::signed(retry.position.0),
            sequence,
            chain,
            retry.attempts,
            retry.first_attempt.unix_nanos(),
            retry.due.unix_nanos(),
            retry.redriven,
        ])?;
    Ok(())
}

/// Drops the retry of a delivery.
pub(super) fn drop_of(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM retries WHERE subscription = ? AND replay = ? AND event = ?")?
        .execute(rows::key_columns(key))?;
    Ok(())
}
