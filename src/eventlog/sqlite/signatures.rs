//! Reads and writes signatures that were seen.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::event::Timestamp;
use crate::eventlog::KeptSignature;

/// How many of the oldest rows are looked at when one comes: more than one, so that those which are too
/// old become fewer.
const LOOKED_AT: u32 = 8;

/// Keeps an invocation, and drops what is older than `oldest`.
pub(super) fn keep(
    connection: &Connection,
    seen: &KeptSignature,
    oldest: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM signatures WHERE signed_at < ?
               AND id IN (SELECT id FROM signatures ORDER BY id LIMIT ?)",
        )?
        .execute(params![oldest.unix_seconds(), LOOKED_AT])?;
    connection
        .prepare_cached(
            "INSERT INTO signatures
               (signed_at, signature, invocation, is_first, access_key) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            seen.signed_at.unix_seconds(),
            seen.signature,
            seen.invocation,
            seen.is_first,
            seen.access_key,
        ])?;
    Ok(())
}

/// Lists what names this moment or a later one.
pub(super) fn list(
    connection: &Connection,
    since: Timestamp,
) -> rusqlite::Result<Vec<KeptSignature>> {
    // There are many rows of few keys.
    let mut keys: HashMap<String, Arc<str>> = HashMap::new();
    connection
        .prepare_cached(
            "SELECT DISTINCT access_key, signed_at, signature, invocation, is_first FROM signatures
             WHERE signed_at >= ? ORDER BY signed_at, signature, is_first DESC",
        )?
        .query_map([since.unix_seconds()], |row| {
            let name: String = row.get(0)?;
            let access_key = keys.entry(name).or_insert_with_key(|name| name.as_str().into());
            Ok(KeptSignature {
                access_key: Arc::clone(access_key),
                signed_at: Timestamp::from_unix_seconds(row.get(1)?),
                signature: row.get(2)?,
                invocation: row.get(3)?,
                is_first: row.get(4)?,
            })
        })?
        .collect()
}
