//! The database file: its place, its lock, its settings, and the version of its tables.

use std::fs::{DirBuilder, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::event::{Blame, Fault};
use crate::eventlog::LogError;
use crate::eventlog::sqlite::telling_steps::{tell_done, tell_steps};

const FILE: &str = "sealway.db";
/// The tables, one step after the other: the number of steps that were made is the version.
///
/// A step that was published never changes; what is to be different is another step at the end.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("step_2_milestones.sql"),
    include_str!("step_3_floor.sql"),
    include_str!("step_4_set_aside.sql"),
    include_str!("step_5_receipts.sql"),
    include_str!("step_6_failing.sql"),
    include_str!("step_7_restores.sql"),
    include_str!("step_8_observed.sql"),
    include_str!("step_9_protection.sql"),
    include_str!("step_10_times.sql"),
    include_str!("step_11_unread.sql"),
    include_str!("step_12_envelopes.sql"),
    include_str!("step_13_schemas.sql"),
    include_str!("step_14_contexts.sql"),
    include_str!("step_15_signatures.sql"),
    include_str!("step_16_set_aside.sql"),
    include_str!("step_17_quarantine_sizes.sql"),
    include_str!("step_18_actions.sql"),
    include_str!("step_19_wishes.sql"),
    include_str!("step_20_sizes.sql"),
    include_str!("step_21_salts.sql"),
    include_str!("step_22_tree.sql"),
    include_str!("step_23_receipt_keys.sql"),
    include_str!("step_24_given_up.sql"),
    include_str!("step_25_recent.sql"),
    include_str!("step_26_running.sql"),
    include_str!("step_27_waiting_letters.sql"),
];
/// The version of tables that this gateway writes.
pub(super) const VERSION: i64 = STEPS.len().cast_signed() as i64;

/// How long to wait for another process that writes to the registry.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogOpenError {
    /// Another gateway holds the directory.
    #[error(
        "another gateway is using the data directory {}{}; stop it, or give this one its own",
        directory.display(), holder.as_ref().map_or_else(String::new, |who| format!(" ({who})"))
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// Who it is, as it wrote itself, if it did.
        holder: Option<String>,
    },
    /// A newer gateway has written the tables.
    #[error(
        "{} was written by a newer sealway (tables of version {found}, this one knows {known}); \
         run that sealway or a newer one",
        place.display()
    )]
    Newer {
        /// The database.
        place: PathBuf,
        /// The version of its tables.
        found: i64,
        /// The newest version that this gateway reads.
        known: i64,
    },
    /// An older gateway has written the tables, and what only reads does not change them.
    #[error(
        "{} was written by an older sealway (tables of version {found}, this one writes {known}); \
         start this sealway's gateway on it or, if it is a backup, restore it, which checks it",
        place.display()
    )]
    Older {
        /// The database.
        place: PathBuf,
        /// The version of its tables.
        found: i64,
        /// The version that this gateway writes.
        known: i64,
    },
    /// There is nothing to read.
    #[error("there is no log at {}; name a data directory or a backup file", place.display())]
    Absent {
        /// Where it was looked for.
        place: PathBuf,
    },
    /// The file is not what a gateway wrote.
    #[error("{} is damaged or not a sealway log; restore it from a backup", place.display())]
    Damaged {
        /// The database.
        place: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The directory cannot be prepared.
    #[error("cannot prepare the data directory {}", directory.display())]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open {}", place.display())]
    Storage {
        /// The database.
        place: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

impl Blame for LogOpenError {
    fn fault(&self) -> Fault {
        match self {
            Self::InUse { .. } => Fault::Later,
            Self::Newer { .. } | Self::Older { .. } | Self::Absent { .. } => Fault::Caller,
            Self::Damaged { .. } | Self::Directory { .. } | Self::Storage { .. } => Fault::Ours,
        }
    }
}

/// The place of a database. Opening it makes the directory and the tables where they are missing.
#[derive(Clone, Debug)]
pub(in crate::eventlog) struct Database {
    directory: PathBuf,
    path: PathBuf,
    /// How long a connection waits for another process that writes.
    pub(in crate::eventlog) patience: Duration,
    /// The most pages that a connection may fill, to be full before the disk is.
    #[cfg(test)]
    pub(in crate::eventlog) most_pages: Option<u32>,
}

impl Database {
    /// How long to wait for another process that writes.
    pub(super) const PATIENCE: Duration = PATIENCE;

    /// The database of a directory.
    pub(super) fn place_in(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Names the database of a data directory, and makes the directory if it is missing.
    pub(in crate::eventlog) fn of(directory: &Path) -> Result<Self, LogOpenError> {
        make_directory(directory).map_err(|source| LogOpenError::Directory {
            directory: directory.to_owned(),
            source,
        })?;
        let path = directory.join(FILE);
        Ok(Self {
            directory: directory.to_owned(),
            path,
            patience: PATIENCE,
            #[cfg(test)]
            most_pages: None,
        })
    }

    /// The directory that it is in.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens a connection that writes; its commits are synced. Makes what is missing, so that the
    /// directory must be this process's own.
    pub(super) fn open_for_writing(&self) -> Result<Connection, LogOpenError> {
        make_private(&self.path).map(drop).map_err(|source| LogOpenError::Directory {
            directory: self.directory.clone(),
            source,
        })?;
        self.try_open_for_writing().map_err(|source| self.open_error(source))?.map_err(|found| {
            LogOpenError::Newer { place: self.path.clone(), found, known: VERSION }
        })
    }

    /// The connection, or the version of tables that are too new for it.
    fn try_open_for_writing(&self) -> rusqlite::Result<Result<Connection, i64>> {
        let mut connection = Connection::open(&self.path)?;
        connection.busy_timeout(self.patience)?;
        // The page size counts only before the first table; a commit is one sync of the WAL, and
        // checkpoints are ours to time.
        connection.execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -8192;
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;",
        )?;
        connection.set_prepared_statement_cache_capacity(64);
        #[cfg(test)]
        if let Some(pages) = self.most_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        let found = make_tables(&mut connection)?;
        Ok(if found > VERSION { Err(found) } else { Ok(connection) })
    }

    /// Opens a connection that reads.
    pub(super) fn open_for_reading(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.patience)?;
        connection.execute_batch("PRAGMA cache_size = -2048; PRAGMA trusted_schema = OFF;")?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }

    /// Says what failed where.
    pub(super) fn error(&self, action: &'static str, source: impl Into<Cause>) -> LogError {
        let source = match source.into() {
            Cause::Own(source) => Box::new(source) as Box<_>,
            Cause::Shared(source) => Box::new(source) as Box<_>,
        };
        LogError::Storage { action, place: self.path.display().to_string(), source }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Says why the database cannot be opened.
    pub(super) fn open_error(&self, source: rusqlite::Error) -> LogOpenError {
        open_error(&self.path, source)
    }
}

/// Says why a database cannot be opened.
pub(super) fn open_error(place: &Path, source: rusqlite::Error) -> LogOpenError {
    let place = place.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            LogOpenError::Damaged { place, source }
        }
        _ => LogOpenError::Storage { place, source },
    }
}

