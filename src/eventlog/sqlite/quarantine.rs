//! Quarantined events on the disk: kept, listed, counted and dropped.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::event::Timestamp;
use crate::eventlog::sqlite::queries::fill;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{
    NewQuarantined, Page, QuarantineCount, QuarantineId, QuarantineQuery, Quarantined,
};

/// Keeps events that broke their contract.
pub(super) fn put(
    connection: &Connection,
    batch: &[NewQuarantined],
    at: Timestamp,
) -> rusqlite::Result<Vec<QuarantineId>> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO quarantine (at, publication, received, violations, envelope_id, codes)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let keep = |new: &NewQuarantined| {
        insert.insert(params![
            at.unix_nanos(),
            new.publication,
            new.received,
            new.violations,
            new.envelope_id,
            new.codes,
        ])
    };
    batch.iter().map(keep).map(|id| id.map(|id| QuarantineId(rows::unsigned(id)))).collect()
}

/// Lists quarantined events, oldest first.
pub(super) fn list(
    connection: &Connection,
    query: &QuarantineQuery,
    page: Page,
) -> rusqlite::Result<Vec<Quarantined>> {
    let mut terms = vec!["id > ?"];
    let mut bounds: Vec<Value> = vec![rows::signed(query.after.0).into()];
    let columns =
        [("envelope_id = ?", &query.envelope_id), ("publication = ?", &query.publication)];
    for (term, wanted) in columns {
        if let Some(wanted) = wanted {
            terms.push(term);
            bounds.push(wanted.to_string().into());
        }
    }
    let sql = format!(
        "SELECT {} FROM quarantine WHERE {} ORDER BY id",
        rows::QUARANTINED,
        terms.join(" AND ")
    );
    let weigh = |kept: &Quarantined| kept.event.weight();
    fill(connection, &sql, params_from_iter(bounds), page, rows::quarantined, weigh)
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
    Ok(removed > 0)
}

/// Drops the oldest quarantined events from before a moment, and names their publications.
pub(super) fn expire(
    connection: &Connection,
    before: Timestamp,
    most: usize,
) -> rusqlite::Result<Vec<Arc<str>>> {
    connection
        .prepare_cached(
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine ORDER BY id LIMIT ?)
             AND at < ? RETURNING publication",
        )?
        .query_map(params![rows::signed(most as u64), before.unix_nanos()], |row| row.get(0))?
        .collect()
}
