//! `sealway actions`: what callers changed.

use crate::api::{ActionListQuery, DEFAULT_LIMIT, ListAnswer};
use crate::cli::answer::{ListColumn, column, list};
use crate::cli::{CommandResult, Context, Exit};
use crate::event::Timestamp;

/// Which changes to list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those before this one, as its number in the list
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// Only those of this caller, or of `cli:USER@HOST`
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Only those of this kind, for example `delete-subscription`
    #[arg(long)]
    kind: Option<String>,
    /// Only those on this thing or on what lies below it, for example `subscriptions/orders`
    #[arg(long, value_name = "PATH")]
    target: Option<String>,
    /// Only those that were begun then or later
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only those that were begun then or earlier
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// The most actions
    #[arg(long, default_value_t = DEFAULT_LIMIT.into())]
    limit: usize,
}

/// What a list shows of an action.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Id", "/id"),
    column("At", "/at"),
    column("Caller", "/caller"),
    column("Kind", "/kind"),
    column("Target", "/target"),
    column("Made", "/made"),
    column("Outcome", "/outcome"),
    column("Code", "/code"),
    column("Reason", "/reason"),
    column("Request", "/request"),
];

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> CommandResult {
    let Args { before, caller, kind, target, from, to, limit } = args;
    let [from, to] = [from, to].map(|time| time.map(|time| time.to_string()));
    let query = ActionListQuery { before, limit: Some(limit), caller, kind, target, from, to };
    let at = (&context.client()?, context.output());
    list(at, "/actions", &query, (ListAnswer::ACTIONS, COLUMNS)).await?;
    Ok(Exit::Done)
}
