//! Violations on the disk that publications let pass, beside the entry that has them.

use rusqlite::{Connection, OptionalExtension, params};

use crate::eventlog::sqlite::rows;
use crate::eventlog::{Observed, Position};

/// Keeps the violations of an entry.
pub(super) fn put(
    connection: &Connection,
    position: Position,
    observed: &Observed,
) -> rusqlite::Result<()> {
    let violations = serde_json::to_string(observed.violations())
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let found = rows::signed(observed.found() as u64);
    connection
        .prepare_cached("INSERT INTO observed (position, found, violations) VALUES (?, ?, ?)")?
        .execute(params![rows::signed(position.0), found, violations])?;
    Ok(())
}

/// Reads the violations of an entry.
pub(super) fn of(connection: &Connection, at: Position) -> rusqlite::Result<Option<Observed>> {
    connection
        .prepare_cached("SELECT found, violations FROM observed WHERE position = ?")?
        .query_row([rows::signed(at.0)], |row| {
            let found = usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
            let violations = rows::parsed(row, 1, |text| serde_json::from_str(text))?;
            Ok(Observed::from_parts(violations, found))
        })
        .optional()
}

/// Drops the violations of an entry with it.
pub(super) fn drop_of(connection: &Connection, position: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM observed WHERE position = ?")?
        .execute([rows::signed(position.0)])?;
    Ok(())
}
