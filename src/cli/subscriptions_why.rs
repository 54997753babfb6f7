//! `sealway subscriptions why`: whether one is behind, why, whose turn it is, and what helps.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::answer::{items, text};
use crate::cli::{CommandResult, Context, Exit};
use crate::event::SubscriptionReference;

/// Asks the gateway and tells what it answers.
pub async fn run(id: &SubscriptionReference, context: &Context) -> CommandResult {
    let path = format!("/subscriptions/{}/why", id.segment());
    let answer = context.client()?.get(&path).await?;
    context.output().item(&answer, |answer| screen(answer).trim_end().to_owned());
    Ok(Exit::Done)
}

/// One screen.
fn screen(why: &Value) -> String {
    let mut told = String::new();
    let mut say = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(told, "{line}");
    };
    let (name, state, since) = (text(why, "/name"), text(why, "/state"), text(why, "/since"));
    let is_behind = why.get("isBehind").and_then(Value::as_bool).unwrap_or_default();
    let since = if since.is_empty() { since } else { format!("; the oldest came {since}") };
    say(if is_behind {
        format!("{name} ({state}) is behind: {}{since}", counted(why))
    } else {
        format!("{name} ({state}) has everything that it was to have so far")
    });
    let causes = items(why, "causes");
    if causes.is_empty() {
        say("nothing keeps events from it".to_owned());
    }
    for cause in &causes {
        let [word, says, since, turn, command] =
            ["/cause", "/says", "/since", "/turn", "/command"].map(|at| text(cause, at));
        say(String::new());
        say(format!("{word}: {says}"));
        if !since.is_empty() {
            say(format!("  since  {since}"));
        }
        let failure = ["/lastFailure/event", "/lastFailure/detail"].map(|at| text(cause, at));
        match failure {
            [event, _] if event.is_empty() => {}
            [event, detail] if detail.is_empty() => say(format!("  last   event {event}")),
            [event, detail] => say(format!("  last   event {event}: {detail}")),
        }
        say(format!("  turn   {}", whose(&turn)));
        if !command.is_empty() {
            say(format!("  try    {command}"));
        }
    }
    told
}

/// What it does not have, in words; what there is none of is left out.
fn counted(why: &Value) -> String {
    let counts = [
        ("unread", "not looked at"),
        ("underWay", "on their way or not acknowledged"),
        ("retrying", "failed and tried again"),
    ];
    let count = |name: &str| why.pointer(&format!("/counts/{name}")).and_then(Value::as_u64);
    let told = counts.iter().filter_map(|(name, words)| {
        count(name).filter(|count| *count > 0).map(|count| format!("{count} {words}"))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn whose(turn: &str) -> &str {
    match turn {
        "yours" => "yours",
        "consumer" => "the consumer's",
        "operator" => "the operator's",
        "producer" => "the producer's",
        "gateway" => "the gateway's, by itself",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_screen_says_why_since_when_whose_turn_and_what_helps() {
        let why = json!({
            "subscription": "01m", "name": "shop/orders", "state": "active", "isBehind": true,
            "since": "10:00",
            "counts": { "unread": 0, "underWay": 0, "retrying": 2, "blocked": 0, "deadLetters": 1 },
            "causes": [
                {
                    "cause": "sink-failing", "says": "every attempt fails (it answered 500 at 10:01)",
                    "since": "10:00", "turn": "consumer",
                    "command": "sealway subscriptions attempts shop/orders",
                    "lastFailure": { "at": "10:01", "event": "01M8", "status": 500, "detail": "busy" },
                },
                { "cause": "catching-up", "says": "it goes through the log", "turn": "gateway" },
            ],
        });
        let expected = "\
shop/orders (active) is behind: 2 failed and tried again; the oldest came 10:00

sink-failing: every attempt fails (it answered 500 at 10:01)
  since  10:00
  last   event 01M8: busy
  turn   the consumer's
  try    sealway subscriptions attempts shop/orders

catching-up: it goes through the log
  turn   the gateway's, by itself
";
        assert_eq!(screen(&why), expected);
        let fine = json!({ "name": "shop/orders", "state": "active", "isBehind": false });
        let expected = "shop/orders (active) has everything that it was to have so far\n\
                        nothing keeps events from it\n";
        assert_eq!(screen(&fine), expected);
    }
}
