//! `sealway events trace`: the way of one event, from its producer to its consumers, as a story.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::Value;

use crate::api::TraceQuery;
use crate::cli::answer::{items, note_withheld, text};
use crate::cli::client::segment;
use crate::cli::{CommandResult, Context, Exit};
use crate::event::{QualifiedName, SubscriptionReference, number_of};

/// Which event, and for whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The event's ULID, or, for operators, what its producer was given: `EventId`, a CloudEvent's
    /// `id`
    id: String,
    /// Only for this subscription; all that the caller may see if missing
    #[arg(long)]
    subscription: Option<SubscriptionReference>,
    /// Only subscriptions after this one, as `consumer/name`: the end of the list before
    #[arg(long, value_name = "NAME")]
    after: Option<QualifiedName>,
}

/// Asks the gateway and tells what it answers.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let client = context.client()?;
    let request = client.request(Method::GET, &format!("/events/{}/trace", segment(&args.id)?))?;
    let query = TraceQuery {
        subscription: args.subscription.as_ref().map(ToString::to_string),
        after: args.after.as_ref().map(ToString::to_string),
        limit: None,
    };
    let trace = client.read(request.query(&query)).await?;
    context.output().item(&trace, |trace| story(trace).trim_end().to_owned());
    note_withheld(context.output(), &trace);
    Ok(Exit::Done)
}

/// The way of an event, top to bottom.
fn story(trace: &Value) -> String {
    let mut told = String::new();
    let mut say = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(told, "{line}");
    };
    let (event, event_type) = (text(trace, "/event"), text(trace, "/type"));
    say(match event_type.as_str() {
        "" => format!("event {event}, which the log does not hold any more"),
        event_type => format!("event {event}, {event_type}"),
    });
    if let Some(received) = trace.get("received").filter(|received| received.is_object()) {
        received_lines(received).into_iter().for_each(&mut say);
    }
    let deliveries = items(trace, "deliveries");
    let early = trace.get("beforeStart").and_then(Value::as_u64).unwrap_or_default();
    let next = text(trace, "/next");
    let states = trace.get("states").and_then(Value::as_object);
    for (state, count) in states.into_iter().flatten() {
        let count = count.as_u64().unwrap_or_default();
        say(format!("{state}: {}", number_of(count, "subscription")));
    }
    let is_wanted = early > 0 || states.is_some_and(|states| !states.is_empty());
    if deliveries.is_empty() && !is_wanted && next.is_empty() {
        say("no subscription wants it".to_owned());
    }
    for delivery in &deliveries {
        delivery_lines(delivery).into_iter().for_each(&mut say);
    }
    if early > 0 {
        let subscriptions = number_of(early, "subscription");
        say(format!("{subscriptions} that began after it and want it; a replay brings it"));
    }
    if !next.is_empty() {
        say(format!("for what became of it elsewhere: --after {next}"));
    }
    told
}

fn received_lines(received: &Value) -> Vec<String> {
    let [accepted, envelope, trace, publication, key, conflict] =
        ["/accepted", "/envelopeId", "/traceId", "/publication", "/idempotencyKey", "/conflict"]
            .map(|at| text(received, at));
    let mut lines = vec![format!("  {accepted}  received as envelope {envelope}")];
    if !trace.is_empty() {
        lines.push(format!("  in the producer's trace {trace}"));
    }
    lines.push(match received.get("today").filter(|today| today.is_object()) {
        Some(today) => format!(
            "  let through by publication {publication}, contract {} {} ({})",
            text(today, "/contract"),
            text(today, "/version"),
            text(today, "/mode"),
        ),
        None => format!("  let through by publication {publication}, which is gone"),
    });
    for operation in
        received.pointer("/today/patch").and_then(Value::as_array).into_iter().flatten()
    {
        let [op, from, path] = ["/op", "/from", "/path"].map(|at| text(operation, at));
        let marks = [
            ("conditional", "where its group is done"),
            ("optional", "if it is there"),
            ("mapped", "by its map"),
        ];
        let marks = marks.iter().filter(|(name, _)| operation.get(*name).is_some());
        let mut line = format!("    {op} {from} {path}").replace("  /", " /");
        for (_, words) in marks {
            line.push_str(", ");
            line.push_str(words);
        }
        lines.push(line);
    }
    lines.extend(violation_lines(received));
    if !key.is_empty() {
        lines.push(format!("  idempotency key {key}"));
    }
    if !conflict.is_empty() {
        lines.push(format!("  in conflict with event {conflict}: the same key, other content"));
    }
    lines
}

