//! Whether the log that a gateway starts on, and goes on with, is the one that it left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::{Clock, Entropy, host_name};
use crate::api::{Services, Trouble};
use crate::config::Config;
use crate::event::Timestamp;
use crate::eventlog::{Displaced, LogIdentity, LogMark, SqliteLog, Store, StoredLog};
use crate::gateway::build_error::BuildError;
use crate::gateway::log_checkpoint::{
    CheckpointError, LogCheckpoint, LogUnconfirmed, checkpoint_beside,
};
use crate::keys::DataKey;
use crate::telemetry::error_chain;

/// How often a checkpoint is written, if the log has moved.
const EVERY: Duration = Duration::from_secs(5);
/// How often the files of the log are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What anyone is told of a log that was moved under the gateway.
const MOVED: &str =
    "the log was renamed or replaced: no event is taken; the gateway's log says more";

/// Takes checkpoints of a log while its gateway runs.
pub(super) struct LogGuard {
    /// Whether the log lacks what its checkpoints know, and is looked at all the same.
    pub(super) is_set_back: bool,
    /// Nothing where events are not delivered: what such a gateway looks at is left as it is.
    writing: Option<Arc<Mutex<Writing>>>,
}

struct Writing {
    log: StoredLog,
    identity: LogIdentity,
    incarnation: u64,
    places: Vec<PathBuf>,
    data_key: Arc<DataKey>,
    last: Option<LogMark>,
    /// Whether writing has failed and that was told.
    is_failing: bool,
    /// Held until the gateway ends.
    _in_use: File,
}

/// Finds out whether a log is the one that was left, and begins to take checkpoints of it.
///
/// # Errors
///
/// The operator's turn: it was set back or restored, or another gateway runs on a copy. Ours: it
/// cannot be read.
pub(super) async fn guard(
    config: &Config,
    (store, data_key): (&Store, &Arc<DataKey>),
    entropy: &Arc<dyn Entropy>,
) -> Result<LogGuard, BuildError> {
    let identity = LogIdentity::of(&*store.registry, &**entropy).await?;
    let log = StoredLog::open(&config.data_dir)?;
    let places = places(config, &identity.id);
    let compared = compare_all(&places, &log, data_key);
    if config.no_delivery {
        let is_set_back =
            identity.restored.is_none() && (compared.is_err() || identity.found_short.is_some());
        if let Err(error) = &compared {
            tracing::warn!(error = %error_chain(error), "The log is not the one that was left");
        }
        if is_set_back && identity.found_short.is_none() {
            note_end(store, &identity, &log).await?;
        }
        return Ok(LogGuard { is_set_back, writing: None });
    }
    must_be_confirmed(config, &identity, compared)?;
    let in_use = hold(&config.keys.directory.join(format!(".in-use-{}", identity.id)), config)?;
    let incarnation = log.incarnations()?.last().map_or(1, |kept| kept.incarnation.number);
    let writing = Writing {
        log,
        identity,
        incarnation,
        places,
        data_key: Arc::clone(data_key),
        last: None,
        is_failing: false,
        _in_use: in_use,
    };
    Ok(LogGuard { is_set_back: false, writing: Some(Arc::new(Mutex::new(writing))) })
}

/// Refuses a log that nobody has said to go on with, and says how.
fn must_be_confirmed(
    config: &Config,
    identity: &LogIdentity,
    compared: Result<(), CheckpointError>,
) -> Result<(), BuildError> {
    let restored = config.command("log restored");
    if let Some(from) = identity.restored {
        let look = config.command("serve --no-delivery");
        return Err(LogUnconfirmed::Restored { from, restored, look }.into());
    }
    if let Some(position) = identity.found_short {
        return Err(LogUnconfirmed::FoundShort { position, restored }.into());
    }
    match compared {
        Err(CheckpointError::SetBack(lack)) => {
            Err(LogUnconfirmed::Lacking { lack, restored }.into())
        }
        other => Ok(other?),
    }
}

