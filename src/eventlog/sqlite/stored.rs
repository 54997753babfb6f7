//! A log on disk as it is, for those who check it: read-only, without the lock.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::append::newest;
use crate::eventlog::sqlite::database::{Database, LogOpenError, VERSION, find, open_error};
use crate::eventlog::sqlite::trim::Trimming;
use crate::eventlog::sqlite::{records, retries, rows, schemas, tree};
use crate::eventlog::{
    Entry, KeptIncarnation, KeptSchema, LogError, LogIdentity, LogMark, LowWatermark, Position,
    Record, RecordKey, Registry, Revision, SavedDeliveries, SequenceCheckpoint,
};
use crate::transparency::{LeafData, StoredSpan, TreeHash};

/// The log of a directory or of a backup file, whether or not a gateway is using it.
pub struct StoredLog {
    place: PathBuf,
    connection: Mutex<Connection>,
}

/// Opens a file to be read, and says of which version its tables are.
pub(super) fn connect(place: &Path) -> Result<(Connection, i64), LogOpenError> {
    let connect = || -> rusqlite::Result<_> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(place, flags)?;
        connection.busy_timeout(Database::PATIENCE)?;
        connection.execute_batch("PRAGMA cache_size = -16384; PRAGMA trusted_schema = OFF;")?;
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok((connection, version))
    };
    connect().map_err(|source| open_error(place, source))
}

/// An entry as it is stored.
#[derive(Debug)]
pub struct StoredEntry {
    /// Its place.
    pub position: Position,
    /// What it holds, or why that cannot be read.
    pub entry: Result<Entry, LogError>,
}

/// A row that points somewhere, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// What it is, for example `dead letter 7`.
    pub name: String,
    /// The position that it names.
    pub position: Position,
    /// The event that it names, if the log holds one at that position.
    pub event: Option<EventId>,
    /// The event that is there.
    pub found: Option<EventId>,
}

impl StoredLog {
    /// Whether there is a log to open.
    pub fn is_at(place: &Path) -> bool {
        find(place).is_ok()
    }

    /// Opens the log of a directory, or a backup file.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no log, or one of another version. Ours: it cannot be read.
    pub fn open(place: &Path) -> Result<Self, LogOpenError> {
        let place = find(place)?;
        let (connection, found) = connect(&place)?;
        match found {
            VERSION => Ok(Self { place, connection: Mutex::new(connection) }),
            _ if found > VERSION => Err(LogOpenError::Newer { place, found, known: VERSION }),
            _ => Err(LogOpenError::Older { place, found, known: VERSION }),
        }
    }

    fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        query(&self.connection()).map_err(|source| self.error(action, source))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, action: &'static str, source: rusqlite::Error) -> LogError {
        let place = self.place.display().to_string();
        LogError::Storage { action, place, source: Box::new(source) }
    }

    /// What SQLite finds wrong with the file, at most so many things; empty if nothing.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn integrity(&self, most: usize) -> Result<Vec<String>, LogError> {
        let sql = format!("PRAGMA integrity_check({most})");
        let found: Vec<String> = self.read("check the database", |connection| {
            connection.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
        })?;
        Ok(if found == ["ok"] { Vec::new() } else { found })
    }

    /// How far the log was dropped, and where it ends.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn span(&self) -> Result<(LowWatermark, Position), LogError> {
        self.read("read the extent of the log", |connection| {
            let low_watermark = Trimming::resume(connection)?.low_watermark;
            Ok((low_watermark, newest(connection, low_watermark)?.1))
        })
    }

    /// How far the log has come, in numbers that never go back, of one moment.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn mark(&self) -> Result<LogMark, LogError> {
        self.read("read how far the log has come", |connection| {
            let moment = connection.unchecked_transaction()?;
            let low_watermark = Trimming::resume(&moment)?.low_watermark;
            let (newest, head) = newest(&moment, low_watermark)?;
            let revision = moment.query_row("SELECT last FROM revisions", [], |row| row.get(0))?;
            let tree = tree::head_at(&moment, head)?;
            Ok(LogMark { head, newest, revision: rows::unsigned(revision), tree })
        })
    }

    /// The event at a position, if the log holds one there.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn id_at(&self, position: Position) -> Result<Option<EventId>, LogError> {
        self.read("read an event", |connection| {
            connection
                .query_row(
                    "SELECT id FROM events WHERE position = ?",
                    [rows::signed(position.0)],
                    |row| rows::event_id(row, 0),
                )
                .optional()
        })
    }

    /// Which log it is; nothing where no gateway of this kind has used it yet.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn identity(&self) -> Result<Option<LogIdentity>, LogError> {
        let record = self
            .read("read a document", |connection| records::get(connection, &LogIdentity::key()))?;
        Ok(record.and_then(|record| LogIdentity::from_body(&record.body)))
    }

    /// The incarnations that restores have begun, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read, or one of them is damaged.
    pub fn incarnations(&self) -> Result<Vec<KeptIncarnation>, LogError> {
        let kind = KeptIncarnation::kind();
        let kept = self.read("read documents", |connection| records::list(connection, kind))?;
        kept.iter().map(KeptIncarnation::from_record).collect()
    }

    /// Reads entries after a position and up to another, also those that cannot be understood.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn entries(
        &self,
        (after, through): (Position, Position),
        most: usize,
    ) -> Result<Vec<StoredEntry>, LogError> {
        let sql = format!(
            "SELECT {} FROM events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            rows::ENTRY
        );
        let bounds = [rows::signed(after.0), rows::signed(through.0), rows::signed(most as u64)];
        self.read("read events", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut found = statement.query(bounds)?;
            let mut entries = Vec::new();
            while let Some(row) = found.next()? {
                entries.push(StoredEntry {
                    position: Position(rows::unsigned(row.get(0)?)),
                    entry: rows::entry(row).map_err(|source| self.error("read an event", source)),
                });
            }
            Ok(entries)
        })
    }

    /// Whether the content of an entry is among the known ones, as that of every kept entry is.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn knows_content_of(&self, entry: &Entry) -> Result<bool, LogError> {
        self.read("read the known contents", |connection| {
            connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM contents
                       WHERE idempotency_key = ?1 AND digest = ?2 AND publication = ?3)
                     OR EXISTS (SELECT 1 FROM recent WHERE position = ?4
                       AND idempotency_key = ?1 AND digest = ?2 AND publication = ?3)",
                )?
                .query_row(
                    params![
                        entry.event.idempotency_key.to_bytes(),
                        entry.event.content_digest().to_bytes(),
                        entry.publication,
                        rows::signed(entry.position.0),
                    ],
                    |row| row.get(0),
                )
        })
    }

    /// Reads every cursor and retry.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn delivery_state(&self) -> Result<SavedDeliveries, LogError> {
        self.read("read the delivery state", retries::all)
    }

    /// Reads all sequence checkpoints in the order of their positions.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn sequence_checkpoints(
        &self,
    ) -> Result<Vec<(SubscriptionId, SequenceCheckpoint)>, LogError> {
        self.read("read the sequence checkpoints", |connection| {
            connection
                .prepare(
                    "SELECT position, sequence, chain, subscription FROM milestones
                     ORDER BY position",
                )?
                .query_map([], |row| {
                    Ok((rows::parsed(row, 3, str::parse)?, rows::sequence_checkpoint(row)?))
                })?
                .collect()
        })
    }

    /// Finds retries and dead letters that name another event than the log holds at their position,
    /// or a position that it has never given; at most so many.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn astray(&self, head: Position, most: usize) -> Result<Vec<Pointer>, LogError> {
        let sql = "SELECT name, position, event, found FROM (
               SELECT 'retry of ' || subscription AS name, r.position, r.event, e.id AS found
                 FROM retries r LEFT JOIN events e ON e.position = r.position
               UNION ALL
               SELECT 'dead letter ' || d.id, d.position, d.event, e.id
                 FROM dead_letters d LEFT JOIN events e ON e.position = d.position)
             WHERE position > ?1 OR (found IS NOT NULL AND found <> event) LIMIT ?2";
        self.read("read retries and dead letters", |connection| {
            connection
                .prepare(sql)?
                .query_map([rows::signed(head.0), rows::signed(most as u64)], |row| {
                    Ok(Pointer {
                        name: row.get(0)?,
                        position: Position(rows::unsigned(row.get(1)?)),
                        event: row.get::<_, Option<[u8; 16]>>(2)?.map(EventId::from_bytes),
                        found: row.get::<_, Option<[u8; 16]>>(3)?.map(EventId::from_bytes),
                    })
                })?
                .collect()
        })
    }

    /// Where the tree over the log begins, how many leaves it has, and where the log ends, of one
    /// moment.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn tree_extent(&self) -> Result<(Position, u64, Position), LogError> {
        self.read("read the extent of the tree", |connection| {
            let moment = connection.unchecked_transaction()?;
            let low_watermark = Trimming::resume(&moment)?.low_watermark;
            let (first, size) = tree::extent(&moment)?;
            Ok((first, size, newest(&moment, low_watermark)?.1))
        })
    }

    /// Reads kept hashes of the tree; nothing if some are not there.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn tree_hashes(&self, span: StoredSpan) -> Result<Option<Vec<TreeHash>>, LogError> {
        let found = self.read("read the tree", |connection| tree::spans(connection, &[span]))?;
        Ok(found.and_then(|mut hashes| hashes.pop()))
    }

    /// Reads the data of those leaves that are there, with their indexes, in order.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn tree_leaves(&self, indexes: Range<u64>) -> Result<Vec<(u64, LeafData)>, LogError> {
        self.read("read leaves of the tree", |connection| tree::entries(connection, indexes))
    }

    /// Reads the schema that is kept under an address.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn schema_at(&self, address: &str) -> Result<Option<KeptSchema>, LogError> {
        self.read("read a schema", |connection| schemas::at(connection, address))
    }

    /// Finds kept schemas and contracts that are not the texts that were kept, or that are missing;
    /// at most so many.
    ///
    /// # Errors
    ///
    /// Ours: the file cannot be read.
    pub fn astray_schemas(&self, most: usize) -> Result<Vec<String>, LogError> {
        self.read("read the schemas", |connection| schemas::faults(connection, most))
    }
}

/// Documents can be read and not written.
#[async_trait]
impl Registry for StoredLog {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, LogError> {
        self.read("read a document", |connection| records::get(connection, key))
    }

    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, LogError> {
        self.read("list documents", |connection| records::list(connection, kind))
    }

    async fn put(
        &self,
        _: &RecordKey,
        _: Option<Revision>,
        _: String,
    ) -> Result<Revision, LogError> {
        Err(LogError::Closed)
    }

    async fn remove(&self, _: &RecordKey, _: Revision) -> Result<(), LogError> {
        Err(LogError::Closed)
    }
}
