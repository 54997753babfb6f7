//! `sealway replay`: delivers a range of the log to a subscription once more.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Subcommand;
use indicatif::ProgressBar;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::answer::{items, show, text};
use crate::cli::{Client, Column, Context, Exit, Failure, Outcome};
use crate::event::{EventId, ReplayId, SubscriptionId};

/// How often a replay that is waited for is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How many looks in a row may fail: a gateway that restarts takes its replays up again.
const FAILURES: usize = 60;

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
        /// The subscription's name
        subscription: SubscriptionId,
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
    /// The subscription's name
    subscription: SubscriptionId,
    /// The first event wanted
    #[arg(long, value_name = "ULID")]
    from: EventId,
    /// The last event wanted; the newest one in the log if missing
    #[arg(long, value_name = "ULID")]
    to: Option<EventId>,
    /// Only events of these types, such as `Payment.*`; may be repeated or separated by commas
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// The most events per second, 0 for no bound; as the gateway is set if missing
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    /// Count the events, and deliver nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait until it has ended; on a terminal that is what happens anyway
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Do not wait
    #[arg(long)]
    no_wait: bool,
}

/// The request's body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted<'a> {
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    types: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    dry_run: bool,
}

/// What a list shows of a replay.
const COLUMNS: &[Column<Value>] = &[
    ("Id", |replay| text(replay, "/id")),
    ("State", |replay| text(replay, "/state")),
    ("From", |replay| text(replay, "/from")),
    ("To", |replay| text(replay, "/to")),
    ("Matched", |replay| text(replay, "/counts/matched")),
    ("Delivered", |replay| text(replay, "/counts/delivered")),
    ("Retrying", |replay| text(replay, "/counts/retrying")),
    ("Given up", |replay| text(replay, "/counts/givenUp")),
    ("Created", |replay| text(replay, "/created")),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Outcome {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::Start(args) => return start(&args, &client, context).await,
        Command::List { subscription } => {
            let answer = client.get(&format!("/subscriptions/{subscription}/replays")).await?;
            output.list(&items(&answer, "replays"), COLUMNS);
        }
        Command::Get { id } => show(output, &client.get(&format!("/replays/{id}")).await?),
        Command::Cancel { id } => {
            client.call::<()>(Method::DELETE, &format!("/replays/{id}"), None).await?;
            output.note(format_args!("replay `{id}` ends; what is under way is still delivered"));
        }
    }
    Ok(Exit::Done)
}

async fn start(args: &StartArgs, client: &Client, context: &Context) -> Outcome {
    let wanted = Wanted {
        from: args.from.to_string(),
        to: args.to.map(|to| to.to_string()),
        types: &args.types,
        rate: args.rate,
        dry_run: args.dry_run,
    };
    let output = context.output();
    let path = format!("/subscriptions/{}/replays", args.subscription);
    let started = client.call(Method::POST, &path, Some(&wanted)).await?;
    if let Some(floor) = started.get("droppedThrough").and_then(Value::as_str) {
        output.note(format_args!("events up to {floor} were dropped by retention"));
    }
    if args.dry_run {
        output.item(&started, |counted| {
            let [matched, from, to] = ["/matched", "/from", "/to"].map(|at| text(counted, at));
            format!("{matched} events from {from} to {to} would be delivered")
        });
        return Ok(Exit::Done);
    }
    let is_watched = io::stderr().is_terminal() && !output.is_json();
    if args.no_wait || !(args.wait || is_watched) {
        output.item(&started, in_words);
        return Ok(Exit::Done);
    }
    output.note(format_args!("replay {} is running", text(&started, "/id")));
    let bar =
        output.progress(started.pointer("/counts/matched").and_then(Value::as_u64), "replaying");
    let ended = wait(client, started, &bar).await;
    bar.finish_and_clear();
    let ended = ended?;
    output.item(&ended, in_words);
    Ok(if text(&ended, "/state") == "completed" { Exit::Done } else { Exit::No })
}

/// Looks at a replay until it has ended.
async fn wait(client: &Client, mut replay: Value, bar: &ProgressBar) -> Result<Value, Failure> {
    let path = format!("/replays/{}", text(&replay, "/id"));
    let mut failures = 0;
    while text(&replay, "/state") == "running" {
        SystemClock.sleep(EVERY).await;
        match client.get(&path).await {
            Ok(now) => {
                replay = now;
                failures = 0;
                bar.set_position(replay.get("attempted").and_then(Value::as_u64).unwrap_or(0));
            }
            Err(failure) if failure.is_input() || failures == FAILURES => return Err(failure),
            Err(_) => failures += 1,
        }
    }
    Ok(replay)
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
