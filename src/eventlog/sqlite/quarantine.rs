//! Quarantined events on the disk: kept, listed, counted and dropped.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::event::Timestamp;
use crate::eventlog::sqlite::quarantine_sizes::EntrySize;
use crate::eventlog::sqlite::queries::fill;
use crate::eventlog::sqlite::running::Older;
use crate::eventlog::sqlite::{quarantine_sizes, rows};
use crate::eventlog::{
    KeptEntry, NewQuarantined, Page, QuarantineCount, QuarantineId, QuarantineKind,
    QuarantineQuery, QuarantineQuota, Quarantined, UnreadBytes,
};

/// Keeps events that broke their contract, each once while its entry is there, as long as there is room.
pub(super) fn put(
    connection: &Connection,
    batch: &[NewQuarantined],
    quota: QuarantineQuota,
    at: Timestamp,
) -> rusqlite::Result<Vec<KeptEntry>> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO quarantine (at, publication, received, violations, envelope_id, codes)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let mut identify =
        connection.prepare_cached("INSERT INTO quarantined_events (id, identity) VALUES (?, ?)")?;
    let keep = |new: &NewQuarantined| {
        if let Some(id) = same_event(connection, new)? {
            return Ok(KeptEntry::Already(id));
        }
        let size = EntrySize {
            producer: new.producer.as_ref(),
            kind: QuarantineKind::Event,
            bytes: new.bytes_on_disk(),
        };
        if let Some(refusal) = size.refusal(connection, quota)? {
            return Ok(refusal);
        }
        let id = insert.insert(params![
            at.unix_nanos(),
            new.publication,
            new.received,
            new.violations,
            new.envelope_id,
            new.codes,
        ])?;
        if let Some(identity) = new.identity {
            identify.execute(params![id, identity])?;
        }
        size.add(connection, id)?;
        Ok(KeptEntry::New(QuarantineId(rows::unsigned(id))))
    };
    batch.iter().map(keep).collect()
}

/// What is there of the same event.
fn same_event(
    connection: &Connection,
    new: &NewQuarantined,
) -> rusqlite::Result<Option<QuarantineId>> {
    connection
        .prepare_cached("SELECT id FROM quarantined_events WHERE identity = ?")?
        .query_row([new.identity], |row| row.get(0))
        .optional()
        .map(|id| id.map(|id| QuarantineId(rows::unsigned(id))))
}

/// Keeps what could not be read, each as long as there is room.
pub(super) fn put_bytes(
    connection: &Connection,
    batch: &[UnreadBytes],
    quota: QuarantineQuota,
    at: Timestamp,
) -> rusqlite::Result<Vec<KeptEntry>> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO quarantine (at, publication, received, violations, envelope_id, codes)
         VALUES (?, '', '', ?, ?, ?)",
    )?;
    let mut describe = connection.prepare_cached(
        "INSERT INTO unread (id, producer_kind, producer, identity, headers, body, weight)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut keep = |new: &UnreadBytes| {
        if let Some(id) = same(connection, new)? {
            return Ok(KeptEntry::Already(id));
        }
        let size = EntrySize {
            producer: Some(&new.producer),
            kind: QuarantineKind::Bytes,
            bytes: new.bytes_on_disk(),
        };
        if let Some(refusal) = size.refusal(connection, quota)? {
            return Ok(refusal);
        }
        let id =
            insert.insert(params![at.unix_nanos(), new.violations, new.envelope_id, new.codes,])?;
        describe.execute(params![
            id,
            new.producer.kind.text(),
            new.producer.name,
            new.identity,
            new.headers,
            new.body,
            rows::signed(new.weight() as u64),
        ])?;
        size.add(connection, id)?;
        Ok(KeptEntry::New(QuarantineId(rows::unsigned(id))))
    };
    batch.iter().map(&mut keep).collect()
}

/// What the producer has there of the same.
fn same(connection: &Connection, new: &UnreadBytes) -> rusqlite::Result<Option<QuarantineId>> {
    connection
        .prepare_cached(
            "SELECT id FROM unread
             WHERE producer = ? AND producer_kind = ? AND identity = ? LIMIT 1",
        )?
        .query_row(params![new.producer.name, new.producer.kind.text(), new.identity], |row| {
            row.get(0)
        })
        .optional()
        .map(|id| id.map(|id| QuarantineId(rows::unsigned(id))))
}