/// Finds the database of a data directory, or a backup file; makes nothing.
pub(super) fn find(place: &Path) -> Result<PathBuf, LogOpenError> {
    let file = if place.is_dir() { Database::place_in(place) } else { place.to_owned() };
    if file.is_file() { Ok(file) } else { Err(LogOpenError::Absent { place: place.to_owned() }) }
}

/// Makes sure that the entry of a file in its directory survives a power cut.
pub(super) fn sync_directory(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The reason of a failure: of one request, or of a whole group.
pub(super) enum Cause {
    /// It struck one request.
    Own(rusqlite::Error),
    /// It struck everyone in a group.
    Shared(Arc<rusqlite::Error>),
}

impl From<rusqlite::Error> for Cause {
    fn from(source: rusqlite::Error) -> Self {
        Self::Own(source)
    }
}

impl From<Arc<rusqlite::Error>> for Cause {
    fn from(source: Arc<rusqlite::Error>) -> Self {
        Self::Shared(source)
    }
}

/// Makes the tables, or the steps that they lack, and gives the version of those that there are.
pub(super) fn make_tables(connection: &mut Connection) -> rusqlite::Result<i64> {
    let version = |c: &Connection| c.query_row("PRAGMA user_version", [], |row| row.get(0));
    // Reading first leaves a database alone that needs nothing, also when its disk is full.
    let found: i64 = version(connection)?;
    if found >= VERSION {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = version(&transaction)?;
    if found >= VERSION {
        return Ok(found);
    }
    let made = usize::try_from(found).unwrap_or_default();
    let place = transaction.path().map(PathBuf::from).unwrap_or_default();
    tell_steps(&place, made, STEPS);
    for step in STEPS.iter().skip(made) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    tell_done(&place, made, VERSION);
    Ok(VERSION)
}

/// Begins to write. Another process may be writing to the registry just now; nothing has been tried
/// yet, so waiting for it is harmless, for as long as whoever waits has not to stop.
///
/// # Errors
///
/// Later, with the code `DatabaseBusy`: another process holds the database, and `stops`. Ours: it failed.
pub(super) fn begin(
    connection: &mut Connection,
    stops: impl Fn() -> bool,
) -> rusqlite::Result<Transaction<'_>> {
    loop {
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Err(error) if is_busy(&error) && !stops() => {
                tracing::warn!("the log waits for another process that holds its database");
            }
            other => return other,
        }
    }
}

/// Whether another process holds the database, so that nothing was tried.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Makes a directory that its owner alone can read, and syncs the entries that lead to it.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    #[cfg(unix)]
    if let Some(parent) = directory.canonicalize()?.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Makes a file that its owner alone can read, if it is not there, and opens it; SQLite gives its
/// other files the mode of the database.
pub(super) fn make_private(path: &Path) -> std::io::Result<File> {
    open_private(File::options().create(true), path)
}

/// Makes a file that its owner alone can read, which must not be there.
pub(super) fn make_new_private(path: &Path) -> std::io::Result<File> {
    open_private(File::options().create_new(true), path)
}

fn open_private(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    options.append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}
