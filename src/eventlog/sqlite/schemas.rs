//! Schemas and contracts on the disk.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::event::{EventId, Timestamp};
use crate::eventlog::sqlite::rows;
use crate::eventlog::{ContractChoice, KeptContract, KeptSchema, NewSchema, TextDigest};

/// The columns that [`schema`] reads.
const COLUMNS: &str = "address, (SELECT text FROM kept_texts WHERE digest = schemas.schema), schema, \
    meaning, contract_path, contract_version, contract, named, event";

/// The names of schemas that are marked already, each looked up once.
#[derive(Default)]
pub(super) struct SchemaMarks(HashSet<Arc<str>>);

impl SchemaMarks {
    /// Marks the schema that an event names, unless that is done.
    pub(super) fn mark(
        &mut self,
        connection: &Connection,
        dataschema: &Arc<str>,
        first: (EventId, Timestamp),
    ) -> rusqlite::Result<()> {
        if !self.0.contains(dataschema) && mark(connection, dataschema, first)? {
            self.0.insert(Arc::clone(dataschema));
        }
        Ok(())
    }
}

/// Keeps schemas whose address no event names yet, and what events call them; needs a transaction
/// that may write, and writes nothing where everything is there.
pub(super) fn keep(connection: &Connection, schemas: &[NewSchema]) -> rusqlite::Result<()> {
    let mut replaced = false;
    for new in schemas {
        match at(connection, &new.address)? {
            None => insert(connection, new, None)?,
            Some(kept) if kept.named.is_some() => keep_meaning(connection, &kept, new)?,
            Some(kept) if is_same(&kept, new) => {}
            Some(_) => {
                connection
                    .prepare_cached("DELETE FROM schemas WHERE address = ?")?
                    .execute([&new.address])?;
                insert(connection, new, None)?;
                replaced = true;
            }
        }
        remember_name(connection, new)?;
    }
    if replaced {
        connection.execute(
            "DELETE FROM kept_texts WHERE digest NOT IN
               (SELECT schema FROM schemas UNION SELECT contract FROM schemas)",
            [],
        )?;
    }
    Ok(())
}

/// Keeps schemas that events of before may name.
pub(super) fn keep_old(
    connection: &Connection,
    schemas: &[NewSchema],
    now: Timestamp,
) -> rusqlite::Result<()> {
    for old in schemas {
        if at(connection, &old.address)?.is_none() {
            insert(connection, old, Some(now))?;
        }
        remember_name(connection, old)?;
    }
    connection.execute("DELETE FROM old_schemas", [])?;
    Ok(())
}

/// Whether events of before may name schemas of which nothing is kept.
pub(super) fn lacks_old(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM old_schemas)", [], |row| row.get(0))
}

/// Marks a schema as named by an event, unless one came before; says whether it is kept at all.
fn mark(
    connection: &Connection,
    dataschema: &str,
    (event, now): (EventId, Timestamp),
) -> rusqlite::Result<bool> {
    let address: Option<String> = connection
        .prepare_cached("SELECT address FROM schema_names WHERE dataschema = ?")?
        .query_row([dataschema], |row| row.get(0))
        .optional()?;
    let Some(address) = address else { return Ok(false) };
    connection
        .prepare_cached(
            "UPDATE schemas SET named = ?, event = ? WHERE address = ? AND named IS NULL",
        )?
        .execute(params![now.unix_nanos(), event.to_bytes(), address])?;
    Ok(true)
}

/// What is kept under an address.
pub(super) fn at(connection: &Connection, address: &str) -> rusqlite::Result<Option<KeptSchema>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM schemas WHERE address = ?"))?
        .query_row([address], schema)
        .optional()
}

/// What events call by this name.
pub(super) fn named(
    connection: &Connection,
    dataschema: &str,
) -> rusqlite::Result<Option<KeptSchema>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM schemas
             WHERE address = (SELECT address FROM schema_names WHERE dataschema = ?)"
        ))?
        .query_row([dataschema], schema)
        .optional()
}

