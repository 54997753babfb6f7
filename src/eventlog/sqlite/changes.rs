//! Writes the delivery state, inside a transaction.

use rusqlite::{Connection, params};

use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::sqlite::{
    attempts, letters, receipt_keys, receipts, retries, rows, sequence_checkpoints,
};
use crate::eventlog::{Changes, Cursor, DeliveryKey};

/// So many attempts, and so many receipts, of a forgotten subscription are dropped in one
/// transaction.
const FORGET_ROWS: usize = 2_000;

/// Applies changes of the delivery state.
pub(super) fn apply(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    changes.cursors.iter().try_for_each(|(id, cursor)| put_cursor(connection, id, cursor))?;
    let mut places = changes.sequence_checkpoints.iter();
    places.try_for_each(|(id, sequence_checkpoint)| {
        sequence_checkpoints::put(connection, id, sequence_checkpoint)
    })?;
    changes.settled.iter().try_for_each(|key| settle(connection, key))?;
    changes.retries.iter().try_for_each(|retry| retries::put(connection, retry))?;
    changes.dead_letters.iter().try_for_each(|letter| letters::put(connection, letter))?;
    changes.attempts.iter().try_for_each(|attempt| attempts::put(connection, attempt))?;
    changes.receipts.iter().try_for_each(|receipt| receipts::put(connection, receipt))?;
    changes.receipt_keys.iter().try_for_each(|key| receipt_keys::put(connection, key))
}

/// Drops what belongs to a subscription, of its attempts and receipts only so many that others need
/// not wait long; says whether any may be left.
pub(super) fn forget(
    connection: &Connection,
    subscription: &SubscriptionId,
) -> rusqlite::Result<bool> {
    for table in [
        "DELETE FROM cursors WHERE subscription = ?",
        "DELETE FROM milestones WHERE subscription = ?",
        "DELETE FROM retries WHERE subscription = ?",
    ] {
        connection.prepare_cached(table)?.execute([subscription.as_str()])?;
    }
    letters::forget(connection, subscription)?;
    let dropped = attempts::forget(connection, subscription, FORGET_ROWS)?;
    let receipts = receipts::forget(connection, subscription, FORGET_ROWS)?;
    Ok(dropped == FORGET_ROWS || receipts == FORGET_ROWS)
}

fn put_cursor(
    connection: &Connection,
    subscription: &SubscriptionId,
    cursor: &Cursor,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO cursors
               (subscription, settled, sequence, chain, ahead, failing_since)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            subscription.as_str(),
            rows::signed(cursor.settled.0),
            rows::signed(cursor.sequence),
            cursor.chain.to_bytes(),
            rows::ranges_to_bytes(&cursor.ahead),
            cursor.failing_since.map(Timestamp::unix_nanos),
        ])?;
    Ok(())
}

fn settle(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<()> {
    retries::drop_of(connection, key)?;
    letters::drop_of(connection, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventlog::Position;
    use crate::eventlog::sqlite::database::STEPS;

    #[test]
    fn many_attempts_are_forgotten_a_slice_at_a_time_and_all_else_at_once() {
        let connection = Connection::open_in_memory().unwrap();
        for step in STEPS {
            connection.execute_batch(step).unwrap();
        }
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let attempts = || count("SELECT count(*) FROM attempts WHERE subscription = 'orders'");
        let orders: SubscriptionId = "orders".parse().unwrap();
        let slice = rows::signed(FORGET_ROWS as u64);
        let total = 2 * slice + 1;
        for (subscription, number) in [("orders", total), ("other", 1)] {
            let insert = "INSERT INTO attempts
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
                 SELECT NULL, ?1, '', x'00', 1, 0, 0, NULL, 'delivered', '', NULL FROM n";
            connection.execute(insert, params![subscription, number]).unwrap();
        }
        put_cursor(&connection, &orders, &Cursor::starting(&orders, Position(1))).unwrap();

        assert!(forget(&connection, &orders).unwrap());
        assert_eq!(attempts(), total - slice);
        assert_eq!(count("SELECT count(*) FROM cursors"), 0);
        assert!(forget(&connection, &orders).unwrap());
        assert!(!forget(&connection, &orders).unwrap());

        assert_eq!(attempts(), 0);
        assert_eq!(count("SELECT count(*) FROM attempts"), 1);
    }
}
