//! What is known beside a log of the incarnations that it has had: the greatest number that was given, and
//! how far the log had come before it was set back.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, is_same_place};
use crate::eventlog::LogIdentity;
use crate::gateway::{CheckpointError, LogCheckpoint, checkpoint_beside};
use crate::keys::DataKey;
use crate::transparency::LogHead;

/// No directory of keys has more files than this that are looked at.
const MOST_FILES: usize = 10_000;

/// Where it is looked for.
pub struct LivesBeside {
    data_directory: PathBuf,
    /// The directory of keys, which is not set back with the log.
    keys: Option<PathBuf>,
    lineage: String,
}

/// What is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KnownLives {
    /// The greatest number that an incarnation was given; zero if none is known.
    pub greatest: u64,
    /// The farthest that the log is known to have come.
    pub head: Option<LogHead>,
}

impl LivesBeside {
    /// Looks beside a log, and beside the keys of the gateway whose log it is or was.
    pub fn of(identity: &LogIdentity, data_directory: &Path, config: Option<&Config>) -> Self {
        let mut found = Self {
            data_directory: data_directory.to_owned(),
            keys: config.map(|config| config.keys.directory.clone()),
            lineage: identity.lineage().to_owned(),
        };
        // Whoever tries a backup of another gateway out leaves nothing with the keys of this one.
        let is_own = config.is_some_and(|config| is_same_place(&config.data_dir, data_directory));
        let knows_it =
            |places: Vec<PathBuf>| found.read(places, None).is_ok_and(|all| !all.is_empty());
        if !is_own && !found.beside_keys().is_ok_and(knows_it) {
            found.keys = None;
        }
        found
    }

    /// What is known; without the gateway's data key a checkpoint is taken for what it says.
    ///
    /// # Errors
    ///
    /// Ours: something cannot be read.
    pub fn known(&self, data_key: Option<&DataKey>) -> Result<KnownLives, CheckpointError> {
        let mut known = KnownLives { greatest: self.taken()?, head: None };
        let mut places = vec![checkpoint_beside(&self.data_directory)];
        places.extend(self.beside_keys()?);
        for checkpoint in self.read(places, data_key)? {
            known.greatest = known.greatest.max(checkpoint.incarnation);
            known.take(checkpoint.log_head());
        }
        Ok(known)
    }

    /// Notes that a number is given, so that it is given once: it is durable before the log has it.
    ///
    /// # Errors
    ///
    /// Ours: the disk.
    pub fn take(&self, number: u64) -> Result<(), CheckpointError> {
        let Some(place) = self.place() else { return Ok(()) };
        let new = place.with_extension("new");
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            writeln!(file, "{number}")?;
            file.sync_all()?;
            fs::rename(&new, &place)?;
            place.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
        };
        write().map_err(|source| CheckpointError::File { place: place.clone(), source })
    }

    fn place(&self) -> Option<PathBuf> {
        let keys = self.keys.as_ref().filter(|keys| keys.is_dir())?;
        Some(keys.join(format!(".incarnation-{}", self.lineage)))
    }

    /// The greatest number that was noted.
    fn taken(&self) -> Result<u64, CheckpointError> {
        let Some(place) = self.place() else { return Ok(0) };
        match fs::read_to_string(&place) {
            Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(CheckpointError::File { place, source }),
        }
    }

    /// Where checkpoints of logs may be beside the keys.
    fn beside_keys(&self) -> Result<Vec<PathBuf>, CheckpointError> {
        self.keys.as_deref().map_or_else(|| Ok(Vec::new()), checkpoints_beside_keys)
    }

    /// The checkpoints of this log that can be believed, those of its other incarnations included.
    fn read(
        &self,
        places: Vec<PathBuf>,
        data_key: Option<&DataKey>,
    ) -> Result<Vec<LogCheckpoint>, CheckpointError> {
        let mut found = Vec::new();
        for place in places {
            match LogCheckpoint::read(&place, data_key) {
                Ok(read) => found.extend(read.filter(|one| one.lineage() == self.lineage)),
                // What was altered says nothing.
                Err(CheckpointError::SetBack(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Where checkpoints of logs are beside keys; a directory that is not there has none.
///
/// # Errors
///
/// Ours: the directory cannot be read.
pub(super) fn checkpoints_beside_keys(keys: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut places = Vec::new();
    if !keys.is_dir() {
        return Ok(places);
    }
    let failed = |source| CheckpointError::File { place: keys.to_owned(), source };
    for entry in fs::read_dir(keys).map_err(failed)?.take(MOST_FILES) {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_half_written = Path::new(&name).extension().is_some_and(|ending| ending == "new");
        if name.to_str().is_some_and(|name| name.starts_with(".log-")) && !is_half_written {
            places.push(entry.path());
        }
    }
    Ok(places)
}

impl KnownLives {
    /// Takes one more word on how far the log had come; the farthest counts.
    pub fn take(&mut self, head: LogHead) {
        self.greatest = self.greatest.max(head.incarnation);
        let reach = |head: &LogHead| (head.incarnation, head.position);
        if self.head.as_ref().is_none_or(|known| reach(known) < reach(&head)) {
            self.head = Some(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::event::{EventId, Timestamp};
    use crate::eventlog::{LogMark, Position};
    use crate::transparency::{TreeHead, TreeRoot};

    fn identity(id: &str, lineage: Option<&str>) -> LogIdentity {
        LogIdentity {
            id: id.to_owned(),
            lineage: lineage.map(str::to_owned),
            ..LogIdentity::default()
        }
    }

    fn checkpoint(of: (&LogIdentity, u64), head: u64) -> LogCheckpoint {
        let tree = TreeHead { first: head + 1, tree: TreeRoot::empty() };
        let mark = LogMark { head: Position(head), newest: EventId::MAX, revision: 1, tree };
        LogCheckpoint::of(of, mark, (Timestamp::EPOCH, "here".to_owned()))
    }

    #[test]
    fn the_farthest_of_the_log_counts_and_nothing_that_is_of_another_or_was_altered() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let (key, other_key) =
            (DataKey::generate(&SeededEntropy::new(1)), DataKey::generate(&SeededEntropy::new(2)));
        let first = identity("a", None);
        let beside = LivesBeside {
            data_directory: directory.path().to_owned(),
            keys: Some(keys.clone()),
            lineage: "a".to_owned(),
        };
        assert_eq!(beside.known(Some(&key)).unwrap(), KnownLives::default());

        checkpoint((&first, 1), 90).write(&keys.join(".log-a"), &key).unwrap();
        checkpoint((&identity("b", Some("a")), 2), 40).write(&keys.join(".log-b"), &key).unwrap();
        checkpoint((&identity("c", None), 7), 999).write(&keys.join(".log-c"), &key).unwrap();
        checkpoint((&first, 9), 999).write(&keys.join(".log-d"), &other_key).unwrap();
        let known = beside.known(Some(&key)).unwrap();
        assert_eq!((known.greatest, known.head.unwrap().position), (2, 40));

        beside.take(3).unwrap();
        assert_eq!(beside.known(Some(&key)).unwrap().greatest, 3);
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 5, "nothing else is left");
    }

    #[test]
    fn nothing_is_noted_where_there_are_no_keys() {
        let directory = tempfile::tempdir().unwrap();
        let beside = LivesBeside::of(&identity("a", None), directory.path(), None);

        beside.take(3).unwrap();

        assert_eq!(beside.known(None).unwrap(), KnownLives::default());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
