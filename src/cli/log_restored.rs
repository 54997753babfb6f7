//! `sealway log restored`: says that a log that was brought back, or set back, is the one to go on
//! with; and how `log verify` holds a log against its checkpoint.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use serde_json::json;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::cli::acting::act;
use crate::cli::data_directory::command_on;
use crate::cli::log_incarnation::{NextIncarnation, data_key, is_untold, last_number};
use crate::cli::{CommandResult, Context, DataDirectory, Exit, Failure};
use crate::config::{Config, is_same_place, shown_path};
use crate::eventlog::{ActionKind, HeldDirectory, StoredLog, accept_restored};
use crate::gateway::{
    CheckpointError, LogCheckpoint, SetBack, checkpoint_beside, forget_checkpoint, places,
};
use crate::transparency::LogHead;

/// Has the log go on as another incarnation, or as the one that a restore has begun, and lets it deliver.
pub(super) async fn confirm(
    data: &DataDirectory,
    (next, is_forced): (&NextIncarnation, bool),
    context: &Context,
) -> CommandResult {
    let place = data.place(context)?;
    let (directory, config) = (place.as_path(), data.settings(context).ok());
    let held = HeldDirectory::take(directory).map_err(Failure::blame)?;
    // A copy of an older gateway is brought up to date by this.
    let actions = held.registry(Arc::new(SystemClock)).map_err(Failure::blame)?;
    let log = StoredLog::open(directory).map_err(Failure::blame)?;
    let before = log.identity().map_err(Failure::blame)?.unwrap_or_default();
    let last = last_number(&log)?;
    // Nobody was told of it yet, or it waits for this word.
    let has_begun = before.restored.is_some() || is_untold(&log)?;
    if !has_begun && !is_forced {
        let head = next.head(context)?;
        let is_behind = head.is_some_and(|head| is_behind(&log, last, &head));
        if !is_behind
            && before.found_short.is_none()
            && lacks(directory, config.as_ref())?.is_empty()
        {
            return Err(lacks_nothing(directory, context));
        }
    }
    let new = if has_begun && !next.is_given() {
        None
    } else {
        Some(next.choose((&before, last), directory, context)?)
    };
    let number = new.as_ref().map_or(last, |new| new.number);
    drop(log);
    let accept =
        async { accept_restored(&held, &SystemClock, &SystemEntropy, new).map_err(Failure::blame) };
    let of = (ActionKind::AcceptRestoredLog, "log".to_owned());
    act(&actions, of, context, accept).await?;
    // After the log has its new name: what was noted under the old one does not count then.
    forget_checkpoint(&checkpoint_beside(directory)).map_err(Failure::blame)?;
    if let Some(config) = config {
        for place in places(&config, &before.id).iter().skip(1) {
            forget_checkpoint(place).map_err(Failure::blame)?;
        }
    }
    context.output().item(&json!({ "directory": directory, "incarnation": number }), |_| {
        let (place, serve) = (shown_path(directory), command_on("serve", directory, context));
        format!("{place} is the log to go on with, as incarnation {number}; start the gateway: `{serve}`")
    });
    Ok(Exit::Done)
}

/// Whether a log ends before it was when a checkpoint was signed.
fn is_behind(log: &StoredLog, last: u64, head: &LogHead) -> bool {
    let found = log.mark().map_or(0, |mark| mark.head.0);
    (last, found) < (head.incarnation, head.position)
}

fn lacks_nothing(directory: &Path, context: &Context) -> Failure {
    let forced = command_on("log restored --force", directory, context);
    Failure::input(anyhow!(
        "the log in {} lacks nothing that is known of it, and goes on as it is: nothing was changed. If you \
         mean another log, name it with `--data-dir`. If this one was set back all the same, give the newest \
         checkpoint of a consumer with `--checkpoint`, or run `{forced}`",
        shown_path(directory)
    ))
}

/// What the log of a data directory lacks that its checkpoints know. A backup file has none.
///
/// Without the gateway's keys, a checkpoint is taken for what it says.
pub(super) fn lacks(place: &Path, config: Option<&Config>) -> Result<Vec<SetBack>, Failure> {
    if !place.is_dir() {
        return Ok(Vec::new());
    }
    let config = config.filter(|config| is_same_place(&config.data_dir, place));
    let data_key = config.and_then(data_key);
    let log = StoredLog::open(place).map_err(Failure::blame)?;
    let identity = log.identity().map_err(Failure::blame)?;
    let places = match (config, identity) {
        (Some(config), Some(identity)) => places(config, &identity.id),
        _ => vec![checkpoint_beside(place)],
    };
    let mut found = Vec::new();
    for place in places {
        // Before the log is looked at, which a running gateway writes first.
        let compared = LogCheckpoint::read(&place, data_key.as_ref())
            .and_then(|found| found.map_or(Ok(()), |checkpoint| checkpoint.compare(&place, &log)));
        match compared {
            Ok(()) => {}
            Err(CheckpointError::SetBack(lack)) => found.push(lack),
            Err(error) => return Err(Failure::blame(error)),
        }
    }
    Ok(found)
}
