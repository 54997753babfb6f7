//! Writes the delivery state, inside a transaction.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::eventlog::sqlite::{letters, receipts, rows, sequence_checkpoints};
use crate::eventlog::{Attempt, Changes, Cursor, DeliveryKey, Retry};

/// Attempts are kept for so long, and at most so many.
const ATTEMPT_AGE: Duration = Duration::from_hours(7 * 24);
const ATTEMPT_ROWS: i64 = 1_000_000;

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
    changes.retries.iter().try_for_each(|retry| put_retry(connection, retry))?;
    changes.dead_letters.iter().try_for_each(|letter| letters::put(connection, letter))?;
    changes.attempts.iter().try_for_each(|attempt| put_attempt(connection, attempt))?;
    changes.receipts.iter().try_for_each(|receipt| receipts::put(connection, receipt))
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
    let dropped = connection
        .prepare_cached(
            "DELETE FROM attempts WHERE number IN
               (SELECT number FROM attempts WHERE subscription = ? LIMIT ?)",
        )?
        .execute(params![subscription.as_str(), rows::signed(FORGET_ROWS as u64)])?;
    let receipts = receipts::forget(connection, subscription, FORGET_ROWS)?;
    Ok(dropped == FORGET_ROWS || receipts == FORGET_ROWS)
}

/// Drops the oldest attempts that are too many or too old, a few at a time.
pub(super) fn prune_attempts(
    connection: &Connection,
    rows: usize,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM attempts WHERE number IN
               (SELECT number FROM attempts ORDER BY number LIMIT ?1)
             AND (at < ?2 OR number <= (SELECT max(number) FROM attempts) - ?3)",
        )?
        .execute(params![
            rows::signed(rows as u64),
            now.before(ATTEMPT_AGE).unix_nanos(),
            ATTEMPT_ROWS
        ])?;
    Ok(())
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

/// Keeps a retry in place of the one that its delivery had.
pub(super) fn put_retry(connection: &Connection, retry: &Retry) -> rusqlite::Result<()> {
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

fn settle(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM retries WHERE subscription = ? AND replay = ? AND event = ?")?
        .execute(rows::key_columns(key))?;
    letters::drop_of(connection, key)
}

fn put_attempt(connection: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO attempts
               (subscription, replay, event, attempt, at, duration_ms, status, verdict, detail,
                receipt)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            attempt.key.subscription.as_str(),
            rows::replay_text(&attempt.key),
            EventId::to_bytes(attempt.key.event),
            attempt.number,
            attempt.at.unix_nanos(),
            attempt.duration_ms,
            attempt.status,
            attempt.verdict,
            attempt.detail,
            attempt.receipt,
        ])?;
    Ok(())
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
