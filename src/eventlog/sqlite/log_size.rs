//! How many bytes the events of the log take: counted as they come and go, and nothing else with them.

use rusqlite::{Connection, params};

use crate::eventlog::Position;
use crate::eventlog::disk_bytes::event_bytes;
use crate::eventlog::sqlite::rows;

/// The bytes that the texts of an event have, of a row of `events`.
pub(super) const TEXTS: &str = "octet_length(source) + octet_length(type) \
    + coalesce(octet_length(subject), 0) + coalesce(octet_length(dataschema), 0) \
    + coalesce(octet_length(trace), 0) + octet_length(data) + 2 * octet_length(publication) \
    + octet_length(envelope_id) \
    + coalesce((SELECT octet_length(context) FROM contexts AS own \
                 WHERE own.position = events.position), 0) \
    + coalesce((SELECT octet_length(violations) FROM observed AS own \
                 WHERE own.position = events.position), 0)";

/// After so many new events it is kept how much they take. Until then it is told from the events
/// themselves, so that an append writes no page for it.
pub(super) const KEEP_AFTER: u64 = 512;

/// What the events above the low watermark take, up to a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSize {
    pub(super) through: Position,
    pub(super) bytes: u64,
    /// Events up to here came before they were counted one by one.
    old_through: Position,
    /// What each of them counts for.
    old_each: u64,
}

impl LogSize {
    /// What they take now.
    pub(super) fn now(connection: &Connection) -> rusqlite::Result<Self> {
        let kept = connection
            .prepare_cached("SELECT position, bytes, old_through, old_each FROM log_size")?
            .query_row([], |row| {
                Ok(Self {
                    through: Position(rows::unsigned(row.get(0)?)),
                    bytes: rows::unsigned(row.get(1)?),
                    old_through: Position(rows::unsigned(row.get(2)?)),
                    old_each: rows::unsigned(row.get(3)?),
                })
            })?;
        kept.with_new(connection)
    }

    /// With what came after it.
    fn with_new(mut self, connection: &Connection) -> rusqlite::Result<Self> {
        let sql =
            format!("SELECT position, {TEXTS} FROM events WHERE position > ? ORDER BY position");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut new = statement.query([rows::signed(self.through.0)])?;
        while let Some(row) = new.next()? {
            self.through = Position(rows::unsigned(row.get(0)?));
            let bytes = self.of(self.through, rows::unsigned(row.get(1)?));
            self.bytes = self.bytes.saturating_add(bytes);
        }
        Ok(self)
    }

    /// What the event at a position takes whose texts have so many bytes.
    pub(super) const fn of(&self, position: Position, texts: u64) -> u64 {
        if position.0 <= self.old_through.0 { self.old_each } else { event_bytes(texts) }
    }

    /// Keeps it.
    pub(super) fn keep(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE log_size SET position = ?, bytes = ?")?
            .execute(params![rows::signed(self.through.0), rows::signed(self.bytes)])?;
        Ok(())
    }
}
