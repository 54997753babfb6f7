//! Keeps the places from which matches can be numbered.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::SubscriptionId;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Milestone, Position};

/// Keeps one.
pub(super) fn put(
    connection: &Connection,
    subscription: &SubscriptionId,
    milestone: &Milestone,
) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO milestones VALUES (?, ?, ?, ?)")?.execute(
        params![
            subscription.as_str(),
            rows::signed(milestone.position.0),
            rows::signed(milestone.sequence),
            milestone.chain.to_bytes(),
        ],
    )?;
    Ok(())
}

/// The newest at or before a place, and the oldest after it.
pub(super) fn around(
    connection: &Connection,
    subscription: &SubscriptionId,
    place: Position,
) -> rusqlite::Result<(Option<Milestone>, Option<Milestone>)> {
    let one = |sql: &str| {
        connection
            .prepare_cached(sql)?
            .query_row(params![subscription.as_str(), rows::signed(place.0)], rows::milestone)
            .optional()
    };
    let before = one("SELECT position, sequence, chain FROM milestones
         WHERE subscription = ? AND position <= ? ORDER BY position DESC LIMIT 1")?;
    let after = one("SELECT position, sequence, chain FROM milestones
         WHERE subscription = ? AND position > ? ORDER BY position LIMIT 1")?;
    Ok((before, after))
}

/// Drops those from which nothing is read any more once the entries up to `dropped` are gone.
pub(super) fn prune(connection: &Connection, dropped: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM milestones WHERE position < ?1 AND position < (
               SELECT max(position) FROM milestones AS newest
               WHERE newest.subscription = milestones.subscription AND newest.position <= ?1)",
        )?
        .execute([rows::signed(dropped.0)])?;
    Ok(())
}
