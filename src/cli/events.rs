//! `sealway events`: what is in the log.

use clap::Subcommand;

use crate::api::{DEFAULT_LIMIT, EventListQuery, ListAnswer};
use crate::cli::answer::{ListColumn, column, list, note_withheld, show};
use crate::cli::client::segment;
use crate::cli::{CommandResult, Context, Exit, event_key, events_explain, events_put, events_try};
use crate::event::EventBound;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one event of a running gateway
    Get {
        /// The event's ULID, or what its producer was given: `EventId`, a CloudEvent's `id`
        id: String,
    },
    /// List events of a running gateway in the order of the log
    List(ListArgs),
    /// Tell the way of one event: received, matched or why not, attempts, where it stands
    Trace(events_explain::Args),
    /// Publish events to a running gateway from a file or a pipe, one to a line
    Put(events_put::Args),
    /// Tell what would become of an event, offline: who wants it or why not, its data and names
    Try(events_try::Args),
    /// Compute the idempotency key of an event, and show the bytes that it is made of
    Key(event_key::Args),
}

/// What a list shows of an event.
const COLUMNS: &[ListColumn] = &[
    column("Id", "/id"),
    column("Type", "/type"),
    column("Source", "/source"),
    column("Time", "/time"),
    column("Idempotency key", "/idempotencykey"),
];

/// Which events to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Where to begin, included: an id, or a time in RFC 3339 at which it was accepted
    #[arg(long, value_name = "ULID|TIME")]
    from: Option<EventBound>,
    /// Where to end, included: an id or a time
    #[arg(long, value_name = "ULID|TIME")]
    to: Option<EventBound>,
    /// Only what came of an envelope with this id: an `EventId`, a CloudEvent's `id`
    #[arg(long, value_name = "ID")]
    envelope: Option<String>,
    /// Only this type, or a hierarchy such as `Payment.*`
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The most events
    #[arg(long, default_value_t = DEFAULT_LIMIT.into())]
    limit: usize,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    match command {
        Command::Get { id } => {
            let event = context.client()?.get(&format!("/events/{}", segment(&id)?)).await?;
            show(context.output(), &event);
            note_withheld(context.output(), &event);
        }
        Command::List(args) => {
            let at = (&context.client()?, context.output());
            let query = args.query();
            let count = list(at, "/events", &query, (ListAnswer::EVENTS, COLUMNS)).await?;
            if let Some(envelope) = query.envelope.filter(|_| count == 0) {
                let words = "no event came of it; it may be in quarantine: sealway quarantine list";
                context.output().note(format_args!("{words} --envelope '{envelope}'"));
            }
        }
        Command::Trace(args) => return events_explain::run(&args, context).await,
        Command::Put(args) => return events_put::run(&args, context).await,
        Command::Try(args) => return events_try::run(&args, context),
        Command::Key(args) => return event_key::run(&args, context),
    }
    Ok(Exit::Done)
}

impl ListArgs {
    fn query(self) -> EventListQuery {
        EventListQuery {
            from: self.from.map(|id| id.to_string()),
            to: self.to.map(|id| id.to_string()),
            r#type: self.event_type,
            envelope: self.envelope,
            limit: Some(self.limit),
        }
    }
}
