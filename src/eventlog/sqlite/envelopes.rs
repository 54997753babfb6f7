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
/// Rows that may go for each entry that was dropped, and for each repeat that was noted.
pub(super) const ROWS: u64 = 2;

/// The part of a position.
pub(super) fn part(position: Position) -> i64 {
    rows::signed(position.0 >> PART_BITS)
}

/// What stands for an envelope's id.
///
/// It has 64 bits: chance does not make two ids that share it, but whoever tries some 2^32 ids finds
/// two. So an id that is the event's own is compared; one whose content was swallowed is kept nowhere
/// else, and its name alone leads to the event.
pub(super) fn name(envelope_id: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(envelope_id).into();
    digest.first_chunk().copied().map_or(0, i64::from_be_bytes)
}

/// Notes that an event came of an envelope of a name.
pub(super) fn remember(
    connection: &Connection,
    name: i64,
    position: Position,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO envelopes (part, name, position, repeated) VALUES (?, ?, ?, 0)",
        )?
        .execute(params![part(position), name, rows::signed(position.0)])?;
    Ok(())
}

/// Notes that an envelope brought what an earlier event says already, when the log had come to
/// `head`. The row lies with the next event, so that it goes no sooner than that.
pub(super) fn remember_repeat(
    connection: &Connection,
    envelope_id: &str,
    (of, head): (EventId, Position),
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO envelopes (part, name, position, repeated)
             SELECT ?, ?, position, 1 FROM events WHERE id = ?",
        )?
        .execute(params![part(Position(head.0 + 1)), name(envelope_id), of.to_bytes()])?;
    Ok(())
}

/// Reads the entries after a position that came of an envelope.
pub(super) fn entries(
    connection: &Connection,
    envelope_id: &str,
    after: Position,
    page: Page,
) -> rusqlite::Result<Vec<Arc<Entry>>> {
    // No row lies in a part before that of its event. The newest, some 98,000 at the most, lie in no order of
    // names and are looked through.
    let sql = format!(
        "WITH RECURSIVE parts (part) AS (
           SELECT min(part) FROM envelopes WHERE part >= ?1
           UNION ALL
           SELECT (SELECT min(part) FROM envelopes WHERE envelopes.part > parts.part)
             FROM parts WHERE part IS NOT NULL)
         SELECT {} FROM
           (SELECT place, max(repeated) AS repeated FROM
              (SELECT envelopes.position AS place, repeated
                 FROM parts CROSS JOIN envelopes ON envelopes.part = parts.part
                 WHERE name = ?2 AND envelopes.position > ?3
               UNION ALL SELECT position, 0 FROM recent WHERE envelope = ?2 AND position > ?3)
              GROUP BY place)
           CROSS JOIN events ON events.position = place
           WHERE repeated OR envelope_id = ?4 ORDER BY place",
        rows::ENTRY
    );
    let bounds = params![part(after), name(envelope_id), rows::signed(after.0), envelope_id];
    let weigh = |entry: &Arc<Entry>| entry.weight();
    queries::fill(connection, &sql, bounds, page, |row| rows::entry(row).map(Arc::new), weigh)
}

