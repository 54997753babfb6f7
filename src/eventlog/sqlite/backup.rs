//! Copies a log beside a running gateway, and brings a copy back.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use crate::ambient::{Clock, Entropy};
use crate::event::{Blame, EventId, Fault};
use crate::eventlog::sqlite::append::newest;
use crate::eventlog::sqlite::database::{
    Database, OpenError, find, make_directory, make_private, sync_directory,
};
use crate::eventlog::sqlite::rows;
use crate::eventlog::sqlite::trim::Trimming;

/// Pages that are copied at once (4 MiB).
const STEP: std::ffi::c_int = 512;

/// Why a log was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Something is there already.
    #[error("{} is there already; nothing is overwritten, choose another name", place.display())]
    Exists {
        /// What is in the way.
        place: PathBuf,
    },
    /// The directory holds a log already.
    #[error("{} is not empty; a backup is restored into an empty directory", place.display())]
    NotEmpty {
        /// The directory.
        place: PathBuf,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Files cannot be made.
    #[error("cannot write {}", place.display())]
    Files {
        /// The file.
        place: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The database cannot be copied.
    #[error("cannot copy {}", place.display())]
    Copy {
        /// The database.
        place: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

impl Blame for CopyError {
    fn fault(&self) -> Fault {
        match self {
            Self::Exists { .. } | Self::NotEmpty { .. } => Fault::Caller,
            Self::Open(error) => error.fault(),
            Self::Files { .. } | Self::Copy { .. } => Fault::Ours,
        }
    }
}

/// Copies the log of a directory, or of a backup, into one new file.
///
/// The copy is the log of one moment: everything that was answered before the call is in it. A
/// running gateway goes on writing; its write-ahead log cannot begin anew until the copy is done.
/// The file is complete, synced and its owner's alone, or it is not there.
///
/// `progress` is told how many pages are copied, and of how many.
///
/// # Errors
///
/// The caller's turn: the file is there already, or there is no log. Ours: the disk.
pub fn back_up(
    log: &Path,
    file: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), CopyError> {
    let source = find(log)?;
    let exists = || CopyError::Exists { place: file.to_owned() };
    if file.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let partial = Partial::beside(file);
    let failed = |source| CopyError::Files { place: file.to_owned(), source };
    drop(make_private(&partial.0).map_err(failed)?);
    copy(&source, &partial.0, &mut progress)
        .map_err(|error| CopyError::Copy { place: source.clone(), source: error })?;
    File::open(&partial.0).and_then(|copied| copied.sync_all()).map_err(failed)?;
    // A link refuses to replace what has come meanwhile; a rename would not.
    fs::hard_link(&partial.0, file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => failed(error),
    })?;
    drop(partial);
    sync_directory(file).map_err(failed)
}

/// Makes the log of an empty directory from a backup.
///
/// The log goes on in a new span of ids: none that was minted after the backup is minted again, also
/// when the clock is behind.
///
/// # Errors
///
/// The caller's turn: the directory is not empty, or the file is no log. Ours: the disk.
pub fn restore(
    file: &Path,
    directory: &Path,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    progress: impl FnMut(u64, u64),
) -> Result<(), CopyError> {
    let failed = |source| CopyError::Files { place: directory.to_owned(), source };
    make_directory(directory).map_err(failed)?;
    if fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(CopyError::NotEmpty { place: directory.to_owned() });
    }
    let place = Database::place_in(directory);
    // Made under another name, so that no gateway takes half of it for a log.
    let partial = Partial::beside(&place);
    back_up(file, &partial.0, progress)?;
    begin_anew(&partial.0, clock, entropy)
        .map_err(|source| CopyError::Copy { place: file.to_owned(), source })?;
    File::open(&partial.0).and_then(|copied| copied.sync_all()).map_err(failed)?;
    fs::rename(&partial.0, &place).map_err(failed)?;
    sync_directory(&place).map_err(failed)
}

/// A file that is removed again unless it became something else.
struct Partial(PathBuf);

impl Partial {
    fn beside(file: &Path) -> Self {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        Self(file.with_file_name(name))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It may be gone, and nobody can do anything about it here.
        let _ = fs::remove_file(&self.0);
    }
}

fn copy(from: &Path, to: &Path, progress: &mut impl FnMut(u64, u64)) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(Database::PATIENCE)?;
    // One read from beginning to end: otherwise each write of the gateway would begin the copy anew.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM floors", [], |_| Ok(()))?;
    let mut copy = Connection::open(to)?;
    copy.execute_batch("PRAGMA synchronous = OFF;")?;
    {
        let backup = Backup::new(&source, &mut copy)?;
        loop {
            let step = backup.step(STEP)?;
            let pages = backup.progress();
            let count = |pages: i32| u64::try_from(pages).unwrap_or(0);
            let total = count(pages.pagecount);
            progress(total.saturating_sub(count(pages.remaining)), total);
            if step == StepResult::Done {
                break;
            }
        }
    }
    drop(snapshot);
    copy.close().map_err(|(_, error)| error)?;
    // One file that needs no other, also where its reader may not write.
    let copy = Connection::open(to)?;
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)
}

/// Begins a span of ids after everything that can have been minted since the backup.
fn begin_anew(file: &Path, clock: &dyn Clock, entropy: &dyn Entropy) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let floor = Trimming::resume(&transaction)?.floor;
    let (last, head) = newest(&transaction, floor)?;
    let now = clock.now();
    let now_ms = u64::try_from(now.unix_ms()).unwrap_or(0).max(last.unix_ms() + 1);
    // Chance keeps it apart from the ids of that millisecond, if it was lived through before.
    let id = EventId::from_parts(now_ms, entropy.next_u128() & (u128::MAX >> 49));
    transaction.execute(
        "INSERT INTO restores VALUES (?, ?, ?)",
        params![now.unix_nanos(), rows::signed(head.0), id.to_bytes()],
    )?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}
