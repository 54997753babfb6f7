//! Which events came of an envelope: what a producer's own id is found by.
//!
//! Names lie in no order of time, so one table of them all would have a page of its own written for
//! each event. Here each part of the log has its names together: what is added touches few pages,
//! what goes lies at the front, and whoever looks for a name looks into each part.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use crate::event::EventId;
use crate::eventlog::sqlite::{queries, rows};
use crate::eventlog::{Entry, Page, Position};

/// Positions of a part, as a power of two.
const PART_BITS: u32 = 13;
/// Rows that may go for each entry that was dropped.
const ROWS: u64 = 2;

fn part(position: Position) -> i64 {
    rows::signed(position.0 >> PART_BITS)
}

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
        .prepare_cached("INSERT OR IGNORE INTO envelopes (part, name, position) VALUES (?, ?, ?)")?
        .execute(params![part(position), name(envelope_id), rows::signed(position.0)])?;
    Ok(())
}

/// Notes that an envelope brought what an earlier event says already, when the log had come to
/// `head`.
pub(super) fn remember_repeat(
    connection: &Connection,
    envelope_id: &str,
    (of, head): (EventId, Position),
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO envelopes (part, name, position)
             SELECT ?, ?, position FROM events WHERE id = ?",
        )?
        .execute(params![part(head), name(envelope_id), of.to_bytes()])?;
    Ok(())
}

/// Reads the entries after a position that came of an envelope.
pub(super) fn entries(
    connection: &Connection,
    envelope_id: &str,
    after: Position,
    page: Page,
) -> rusqlite::Result<Vec<Arc<Entry>>> {
    // No row lies in a part before that of its event.
    let sql = format!(
        "WITH RECURSIVE parts (part) AS (
           SELECT min(part) FROM envelopes WHERE part >= ?1
           UNION ALL
           SELECT (SELECT min(part) FROM envelopes WHERE envelopes.part > parts.part)
             FROM parts WHERE part IS NOT NULL)
         SELECT {} FROM
           (SELECT DISTINCT envelopes.position AS place
              FROM parts CROSS JOIN envelopes ON envelopes.part = parts.part
              WHERE name = ?2 AND envelopes.position > ?3)
           CROSS JOIN events ON events.position = place ORDER BY place",
        rows::ENTRY
    );
    let bounds = params![part(after), name(envelope_id), rows::signed(after.0)];
    let weigh = |entry: &Arc<Entry>| entry.weight();
    queries::fill(connection, &sql, bounds, page, |row| rows::entry(row).map(Arc::new), weigh)
}

/// Removes the first rows of parts that retention has passed, as many as so many dropped entries pay
/// for. An entry of such a part that waits for another attempt is then found by its id alone.
pub(super) fn drop_passed(
    connection: &Connection,
    dropped: u64,
    low_watermark: Position,
) -> rusqlite::Result<()> {
    let Some(last) = dropped.saturating_mul(ROWS).checked_sub(1) else { return Ok(()) };
    // The newest position of the part may have gone too, if the next one begins the next part.
    let kept = part(Position(low_watermark.0 + 1));
    let through: Option<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT part, name, position FROM envelopes WHERE part < ?
             ORDER BY part, name, position LIMIT 1 OFFSET ?",
        )?
        .query_row(params![kept, rows::signed(last)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (last, name, position) = through.unwrap_or((kept - 1, i64::MAX, i64::MAX));
    connection
        .prepare_cached("DELETE FROM envelopes WHERE (part, name, position) <= (?, ?, ?)")?
        .execute(params![last, name, position])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventlog::sqlite::database::STEPS;

    const PART: u64 = 1 << PART_BITS;

    #[test]
    fn rows_go_with_their_part_a_few_at_a_time_and_not_before() {
        let connection = Connection::open_in_memory().unwrap();
        for step in STEPS {
            connection.execute_batch(step).unwrap();
        }
        for position in [1, 2, 3, PART - 1, PART, PART + 1, 5 * PART] {
            remember(&connection, &position.to_string(), Position(position)).unwrap();
            remember(&connection, &position.to_string(), Position(position)).unwrap();
        }
        let count = || -> i64 {
            connection.query_row("SELECT count(*) FROM envelopes", [], |row| row.get(0)).unwrap()
        };
        let pass = |dropped: u64, low_watermark: u64| {
            drop_passed(&connection, dropped, Position(low_watermark)).unwrap();
            count()
        };

        assert_eq!(count(), 7);
        assert_eq!(pass(100, PART - 2), 7, "one of the part is left");
        assert_eq!(pass(0, PART - 1), 7, "nothing was dropped");
        assert_eq!(pass(1, PART - 1), 5);
        assert_eq!(pass(100, PART - 1), 3);
        assert_eq!(pass(100, 4 * PART), 1);
        assert_eq!(pass(100, 6 * PART), 0);
    }
}
