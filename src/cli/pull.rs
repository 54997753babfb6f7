//! `sealway subscriptions pull`: fetches sealed events, a line each.

use reqwest::Method;
use serde_json::Value;

use crate::api::{DEFAULT_LIMIT, FetchQuery, ListAnswer};
use crate::cli::answer::{items, text};
use crate::cli::pull_signed::{SignedPull, SigningArgs};
use crate::cli::{Client, CommandResult, Context, Exit, Failure, Output};
use crate::event::SubscriptionReference;

/// How many seconds the gateway is to wait for an event.
const WAIT: u64 = 20;

/// Which events to fetch.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// The subscription: its name, `consumer/name`, or its id
    id: SubscriptionReference,
    /// Only what comes after this event, or this place; without it, after what was acknowledged
    ///
    /// Of a subscription with a sink, without it, what comes from now on.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// The most events; without it, all that there are
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Wait for more events, until stopped
    #[arg(long)]
    follow: bool,
    /// Leave everything as it is: what is written here is not acknowledged
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    signing: SigningArgs,
}

/// Runs the command.
pub async fn run(args: PullArgs, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    if let Some(signer) = args.signing.signer().await? {
        let path = format!("/subscriptions/{}/poll", args.id.segment());
        let most = args.limit.unwrap_or(usize::MAX);
        let wanted = SignedPull { path: &path, most, follow: args.follow };
        return signer.pull((&client, output), wanted).await;
    }
    let mut after = args.after.clone();
    let mut left = args.limit.unwrap_or(usize::MAX);
    while left > 0 {
        let wait = if args.follow { WAIT } else { 0 };
        let answer =
            ask(&client, &args, (left.min(DEFAULT_LIMIT.into()), wait), after.as_deref()).await?;
        let events = items(&answer, ListAnswer::FETCHED.items);
        write(output, &events)?;
        left = left.saturating_sub(events.len());
        after = Some(text(&answer, "/next"));
        if !args.follow && answer.get("moreAvailable") != Some(&Value::Bool(true)) {
            break;
        }
    }
    if after.is_some() {
        // The last page was written, and nothing that follows would say so.
        ask(&client, &args, (0, 0), after.as_deref()).await?;
    }
    Ok(Exit::Done)
}

async fn ask(
    client: &Client,
    args: &PullArgs,
    (limit, wait): (usize, u64),
    after: Option<&str>,
) -> Result<Value, Failure> {
    let query = FetchQuery {
        after: after.map(str::to_owned),
        limit: Some(limit),
        wait: Some(wait),
        acknowledge: Some(!args.keep),
    };
    let request =
        client.request(Method::GET, &format!("/subscriptions/{}/events", args.id.segment()))?;
    client.read(request.query(&query)).await
}

/// Writes a token, or a JSON object, on a line for each event. One that cannot be written ends the
/// command, so that it is not acknowledged.
fn write(output: Output, events: &[Value]) -> Result<(), Failure> {
    for event in events {
        let line = if output.is_json() { event.to_string() } else { text(event, "/token") };
        output.must_line(line).map_err(Failure::unwritten)?;
    }
    Ok(())
}
