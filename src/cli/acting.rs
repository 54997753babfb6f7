//! Changes that commands make beside a gateway, in its data directory: kept as actions, as those of its
//! callers are.

use std::path::Path;
use std::sync::Arc;

use crate::ambient::{Clock as _, SystemClock, host_name, user_id};
use crate::cli::{Context, Failure};
use crate::eventlog::{
    ActionEnd, ActionKind, ActionOutcome, Actions, NewAction, SqliteRegistry, StoredLog,
};
use crate::telemetry::error_chain;

/// Makes a change, and keeps in `actions` that and how it was made.
///
/// # Errors
///
/// As the change. Later or ours: it cannot be kept that it begins, and nothing was changed.
pub(super) async fn act<T>(
    actions: &dyn Actions,
    (kind, target): (ActionKind, String),
    context: &Context,
    change: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let begun = NewAction {
        at: SystemClock.now(),
        caller: caller().into(),
        kind,
        target: target.into(),
        consumer: None,
        domain: None,
        request: None,
        reason: context.reason().cloned(),
    };
    let id = actions.begin_action(begun).await.map_err(Failure::blame)?;
    let outcome = change.await;
    let ended = match &outcome {
        Ok(_) => ActionOutcome::Done,
        Err(failure) if failure.is_input() => ActionOutcome::Refused,
        Err(_) => ActionOutcome::Failed,
    };
    let end = ActionEnd { outcome: ended, code: None, made: None };
    if let Err(error) = actions.end_action(id, end).await {
        let words = "it cannot be kept what became of this";
        context.output().complain(format_args!("warning: {words}: {}", error_chain(&error)));
    }
    outcome
}

/// Makes a change that needs no log, and keeps that and how it was made in the log of a data directory, if
/// there is one that can be written. A key that has to go goes in any case.
///
/// # Errors
///
/// As the change.
pub(super) async fn act_beside<T>(
    data_dir: &Path,
    of: (ActionKind, String),
    context: &Context,
    change: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let actions = StoredLog::open(data_dir)
        .and_then(|_| SqliteRegistry::open(data_dir, Arc::new(SystemClock)));
    match actions {
        Ok(actions) => act(&actions, of, context, change).await,
        Err(error) => {
            let words = "this is not kept among the actions";
            context.output().complain(format_args!("warning: {words}: {}", error_chain(&error)));
            change.await
        }
    }
}

/// Who runs a command here: no caller of the API has a name with a colon in it.
fn caller() -> String {
    let user = user_id().map_or_else(String::new, |id| format!("{id}@"));
    format!("cli:{user}{}", host_name())
}
