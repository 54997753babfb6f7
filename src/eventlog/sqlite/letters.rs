//! Dead letters on the disk: kept, listed, counted, redriven and dropped.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::event::{Subject, SubscriptionId, TraceContext};
use crate::eventlog::sqlite::queries::fill;
use crate::eventlog::sqlite::running::Older;
use crate::eventlog::sqlite::{given_up, retries, rows};
use crate::eventlog::{
    DeadLetter, DeadLetterCount, DeadLetterId, DeadLetterQuery, DeadLetterUsage, DeliveryKey,
    DroppedDeadLetter, Page, Retry,
};

/// Lists the dead letters that a query wants, oldest first.
pub(super) fn list(
    connection: &Connection,
    query: &DeadLetterQuery,
    page: Page,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let (wanted, bounds) = condition(query);
    let sql =
        format!("SELECT {} FROM dead_letters WHERE {wanted} ORDER BY number", rows::DEAD_LETTER);
    let weigh = |letter: &DeadLetter| letter.event.data.text().len() + letter.detail.len();
    fill(connection, &sql, params_from_iter(bounds), page, rows::dead_letter, weigh)
}

/// Counts the dead letters that a query wants.
pub(super) fn count_chosen(
    connection: &Connection,
    query: &DeadLetterQuery,
) -> rusqlite::Result<u64> {
    let (wanted, bounds) = condition(query);
    connection
        .prepare_cached(&format!("SELECT count(*) FROM dead_letters WHERE {wanted}"))?
        .query_row(params_from_iter(bounds), |row| row.get(0))
        .map(rows::unsigned)
}

/// The condition of a query and its values; a statement per combination, so that each can use its
/// index.
fn condition(query: &DeadLetterQuery) -> (String, Vec<Value>) {
    let mut terms = vec!["subscription = ?", "redriven = 0", "number > ?"];
    let mut bounds: Vec<Value> =
        vec![query.subscription.as_str().to_owned().into(), rows::signed(query.after.0).into()];
    if let Some(ids) = &query.ids {
        // One value, so that any number of ids is one statement.
        terms.push("number IN (SELECT value FROM json_each(?))");
        let numbers: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
        bounds.push(format!("[{}]", numbers.join(",")).into());
    }
    if let Some(last) = query.last {
        terms.push("number <= ?");
        bounds.push(rows::signed(last.0).into());
    }
    if let Some(reason) = &query.reason {
        terms.push("reason = ?");
        bounds.push(reason.to_string().into());
    }
    if let Some((from, to)) = query.types() {
        terms.push(
            "(type >= ? AND type < ?
              OR json_extract(context, '$.name') >= ? AND json_extract(context, '$.name') < ?)",
        );
        bounds.extend([from.clone().into(), to.clone().into(), from.into(), to.into()]);
    }
    let ids = [("event >= ?", query.from), ("event <= ?", query.to)];
    for (term, id) in ids.into_iter().filter_map(|(term, id)| Some((term, id?))) {
        terms.push(term);
        bounds.push(id.to_bytes().to_vec().into());
    }
    (terms.join(" AND "), bounds)
}

/// The number that was given last.
pub(super) fn last(connection: &Connection, of: &SubscriptionId) -> rusqlite::Result<DeadLetterId> {
    connection
        .prepare_cached(
            "SELECT coalesce((SELECT last FROM dead_letter_numbers WHERE subscription = ?), 0)",
        )?
        .query_row([of.as_str()], |row| row.get(0))
        .map(|last| DeadLetterId(rows::unsigned(last)))
}

/// Reads the dead letter of a delivery.
pub(super) fn get(
    connection: &Connection,
    key: &DeliveryKey,
) -> rusqlite::Result<Option<DeadLetter>> {
    let sql = format!(
        "SELECT {} FROM dead_letters WHERE subscription = ? AND replay = ? AND event = ?
         ORDER BY number DESC LIMIT 1",
        rows::DEAD_LETTER
    );
    connection.prepare_cached(&sql)?.query_row(rows::key_columns(key), rows::dead_letter).optional()
}

