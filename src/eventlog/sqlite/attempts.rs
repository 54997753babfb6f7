//! The delivery log on the disk: kept, listed and dropped.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::queries::fill;
use crate::eventlog::sqlite::rows;
use crate::eventlog::sqlite::running::Older;
use crate::eventlog::{Attempt, Page};

/// Attempts are kept for so long, and at most so many.
pub(super) const KEPT_FOR: Duration = Duration::from_hours(7 * 24);
const MOST: i64 = 1_000_000;

/// Keeps one, under a number that none had when it was last noted what there is.
pub(super) fn put(connection: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO attempts
               (number, subscription, replay, event, attempt, at, duration_ms, status, verdict, detail,
                receipt)
             SELECT 1 + max(
                      coalesce((SELECT max(number) FROM attempts), 0),
                      coalesce((SELECT attempt FROM running_marks ORDER BY ran DESC LIMIT 1), 0)),
                    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?",
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

/// Lists attempts, newest first.
pub(super) fn list(
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

/// Whether there are more than are kept.
pub(super) fn are_too_many(connection: &Connection) -> rusqlite::Result<bool> {
    let (first, last): (Option<i64>, Option<i64>) = connection
        .prepare_cached(
            "SELECT (SELECT min(number) FROM attempts), (SELECT max(number) FROM attempts)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(first.zip(last).is_some_and(|(first, last)| last - first >= MOST))
}

/// Drops the oldest attempts that are too many or too old, a few at a time.
pub(super) fn prune(connection: &Connection, rows: usize, older: &Older) -> rusqlite::Result<()> {
    let (through, uncounted, before) = older.bounds(|newest| newest.attempt);
    connection
        .prepare_cached(
            "DELETE FROM attempts WHERE number IN
               (SELECT number FROM attempts ORDER BY number LIMIT ?1)
             AND (number <= max(?2, (SELECT max(number) FROM attempts) - ?3)
                  OR number <= ?4 AND at < ?5)",
        )?
        .execute(params![rows::signed(rows as u64), through, MOST, uncounted, before])?;
    Ok(())
}

/// Drops attempts of a subscription, at most so many; says how many went.
pub(super) fn forget(
    connection: &Connection,
    of: &SubscriptionId,
    most: usize,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM attempts WHERE number IN
               (SELECT number FROM attempts WHERE subscription = ? LIMIT ?)",
        )?
        .execute(params![of.as_str(), rows::signed(most as u64)])
}
