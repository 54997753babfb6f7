//! `sealway quarantine release`: one entry by its number, or those that a filter chooses.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ArgGroup;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::api::ReleaseRequest;
use crate::cli::answer::items;
use crate::cli::{Client, CommandResult, Exit, Failure, Output};
use crate::event::{Timestamp, number_of};

/// Which entries to release.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args([
    "id", "all", "publication", "code", "producer", "kind", "source", "event_type", "from", "to",
]))]
pub struct ReleaseArgs {
    /// One, by its number in the list
    #[arg(conflicts_with_all = [
        "all", "publication", "code", "producer", "kind", "source", "event_type", "from", "to",
        "limit", "dry_run",
    ])]
    id: Option<u64>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only what this publication wanted, as `domain/event`
    #[arg(long)]
    publication: Option<String>,
    /// Only what has a violation of this code, as `quarantine counts` shows them
    #[arg(long)]
    code: Option<String>,
    /// Only what was sent by this caller, access key or queue (its ARN)
    #[arg(long, value_name = "NAME")]
    producer: Option<String>,
    /// `event`: only what broke its contract; `unreadable`: only what could not be read
    #[arg(long)]
    kind: Option<String>,
    /// Only events of this source
    #[arg(long)]
    source: Option<String>,
    /// Only events of this type on their producer's bus (`detail-type`)
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only what was set aside then or later, in RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only what was set aside then or earlier, in RFC 3339
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// The most entries; as many as there are if missing
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Only count what would be tried
    #[arg(long)]
    dry_run: bool,
}

/// What became of all of them, as far as they were gone through.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseTally {
    dry_run: bool,
    matched: u64,
    released: u64,
    events: u64,
    quarantined: u64,
    stayed: BTreeMap<String, u64>,
    refused: Vec<Value>,
}

/// Runs the command; the answer is no if something stays that was to be released, or is set aside again.
pub async fn run(args: ReleaseArgs, client: &Client, output: Output) -> CommandResult {
    if let Some(id) = args.id {
        return one(id, client, output).await;
    }
    let mut tally = ReleaseTally { dry_run: args.dry_run, ..ReleaseTally::default() };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut request = request(args);
    loop {
        request.limit = Some(u16::try_from(left.min(1000)).unwrap_or(1000));
        let answer = client.call(Method::POST, "/quarantine/release", Some(&request)).await;
        let answer = answer.map_err(|failure| tally.so_far(failure))?;
        left = left.saturating_sub(tally.add(&answer));
        request.to = answer.get("to").and_then(Value::as_str).map(str::to_owned).or(request.to);
        request.after = answer.get("next").and_then(Value::as_u64);
        if request.after.is_none() || left == 0 {
            break;
        }
    }
    output.item(&tally, ReleaseTally::in_words);
    let is_out = tally.stayed.is_empty() && tally.quarantined == 0;
    Ok(if is_out { Exit::Done } else { Exit::No })
}

fn request(args: ReleaseArgs) -> ReleaseRequest {
    ReleaseRequest {
        all: args.all,
        publication: args.publication,
        code: args.code,
        producer: args.producer,
        kind: args.kind,
        source: args.source,
        r#type: args.event_type,
        from: args.from.map(|time| time.to_string()),
        to: args.to.map(|time| time.to_string()),
        after: None,
        limit: None,
        dry_run: args.dry_run,
    }
}

async fn one(id: u64, client: &Client, output: Output) -> CommandResult {
    let path = format!("/quarantine/{id}/release");
    let answer = client.call::<()>(Method::POST, &path, None).await?;
    output.item(&answer, |answer| {
        let events = items(answer, "events");
        let ids: Vec<&str> = events.iter().filter_map(Value::as_str).collect();
        let aside = answer.get("quarantined").and_then(Value::as_u64).unwrap_or(0);
        let by = number_of(aside, "publication");
        match (ids.is_empty(), aside) {
            (false, 0) => format!("event {id} is released as {}", ids.join(" ")),
            (false, _) => {
                format!("event {id} is released as {}, and set aside by {}", ids.join(" "), by)
            }
            (true, _) => format!("event {id} was read and set aside by {by}"),
        }
    });
    Ok(Exit::Done)
}

impl ReleaseTally {
    /// Adds an answer; gives how many entries were chosen in it.
    fn add(&mut self, answer: &Value) -> u64 {
        let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.matched += count("matched");
        self.released += count("released");
        self.events += count("events");
        self.quarantined += count("quarantined");
        for (code, count) in answer.get("stayed").and_then(Value::as_object).into_iter().flatten() {
            *self.stayed.entry(code.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        self.refused.extend(items(answer, "refused"));
        count("matched")
    }

    /// A failure in the middle, with what was done before it.
    fn so_far(&self, failure: Failure) -> Failure {
        if self.matched == 0 { failure } else { failure.context(self.in_words()) }
    }

    fn in_words(&self) -> String {
        let (entries, events) =
            (|count: u64| number_of(count, "entry"), |count: u64| number_of(count, "event"));
        if self.dry_run {
            return format!("{} would be tried; nothing was released", entries(self.matched));
        }
        let mut told = format!("{} released, as {}", entries(self.released), events(self.events));
        if self.quarantined > 0 {
            let times = number_of(self.quarantined, "time");
            let _ = write!(told, "\nset aside again {times}");
        }
        for (code, count) in &self.stayed {
            // Writing to a string cannot fail.
            let _ = write!(told, "\n{} stayed: {code}", entries(*count));
        }
        told
    }
}
