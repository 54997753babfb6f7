//! What was given up, on the disk: as long as the log has the event, whatever becomes of its dead letter.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::SubscriptionId;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{DeadLetter, DeliveryKey, GivenUp, Position};

/// Notes that a live delivery was given up; a replay is none.
pub(super) fn put(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    if letter.key.replay.is_some() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO given_up (subscription, event, position, reason, at)
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            letter.key.subscription.as_str(),
            letter.key.event.to_bytes(),
            rows::signed(letter.position.0),
            letter.reason,
            letter.at.unix_nanos(),
        ])?;
    Ok(())
}

/// Forgets it of a delivery that is settled otherwise.
pub(super) fn drop_of(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<()> {
    if key.replay.is_none() {
        connection
            .prepare_cached("DELETE FROM given_up WHERE subscription = ? AND event = ?")?
            .execute(params![key.subscription.as_str(), key.event.to_bytes()])?;
    }
    Ok(())
}

/// Reads why and when a live delivery was given up.
pub(super) fn get(connection: &Connection, key: &DeliveryKey) -> rusqlite::Result<Option<GivenUp>> {
    connection
        .prepare_cached("SELECT reason, at FROM given_up WHERE subscription = ? AND event = ?")?
        .query_row(params![key.subscription.as_str(), key.event.to_bytes()], |row| {
            Ok(GivenUp { reason: row.get(0)?, at: rows::timestamp(row, 1)? })
        })
        .optional()
}

/// Forgets what belongs to a subscription.
pub(super) fn forget(connection: &Connection, of: &SubscriptionId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM given_up WHERE subscription = ?")?
        .execute([of.as_str()])?;
    Ok(())
}

/// Forgets it of events that have left the log.
pub(super) fn sweep(connection: &Connection, low_watermark: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM given_up WHERE position <= ?")?
        .execute([rows::signed(low_watermark.0)])?;
    Ok(())
}
