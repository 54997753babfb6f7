//! What is read from the disk, page by page.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::event::EventId;
use crate::eventlog::page::Filling;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Entry, Page, Position};

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