/// Removes the first rows of parts that retention has passed, at most so many, and says whether any
/// may be left. An entry of such a part that waits for another attempt is then found by its id alone.
pub(super) fn sweep(
    connection: &Connection,
    most: u64,
    low_watermark: Position,
) -> rusqlite::Result<bool> {
    let Some(last) = most.checked_sub(1) else { return Ok(true) };
    let kept = first_kept(low_watermark);
    let through: Option<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT part, name, position FROM envelopes WHERE part < ?
             ORDER BY part, name, position LIMIT 1 OFFSET ?",
        )?
        .query_row(params![kept, rows::signed(last)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let left = through.is_some();
    let (last, name, position) = through.unwrap_or((kept - 1, i64::MAX, i64::MAX));
    connection
        .prepare_cached("DELETE FROM envelopes WHERE (part, name, position) <= (?, ?, ?)")?
        .execute(params![last, name, position])?;
    Ok(left)
}

/// The first part that retention has not passed. The newest position of the one before may have gone, too,
/// if the next position begins the next part.
fn first_kept(low_watermark: Position) -> i64 {
    part(Position(low_watermark.0 + 1))
}

/// Whether retention has passed a part.
pub(super) fn is_passed(part: i64, low_watermark: Position) -> bool {
    part < first_kept(low_watermark)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ambient::SystemEntropy;
    use crate::event::Timestamp;
    use crate::eventlog::conformance::draft;
    use crate::eventlog::id_generator::IdGenerator;
    use crate::eventlog::sqlite::append::Appending;
    use crate::eventlog::sqlite::database::STEPS;
    use crate::eventlog::sqlite::recent::{Pace, Recent};
    use crate::eventlog::sqlite::running::{PastAges, RunningTime};
    use crate::eventlog::sqlite::schemas::SchemaMarks;
    use crate::eventlog::sqlite::tree::TreeWriter;
    use crate::eventlog::sqlite::trim::Trimming;
    use crate::eventlog::{Draft, Retention};

    const PART: u64 = 1 << PART_BITS;

    fn tables() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for step in STEPS {
            connection.execute_batch(step).unwrap();
        }
        connection
    }

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM envelopes", [], |row| row.get(0)).unwrap()
    }

    /// A log that is empty.
    fn appending<'a>(connection: &'a Connection, recent: &'a mut Recent) -> Appending<'a> {
        let running = RunningTime::resume(connection, (Timestamp::EPOCH, Duration::ZERO)).unwrap();
        Appending {
            connection,
            id_generator: IdGenerator::after(EventId::MIN, Position::START),
            now: Timestamp::EPOCH,
            entropy: &SystemEntropy,
            running,
            past: PastAges::of(connection, &running).unwrap(),
            entries: Vec::new(),
            trimming: Trimming::resume(connection).unwrap(),
            tree: TreeWriter::resume(connection, Position::START).unwrap(),
            recent,
            marks: SchemaMarks::default(),
        }
    }

    /// Sends the one content of a publication that swallows it, under an id of its own.
    fn repeat(appending: &mut Appending<'_>, id: u64) {
        let deduplicate = Some(Duration::from_hours(1));
        let heartbeat =
            Draft { envelope_id: id.to_string().into(), deduplicate, ..draft("heartbeat") };
        append(appending, heartbeat);
    }

    /// Takes an event, whose row lies in its part at once.
    fn append(appending: &mut Appending<'_>, draft: Draft) {
        appending.append(vec![draft]).unwrap();
        appending.recent.owe(1);
        let as_of = (appending.past.origins(), appending.trimming.low_watermark);
        appending.recent.move_rows(appending.connection, as_of).unwrap();
    }

    /// Lets a log go on, with one event, at a place far ahead.
    fn leap(appending: &mut Appending<'_>, word: &str, position: u64) {
        appending.id_generator =
            IdGenerator::after(appending.entries.last().unwrap().event.id, Position(position - 1));
        append(appending, draft(word));
    }

    /// Drops everything; says how many slices that took.
    fn drop_all(appending: &mut Appending<'_>) -> usize {
        let retention =
            Retention { bytes: Some(0), hold: Position(u64::MAX), ..Retention::default() };
        let mut slices = 1;
        while appending.trimming.slice(appending.connection, &retention).unwrap().more {
            slices += 1;
        }
        slices
    }

    #[test]
    fn many_repeats_of_one_event_leave_with_the_few_events_between_them() {
        let connection = tables();
        let mut recent = Recent::resume(&connection, Pace::AT_ONCE).unwrap();
        let mut log = appending(&connection, &mut recent);
        repeat(&mut log, 0);
        for part in 1..4 {
            (1..=700).for_each(|id| repeat(&mut log, part * 1_000 + id));
            leap(&mut log, &part.to_string(), part * PART);
        }
        leap(&mut log, "last", 4 * PART - 1);
        assert_eq!(count(&connection), 1 + 3 * 701 + 1);

        let slices = drop_all(&mut log);

        assert_eq!(count(&connection), 0);
        assert!(slices > 2, "no slice removes them all");
    }

    #[test]
    fn each_repeat_pays_for_rows_that_retention_has_left() {
        let connection = tables();
        let mut recent = Recent::resume(&connection, Pace::AT_ONCE).unwrap();
        let mut log = appending(&connection, &mut recent);
        repeat(&mut log, 0);
        (1..=99).for_each(|id| repeat(&mut log, id));
        // Retention has passed the part and was ended before it came to its rows.
        let passed = "UPDATE floors SET position = ?";
        connection.execute(passed, [rows::signed(PART - 1)]).unwrap();
        log.trimming = Trimming::resume(&connection).unwrap();
        leap(&mut log, "a", PART);
        assert_eq!(count(&connection), 101);

        (1_000..1_050).for_each(|id| repeat(&mut log, id));

        assert_eq!(count(&connection), 51, "only what the second part has");
    }

    #[test]
    fn an_id_that_shares_its_name_does_not_lead_to_an_event_of_another() {
        let connection = tables();
        let mut recent = Recent::resume(&connection, Pace::AT_ONCE).unwrap();
        let mut log = appending(&connection, &mut recent);
        log.append(vec![Draft { envelope_id: "own".into(), ..draft("a") }]).unwrap();
        let found =
            |id: &str| entries(&connection, id, Position::START, Page::default()).unwrap().len();
        let share = |repeated: i64| {
            let row = params![name("other"), repeated];
            let sql = "INSERT OR REPLACE INTO envelopes (part, name, position, repeated)
                       VALUES (0, ?, 1, ?)";
            connection.execute(sql, row).unwrap();
        };

        assert_eq!((found("own"), found("other")), (1, 0));
        share(0);
        assert_eq!(found("other"), 0);
        share(1);
        assert_eq!(found("other"), 1, "its content was swallowed");
    }

    #[test]
    fn rows_go_with_their_part_a_few_at_a_time_and_not_before() {
        let connection = tables();
        for position in [1, 2, 3, PART - 1, PART, PART + 1, 5 * PART] {
            remember(&connection, name(&position.to_string()), Position(position)).unwrap();
            remember(&connection, name(&position.to_string()), Position(position)).unwrap();
        }
        let pass = |most: u64, low_watermark: u64| {
            sweep(&connection, most, Position(low_watermark)).unwrap();
            count(&connection)
        };

        assert_eq!(count(&connection), 7);
        assert_eq!(pass(100, PART - 2), 7, "one of the part is left");
        assert_eq!(pass(0, PART - 1), 7, "nothing may go");
        assert_eq!(pass(2, PART - 1), 5);
        assert_eq!(pass(100, PART - 1), 3);
        assert_eq!(pass(100, 4 * PART), 1);
        assert_eq!(pass(100, 6 * PART), 0);
    }
}
