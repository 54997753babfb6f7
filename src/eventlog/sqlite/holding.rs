//! Who holds a data directory, and whether its files are still those that were opened.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::ambient::{Clock, host_name};
use crate::event::{Blame, Fault};
use crate::eventlog::sqlite::database::{Database, LogOpenError, VERSION, make_private};
use crate::eventlog::sqlite::registry::SqliteRegistry;

/// The file that whoever uses a data directory holds.
pub(super) const LOCK: &str = "lock";
/// What is read of whoever holds it, at most.
const LONGEST: u64 = 256;

/// Holds a data directory for one process; the operating system lets go when the process dies.
///
/// The file says who: a system that does not share locks, such as some network file systems, lets
/// two in, and each finds out by what the other has written there.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory for this process alone.
    pub(super) fn take(directory: &Path) -> Result<Self, LogOpenError> {
        let failed = |source| LogOpenError::Directory { directory: directory.to_owned(), source };
        let path = directory.join(LOCK);
        let mut file = make_private(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)
                    .and_then(|()| file.write_all(own_name().as_bytes()))
                    .map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                Err(LogOpenError::InUse { directory: directory.to_owned(), holder: holder(&path) })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl Database {
    /// Takes the directory for this process alone.
    pub(super) fn lock(&self) -> Result<DirectoryLock, LogOpenError> {
        DirectoryLock::take(self.directory())
    }

    /// Opens a connection that writes, without the lock, beside whoever holds it. Tables that are
    /// missing or older are made only while nobody does: a gateway that runs knows its own alone.
    pub(super) fn open_beside(&self) -> Result<Connection, LogOpenError> {
        let version = || -> rusqlite::Result<i64> {
            self.open_for_reading()?.query_row("PRAGMA user_version", [], |row| row.get(0))
        };
        let found = match self.path().symlink_metadata() {
            Ok(_) => version().map_err(|source| self.open_error(source))?,
            Err(_) => 0,
        };
        if found >= VERSION {
            return self.open_for_writing();
        }
        let _lock = self.lock().map_err(|error| match error {
            LogOpenError::InUse { .. } if found > 0 => {
                LogOpenError::Older { place: self.path().to_owned(), found, known: VERSION }
            }
            other => other,
        })?;
        self.open_for_writing()
    }
}

/// A data directory that no gateway uses, and that none can take until this is dropped.
#[derive(Debug)]
pub struct HeldDirectory {
    directory: PathBuf,
    _lock: DirectoryLock,
}

impl HeldDirectory {
    /// Takes the directory of a log that is there.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no log. Later: a gateway is using it. Ours: the disk.
    pub fn take(directory: &Path) -> Result<Self, LogOpenError> {
        if !Database::place_in(directory).is_file() {
            return Err(LogOpenError::Absent { place: directory.to_owned() });
        }
        let lock = DirectoryLock::take(directory)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// The documents and actions of the log, which is brought up to date.
    ///
    /// # Errors
    ///
    /// The caller's turn: a newer gateway has written it. Ours: it is damaged or cannot be opened.
    pub fn registry(&self, clock: Arc<dyn Clock>) -> Result<SqliteRegistry, LogOpenError> {
        let database = Database::of(&self.directory)?;
        let connection = database.open_for_writing()?;
        Ok(SqliteRegistry::over(database, connection, clock))
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// What was moved, removed or replaced under whoever had it open.
#[derive(Debug, thiserror::Error)]
pub enum Displaced {
    /// The name leads to another file, or to none.
    #[error(
        "{} was renamed, removed or replaced while the gateway had it open; what is accepted from now \
         on would go where nobody looks for it",
        place.display()
    )]
    File {
        /// The name.
        place: PathBuf,
    },
    /// Another process has taken the directory, past a lock that its file system does not share.
    #[error(
        "another gateway ({holder}) has taken the data directory {}; stop one of them",
        directory.display()
    )]
    Taken {
        /// The directory.
        directory: PathBuf,
        /// Who it is.
        holder: String,
    },
}

