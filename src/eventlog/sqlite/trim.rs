//! Drops old entries, a slice at a time, inside a transaction that others may share.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::time::Instant;

use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::eventlog::sqlite::contents::Sweep;
use crate::eventlog::sqlite::log_size::{self, LogSize};
use crate::eventlog::sqlite::{
    contexts, envelopes, given_up, observed, protections, rows, times, tree,
};
use crate::eventlog::{Extent, LowWatermark, Position, Retention, Trimmed};

/// The most entries that one slice looks at.
const SLICE: usize = 256;
/// A slice ends after so long, because appends of the same group wait for it.
const PATIENCE: Duration = Duration::from_millis(2);

/// Where dropping stands between two slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trimming {
    pub(super) low_watermark: LowWatermark,
    /// Entries up to here were looked at in this round; those that stayed wait for an attempt.
    looked_at: Position,
    sweep: Sweep,
    /// Entries up to here were counted for the size that is kept.
    counted: Position,
}

/// An old entry, without its data.
struct Old {
    position: Position,
    id: EventId,
    accepted: Timestamp,
    texts: u64,
}

impl Trimming {
    /// Goes on where the database stands.
    pub(super) fn resume(connection: &Connection) -> rusqlite::Result<Self> {
        let low_watermark = connection.query_row("SELECT position, id FROM floors", [], |row| {
            Ok(LowWatermark { position: position(row, 0)?, id: rows::event_id(row, 1)? })
        })?;
        let (looked_at, counted) = (Position::START, Position::START);
        Ok(Self { low_watermark, looked_at, sweep: Sweep::default(), counted })
    }

    /// Drops the next few entries that may go.
    pub(super) fn slice(
        &mut self,
        connection: &Connection,
        retention: &Retention,
    ) -> rusqlite::Result<Trimmed> {
        let begun = Instant::now();
        let before = self.low_watermark;
        let released = names(&retention.released);
        let bound = settled(connection, &released, retention.hold)?;
        let old = oldest(connection, self.looked_at, bound)?;
        let mut size = LogSize::now(connection)?;
        let mut trimmed = Trimmed { dropped: 0, more: old.len() == SLICE };
        for entry in old {
            let is_passed = entry.position <= self.low_watermark.position;
            let too_old = retention.before.is_some_and(|before| entry.accepted < before);
            let too_much = retention.bytes.is_some_and(|most| size.bytes > most);
            if !is_passed && !too_old && !too_much {
                trimmed.more = false;
                break;
            }
            if !waits(connection, entry.position, &released)? {
                drop_entry(connection, entry.position)?;
                trimmed.dropped += 1;
            }
            self.looked_at = entry.position;
            if !is_passed {
                // What waits for an attempt is kept by its consumer, and pushes nothing else out.
                size.bytes = size.bytes.saturating_sub(size.of(entry.position, entry.texts));
                self.low_watermark = LowWatermark { position: entry.position, id: entry.id };
            }
            if begun.elapsed() >= PATIENCE {
                trimmed.more = true;
                break;
            }
        }
        if self.low_watermark != before {
            let low_watermark = params![
                rows::signed(self.low_watermark.position.0),
                self.low_watermark.id.to_bytes()
            ];
            connection
                .prepare_cached("UPDATE floors SET position = ?, id = ?")?
                .execute(low_watermark)?;
            size.keep(connection)?;
            self.counted = size.through;
            tree::sweep_entries(connection, self.low_watermark)?;
            given_up::sweep(connection, self.low_watermark.position)?;
        }
        self.sweep.go_on(connection, trimmed.dropped, self.low_watermark.id)?;
        trimmed.more |= self.sweep_envelopes(connection, trimmed.dropped)?;
        if !trimmed.more {
            // Entries that waited for an attempt are looked at again in the next round.
            self.looked_at = Position::START;
        }
        Ok(trimmed)
    }

