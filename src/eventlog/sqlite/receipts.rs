//! Reads and writes receipts of delivery.

use rusqlite::{Connection, params};

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::running::Older;
use crate::eventlog::sqlite::{queries, receipt_keys, rows};
use crate::eventlog::{KeptReceipt, Page, ReceiptId};

/// Keeps a receipt.
pub(super) fn put(connection: &Connection, receipt: &KeptReceipt) -> rusqlite::Result<()> {
    let insert = "INSERT INTO receipts (subscription, replay, event, sequence, at, token, jws)
                  VALUES (?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(insert)?.execute(params![
        receipt.key.subscription.as_str(),
        rows::replay_text(&receipt.key),
        receipt.key.event.to_bytes(),
        receipt.sequence.map(rows::signed),
        receipt.at.unix_nanos(),
        receipt.token.to_bytes(),
        receipt.jws,
    ])?;
    Ok(())
}

/// Counts receipts by subscription.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<Vec<(SubscriptionId, u64)>> {
    connection
        .prepare_cached("SELECT subscription, count(*) FROM receipts GROUP BY subscription")?
        .query_map([], |row| Ok((rows::subscription(row, 0)?, rows::unsigned(row.get(1)?))))?
        .collect()
}

/// Drops so many of the oldest receipts of a subscription; says how many there were.
pub(super) fn forget(
    connection: &Connection,
    subscription: &SubscriptionId,
    most: usize,
) -> rusqlite::Result<usize> {
    let dropped = connection
        .prepare_cached(
            "DELETE FROM receipts WHERE id IN
               (SELECT id FROM receipts WHERE subscription = ? ORDER BY id LIMIT ?)",
        )?
        .execute(params![subscription.as_str(), rows::signed(most as u64)])?;
    receipt_keys::drop_of(connection, subscription)?;
    Ok(dropped)
}

/// Drops those among so many of the oldest receipts that are older than an age.
pub(super) fn prune(connection: &Connection, most: usize, older: &Older) -> rusqlite::Result<()> {
    let (through, uncounted, before) = older.bounds(|newest| newest.receipt);
    connection
        .prepare_cached(
            "DELETE FROM receipts WHERE id IN (SELECT id FROM receipts ORDER BY id LIMIT ?)
             AND (id <= ? OR id <= ? AND at < ?)",
        )?
        .execute(params![rows::signed(most as u64), through, uncounted, before])?;
    receipt_keys::drop_old(connection)
}

/// Lists receipts of a subscription, oldest first.
pub(super) fn list(
    connection: &Connection,
    of: &SubscriptionId,
    event: Option<EventId>,
    after: ReceiptId,
    page: Page,
) -> rusqlite::Result<Vec<KeptReceipt>> {
    // An event has few receipts, so its index comes first; the plus keeps SQLite from the other.
    let filter = if event.is_some() {
        "+subscription = ?1 AND event = ?2"
    } else {
        "subscription = ?1 AND ?2 IS NULL"
    };
    let sql =
        format!("SELECT {} FROM receipts WHERE {filter} AND id > ?3 ORDER BY id", rows::RECEIPT);
    let bounds = params![of.as_str(), event.map(EventId::to_bytes), rows::signed(after.0)];
    queries::fill(connection, &sql, bounds, page, rows::receipt, |receipt| receipt.jws.len())
}
