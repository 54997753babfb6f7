//! Whether the log is there that something beside it knows of: a volume that was not mounted is told, and
//! no log is begun in its place.

use std::path::PathBuf;

use crate::config::{Config, shown_path};
use crate::event::{Blame, Fault};
use crate::eventlog::{LogError, LogOpenError, StoredLog};
use crate::gateway::log_checkpoint::{CheckpointError, LogCheckpoint, SetBack, checkpoint_beside};
use crate::gateway::log_lives::checkpoints_beside_keys;

/// Why no log is begun.
#[derive(Debug, thiserror::Error)]
pub enum MissingLog {
    /// A checkpoint lies where the log should be, or what is there cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The keys know of a log that is not in the data directory.
    #[error(
        "there is no log in {directory}, and the keys in {keys} have signed for one: {known}. Is its \
         volume mounted? Name its directory with `--data-dir`, bring a copy back with `{restore}`, or \
         begin another log with `{begin}`"
    )]
    KeysKnowOne {
        /// The data directory.
        directory: String,
        /// The directory of keys.
        keys: String,
        /// What is known of the log.
        known: String,
        /// The command that brings it back.
        restore: String,
        /// The command that begins another.
        begin: String,
    },
}

impl Blame for MissingLog {
    fn fault(&self) -> Fault {
        match self {
            Self::Checkpoint(error) => error.fault(),
            Self::KeysKnowOne { .. } => Fault::Caller,
        }
    }
}

impl From<LogError> for MissingLog {
    fn from(error: LogError) -> Self {
        Self::Checkpoint(error.into())
    }
}

/// Refuses to begin a log where a checkpoint says that there was one: beside it, or beside the keys.
///
/// # Errors
///
/// The operator's turn: the log was moved away, or is not where the settings say.
pub fn check_log_is_there(config: &Config) -> Result<(), MissingLog> {
    let is_there = StoredLog::is_at(&config.data_dir);
    let place = checkpoint_beside(&config.data_dir);
    if !is_there && place.exists() {
        return Err(CheckpointError::from(SetBack::NoLog { place }).into());
    }
    if has_begun(config)? {
        if config.new_log {
            tracing::warn!(
                "The log is there; leave `--new-log` out, so that a start that misses it is refused"
            );
        }
        return Ok(());
    }
    let places = checkpoints_beside_keys(&config.keys.directory)?;
    if config.new_log || places.is_empty() {
        return Ok(());
    }
    Err(MissingLog::KeysKnowOne {
        directory: shown_path(&config.data_dir),
        keys: shown_path(&config.keys.directory),
        known: newest(&places),
        restore: config.command("log restore FILE"),
        begin: config.command("serve --new-log"),
    })
}

/// Whether a gateway has run on a log there: callers alone may have been added before.
fn has_begun(config: &Config) -> Result<bool, LogError> {
    match StoredLog::open(&config.data_dir) {
        Ok(log) => Ok(log.identity()?.is_some() || log.mark()?.head.0 > 0),
        // What is there and cannot be opened is told by who opens it next.
        Err(error) => Ok(!matches!(error, LogOpenError::Absent { .. })),
    }
}

/// What the newest checkpoint says.
fn newest(places: &[PathBuf]) -> String {
    let read = places.iter().filter_map(|place| LogCheckpoint::read(place, None).ok().flatten());
    let Some(LogCheckpoint { log, head, at, host, .. }) = read.max_by_key(|one| one.at) else {
        let names: Vec<_> = places.iter().map(|place| shown_path(place)).collect();
        return names.join(", ");
    };
    format!("log {log}, which had come to position {head} at {at} on {host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::event::Timestamp;
    use crate::keys::DataKey;

    fn settings(directory: &std::path::Path) -> Config {
        let mut config = Config { data_dir: directory.join("data"), ..Config::default() };
        config.keys.directory = directory.join("keys");
        config
    }

    fn checkpoint(log: &str, head: u64, at: &str) -> LogCheckpoint {
        let (log, newest, host) = (log.to_owned(), "01".to_owned(), "here".to_owned());
        let at: Timestamp = at.parse().unwrap();
        let (revision, incarnation, lineage, tree) = (1, 1, None, None);
        LogCheckpoint { log, head, newest, revision, at, host, incarnation, lineage, tree }
    }

    #[test]
    fn keys_that_know_a_log_begin_no_other_unless_that_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = settings(directory.path());
        assert!(check_log_is_there(&config).is_ok(), "nothing is known");
        std::fs::create_dir(&config.keys.directory).unwrap();
        let key = DataKey::generate(&SeededEntropy::new(1));
        for (log, head, at) in [("a", 7, "2026-11-01T00:00:00Z"), ("b", 43, "2026-11-02T00:00:00Z")]
        {
            let place = config.keys.directory.join(format!(".log-{log}"));
            checkpoint(log, head, at).write(&place, &key).unwrap();
        }

        let refused = check_log_is_there(&config).unwrap_err();

        assert_eq!(refused.fault(), Fault::Caller);
        let words = refused.to_string();
        assert!(words.contains("log b, which had come to position 43"), "{words}");
        assert!(words.contains("serve --new-log --data-dir "), "{words}");
        assert!(!config.data_dir.exists(), "nothing is made");
        config.new_log = true;
        assert!(check_log_is_there(&config).is_ok());
    }

    #[test]
    fn a_checkpoint_that_cannot_be_read_tells_of_a_log_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let config = settings(directory.path());
        std::fs::create_dir(&config.keys.directory).unwrap();
        std::fs::write(config.keys.directory.join(".log-x"), "{").unwrap();

        let words = check_log_is_there(&config).unwrap_err().to_string();

        assert!(words.contains(".log-x"), "{words}");
    }
}