/// A contract by its path and one of its texts.
pub(super) fn contract(
    connection: &Connection,
    path: &str,
    choice: &ContractChoice,
) -> rusqlite::Result<Option<KeptContract>> {
    let kept = |row: &Row<'_>| {
        let digest = TextDigest::from_bytes(row.get(1)?);
        Ok(KeptContract { text: row.get(0)?, digest })
    };
    let found = match choice {
        // Ids of events grow along the log whatever a clock says; nothing, of before, comes first.
        ContractChoice::Version(version) => connection
            .prepare_cached(
                "SELECT text, digest FROM schemas JOIN kept_texts ON digest = contract
                 WHERE contract_path = ? AND contract_version = ? AND named IS NOT NULL
                 ORDER BY event, address LIMIT 1",
            )?
            .query_row([path, version], kept),
        ContractChoice::Digest(digest) => connection
            .prepare_cached(
                "SELECT text, digest FROM schemas JOIN kept_texts ON digest = contract
                 WHERE contract_path = ? AND contract = ? LIMIT 1",
            )?
            .query_row(params![path, digest.to_bytes()], kept),
    };
    found.optional()
}

/// Every kept text that is not the one of its name, and every schema that lacks a text; at most so
/// many.
pub(super) fn faults(connection: &Connection, most: usize) -> rusqlite::Result<Vec<String>> {
    let mut found = altered_texts(connection, most)?;
    found.extend(lacking_texts(connection, most)?);
    found.truncate(most);
    Ok(found)
}

fn altered_texts(connection: &Connection, most: usize) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare("SELECT digest, text FROM kept_texts")?;
    let mut texts = statement.query([])?;
    while let Some(row) = texts.next()?
        && found.len() < most
    {
        let (digest, text): ([u8; 32], String) = (row.get(0)?, row.get(1)?);
        let digest = TextDigest::from_bytes(digest);
        if TextDigest::of(&text) != digest {
            found.push(format!("kept text {digest}: is another text"));
        }
    }
    Ok(found)
}

fn lacking_texts(connection: &Connection, most: usize) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT address, 'schema' FROM schemas WHERE schema NOT IN (SELECT digest FROM kept_texts)
         UNION ALL
         SELECT address, 'contract' FROM schemas
          WHERE contract NOT IN (SELECT digest FROM kept_texts)
         UNION ALL
         SELECT address, 'row' FROM schema_names
          WHERE address NOT IN (SELECT address FROM schemas)
         LIMIT ?",
    )?;
    let lacking = statement.query_map([rows::signed(most as u64)], |row| {
        let (address, what): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(format!("schema {address}: its {what} is missing"))
    })?;
    lacking.collect()
}

fn insert(
    connection: &Connection,
    new: &NewSchema,
    named: Option<Timestamp>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO schemas (address, schema, meaning, contract_path, contract_version, contract,
               named) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            new.address,
            keep_text(connection, &new.schema)?.to_bytes(),
            &*new.meaning,
            new.contract_path,
            new.contract_version,
            keep_text(connection, &new.contract)?.to_bytes(),
            named.map(Timestamp::unix_nanos),
        ])?;
    Ok(())
}

fn keep_text(connection: &Connection, text: &str) -> rusqlite::Result<TextDigest> {
    let digest = TextDigest::of(text);
    connection
        .prepare_cached("INSERT OR IGNORE INTO kept_texts (digest, text) VALUES (?, ?)")?
        .execute(params![digest.to_bytes(), text])?;
    Ok(digest)
}

fn keep_meaning(
    connection: &Connection,
    kept: &KeptSchema,
    new: &NewSchema,
) -> rusqlite::Result<()> {
    if kept.meaning != new.meaning {
        connection
            .prepare_cached("UPDATE schemas SET meaning = ? WHERE address = ?")?
            .execute(params![&*new.meaning, new.address])?;
    }
    Ok(())
}

fn remember_name(connection: &Connection, new: &NewSchema) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO schema_names (dataschema, address) VALUES (?, ?)")?
        .execute(params![new.dataschema, new.address])?;
    Ok(())
}

fn is_same(kept: &KeptSchema, new: &NewSchema) -> bool {
    kept.schema == new.schema
        && kept.meaning == new.meaning
        && kept.contract_path == new.contract_path
        && kept.contract_version == new.contract_version
        && kept.contract == TextDigest::of(&new.contract)
}

fn schema(row: &Row<'_>) -> rusqlite::Result<KeptSchema> {
    let named: Option<i64> = row.get(7)?;
    Ok(KeptSchema {
        address: row.get(0)?,
        schema: row.get(1)?,
        digest: TextDigest::from_bytes(row.get(2)?),
        meaning: row.get::<_, Vec<u8>>(3)?.into(),
        contract_path: row.get(4)?,
        contract_version: row.get(5)?,
        contract: TextDigest::from_bytes(row.get(6)?),
        named: named.map(|_| rows::timestamp(row, 7)).transpose()?,
        first_event: row.get::<_, Option<[u8; 16]>>(8)?.map(EventId::from_bytes),
    })
}
