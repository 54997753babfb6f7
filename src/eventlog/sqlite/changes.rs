//! Writes the delivery state, inside a transaction.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::event::{EventId, Subject, SubscriptionId, Timestamp, TraceContext};
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Attempt, Changes, Cursor, DeadLetter, DeliveryKey, QuarantineId, Retry};

/// Attempts are kept for so long, and at most so many.
const ATTEMPT_AGE: Duration = Duration::from_hours(7 * 24);
const ATTEMPT_ROWS: i64 = 1_000_000;

/// Applies changes of the delivery state.
pub(super) fn apply(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    changes.cursors.iter().try_for_each(|(id, cursor)| put_cursor(connection, id, cursor))?;
    changes.settled.iter().try_for_each(|key| drop_retry(connection, key))?;
    changes.retries.iter().try_for_each(|retry| put_retry(connection, retry))?;
    for id in &changes.revived {
        connection
            .prepare_cached("DELETE FROM dead_letters WHERE id = ?")?
            .execute([rows::signed(id.0)])?;
    }
    changes.dead_letters.iter().try_for_each(|letter| put_dead_letter(connection, letter))?;
    changes.attempts.iter().try_for_each(|attempt| put_attempt(connection, attempt))
}

/// Drops everything that belongs to a subscription.
pub(super) fn forget(
    connection: &Connection,
    subscription: &SubscriptionId,
) -> rusqlite::Result<()> {
    for table in [
        "DELETE FROM cursors WHERE subscription = ?",
        "DELETE FROM retries WHERE subscription = ?",
        "DELETE FROM dead_letters WHERE subscription = ?",
        "DELETE FROM attempts WHERE subscription = ?",
    ] {
        connection.execute(table, [subscription.as_str()])?;
    }
    Ok(())
}

/// Removes a quarantined event; says whether it was there.
pub(super) fn unquarantine(connection: &Connection, id: QuarantineId) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached("DELETE FROM quarantine WHERE id = ?")?
        .execute([rows::signed(id.0)])?;
    Ok(removed > 0)
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
    connection.prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)")?.execute(
        params![
            subscription.as_str(),
            rows::signed(cursor.settled.0),
            rows::signed(cursor.sequence),
            cursor.chain.to_bytes(),
            rows::ranges_to_bytes(&cursor.ahead),
        ],
    )?;
    Ok(())
}

fn put_retry(connection: &Connection, retry: &Retry) -> rusqlite::Result<()> {
    let (sequence, chain) = rows::link_columns(retry.link);
    connection
        .prepare_cached("INSERT OR REPLACE INTO retries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?
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
        ])?;
    Ok(())
}

fn drop_retry(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM retries WHERE subscription = ? AND replay = ? AND event = ?")?
        .execute(params![
            key.subscription.as_str(),
            rows::replay_text(key),
            key.event.to_bytes()
        ])?;
    Ok(())
}

fn put_dead_letter(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let event = &letter.event;
    let (sequence, chain) = rows::link_columns(letter.link);
    connection
        .prepare_cached(
            "INSERT INTO dead_letters VALUES
               (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            letter.key.subscription.as_str(),
            rows::replay_text(&letter.key),
            event.id.to_bytes(),
            event.source.as_str(),
            event.event_type.as_str(),
            event.subject.as_ref().map(Subject::as_str),
            event.time.unix_nanos(),
            event.dataschema,
            event.idempotency_key.to_bytes(),
            event.digest.to_bytes(),
            event.trace.as_ref().map(TraceContext::as_str),
            event.data.text(),
            rows::signed(letter.position.0),
            sequence,
            chain,
            letter.reason,
            letter.attempts,
            letter.status,
            letter.detail,
            letter.at.unix_nanos(),
        ])?;
    Ok(())
}

fn put_attempt(connection: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO attempts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
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
        ])?;
    Ok(())
}
