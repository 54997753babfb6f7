//! Which events came of an envelope: what a producer's own id is found by.
//!
//! A row has 16 bytes, and lies where its name falls. It counts only while its event is there, and
//! is swept later, as contents are and for the same reason.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use crate::event::EventId;
use crate::eventlog::sqlite::{queries, rows};
use crate::eventlog::{Entry, Page, Position};

/// Rows that a sweep looks at for each entry that was dropped.
const LOOKS: u64 = 4;

/// What stands for an envelope's id. Nobody can make two ids that share it.
fn name(envelope_id: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(envelope_id).into();
    digest.first_chunk().copied().map_or(0, i64::from_be_bytes)
}

/// Notes that an event came of an envelope.
pub(super) fn remember(
    connection: &Connection,
    envelope_id: &str,
    position: Position,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO envelopes (name, position) VALUES (?, ?)")?
        .execute(params![name(envelope_id), rows::signed(position.0)])?;
    Ok(())
}

/// Notes that an envelope brought what an earlier event says already.
pub(super) fn remember_repeat(
    connection: &Connection,
    envelope_id: &str,
    of: EventId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO envelopes (name, position)
             SELECT ?, position FROM events WHERE id = ?",
        )?
        .execute(params![name(envelope_id), of.to_bytes()])?;
    Ok(())
}

/// Reads the entries after a position that came of an envelope.
pub(super) fn entries(
    connection: &Connection,
    envelope_id: &str,
    after: Position,
    page: Page,
) -> rusqlite::Result<Vec<Arc<Entry>>> {
    let sql = format!(
        "SELECT {} FROM
           (SELECT position AS place FROM envelopes WHERE name = ? AND position > ?)
           CROSS JOIN events ON events.position = place ORDER BY place",
        rows::ENTRY
    );
    let bounds = params![name(envelope_id), rows::signed(after.0)];
    let weigh = |entry: &Arc<Entry>| entry.weight();
    queries::fill(connection, &sql, bounds, page, |row| rows::entry(row).map(Arc::new), weigh)
}

/// The row at which a sweep through the envelopes has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct EnvelopeSweep(i64, i64);

impl Default for EnvelopeSweep {
    /// Before the first row.
    fn default() -> Self {
        Self(i64::MIN, 0)
    }
}

impl EnvelopeSweep {
    /// Removes rows of events that are gone, as far as so many dropped entries pay for.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        dropped: u64,
        low_watermark: Position,
    ) -> rusqlite::Result<()> {
        let Some(looks) = dropped.saturating_mul(LOOKS).checked_sub(1) else { return Ok(()) };
        let Self(after, after_position) = *self;
        let last: Option<(i64, i64)> = connection
            .prepare_cached(
                "SELECT name, position FROM envelopes WHERE (name, position) > (?, ?)
                 ORDER BY name, position LIMIT 1 OFFSET ?",
            )?
            .query_row(params![after, after_position, rows::signed(looks)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (through, through_position) = last.unwrap_or((i64::MAX, i64::MAX));
        connection
            .prepare_cached(
                "DELETE FROM envelopes
                 WHERE (name, position) > (?, ?) AND (name, position) <= (?, ?) AND position <= ?
                   AND NOT EXISTS (SELECT 1 FROM events WHERE events.position = envelopes.position)",
            )?
            .execute(params![
                after,
                after_position,
                through,
                through_position,
                rows::signed(low_watermark.0)
            ])?;
        // At the end of the table, the next sweep begins at the front again.
        *self = last.map_or_else(Self::default, |(name, position)| Self(name, position));
        Ok(())
    }
}
