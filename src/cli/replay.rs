//! `sealway replay`: delivers a range of the log to a subscription once more.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::api::{ListAnswer, ReplayRequest};
use crate::cli::answer::{ListColumn, column, list, show, text};
use crate::cli::waiting::{Waiting, Work, follow};
use crate::cli::{Client, CommandResult, Context, Exit};
use crate::event::{EventBound, ReplayId, SubscriptionReference, number_of};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deliver a range of the log to a subscription once more
    ///
    /// Each event keeps its id and its idempotency key, and its token says that it is replayed. The
    /// replay is the gateway's: it goes on when this command is interrupted, and after a restart.
    Start(StartArgs),
    /// List the replays of a subscription, oldest first
    List {
        /// The subscription: its name, `consumer/name`, or its id
        subscription: SubscriptionReference,
    },
    /// Show a replay
    Get {
        /// The replay's name
        id: ReplayId,
    },
    /// End a replay that is running
    Cancel {
        /// The replay's name
        id: ReplayId,
    },
}

/// What to replay.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// The subscription: its name, `consumer/name`, or its id
    subscription: SubscriptionReference,
    /// Where to begin: an event, or a time in RFC 3339 at which it was accepted; included
    #[arg(long, value_name = "ULID|TIME")]
    from: EventBound,
    /// Where to end, included: an event or a time; the newest event in the log if missing
    #[arg(long, value_name = "ULID|TIME")]
    to: Option<EventBound>,
    /// Only events of these types, such as `Payment.*`; may be repeated or separated by commas
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// The most events per second, 0 for no bound; as the gateway is set if missing
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    /// Count the events, and deliver nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// What a list shows of a replay.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Id", "/id"),
    column("State", "/state"),
    column("From", "/from"),
    column("To", "/to"),
    column("Matched", "/counts/matched"),
    column("Delivered", "/counts/delivered"),
    column("Retrying", "/counts/retrying"),
    column("Given up", "/counts/givenUp"),
    column("Created", "/created"),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::Start(args) => return start(args, &client, context).await,
        Command::List { subscription } => {
            let path = format!("/subscriptions/{}/replays", subscription.segment());
            list((&client, output), &path, &(), (ListAnswer::REPLAYS, COLUMNS)).await?;
        }
        Command::Get { id } => show(output, &client.get(&format!("/replays/{id}")).await?),
        Command::Cancel { id } => {
            client.call::<()>(Method::DELETE, &format!("/replays/{id}"), None).await?;
            output.note(format_args!("replay `{id}` ends; what is in flight is still delivered"));
        }
    }
    Ok(Exit::Done)
}

async fn start(args: StartArgs, client: &Client, context: &Context) -> CommandResult {
    let request = ReplayRequest {
        from: args.from.to_string(),
        to: args.to.map(|to| to.to_string()),
        types: args.types,
        rate: args.rate,
        dry_run: args.dry_run,
    };
    let output = context.output();
    let path = format!("/subscriptions/{}/replays", args.subscription.segment());
    let started = client.call(Method::POST, &path, Some(&request)).await?;
    if let Some(dropped) = started.get("droppedThrough").and_then(Value::as_str) {
        output.note(format_args!("events up to {dropped} were dropped by retention"));
    }
    if args.dry_run {
        output.item(&started, |counted| {
            let [from, to] = ["/from", "/to"].map(|at| text(counted, at));
            let matched = counted.get("matched").and_then(Value::as_u64).unwrap_or_default();
            format!("{} from {from} to {to} would be delivered", number_of(matched, "event"))
        });
        return Ok(Exit::Done);
    }
    let work = Work {
        path: format!("/replays/{}", text(&started, "/id")),
        verb: "replaying",
        done: |replay| replay.get("attempted").and_then(Value::as_u64),
        in_words,
    };
    follow(args.waiting, started, &work, (client, output)).await
}

fn in_words(replay: &Value) -> String {
    let [id, state, matched, delivered, retrying, given_up] = [
        "/id",
        "/state",
        "/counts/matched",
        "/counts/delivered",
        "/counts/retrying",
        "/counts/givenUp",
    ]
    .map(|at| text(replay, at));
    format!(
        "replay {id} is {state}: matched {matched}, delivered {delivered}, retrying {retrying}, \
         given up {given_up}"
    )
}
