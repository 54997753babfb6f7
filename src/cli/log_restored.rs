//! `sealway log restored`: says that a log that was brought back, or set back, is the one to go on
//! with; and how `log verify` holds a log against its checkpoint.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::cli::acting::act;
use crate::cli::log_incarnation::{NextIncarnation, data_key, is_untold, last_number};
use crate::cli::log_verify::Report;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::eventlog::{ActionKind, HeldDirectory, StoredLog, accept_restored};
use crate::gateway::{
    CheckpointError, LogCheckpoint, checkpoint_beside, forget_checkpoint, places,
};
use crate::telemetry::error_chain;

/// Has the log go on as another incarnation, or as the one that a restore has begun, and lets it deliver.
pub(super) async fn confirm(
    directory: &Path,
    next: &NextIncarnation,
    context: &Context,
) -> CommandResult {
    let held = HeldDirectory::take(directory).map_err(Failure::blame)?;
    // A copy of an older gateway is brought up to date by this.
    let actions = held.registry(Arc::new(SystemClock)).map_err(Failure::blame)?;
    let log = StoredLog::open(directory).map_err(Failure::blame)?;
    let before = log.identity().map_err(Failure::blame)?.unwrap_or_default();
    let last = last_number(&log)?;
    // Nobody was told of it yet, or it waits for this word.
    let has_begun = before.restored.is_some() || is_untold(&log)?;
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
    if let Ok(config) = context.config() {
        for place in places(&config, &before.id).iter().skip(1) {
            forget_checkpoint(place).map_err(Failure::blame)?;
        }
    }
    context.output().item(&json!({ "directory": directory, "incarnation": number }), |_| {
        let place = directory.display();
        format!("{place} is the log to go on with, as incarnation {number}; start the gateway")
    });
    Ok(Exit::Done)
}

/// Adds to a report what the log of a data directory lacks that its checkpoints know.
///
/// Without the gateway's keys, a checkpoint is taken for what it says.
pub(super) fn compare(place: &Path, context: &Context, report: &mut Report) -> Result<(), Failure> {
    if !place.is_dir() {
        return Ok(());
    }
    let config = context.config().ok().filter(|config| config.data_dir == place);
    let data_key = config.as_ref().and_then(data_key);
    let log = StoredLog::open(place).map_err(Failure::blame)?;
    let identity = log.identity().map_err(Failure::blame)?;
    let places = match (&config, identity) {
        (Some(config), Some(identity)) => places(config, &identity.id),
        _ => vec![checkpoint_beside(place)],
    };
    for place in places {
        // Before the log is looked at, which a running gateway writes first.
        let compared = LogCheckpoint::read(&place, data_key.as_ref())
            .and_then(|found| found.map_or(Ok(()), |checkpoint| checkpoint.compare(&place, &log)));
        match compared {
            Ok(()) => {}
            Err(CheckpointError::SetBack(lack)) => report.find(error_chain(&lack).to_string()),
            Err(error) => return Err(Failure::blame(error)),
        }
    }
    Ok(())
}
