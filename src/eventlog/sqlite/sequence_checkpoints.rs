//! Keeps the places from which matches can be numbered.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::SubscriptionId;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Position, SequenceCheckpoint};

/// The most rows that one slice of pruning drops, and the most subscriptions that it looks at.
const SLICE: usize = 256;

/// Keeps one.
pub(super) fn put(
    connection: &Connection,
    subscription: &SubscriptionId,
    sequence_checkpoint: &SequenceCheckpoint,
) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO milestones (subscription, position, sequence, chain)
                  VALUES (?, ?, ?, ?)";
    connection.prepare_cached(insert)?.execute(params![
        subscription.as_str(),
        rows::signed(sequence_checkpoint.position.0),
        rows::signed(sequence_checkpoint.sequence),
        sequence_checkpoint.chain.to_bytes(),
    ])?;
    Ok(())
}

/// The newest at or before a place, and the oldest after it.
pub(super) fn around(
    connection: &Connection,
    subscription: &SubscriptionId,
    place: Position,
) -> rusqlite::Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>)> {
    let one = |sql: &str| {
        connection
            .prepare_cached(sql)?
            .query_row(
                params![subscription.as_str(), rows::signed(place.0)],
                rows::sequence_checkpoint,
            )
            .optional()
    };
    let before = one("SELECT position, sequence, chain FROM milestones
         WHERE subscription = ? AND position <= ? ORDER BY position DESC LIMIT 1")?;
    let after = one("SELECT position, sequence, chain FROM milestones
         WHERE subscription = ? AND position > ? ORDER BY position LIMIT 1")?;
    Ok((before, after))
}

/// Drops those from which nothing is read any more once the entries up to `dropped` are gone, for so
/// many rows and so many subscriptions, by name from `first` on, that others need not wait long; says
/// at which name to go on.
pub(super) fn prune(
    connection: &Connection,
    first: &str,
    dropped: Position,
) -> rusqlite::Result<Option<String>> {
    // The first column of the key: each name costs one look into the index, not one for each row.
    let mut name_from = connection
        .prepare_cached("SELECT min(subscription) FROM milestones WHERE subscription >= ?")?;
    let mut drop_some = connection.prepare_cached(
        "DELETE FROM milestones WHERE subscription = ?1 AND position IN (
           SELECT position FROM milestones WHERE subscription = ?1 AND position < (
             SELECT max(position) FROM milestones WHERE subscription = ?1 AND position <= ?2)
           ORDER BY position LIMIT ?3)",
    )?;
    let mut from = first.to_owned();
    let mut room = SLICE;
    for _ in 0..SLICE {
        let found = name_from.query_row([&from], |row| row.get::<_, Option<String>>(0))?;
        let Some(name) = found else { return Ok(None) };
        let most = rows::signed(room as u64);
        room -= drop_some.execute(params![name, rows::signed(dropped.0), most])?;
        if room == 0 {
            return Ok(Some(name));
        }
        // The least text that is greater.
        from = name + "\0";
    }
    Ok(Some(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventlog::sqlite::database::STEPS;

    #[test]
    fn pruning_takes_a_slice_at_a_time_and_goes_on_where_it_was() {
        let connection = Connection::open_in_memory().unwrap();
        for step in STEPS {
            connection.execute_batch(step).unwrap();
        }
        for (prefix, subscriptions, places) in [("a", 1, 1000), ("b", 600, 2)] {
            let insert = "INSERT INTO milestones
                 WITH RECURSIVE s(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM s WHERE s < ?2),
                                n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?3)
                 SELECT ?1 || s, n, 0, x'00' FROM s, n";
            connection.execute(insert, params![prefix, subscriptions, places]).unwrap();
        }
        let count_rows = || {
            let count = "SELECT count(*) FROM milestones";
            connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let (mut from, mut slices, mut before) = (String::new(), 0, count_rows());
        while let Some(next) = prune(&connection, &from, Position(900)).unwrap() {
            assert!(before - count_rows() <= rows::signed(SLICE as u64));
            (from, slices, before) = (next, slices + 1, count_rows());
        }

        assert!(slices >= (899 + 600) / SLICE, "{slices} slices");
        assert_eq!(count_rows(), 101 + 600);
    }
}