/// Counts dead letters by subscription and reason.
pub(super) fn count(
    connection: &Connection,
    of: Option<&SubscriptionId>,
) -> rusqlite::Result<Vec<DeadLetterCount>> {
    let filter = if of.is_some() { "subscription = ?1" } else { "?1 IS NULL" };
    let sql = format!(
        "SELECT subscription, reason, redriven, count(*) FROM dead_letters WHERE {filter}
         GROUP BY subscription, reason, redriven"
    );
    connection
        .prepare_cached(&sql)?
        .query_map([of.map(SubscriptionId::as_str)], |row| {
            Ok(DeadLetterCount {
                subscription: rows::subscription(row, 0)?,
                reason: row.get(1)?,
                redriven: row.get(2)?,
                count: rows::unsigned(row.get(3)?),
            })
        })?
        .collect()
}

/// Keeps a dead letter under the next number of its subscription, in place of the one that its
/// delivery had.
pub(super) fn put(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    drop_of(connection, &letter.key)?;
    let number: i64 = connection
        .prepare_cached(
            "INSERT INTO dead_letter_numbers (subscription, last) VALUES (?, 1)
             ON CONFLICT (subscription) DO UPDATE SET last = last + 1 RETURNING last",
        )?
        .query_row([letter.key.subscription.as_str()], |row| row.get(0))?;
    let event = &letter.event;
    let (sequence, chain) = rows::link_columns(letter.link);
    connection
        .prepare_cached(
            "INSERT INTO dead_letters
               (subscription, replay, event, source, type, subject, time, dataschema, idempotency_key,
                digest, trace, data, position, sequence, chain, reason, attempts, status, detail, at,
                number, time_text, context, redriven)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        )?
        .execute(params![
            letter.key.subscription.as_str(),
            rows::replay_text(&letter.key),
            event.id.to_bytes(),
            event.source.as_str(),
            event.event_type.as_str(),
            event.subject.as_ref().map(Subject::as_str),
            event.time.nearest().unix_nanos(),
            event.dataschema,
            event.idempotency_key.to_bytes(),
            rows::KeptDigest::of(event),
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
            number,
            event.time.own_text(),
            event.context.as_ref().map(|context| context.to_json()),
        ])?;
    given_up::put(connection, letter)
}

/// Drops the dead letter of a delivery, which was not given up then.
pub(super) fn drop_of(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM dead_letters WHERE subscription = ? AND replay = ? AND event = ?",
        )?
        .execute(rows::key_columns(key))?;
    given_up::drop_of(connection, key)
}

/// Marks dead letters that are listed as redriven and keeps their retries; gives these.
pub(super) fn revive(
    connection: &Connection,
    letters: Vec<(DeadLetterId, Retry)>,
) -> rusqlite::Result<Vec<Retry>> {
    let mut revived = Vec::with_capacity(letters.len());
    for (id, retry) in letters {
        let marked = connection
            .prepare_cached(
                "UPDATE dead_letters SET redriven = 1
                 WHERE subscription = ? AND number = ? AND redriven = 0",
            )?
            .execute(params![retry.key.subscription.as_str(), rows::signed(id.0)])?;
        if marked > 0 {
            retries::put(connection, &retry)?;
            revived.push(retry);
        }
    }
    Ok(revived)
}

/// Drops a dead letter that is not wanted; says whether it was listed.
pub(super) fn dismiss(
    connection: &Connection,
    subscription: &SubscriptionId,
    id: DeadLetterId,
) -> rusqlite::Result<bool> {
    let dropped = connection
        .prepare_cached(
            "DELETE FROM dead_letters WHERE subscription = ? AND number = ? AND redriven = 0",
        )?
        .execute(params![subscription.as_str(), rows::signed(id.0)])?;
    Ok(dropped > 0)
}

