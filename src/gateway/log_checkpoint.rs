//! A checkpoint of a log: how far it had come, written beside it, so that one that lost its end or
//! was set back is told.
//!
//! It is taken from what was synced, and synced itself before it takes the place of the one before.
//! A power cut may therefore leave one that is older than the log, and never one that is newer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::{Blame, Fault, Timestamp};
use crate::eventlog::{LogError, LogIdentity, LogMark, Position, RestoredFrom, StoredLog};
use crate::keys::DataKey;
use crate::transparency::{LogHead, TreeHead};

/// The name of the checkpoint in the data directory.
const FILE: &str = "checkpoint.json";
const CONTEXT: &str = "log checkpoint";
/// A checkpoint is a few hundred bytes; more is damage.
const LONGEST: u64 = 4096;

/// What a checkpoint says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogCheckpoint {
    /// Which log it is of.
    pub log: String,
    /// The newest position, which counts all events that were ever taken.
    pub head: u64,
    /// The event there.
    pub newest: String,
    /// The last revision of all documents.
    pub revision: u64,
    /// When it was taken.
    pub at: Timestamp,
    /// Who took it.
    pub host: String,
    /// Which incarnation of the log it was.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub incarnation: u64,
    /// The name that all incarnations have in common; nothing if that is `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// The tree over the log; nothing where a gateway of before has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeHead>,
}

const fn first() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
const fn is_first(incarnation: &u64) -> bool {
    *incarnation == 1
}

/// A checkpoint as it is kept.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeptCheckpoint {
    checkpoint: LogCheckpoint,
    /// An HMAC-SHA256 under a key that is derived from the data key.
    code: String,
}

/// What a log lacks that a checkpoint of it knows; [`to_go_on`](Self::to_go_on) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SetBack {
    /// It ends before the checkpoint.
    #[error(
        "the log ends at position {found}, and at {at} it was synced up to {had} ({}): it has lost \
         its end or was set back",
        place.display()
    )]
    Shorter {
        /// The checkpoint.
        place: PathBuf,
        /// Where the log ended then.
        had: u64,
        /// Where it ends now.
        found: u64,
        /// When that was.
        at: Timestamp,
    },
    /// It went on differently.
    #[error(
        "position {position} of the log is not the event that was synced there at {at} ({}): the log \
         was set back and went on from there",
        place.display()
    )]
    OtherEvent {
        /// The checkpoint.
        place: PathBuf,
        /// Where.
        position: u64,
        /// When it was synced.
        at: Timestamp,
    },
    /// Documents are older.
    #[error(
        "the documents of the log are of revision {found}, and at {at} they were synced up to {had} \
         ({}): the log was set back",
        place.display()
    )]
    OlderDocuments {
        /// The checkpoint.
        place: PathBuf,
        /// Their last revision then.
        had: u64,
        /// Their last revision now.
        found: u64,
        /// When that was.
        at: Timestamp,
    },
    /// The checkpoint is of another log.
    #[error(
        "{} is of another log, so that this one was put in its place",
        place.display()
    )]
    OtherLog {
        /// The checkpoint.
        place: PathBuf,
    },
    /// There is a checkpoint and no log.
    #[error(
        "there is no log beside {}: it was moved away or lost, and none is begun in its place; put it \
         back, or restore a backup into an empty directory",
        place.display()
    )]
    NoLog {
        /// The checkpoint.
        place: PathBuf,
    },
    /// The checkpoint is not one that this gateway wrote.
    #[error(
        "{} is not what this gateway wrote: it was altered, or is of another data key",
        place.display()
    )]
    Altered {
        /// The checkpoint.
        place: PathBuf,
    },
}

impl SetBack {
    /// What an operator does about it, with the command that goes on with this log.
    pub fn to_go_on(restored: &str) -> String {
        format!(
            "put the newest copy of the log back or, if this is the one to go on with, run `{restored}`"
        )
    }
}