/// How it broke its contract, where the publication only observed that.
fn violation_lines(received: &Value) -> Vec<String> {
    let found = received.get("violationsFound").and_then(Value::as_u64).unwrap_or_default();
    if found == 0 {
        return Vec::new();
    }
    let told = items(received, "violations");
    let mut lines = vec!["  it broke its contract, which was only observed".to_owned()];
    for violation in &told {
        let [pointer, code, message] =
            ["/pointer", "/code", "/message"].map(|at| text(violation, at));
        let place = if pointer.is_empty() { "the data".to_owned() } else { pointer };
        lines.push(format!("    {place}: {code}, {message}"));
    }
    let untold = found.saturating_sub(told.len() as u64);
    if untold > 0 {
        lines.push(format!("    and {untold} more, not kept"));
    }
    lines
}

fn delivery_lines(delivery: &Value) -> Vec<String> {
    let [id, name, sequence, state] =
        ["/subscription", "/name", "/sequence", "/state"].map(|at| text(delivery, at));
    // One that is called as its id is, is known by that alone.
    let is_called_so = name.split_once('/').is_none_or(|(_, name)| name == id);
    let id = if is_called_so { id } else { format!("{name} ({id})") };
    let number = if sequence.is_empty() { String::new() } else { format!(", number {sequence}") };
    let mut lines = vec![format!("subscription {id}{number}: {}", in_words(&state, delivery))];
    for mismatch in items(delivery, "mismatches") {
        lines.push(format!("  {}: {}", text(&mismatch, "/path"), text(&mismatch, "/reason")));
    }
    for attempt in items(delivery, "attempts") {
        let [at, number, status, verdict, detail, replay, took] =
            ["/at", "/number", "/status", "/verdict", "/detail", "/replay", "/durationMs"]
                .map(|at| text(&attempt, at));
        let status = if status.is_empty() { "no answer".to_owned() } else { status };
        let replay = if replay.is_empty() { replay } else { format!(" in replay {replay}") };
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        let line =
            format!("  {at}  attempt {number}{replay}: {status}, {took} ms, {verdict}{detail}");
        lines.push(line);
    }
    let receipts = delivery.get("receipts").and_then(Value::as_array).into_iter().flatten();
    for at in receipts.filter_map(Value::as_str) {
        lines.push(format!("  {at}  the consumer signed for it"));
    }
    lines
}

/// What a state means.
fn in_words(state: &str, delivery: &Value) -> String {
    let of = |name: &str| text(delivery, &format!("/detail/{name}"));
    match state {
        "unwanted" => "its filter did not want it".to_owned(),
        "before-start" => "it is older than the subscription's start".to_owned(),
        "waiting" => {
            format!("it waits {}", blocked_by(delivery).unwrap_or("for its turn".to_owned()))
        }
        "blocked" => format!(
            "it waits behind dead letter {} of its subject; redrive or dismiss that",
            of("deadLetter")
        ),
        "under-way" => "an attempt is in flight".to_owned(),
        "to-fetch" => "its consumer can fetch it, and has not acknowledged it".to_owned(),
        "acknowledged" => "its consumer has fetched and acknowledged it".to_owned(),
        "retrying" => {
            let kept_back = blocked_by(delivery).map(|why| format!(", and waits {why}"));
            format!(
                "attempts that have failed: {}, the next is due {}{}",
                of("attempts"),
                of("nextAttempt"),
                kept_back.unwrap_or_default()
            )
        }
        "delivered" => format!("delivered {}", of("at")),
        "dead-letter" => {
            format!("given up {}, {}; it is dead letter {}", of("at"), of("reason"), of("number"))
        }
        "dropped" => format!("given up, {}; its dead letter is gone", of("reason")),
        "settled" => "settled so long ago that no attempt is on record".to_owned(),
        "closed" => "the subscription is closed".to_owned(),
        other => other.to_owned(),
    }
}

