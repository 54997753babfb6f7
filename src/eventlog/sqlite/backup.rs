//! Copies a log beside a running gateway, and brings a copy back.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::ambient::{Clock, Entropy};
use crate::event::{Blame, Fault};
use crate::eventlog::NewIncarnation;
use crate::eventlog::sqlite::database::{
    Database, LogOpenError, VERSION, find, make_new_private, make_tables, sync_directory,
};
use crate::eventlog::sqlite::holding::{DirectoryLock, HeldDirectory, LOCK};
use crate::eventlog::sqlite::incarnating::{Change, change};
use crate::eventlog::sqlite::stored::connect;

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
    Open(#[from] LogOpenError),
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
    if file.symlink_metadata().is_ok() {
        return Err(CopyError::Exists { place: file.to_owned() });
    }
    let partial = Partial::beside(file)?;
    partial.take(&source, &mut progress)?;
    partial.name(file)
}

/// The log of an empty directory, while it is made from a backup. Until it is finished there is
/// none.
///
/// Holds the lock of the directory, so that no gateway begins a log there meanwhile.
pub struct Restoring {
    partial: Partial,
    directory: PathBuf,
    _lock: DirectoryLock,
}

impl Restoring {
    /// Copies a backup into an empty directory, and brings its tables to this gateway's version.
    ///
    /// # Errors
    ///
    /// Later: a gateway is using the directory. The caller's turn: it is not empty, or the file is
    /// no log or one of a newer gateway. Ours: the disk.
    pub fn begin(
        file: &Path,
        directory: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Self, CopyError> {
        let source = find(file)?;
        // What cannot be restored leaves no directory behind.
        match connect(&source)?.1 {
            0 => return Err(LogOpenError::Absent { place: source }.into()),
            found if found > VERSION => {
                return Err(LogOpenError::Newer { place: source, found, known: VERSION }.into());
            }
            _ => {}
        }
        let lock = Database::of(directory)?.lock()?;
        must_be_empty(directory)?;
        // Made under another name, so that no gateway takes half of it for a log.
        let partial = Partial::beside(&Database::place_in(directory))?;
        partial.take(&source, &mut progress)?;
        Connection::open(&partial.0)
            .and_then(|mut copy| {
                make_tables(&mut copy)?;
                copy.close().map_err(|(_, error)| error)
            })
            .map_err(|error| CopyError::Copy { place: source, source: error })?;
        Ok(Self { partial, directory: directory.to_owned(), _lock: lock })
    }

    /// Where the copy is that becomes the log, to be checked.
    pub fn place(&self) -> &Path {
        &self.partial.0
    }

    /// Makes the copy the log of the directory.
    ///
    /// It goes on as another incarnation, under a new name and in a new range of ids: none that was
    /// minted after the backup is minted again, also when the clock is behind. It delivers nothing
    /// before [`accept_restored`].
    ///
    /// # Errors
    ///
    /// The caller's turn: something has come into the directory meanwhile. Ours: the disk.
    pub fn finish(
        self,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
        new: NewIncarnation,
    ) -> Result<(), CopyError> {
        let Self { partial, directory, _lock } = self;
        let copied = |source| CopyError::Copy { place: partial.0.clone(), source };
        change(&partial.0, (clock, entropy), Change::Restored(new)).map_err(copied)?;
        let place = Database::place_in(&directory);
        for beside in ["-wal", "-shm"] {
            let mut name = place.clone().into_os_string();
            name.push(beside);
            if Path::new(&name).symlink_metadata().is_ok() {
                return Err(CopyError::NotEmpty { place: directory });
            }
        }
        partial.name(&place)
    }
}

/// Has a log that was brought back, or set back, go on as it is, in a new range of ids, and delivering:
/// as another incarnation, or as the one that it has begun as already.
///
/// # Errors
///
/// The caller's turn: a newer gateway has written it. Ours: the disk.
pub fn accept_restored(
    held: &HeldDirectory,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    new: Option<NewIncarnation>,
) -> Result<(), CopyError> {
    let database = Database::of(held.directory())?;
    drop(database.open_for_writing()?);
    let place = Database::place_in(held.directory());
    change(&place, (clock, entropy), new.map_or(Change::Confirmed, Change::Accepted))
        .map_err(|source| CopyError::Copy { place, source })
}

/// Refuses a directory that holds more than its lock.
fn must_be_empty(directory: &Path) -> Result<(), CopyError> {
    let failed = |source| CopyError::Files { place: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != LOCK {
            return Err(CopyError::NotEmpty { place: directory.to_owned() });
        }
    }
    Ok(())
}

/// A file of our own that is removed again; what it became meanwhile stays.
struct Partial(PathBuf);

impl Partial {
    /// Makes an empty file beside another; one that is there already may be someone else's.
    fn beside(file: &Path) -> Result<Self, CopyError> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let place = file.with_file_name(name);
        match make_new_private(&place) {
            Ok(_) => Ok(Self(place)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CopyError::Exists { place })
            }
            Err(source) => Err(CopyError::Files { place, source }),
        }
    }

    /// Copies a database into it.
    fn take(&self, from: &Path, progress: &mut impl FnMut(u64, u64)) -> Result<(), CopyError> {
        copy(from, &self.0, progress)
            .map_err(|source| CopyError::Copy { place: from.to_owned(), source })
    }

    /// Gives the synced file its name, if nothing has it.
    fn name(self, file: &Path) -> Result<(), CopyError> {
        let failed = |source| CopyError::Files { place: file.to_owned(), source };
        File::open(&self.0).and_then(|copied| copied.sync_all()).map_err(failed)?;
        // A link refuses to replace what has come meanwhile; a rename would not.
        fs::hard_link(&self.0, file).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CopyError::Exists { place: file.to_owned() },
            _ => failed(error),
        })?;
        drop(self);
        sync_directory(file).map_err(failed)
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
    // One read from beginning to end: otherwise each write of the gateway would begin the copy
    // anew.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::Timestamp;

    fn second() -> NewIncarnation {
        NewIncarnation { number: 2, before: None }
    }

    fn begun_log(directory: &Path) {
        Database::of(directory).unwrap().open_for_writing().unwrap();
    }

    #[test]
    fn a_partial_file_of_someone_else_is_neither_written_nor_removed() {
        let directory = TempDir::new().unwrap();
        begun_log(&directory.path().join("data"));
        let file = directory.path().join("copy.db");
        let theirs = directory.path().join(format!("copy.db.{}.partial", std::process::id()));
        fs::write(&theirs, "theirs").unwrap();

        let refused = back_up(&directory.path().join("data"), &file, |_, _| {});

        assert!(matches!(refused, Err(CopyError::Exists { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert!(!file.exists());
    }

    #[test]
    fn no_gateway_begins_a_log_while_one_is_restored_and_none_is_replaced() {
        let directory = TempDir::new().unwrap();
        let (data, copy) = (directory.path().join("data"), directory.path().join("copy.db"));
        begun_log(&data);
        back_up(&data, &copy, |_, _| {}).unwrap();
        let target = directory.path().join("restored");
        let (clock, entropy) = (ManualClock::at(Timestamp::EPOCH), SeededEntropy::new(1));

        let restoring = Restoring::begin(&copy, &target, |_, _| {}).unwrap();
        let locked = Database::of(&target).unwrap().lock();
        assert!(matches!(locked, Err(LogOpenError::InUse { .. })), "{locked:?}");
        let place = Database::place_in(&target);
        assert!(!place.exists());
        fs::write(&place, "live").unwrap();
        let refused = restoring.finish(&clock, &entropy, second());
        assert!(matches!(refused, Err(CopyError::Exists { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(&place).unwrap(), "live");

        fs::remove_file(&place).unwrap();
        let restoring = Restoring::begin(&copy, &target, |_, _| {}).unwrap();
        restoring.finish(&clock, &entropy, second()).unwrap();
        assert_eq!(connect(&place).unwrap().1, VERSION);
    }
}
