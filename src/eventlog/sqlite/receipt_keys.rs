//! Reads and writes the keys under which receipts were checked.

use rusqlite::{Connection, params};

use crate::event::SubscriptionId;
use crate::eventlog::ReceiptKey;
use crate::eventlog::sqlite::rows;

/// Keeps a key with the receipts that were written last; needs the transaction that wrote them.
pub(super) fn put(connection: &Connection, key: &ReceiptKey) -> rusqlite::Result<()> {
    let names = params![key.subscription.as_str(), key.kid, key.thumbprint];
    let is_known = connection
        .prepare_cached(
            "UPDATE receipt_keys SET last = (SELECT max(id) FROM receipts)
             WHERE subscription = ? AND kid = ? AND thumbprint = ?",
        )?
        .execute(names)?;
    if is_known > 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO receipt_keys
             VALUES (?, ?, ?, ?, coalesce((SELECT max(id) FROM receipts), 0))",
        )?
        .execute(params![key.subscription.as_str(), key.kid, key.thumbprint, key.jwk])?;
    connection
        .prepare_cached(
            "DELETE FROM receipt_keys WHERE subscription = ?1 AND (kid, thumbprint) IN
               (SELECT kid, thumbprint FROM receipt_keys WHERE subscription = ?1
                ORDER BY last DESC, kid, thumbprint LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![key.subscription.as_str(), rows::signed(ReceiptKey::MOST as u64)])?;
    Ok(())
}

/// Drops the keys of a subscription whose last receipt is gone.
pub(super) fn drop_of(
    connection: &Connection,
    subscription: &SubscriptionId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM receipt_keys WHERE subscription = ?1 AND last < coalesce(
               (SELECT min(id) FROM receipts WHERE subscription = ?1), 9223372036854775807)",
        )?
        .execute([subscription.as_str()])?;
    Ok(())
}

/// Drops the keys whose last receipt is older than every one that is kept.
pub(super) fn drop_old(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM receipt_keys
             WHERE last < coalesce((SELECT min(id) FROM receipts), 9223372036854775807)",
        )?
        .execute([])?;
    Ok(())
}

/// Lists the keys of a subscription, the one that was used last first.
pub(super) fn list(
    connection: &Connection,
    subscription: &SubscriptionId,
) -> rusqlite::Result<Vec<ReceiptKey>> {
    connection
        .prepare_cached(
            "SELECT subscription, kid, thumbprint, jwk FROM receipt_keys WHERE subscription = ?
             ORDER BY last DESC, kid, thumbprint",
        )?
        .query_map([subscription.as_str()], |row| {
            Ok(ReceiptKey {
                subscription: rows::subscription(row, 0)?,
                kid: row.get(1)?,
                thumbprint: row.get(2)?,
                jwk: row.get(3)?,
            })
        })?
        .collect()
}