/// Drops the dead letters of a subscription, and its last number.
pub(super) fn forget(
    connection: &Connection,
    subscription: &SubscriptionId,
) -> rusqlite::Result<()> {
    for table in [
        "DELETE FROM dead_letters WHERE subscription = ?",
        "DELETE FROM dead_letter_numbers WHERE subscription = ?",
    ] {
        connection.prepare_cached(table)?.execute([subscription.as_str()])?;
    }
    given_up::forget(connection, subscription)
}

/// Drops the oldest dead letters of those that are older than an age, and names their deliveries and
/// reasons.
pub(super) fn expire(
    connection: &Connection,
    older: &Older,
    most: usize,
) -> rusqlite::Result<Vec<(DeliveryKey, Arc<str>)>> {
    let (through, uncounted, before) = older.bounds(|newest| newest.dead_letter);
    let mut expired: Vec<_> = connection
        .prepare_cached(
            "DELETE FROM dead_letters WHERE id IN
               (SELECT id FROM dead_letters INDEXED BY dead_letters_waiting
                 WHERE redriven = 0 AND id <= ? ORDER BY id LIMIT ?)
             RETURNING subscription, replay, event, reason",
        )?
        .query_map(params![through, rows::signed(most as u64)], delivery_and_reason)?
        .collect::<rusqlite::Result<_>>()?;
    if through < uncounted && expired.len() < most {
        let rest = rows::signed((most - expired.len()) as u64);
        let old: Vec<_> = connection
            .prepare_cached(
                "DELETE FROM dead_letters WHERE id IN
                   (SELECT id FROM dead_letters WHERE redriven = 0 AND at < ? AND id <= ?
                    ORDER BY at LIMIT ?)
                 RETURNING subscription, replay, event, reason",
            )?
            .query_map(params![before, uncounted, rest], delivery_and_reason)?
            .collect::<rusqlite::Result<_>>()?;
        expired.extend(old);
    }
    Ok(expired)
}

/// How much there is of each subscription.
pub(super) fn usage(connection: &Connection) -> rusqlite::Result<Vec<DeadLetterUsage>> {
    connection
        .prepare_cached(
            "SELECT subscription, entries, bytes, redriven, redriven_bytes FROM dead_letter_sizes",
        )?
        .query_map([], |row| {
            Ok(DeadLetterUsage {
                subscription: rows::subscription(row, 0)?,
                entries: rows::unsigned(row.get(1)?),
                bytes: rows::unsigned(row.get(2)?),
                redriven: rows::unsigned(row.get(3)?),
                redriven_bytes: rows::unsigned(row.get(4)?),
            })
        })?
        .collect()
}

/// Drops the oldest dead letters of a subscription, until so many bytes have gone, and names them.
pub(super) fn drop_oldest(
    connection: &Connection,
    of: &SubscriptionId,
    (most, bytes): (usize, u64),
) -> rusqlite::Result<Vec<DroppedDeadLetter>> {
    // Beyond what SQLite can count there is nothing.
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "DELETE FROM dead_letters WHERE id IN
               (SELECT id FROM
                  (SELECT id, sum(bytes) OVER (ORDER BY number) - bytes AS gone FROM
                     (SELECT id, number, bytes FROM dead_letters
                       WHERE subscription = ? AND redriven = 0 ORDER BY number LIMIT ?))
                WHERE gone < ?)
             RETURNING subscription, replay, event, reason, bytes",
        )?
        .query_map(params![of.as_str(), rows::signed(most as u64), bytes], |row| {
            let (key, reason) = delivery_and_reason(row)?;
            Ok(DroppedDeadLetter { key, reason, bytes: rows::unsigned(row.get(4)?) })
        })?
        .collect()
}

fn delivery_and_reason(row: &Row<'_>) -> rusqlite::Result<(DeliveryKey, Arc<str>)> {
    Ok((rows::delivery_key(row)?, row.get(3)?))
}
