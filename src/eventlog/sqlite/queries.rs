//! What is read from the disk, page by page.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::rows;
use crate::eventlog::tail::Filling;
use crate::eventlog::{Attempt, Cursor, DeliveryKey, DeliveryState, Entry, Page, Position, Retry};

/// Reads entries after a position, up to the published head.
pub(super) fn entries(
    connection: &Connection,
    after: Position,
    head: Position,
    page: Page,
) -> rusqlite::Result<Vec<Arc<Entry>>> {
    let sql = format!(
        "SELECT {} FROM events WHERE position > ? AND position <= ? ORDER BY position",
        rows::ENTRY
    );
    let bounds = params![rows::signed(after.0), rows::signed(head.0)];
    let weigh = |entry: &Arc<Entry>| entry.weight();
    fill(connection, &sql, bounds, page, |row| rows::entry(row).map(Arc::new), weigh)
}

/// Finds entries by id, in the order asked.
pub(super) fn find(
    connection: &Connection,
    ids: &[EventId],
) -> rusqlite::Result<Vec<Option<Arc<Entry>>>> {
    let sql = format!("SELECT {} FROM events WHERE id = ?", rows::ENTRY);
    let mut find = connection.prepare_cached(&sql)?;
    ids.iter()
        .map(|id| find.query_row([id.to_bytes()], |row| rows::entry(row).map(Arc::new)).optional())
        .collect()
}

/// The position just before the first entry with this id or a higher one.
pub(super) fn seek(connection: &Connection, from: EventId) -> rusqlite::Result<Position> {
    connection
        .prepare_cached(
            "SELECT coalesce(
               (SELECT position - 1 FROM events WHERE id >= ? ORDER BY id LIMIT 1),
               max(
                 (SELECT position FROM floors),
                 (SELECT coalesce(max(position), 0) FROM events)))",
        )?
        .query_row([from.to_bytes()], |row| row.get(0))
        .map(|position| Position(rows::unsigned(position)))
}

/// Loads the cursor and the retries of one subscription.
pub(super) fn state_of(
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
pub(super) fn delivery_state(connection: &Connection) -> rusqlite::Result<DeliveryState> {
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
    Ok(DeliveryState { cursors, retries })
}

/// Reads one retry.
pub(super) fn retry(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<Option<Retry>> {
    let sql = format!(
        "SELECT {} FROM retries WHERE subscription = ? AND replay = ? AND event = ?",
        rows::RETRY
    );
    connection.prepare_cached(&sql)?.query_row(rows::key_columns(key), rows::retry).optional()
}

/// Lists attempts, newest first.
pub(super) fn attempts(
    connection: &Connection,
    of: Option<&SubscriptionId>,
    event: Option<EventId>,
    page: Page,
) -> rusqlite::Result<Vec<Attempt>> {
    // An event has few attempts, so its index comes first; the plus keeps SQLite from the other.
    let filter = match (of, event) {
        (None, None) => "?1 IS NULL AND ?2 IS NULL",
        (Some(_), None) => "subscription = ?1 AND ?2 IS NULL",
        (None, Some(_)) => "?1 IS NULL AND event = ?2",
        (Some(_), Some(_)) => "+subscription = ?1 AND event = ?2",
    };
    let sql = format!("SELECT {} FROM attempts WHERE {filter} ORDER BY number DESC", rows::ATTEMPT);
    let bounds = params![of.map(SubscriptionId::as_str), event.map(EventId::to_bytes)];
    fill(connection, &sql, bounds, page, rows::attempt, |attempt| attempt.detail.len())
}

/// Reads rows until the page is full.
pub(super) fn fill<T>(
    connection: &Connection,
    sql: &str,
    bounds: impl Params,
    page: Page,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    weigh: impl Fn(&T) -> usize,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(bounds)?;
    let mut filling = Filling::new(page);
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let item = read(row)?;
        if !filling.accepts(weigh(&item)) {
            break;
        }
        items.push(item);
        if filling.is_full() {
            break;
        }
    }
    Ok(items)
}