/// Lists quarantined events, oldest first.
pub(super) fn list(
    connection: &Connection,
    query: &QuarantineQuery,
    page: Page,
) -> rusqlite::Result<Vec<Quarantined>> {
    // No code has a comma, and what is asked for is one.
    if query.code.as_ref().is_some_and(|code| code.contains(',')) {
        return Ok(Vec::new());
    }
    let mut terms = vec!["quarantine.id > ?"];
    let mut bounds: Vec<Value> = vec![rows::signed(query.after.0).into()];
    terms.extend(query.kind.map(|kind| match kind {
        QuarantineKind::Event => "unread.id IS NULL",
        QuarantineKind::Bytes => "unread.id IS NOT NULL",
    }));
    let columns = [
        ("envelope_id = ?", &query.envelope_id),
        ("publication = ?", &query.publication),
        ("quarantine.id IN (SELECT id FROM quarantine_sizes WHERE producer = ?)", &query.producer),
        ("instr(',' || codes || ',', ',' || ? || ',') > 0", &query.code),
    ];
    for (term, wanted) in columns {
        if let Some(wanted) = wanted {
            terms.push(term);
            bounds.push(wanted.to_string().into());
        }
    }
    for (term, moment) in [("at >= ?", query.from), ("at <= ?", query.to)] {
        if let Some(moment) = moment {
            terms.push(term);
            bounds.push(moment.unix_nanos().into());
        }
    }
    if let Some(domains) = &query.domains {
        terms.push(
            "substr(publication, 1, instr(publication, '/') - 1) IN (SELECT value FROM json_each(?))",
        );
        bounds.push(serde_json::json!(domains).to_string().into());
    }
    let sql = format!(
        "SELECT {} FROM quarantine LEFT JOIN unread ON unread.id = quarantine.id
         LEFT JOIN quarantined_events ON quarantined_events.id = quarantine.id
         LEFT JOIN quarantine_sizes ON quarantine_sizes.id = quarantine.id
         WHERE {} ORDER BY quarantine.id",
        rows::QUARANTINED,
        terms.join(" AND ")
    );
    fill(connection, &sql, params_from_iter(bounds), page, rows::quarantined, Quarantined::weight)
}

/// Counts quarantined events by publication and codes.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<Vec<QuarantineCount>> {
    connection
        .prepare_cached(
            "SELECT publication, codes, count(*) FROM quarantine GROUP BY publication, codes",
        )?
        .query_map([], |row| {
            Ok(QuarantineCount {
                publication: row.get(0)?,
                codes: row.get(1)?,
                count: rows::unsigned(row.get(2)?),
            })
        })?
        .collect()
}

/// Removes a quarantined event; says whether it was there.
pub(super) fn remove(connection: &Connection, id: QuarantineId) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached("DELETE FROM quarantine WHERE id = ?")?
        .execute([rows::signed(id.0)])?;
    drop_rest(connection, rows::signed(id.0))?;
    Ok(removed > 0)
}

/// Drops the oldest quarantined events of those that are older than an age, and names their publications.
pub(super) fn expire(
    connection: &Connection,
    older: &Older,
    most: usize,
) -> rusqlite::Result<Vec<Arc<str>>> {
    let (through, uncounted, before) = older.bounds(|newest| newest.quarantined);
    let expired: Vec<(i64, Arc<str>)> = connection
        .prepare_cached(
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine ORDER BY id LIMIT ?)
             AND (id <= ? OR id <= ? AND at < ?) RETURNING id, publication",
        )?
        .query_map(params![rows::signed(most as u64), through, uncounted, before], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let drop_one = |(id, publication)| drop_rest(connection, id).map(|()| publication);
    expired.into_iter().map(drop_one).collect()
}

/// Drops what is kept beside an entry, and what it counts for.
fn drop_rest(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM quarantined_events WHERE id = ?")?.execute([id])?;
    connection.prepare_cached("DELETE FROM unread WHERE id = ?")?.execute([id])?;
    quarantine_sizes::remove(connection, id)
}
