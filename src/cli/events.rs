//! `sealway events`: what is in the log.

use clap::Subcommand;
use serde_json::Value;
use url::form_urlencoded;

use crate::cli::answer::{items, note_next, text};
use crate::cli::{
    Column, CommandResult, Context, Exit, Failure, event_key, events_put, events_trace,
};
use crate::event::EventId;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one event of a running gateway
    Get {
        /// The event's ULID
        id: EventId,
    },
    /// List events of a running gateway in the order of the log
    List(ListArgs),
    /// Tell the way of one event: received, matched or why not, attempts, where it stands
    Trace(events_trace::Args),
    /// Publish events to a running gateway from a file or a pipe, one to a line
    Put(events_put::Args),
    /// Compute the idempotency key of an event, and show the bytes that it is made of
    Key(event_key::Args),
}

/// What a list shows of an event.
const COLUMNS: &[Column<Value>] = &[
    ("Id", |event| text(event, "/id")),
    ("Type", |event| text(event, "/type")),
    ("Source", |event| text(event, "/source")),
    ("Time", |event| text(event, "/time")),
    ("Idempotency key", |event| text(event, "/idempotencykey")),
];

/// Which events to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The first id, included
    #[arg(long, value_name = "ULID")]
    from: Option<EventId>,
    /// The last id, included
    #[arg(long, value_name = "ULID")]
    to: Option<EventId>,
    /// Only this type, or a hierarchy such as `Payment.*`
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The most events
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    match command {
        Command::Get { id } => {
            let event = context.client()?.get(&format!("/events/{id}")).await?;
            context.output().document(&event);
        }
        Command::List(args) => list(&args, context).await?,
        Command::Trace(args) => return events_trace::run(&args, context).await,
        Command::Put(args) => return events_put::run(&args, context).await,
        Command::Key(args) => return event_key::run(&args, context),
    }
    Ok(Exit::Done)
}

async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &args.limit.to_string());
    for (name, id) in [("from", args.from), ("to", args.to)] {
        query.extend_pairs(id.map(|id| (name, id.to_string())));
    }
    query.extend_pairs(args.event_type.as_ref().map(|text| ("type", text)));

    let answer = context.client()?.get(&format!("/events?{}", query.finish())).await?;
    let output = context.output();
    output.list(&items(&answer, "events"), COLUMNS);
    note_next(output, &answer, "--from");
    Ok(())
}
