//! What publications decided about events beside their core attributes, where there is any of it.

use rusqlite::{Connection, params};

use crate::event::EventContext;
use crate::eventlog::Position;
use crate::eventlog::sqlite::rows;

/// Keeps the context of an entry, if it has one.
pub(super) fn put(
    connection: &Connection,
    position: Position,
    context: Option<&EventContext>,
) -> rusqlite::Result<()> {
    if let Some(context) = context {
        connection
            .prepare_cached("INSERT INTO contexts (position, context) VALUES (?, ?)")?
            .execute(params![rows::signed(position.0), context.to_json()])?;
    }
    Ok(())
}

/// Drops the context of an entry with it.
pub(super) fn drop_of(connection: &Connection, position: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM contexts WHERE position = ?")?
        .execute([rows::signed(position.0)])?;
    Ok(())
}