/// Why a log and a checkpoint cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// They were, and the log lacks something.
    #[error(transparent)]
    SetBack(#[from] SetBack),
    /// The checkpoint cannot be read or written.
    #[error("cannot read or write {}", place.display())]
    File {
        /// The checkpoint.
        place: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why a log may not be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum LogUnconfirmed {
    /// It was brought back from a backup, and nobody has said that it may deliver.
    #[error(
        "this log was restored at {} from a backup that ends at position {}: what was accepted or \
         delivered since the backup is not in it. If no other gateway runs on the original, run \
         `{restored}`; to look at it only, `{look}`",
        from.at, from.head
    )]
    Restored {
        /// From what.
        from: RestoredFrom,
        /// The command that goes on with it.
        restored: String,
        /// The command that looks at it.
        look: String,
    },
    /// It lacks what is known of it.
    #[error("{lack}; {}", SetBack::to_go_on(restored))]
    Lacking {
        /// What that is.
        lack: SetBack,
        /// The command that goes on with it.
        restored: String,
    },
    /// It was found to lack its end, and events were taken since.
    #[error(
        "this log was found to end at position {position} before its end, and has taken events since, \
         while it was looked at; {}",
        SetBack::to_go_on(restored)
    )]
    FoundShort {
        /// Where it ended.
        position: u64,
        /// The command that goes on with it.
        restored: String,
    },
    /// Another gateway runs with the same keys on the same log.
    #[error(
        "another gateway ({holder}) runs with these keys on a copy of this log; stop it, or look at \
         this copy with `{look}`"
    )]
    Twin {
        /// Who it is.
        holder: String,
        /// The command that looks at it.
        look: String,
    },
}

impl Blame for SetBack {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl Blame for CheckpointError {
    fn fault(&self) -> Fault {
        match self {
            Self::SetBack(error) => error.fault(),
            Self::Log(error) => error.fault(),
            Self::File { .. } => Fault::Ours,
        }
    }
}

/// Where the checkpoint of a data directory is.
pub fn checkpoint_beside(data_directory: &Path) -> PathBuf {
    data_directory.join(FILE)
}

impl LogCheckpoint {
    /// Where a log stands now.
    pub fn of(
        (log, incarnation): (&LogIdentity, u64),
        mark: LogMark,
        (at, host): (Timestamp, String),
    ) -> Self {
        let LogMark { head, newest, revision, tree } = mark;
        Self {
            log: log.id.clone(),
            head: head.0,
            newest: newest.to_string(),
            revision,
            at,
            host,
            incarnation,
            lineage: log.lineage.clone(),
            tree: Some(tree),
        }
    }

    /// The name that all incarnations of its log have in common.
    pub fn lineage(&self) -> &str {
        self.lineage.as_deref().unwrap_or(&self.log)
    }

    /// How far it says that the log had come.
    pub fn log_head(&self) -> LogHead {
        let event = (self.head > 0).then(|| self.newest.parse().ok()).flatten();
        let (incarnation, position, tree) = (self.incarnation, self.head, self.tree);
        LogHead { incarnation, position, event, tree }
    }

    /// Reads the checkpoint of a place, if there is one; without a key, whoever wrote it.
    ///
    /// # Errors
    ///
    /// The operator's turn: it is not one of this gateway. Ours: it cannot be read.
    pub fn read(place: &Path, data_key: Option<&DataKey>) -> Result<Option<Self>, CheckpointError> {
        let failed = |source| CheckpointError::File { place: place.to_owned(), source };
        let file = match File::open(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
        let altered = || SetBack::Altered { place: place.to_owned() };
        let kept: KeptCheckpoint = serde_json::from_slice(&bytes).map_err(|_| altered())?;
        let is_ours =
            |key: &DataKey| key.is_authentic(CONTEXT, &kept.checkpoint.text(), &kept.code);
        if data_key.is_some_and(|key| !is_ours(key)) {
            return Err(altered().into());
        }
        Ok(Some(kept.checkpoint))
    }

    /// Writes it in place of the one before; it is durable before it is there.
    ///
    /// # Errors
    ///
    /// Ours: the disk; the one before is still there, or this one is.
    pub fn write(self, place: &Path, data_key: &DataKey) -> Result<(), CheckpointError> {
        let failed = |source| CheckpointError::File { place: place.to_owned(), source };
        let code = data_key.authenticate(CONTEXT, &self.text());
        let kept = serde_json::to_vec(&KeptCheckpoint { checkpoint: self, code });
        let new = place.with_extension("new");
        let write = |bytes: Vec<u8>| {
            let mut options = OpenOptions::new();
            let mut file =
                options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, place)?;
            place.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
        };
        kept.map_err(io::Error::from).and_then(write).map_err(failed)
    }

