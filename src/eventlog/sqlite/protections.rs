//! What protects entries on the disk: the names of data keys, beside the entry that has one.

use rusqlite::{Connection, params};

use crate::eventlog::sqlite::rows;
use crate::eventlog::{Position, Protection};

/// Keeps what protects an entry, if anything does.
pub(super) fn put(
    connection: &Connection,
    position: Position,
    Protection { data_key }: &Protection,
) -> rusqlite::Result<()> {
    if data_key.is_some() {
        connection
            .prepare_cached("INSERT INTO protections (position, data_key) VALUES (?, ?)")?
            .execute(params![rows::signed(position.0), data_key])?;
    }
    Ok(())
}

/// Drops what protects an entry with it.
pub(super) fn drop_of(connection: &Connection, position: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM protections WHERE position = ?")?
        .execute([rows::signed(position.0)])?;
    Ok(())
}