/// For what a delivery waits, if it is known to wait for something.
fn blocked_by(delivery: &Value) -> Option<String> {
    let of = |name: &str| text(delivery, &format!("/detail/{name}"));
    Some(match of("because").as_str() {
        "pending" => "until the sink has proved itself".to_owned(),
        "paused" => "until the subscription is resumed".to_owned(),
        "sink-left-alone" => match of("until").as_str() {
            "" => "until one attempt has found the sink well".to_owned(),
            until => format!("while the sink is left alone until {until}"),
        },
        "subject" => {
            format!("behind event {} of its subject, number {}", of("behind"), of("behindSequence"))
        }
        "undecided" => {
            "until it is known whether its filter matches, which is much work".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_way_of_an_event_reads_from_top_to_bottom() {
        let trace = json!({
            "event": "01M8", "type": "Order.Created",
            "received": {
                "accepted": "10:00", "envelopeId": "order-1", "publication": "orders/Order.Created",
                "idempotencyKey": "ab12", "traceId": null, "conflict": null,
                "violations": [
                    { "pointer": "/amount", "code": "maximum", "message": "must be 10 at most" },
                    { "pointer": "", "code": "required", "message": "`id` is missing" },
                ],
                "violationsFound": 5,
                "today": {
                    "contract": "orders.yaml", "version": "1.0.0", "mode": "observe",
                    "patch": [
                        { "op": "copy", "from": "/detail/id", "path": "/data/id" },
                        {
                            "op": "copy", "from": "/detail/s", "path": "/data/s", "mapped": true,
                            "optional": true, "conditional": true,
                        },
                    ],
                },
            },
            "deliveries": [
                {
                    "subscription": "shop", "sequence": 7, "state": "retrying", "mismatches": [],
                    "detail": { "attempts": 1, "nextAttempt": "10:05" },
                    "attempts": [{
                        "number": 1, "at": "10:00", "durationMs": 12, "status": 503,
                        "verdict": "retry", "detail": "busy", "replay": null,
                    }],
                    "receipts": [],
                },
                {
                    "subscription": "till", "sequence": 9, "state": "waiting", "mismatches": [],
                    "detail": { "because": "subject", "behind": "01M7", "behindSequence": 8 },
                    "attempts": [], "receipts": [],
                },
                {
                    "subscription": "bank", "sequence": null, "state": "unwanted",
                    "mismatches": [{ "path": "type", "reason": "is none of the types" }],
                    "detail": {}, "attempts": [], "receipts": [],
                },
            ],
        });

        let expected = "\
event 01M8, Order.Created
  10:00  received as envelope order-1
  let through by publication orders/Order.Created, contract orders.yaml 1.0.0 (observe)
    copy /detail/id /data/id
    copy /detail/s /data/s, where its group is done, if it is there, by its map
  it broke its contract, which was only observed
    /amount: maximum, must be 10 at most
    the data: required, `id` is missing
    and 3 more, not kept
  idempotency key ab12
subscription shop, number 7: attempts that have failed: 1, the next is due 10:05
  10:00  attempt 1: 503, 12 ms, retry: busy
subscription till, number 9: it waits behind event 01M7 of its subject, number 8
subscription bank: its filter did not want it
  type: is none of the types
";
        assert_eq!(story(&trace), expected);
    }
}
