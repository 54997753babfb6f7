//! `sealway evidence exports`: how far the bundles have come that are written by schedule.

use serde_json::Value;

use crate::api::ListAnswer;
use crate::cli::answer::{ListColumn, column, list};
use crate::cli::{CommandResult, Context, Exit};

/// What the list shows of a subscription.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Subscription", "/subscription"),
    column("Bundle", "/bundle"),
    column("Up to number", "/sequence"),
    column("Waiting", "/waiting"),
    column("Problem", "/problem"),
    column("Failing since", "/failingSince"),
];

/// Runs the command.
pub async fn run(context: &Context) -> CommandResult {
    let at = (&context.client()?, context.output());
    list(at, "/evidence/exports", &Value::Null, (ListAnswer::EXPORTS, COLUMNS)).await?;
    Ok(Exit::Done)
}
