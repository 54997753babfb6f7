//! The texts of the times of events, where the number in the event's row does not say it all.

use rusqlite::{Connection, params};

use crate::event::EventTime;
use crate::eventlog::Position;
use crate::eventlog::sqlite::rows;

/// Keeps the text of the time of an entry, if it has one of its own.
pub(super) fn put(
    connection: &Connection,
    position: Position,
    time: &EventTime,
) -> rusqlite::Result<()> {
    if let Some(text) = time.own_text() {
        connection
            .prepare_cached("INSERT INTO times (position, time) VALUES (?, ?)")?
            .execute(params![rows::signed(position.0), text])?;
    }
    Ok(())
}

/// Drops the text of the time of an entry with it.
pub(super) fn drop_of(connection: &Connection, position: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM times WHERE position = ?")?
        .execute([rows::signed(position.0)])?;
    Ok(())
}