impl Blame for Displaced {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}

/// The files of a log as they were when it was opened.
#[derive(Debug)]
pub(super) struct OpenedFiles {
    directory: PathBuf,
    database: FileId,
    lock: FileId,
    /// Known once there is one: SQLite makes it with the first write.
    wal: Mutex<Option<FileId>>,
}

impl OpenedFiles {
    /// Remembers the files of a directory that this process has just opened and locked.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: directory.to_owned(),
            database: FileId::at(&Database::place_in(directory))?,
            lock: FileId::at(&directory.join(LOCK))?,
            wal: Mutex::new(None),
        })
    }

    /// Whether their names still lead to them, and nobody else has taken the directory.
    ///
    /// What cannot be looked at for another reason is not known to be displaced.
    pub(super) fn check(&self) -> Result<(), Displaced> {
        let database = Database::place_in(&self.directory);
        same(&database, self.database)?;
        let lock = self.directory.join(LOCK);
        same(&lock, self.lock)?;
        if let Some(holder) = holder(&lock).filter(|holder| *holder != own_name()) {
            return Err(Displaced::Taken { directory: self.directory.clone(), holder });
        }
        let mut name = database.into_os_string();
        name.push("-wal");
        let wal = PathBuf::from(name);
        let mut known = self.wal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = *known {
            return same(&wal, id);
        }
        *known = FileId::at(&wal).ok();
        Ok(())
    }
}

/// Whether a name still leads to the file that was opened.
fn same(place: &Path, opened: FileId) -> Result<(), Displaced> {
    match FileId::at(place) {
        Ok(found) if found == opened => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(()),
        _ => Err(Displaced::File { place: place.to_owned() }),
    }
}

/// Which file a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn at(place: &Path) -> io::Result<Self> {
        let of = |found: Metadata| Self { device: found.dev(), inode: found.ino() };
        fs::metadata(place).map(of)
    }
}

/// What this process writes into a lock.
fn own_name() -> String {
    format!("host {}, process {}", host_name(), std::process::id())
}

/// Who holds a lock, as far as its file tells.
pub(super) fn holder(lock: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(lock).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn opened() -> (TempDir, DirectoryLock, OpenedFiles) {
        let directory = TempDir::new().unwrap();
        let database = Database::of(directory.path()).unwrap();
        drop(database.open_for_writing().unwrap());
        let lock = DirectoryLock::take(directory.path()).unwrap();
        let files = OpenedFiles::of(directory.path()).unwrap();
        files.check().unwrap();
        (directory, lock, files)
    }

    #[test]
    fn whoever_comes_second_is_told_who_came_first() {
        let (directory, _lock, _) = opened();

        let refused = DirectoryLock::take(directory.path()).unwrap_err().to_string();

        assert!(refused.contains(&own_name()), "{refused}");
        assert!(HeldDirectory::take(directory.path()).is_err());
    }

    #[test]
    fn a_database_that_is_renamed_removed_or_replaced_is_told() {
        for change in [
            |place: &Path| fs::rename(place, place.with_extension("old")).unwrap(),
            |place: &Path| fs::remove_file(place).unwrap(),
            |place: &Path| {
                let copy = place.with_extension("copy");
                fs::copy(place, &copy).unwrap();
                fs::rename(&copy, place).unwrap();
            },
        ] {
            let (directory, _lock, files) = opened();
            change(&Database::place_in(directory.path()));
            assert!(matches!(files.check(), Err(Displaced::File { .. })));
        }
    }

    #[test]
    fn another_gateway_past_a_lock_that_is_not_shared_is_told() {
        let (directory, _lock, files) = opened();
        fs::write(directory.path().join(LOCK), "host other, process 7").unwrap();

        let taken = files.check().unwrap_err().to_string();

        assert!(taken.contains("host other, process 7"), "{taken}");
    }
}