    /// Keeps how much the entries take once many are new, so that few are ever looked at to tell it.
    pub(super) fn count_new(
        &mut self,
        connection: &Connection,
        head: Position,
    ) -> rusqlite::Result<()> {
        if head.0.saturating_sub(self.counted.0) >= log_size::KEEP_AFTER {
            LogSize::now(connection)?.keep(connection)?;
            self.counted = head;
        }
        Ok(())
    }

    /// Removes rows of envelopes that retention has passed: as many as the entries that were dropped
    /// pay for, or as a whole slice would; says whether any may be left.
    fn sweep_envelopes(&self, connection: &Connection, dropped: u64) -> rusqlite::Result<bool> {
        let entries = if dropped == 0 { SLICE as u64 } else { dropped };
        envelopes::sweep(connection, entries * envelopes::ROWS, self.low_watermark.position)
    }
}

/// The names of subscriptions that keep nothing, as a JSON array.
fn names(released: &BTreeSet<SubscriptionId>) -> String {
    let names: Vec<_> = released.iter().map(|id| format!("\"{id}\"")).collect();
    format!("[{}]", names.join(","))
}

/// Says how far entries are settled, and how large the log is.
pub(super) fn extent(
    connection: &Connection,
    released: &BTreeSet<SubscriptionId>,
    head: Position,
) -> rusqlite::Result<Extent> {
    let settled = settled(connection, &names(released), head)?;
    Ok(Extent { settled, bytes: LogSize::now(connection)?.bytes })
}

/// The last position that every cursor has settled and nobody holds.
fn settled(connection: &Connection, released: &str, hold: Position) -> rusqlite::Result<Position> {
    let settled: Option<i64> = connection
        .prepare_cached(
            "SELECT min(settled) FROM cursors
             WHERE subscription NOT IN (SELECT value FROM json_each(?))",
        )?
        .query_row([released], |row| row.get(0))?;
    let settled = settled.map_or(hold, |settled| Position(rows::unsigned(settled)));
    // Beyond what SQLite can count there is nothing.
    Ok(settled.min(hold).min(Position(i64::MAX.unsigned_abs())))
}

fn oldest(connection: &Connection, after: Position, bound: Position) -> rusqlite::Result<Vec<Old>> {
    let texts = log_size::TEXTS;
    let sql = format!(
        "SELECT position, id, accepted, {texts} FROM events
         WHERE position > ? AND position <= ? ORDER BY position LIMIT ?"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(
            params![rows::signed(after.0), rows::signed(bound.0), rows::signed(SLICE as u64)],
            |row| {
                Ok(Old {
                    position: position(row, 0)?,
                    id: rows::event_id(row, 1)?,
                    accepted: rows::timestamp(row, 2)?,
                    texts: rows::unsigned(row.get(3)?),
                })
            },
        )?
        .collect()
}

/// The bytes of pages that are free for reuse.
pub(super) fn free_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let ask = |pragma: &str| -> rusqlite::Result<u64> {
        connection.prepare_cached(pragma)?.query_row([], |row| row.get(0).map(rows::unsigned))
    };
    Ok(ask("PRAGMA freelist_count")? * ask("PRAGMA page_size")?)
}

/// Whether an entry waits for another attempt.
fn waits(connection: &Connection, at: Position, released: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM retries WHERE position = ?
               AND subscription NOT IN (SELECT value FROM json_each(?)) LIMIT 1",
        )?
        .query_row(params![rows::signed(at.0), released], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

fn drop_entry(connection: &Connection, at: Position) -> rusqlite::Result<()> {
    tree::keep_entry(connection, at)?;
    connection
        .prepare_cached("DELETE FROM events WHERE position = ?")?
        .execute([rows::signed(at.0)])?;
    observed::drop_of(connection, at)?;
    times::drop_of(connection, at)?;
    contexts::drop_of(connection, at)?;
    protections::drop_of(connection, at)
}

fn position(row: &Row<'_>, at: usize) -> rusqlite::Result<Position> {
    row.get(at).map(|position| Position(rows::unsigned(position)))
}