    /// Holds a log against it. A log that went on since is what is to be expected.
    ///
    /// # Errors
    ///
    /// The operator's turn: the log lacks something. Ours: it cannot be read.
    pub fn compare(&self, place: &Path, log: &StoredLog) -> Result<(), CheckpointError> {
        let (place, at) = (place.to_owned(), self.at);
        let identity = log.identity()?;
        // An operator has accepted the log since, and the checkpoint of before was not removed yet.
        if identity.as_ref().is_some_and(|now| now.replaces.as_deref() == Some(&self.log)) {
            return Ok(());
        }
        if identity.is_none_or(|identity| identity.id != self.log) {
            return Err(SetBack::OtherLog { place }.into());
        }
        let found = log.mark()?;
        let (had, head) = (self.head, found.head.0);
        if head < had {
            return Err(SetBack::Shorter { place, had, found: head, at }.into());
        }
        if log.id_at(Position(had))?.is_some_and(|id| id.to_string() != self.newest) {
            return Err(SetBack::OtherEvent { place, position: had, at }.into());
        }
        if found.revision < self.revision {
            let (had, found) = (self.revision, found.revision);
            return Err(SetBack::OlderDocuments { place, had, found, at }.into());
        }
        Ok(())
    }

    /// What the code is taken over.
    fn text(&self) -> Vec<u8> {
        // Texts and numbers always serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Forgets a checkpoint that does not count any more.
///
/// # Errors
///
/// Ours: the disk.
pub fn forget_checkpoint(place: &Path) -> Result<(), CheckpointError> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CheckpointError::File { place: place.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::event::EventId;
    use crate::transparency::TreeRoot;

    fn checkpoint() -> LogCheckpoint {
        let tree = TreeHead { first: 44, tree: TreeRoot::empty() };
        let mark = LogMark { head: Position(43), newest: EventId::MIN, revision: 7, tree };
        let identity = LogIdentity { id: "a".to_owned(), ..LogIdentity::default() };
        LogCheckpoint::of((&identity, 1), mark, (Timestamp::EPOCH, "here".to_owned()))
    }

    #[test]
    fn what_a_gateway_of_before_has_written_is_authentic_and_of_the_first_incarnation() {
        let directory = tempfile::tempdir().unwrap();
        let place = checkpoint_beside(directory.path());
        let key = DataKey::generate(&SeededEntropy::new(1));
        let said = r#"{"log":"a","head":43,"newest":"01","revision":7,"at":"2026-11-21T21:46:16Z","host":"h"}"#;
        let code = key.authenticate(CONTEXT, said.as_bytes());
        let kept = format!(r#"{{"checkpoint":{said},"code":"{code}"}}"#);
        fs::write(&place, kept).unwrap();

        let read = LogCheckpoint::read(&place, Some(&key)).unwrap().unwrap();

        assert_eq!((read.incarnation, read.lineage(), read.tree), (1, "a", None));
    }

    #[test]
    fn a_checkpoint_reads_what_it_wrote_and_nothing_that_was_altered() {
        let directory = tempfile::tempdir().unwrap();
        let place = checkpoint_beside(directory.path());
        let (key, other) =
            (DataKey::generate(&SeededEntropy::new(1)), DataKey::generate(&SeededEntropy::new(2)));
        assert_eq!(LogCheckpoint::read(&place, Some(&key)).unwrap(), None);

        checkpoint().write(&place, &key).unwrap();

        assert_eq!(LogCheckpoint::read(&place, Some(&key)).unwrap(), Some(checkpoint()));
        assert_eq!(LogCheckpoint::read(&place, None).unwrap(), Some(checkpoint()));
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        let refused = LogCheckpoint::read(&place, Some(&other)).unwrap_err();
        assert!(matches!(refused, CheckpointError::SetBack(SetBack::Altered { .. })), "{refused}");
        let text = fs::read_to_string(&place).unwrap();
        for altered in [text.replace("43", "30"), String::new(), "{}".to_owned(), "x".repeat(9_000)]
        {
            fs::write(&place, altered).unwrap();
            let refused = LogCheckpoint::read(&place, Some(&key)).unwrap_err();
            assert!(refused.to_string().contains("altered"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_its_place_is_no_checkpoint(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in r#"\{"checkpoint":\{"log":"[a-z]{0,4}","head":[0-9]{1,30}\}?,"code":"[A-Za-z_-]{0,50}"\}"#,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let place = checkpoint_beside(directory.path());
            let key = DataKey::generate(&SeededEntropy::new(1));
            for content in [bytes, text.into_bytes()] {
                fs::write(&place, content).unwrap();
                prop_assert!(LogCheckpoint::read(&place, Some(&key)).is_err());
                prop_assert!(LogCheckpoint::read(&place, None).is_err());
            }
        }
    }
}