/// Notes where a log ends that lacks what is known of it, before it takes events: those are of another
/// incarnation, if an operator goes on with it.
async fn note_end(
    store: &Store,
    identity: &LogIdentity,
    log: &StoredLog,
) -> Result<(), BuildError> {
    let key = LogIdentity::key();
    let expected = store.registry.get(&key).await?.map(|record| record.revision);
    let noted = LogIdentity { found_short: Some(log.mark()?.head.0), ..identity.clone() };
    store.registry.put(&key, expected, noted.body()).await?;
    Ok(())
}

/// Where checkpoints of a log are: beside it, and beside the keys, which are not set back with it.
pub fn places(config: &Config, identity: &str) -> Vec<PathBuf> {
    let beside_keys = config.keys.directory.join(format!(".log-{identity}"));
    vec![checkpoint_beside(&config.data_dir), beside_keys]
}

/// Holds a log against all its checkpoints.
///
/// # Errors
///
/// The operator's turn: it was set back. Ours: something cannot be read.
pub fn compare_all(
    places: &[PathBuf],
    log: &StoredLog,
    data_key: &DataKey,
) -> Result<(), CheckpointError> {
    places.iter().try_for_each(|place| match LogCheckpoint::read(place, Some(data_key))? {
        Some(checkpoint) => checkpoint.compare(place, log),
        None => Ok(()),
    })
}

/// Takes the keys of a log for one gateway on this machine; the operating system lets go when the
/// process dies.
fn hold(place: &Path, config: &Config) -> Result<File, BuildError> {
    let failed =
        |source| BuildError::Checkpoint(CheckpointError::File { place: place.to_owned(), source });
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).mode(0o600).open(place).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            let (host, process) = (host_name(), std::process::id());
            let name =
                format!("host {host}, process {process}, log in {}", config.data_dir.display());
            file.set_len(0).and_then(|()| file.write_all(name.as_bytes())).map_err(failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(place).unwrap_or_default();
            let look = config.command("serve --no-delivery");
            Err(LogUnconfirmed::Twin { holder, look }.into())
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl LogGuard {
    /// Writes a checkpoint every few seconds, as long as the log moves. Nobody waits for it.
    pub(super) async fn run(&self, clock: &dyn Clock) {
        loop {
            self.write(clock.now()).await;
            clock.sleep(EVERY).await;
        }
    }

    /// Writes a checkpoint if the log has moved, where blocking is allowed.
    pub(super) async fn write(&self, now: Timestamp) {
        let Some(writing) = self.writing.clone() else { return };
        let work = move || writing.lock().unwrap_or_else(PoisonError::into_inner).try_write(now);
        if tokio::task::spawn_blocking(work).await.is_err() {
            tracing::error!("Writing the checkpoint of the log died");
        }
    }
}

impl Writing {
    fn try_write(&mut self, now: Timestamp) {
        let written = self.write(now);
        if let Err(error) = &written
            && !self.is_failing
        {
            tracing::warn!(
                error = %error_chain(error),
                "The checkpoint of the log cannot be written; that it lost its end would not be told",
            );
        }
        self.is_failing = written.is_err();
    }

    /// Reads how far the log has come, of which everything is synced, and writes that.
    fn write(&mut self, now: Timestamp) -> Result<(), CheckpointError> {
        let mark = self.log.mark()?;
        if self.last == Some(mark) {
            return Ok(());
        }
        let of = (&self.identity, self.incarnation);
        let checkpoint = LogCheckpoint::of(of, mark, (now, host_name()));
        for place in &self.places {
            checkpoint.clone().write(place, &self.data_key)?;
        }
        self.last = Some(mark);
        Ok(())
    }
}

/// Looks at the files of a log until they are displaced.
pub(super) async fn watch_files(engine: &Arc<SqliteLog>, services: &Services) -> Displaced {
    loop {
        services.clock.sleep(LOOK).await;
        let log = Arc::clone(engine);
        if let Ok(Err(displaced)) = tokio::task::spawn_blocking(move || log.check_files()).await {
            services.readiness.note(Trouble::Log, Some(MOVED));
            tracing::error!(error = %error_chain(&displaced), "The log was moved");
            return displaced;
        }
    }
}
