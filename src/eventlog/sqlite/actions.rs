//! Reads and writes what callers changed.

use std::time::Duration;

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row, params};

use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::actions::{SWEEP_ACTIONS, SWEEP_ACTIONS_AFTER};
use crate::eventlog::sqlite::queries::fill;
use crate::eventlog::sqlite::rows;
use crate::eventlog::sqlite::running::{Older, RunningTime};
use crate::eventlog::{
    Action, ActionEnd, ActionId, ActionKind, ActionOutcome, ActionOwners, ActionQuery,
    ActionReason, NewAction, Page,
};

/// Counts what was begun until old actions are looked for.
pub(super) struct ActionSweep {
    age: Duration,
    most: u64,
    begun: usize,
}

impl ActionSweep {
    /// Keeps actions for so long, and so many of each caller.
    pub(super) const fn keeping(age: Duration, most: u64) -> Self {
        Self { age, most, begun: 0 }
    }

    /// Counts one.
    pub(super) const fn count(&mut self) {
        self.begun += 1;
    }

    /// Drops what is too old or too much, once enough has come.
    pub(super) fn sweep(
        &mut self,
        connection: &Connection,
        running: &RunningTime,
    ) -> rusqlite::Result<()> {
        if self.begun >= SWEEP_ACTIONS_AFTER {
            prune(connection, &running.older(connection, self.age)?, self.most)?;
            self.begun = 0;
        }
        Ok(())
    }
}

/// Keeps that an action begins.
pub(super) fn begin(connection: &Connection, action: &NewAction) -> rusqlite::Result<ActionId> {
    let insert = "INSERT INTO actions
                    (at, caller, kind, target, consumer, domain, request, reason, outcome)
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(insert)?.execute(params![
        action.at.unix_nanos(),
        action.caller,
        action.kind.text(),
        action.target,
        action.consumer.as_ref().map(ConsumerId::as_str),
        action.domain,
        action.request,
        action.reason.as_ref().map(ActionReason::as_str),
        ActionOutcome::Begun.text(),
    ])?;
    Ok(ActionId(rows::unsigned(connection.last_insert_rowid())))
}

/// Keeps what became of an action.
pub(super) fn end(connection: &Connection, id: ActionId, end: &ActionEnd) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE actions SET outcome = ?, code = ?, made = ? WHERE id = ?")?
        .execute(params![end.outcome.text(), end.code, end.made, rows::signed(id.0)])?;
    Ok(())
}

/// Lists actions, newest first.
pub(super) fn list(
    connection: &Connection,
    query: &ActionQuery,
    page: Page,
) -> rusqlite::Result<Vec<Action>> {
    let sql = "SELECT id, at, caller, kind, target, consumer, domain, request, reason, outcome,
                      code, made
               FROM actions
               WHERE id < ?1
                 AND (?2 IS NULL OR caller = ?2)
                 AND (?3 IS NULL OR kind = ?3)
                 AND (?4 IS NULL OR target = ?4
                      OR substr(target, 1, length(?4) + 1) = ?4 || '/')
                 AND (?5 IS NULL OR at >= ?5)
                 AND (?6 IS NULL OR at <= ?6)
                 AND (?7 IS NULL OR consumer IN (SELECT value FROM json_each(?7))
                      OR domain IN (SELECT value FROM json_each(?8)))
               ORDER BY id DESC";
    let (consumers, domains) = query.owners.as_ref().map(names).unzip();
    let bounds = params![
        rows::signed(query.before.map_or(i64::MAX.cast_unsigned(), |id| id.0)),
        query.caller,
        query.kind.map(ActionKind::text),
        query.target,
        query.from.map(Timestamp::unix_nanos),
        query.to.map(Timestamp::unix_nanos),
        consumers,
        domains,
    ];
    fill(connection, sql, bounds, page, action, Action::weight)
}

/// The names of owners as two arrays of JSON.
fn names(owners: &ActionOwners) -> (String, String) {
    let consumers: Vec<&str> = owners.consumers.iter().map(ConsumerId::as_str).collect();
    (serde_json::json!(consumers).to_string(), serde_json::json!(owners.domains).to_string())
}

fn action(row: &Row<'_>) -> rusqlite::Result<Action> {
    let unknown = || rusqlite::Error::from(FromSqlError::InvalidType);
    let kind: String = row.get(3)?;
    let outcome: String = row.get(9)?;
    let consumer: Option<String> = row.get(5)?;
    let consumer = consumer.map(|name| name.parse().map_err(|_| unknown())).transpose()?;
    Ok(Action {
        id: ActionId(rows::unsigned(row.get(0)?)),
        begun: NewAction {
            at: Timestamp::from_unix_nanos(row.get(1)?),
            caller: row.get(2)?,
            kind: ActionKind::from_text(&kind).ok_or_else(unknown)?,
            target: row.get(4)?,
            consumer,
            domain: row.get(6)?,
            request: row.get(7)?,
            reason: row.get::<_, Option<_>>(8)?.map(ActionReason::from_stored),
        },
        end: ActionEnd {
            outcome: ActionOutcome::from_text(&outcome).ok_or_else(unknown)?,
            code: row.get(10)?,
            made: row.get(11)?,
        },
    })
}

/// Drops those among the oldest actions that are older than an age, and of each caller what is over so
/// many.
fn prune(connection: &Connection, older: &Older, most: u64) -> rusqlite::Result<()> {
    let (through, uncounted, before) = older.bounds(|newest| newest.action);
    connection
        .prepare_cached(
            "DELETE FROM actions WHERE id IN (SELECT id FROM actions ORDER BY id LIMIT ?)
             AND (id <= ? OR id <= ? AND at < ?)",
        )?
        .execute(params![rows::signed(SWEEP_ACTIONS as u64), through, uncounted, before])?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let excess: Vec<(String, i64)> = connection
        .prepare_cached(
            "SELECT caller, count(*) - ?1 FROM actions GROUP BY caller HAVING count(*) > ?1",
        )?
        .query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (caller, excess) in excess {
        connection
            .prepare_cached(
                "DELETE FROM actions WHERE id IN
                   (SELECT id FROM actions WHERE caller = ? ORDER BY id LIMIT ?)",
            )?
            .execute(params![caller, excess.min(rows::signed(SWEEP_ACTIONS as u64))])?;
    }
    Ok(())
}
