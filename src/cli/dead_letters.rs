//! `sealway dead-letters`: deliveries that were given up, and their way back.

use clap::{ArgGroup, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{DEFAULT_LIMIT, DeadLetterListQuery, ListAnswer, RedriveRequest};
use crate::cli::answer::{ListColumn, column, list, text};
use crate::cli::waiting::{Waiting, Work, follow};
use crate::cli::{Client, Column, CommandResult, Context, Exit, Failure, Output};
use crate::event::{EventBound, RedriveId, SubscriptionReference, number_of};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the dead letters of a subscription, oldest first
    List(ListArgs),
    /// Count dead letters by reason, of one subscription or of all
    Counts {
        /// The subscription's name; all subscriptions if missing, for operators
        subscription: Option<SubscriptionReference>,
    },
    /// Have dead letters delivered again, with all their attempts before them
    ///
    /// At most a hundred are brought back at once, if no rate is given. More are a redrive with a
    /// rate, which is the gateway's: it goes on when this command is interrupted, and after a
    /// restart.
    Redrive(RedriveArgs),
    /// List the redrives of a subscription, oldest first
    Redrives {
        /// The subscription: its name, `consumer/name`, or its id
        subscription: SubscriptionReference,
    },
    /// End a redrive that is running
    Cancel {
        /// The redrive's name
        id: RedriveId,
    },
    /// Drop a dead letter for good
    Dismiss {
        /// The subscription: its name, `consumer/name`, or its id
        subscription: SubscriptionReference,
        /// Its number in the list; may be repeated
        #[arg(required = true)]
        ids: Vec<u64>,
    },
}

/// Which dead letters to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The subscription: its name, `consumer/name`, or its id
    subscription: SubscriptionReference,
    /// Only those after this one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most dead letters, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LIMIT)]
    limit: u16,
    #[command(flatten)]
    choice: Choice,
}

/// Of all dead letters, which ones.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Only those that were given up for this reason
    #[arg(long)]
    reason: Option<String>,
    /// Only events of this type, or of a hierarchy such as `Payment.*`
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Where to begin: an event, or a time in RFC 3339 at which it was accepted; included
    #[arg(long, value_name = "ULID|TIME")]
    from: Option<EventBound>,
    /// Where to end, included: an event or a time
    #[arg(long, value_name = "ULID|TIME")]
    to: Option<EventBound>,
}

/// Which dead letters to deliver again.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["ids", "all", "reason", "event_type", "from", "to"]))]
pub struct RedriveArgs {
    /// The subscription: its name, `consumer/name`, or its id
    subscription: SubscriptionReference,
    /// This one, by its number in the list; may be repeated
    #[arg(long = "id", value_name = "NUMBER",
        conflicts_with_all = ["all", "reason", "event_type", "from", "to"])]
    ids: Vec<u64>,
    /// All of them
    #[arg(long, conflicts_with_all = ["reason", "event_type", "from", "to"])]
    all: bool,
    #[command(flatten)]
    choice: Choice,
    /// Dead letters per second, 1 to 1000; as the gateway is set if missing
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    #[command(flatten)]
    waiting: Waiting,
}

/// What a list shows of a dead letter.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Id", "/id"),
    column("Event", "/event"),
    column("Type", "/type"),
    column("Sequence", "/sequence"),
    column("Replay", "/replay"),
    column("Reason", "/reason"),
    column("Attempts", "/attempts"),
    column("Status", "/status"),
    column("Detail", "/detail"),
    column("At", "/at"),
];

/// What a list shows of a redrive.
pub(super) const REDRIVE_COLUMNS: &[ListColumn] = &[
    column("Id", "/id"),
    column("State", "/state"),
    column("Reason", "/reason"),
    column("Type", "/type"),
    column("Rate", "/rate"),
    column("Matched", "/counts/matched"),
    column("Redriven", "/counts/redriven"),
    column("Created", "/created"),
];

/// What a table of counts shows: a subscription, a reason, and how many.
const COUNT_COLUMNS: &[Column<(String, String, u64)>] = &[
    ("Subscription", |row| row.0.clone()),
    ("Reason", |row| row.1.clone()),
    ("Dead letters", |row| row.2.to_string()),
];

/// Runs the command; the answer is no if there was nothing to deliver again.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::List(ListArgs { subscription, after, limit, choice }) => {
            let path = format!("/subscriptions/{}/dead-letters", subscription.segment());
            let query = DeadLetterListQuery {
                after: Some(after),
                limit: Some(limit.into()),
                reason: choice.reason,
                r#type: choice.event_type,
                from: choice.from.map(|id| id.to_string()),
                to: choice.to.map(|id| id.to_string()),
            };
            let shown = (ListAnswer::DEAD_LETTERS, COLUMNS);
            list((&client, output), &path, &query, shown).await?;
        }
        Command::Counts { subscription } => counts(subscription.as_ref(), &client, output).await?,
        Command::Redrive(args) => return redrive(args, &client, output).await,
        Command::Redrives { subscription } => {
            let path = format!("/subscriptions/{}/dead-letters/redrives", subscription.segment());
            let shown = (ListAnswer::REDRIVES, REDRIVE_COLUMNS);
            list((&client, output), &path, &(), shown).await?;
        }
        Command::Cancel { id } => {
            client.call::<()>(Method::DELETE, &format!("/redrives/{id}"), None).await?;
            output.note(format_args!("redrive `{id}` ends; what it has brought back is delivered"));
        }
        Command::Dismiss { subscription, ids } => {
            for id in ids {
                let path = format!("/subscriptions/{}/dead-letters/{id}", subscription.segment());
                client.call::<()>(Method::DELETE, &path, None).await?;
                output.note(format_args!("dead letter {id} is dropped"));
            }
        }
    }
    Ok(Exit::Done)
}

async fn counts(
    subscription: Option<&SubscriptionReference>,
    client: &Client,
    output: Output,
) -> Result<(), Failure> {
    let answer = match subscription {
        Some(id) => {
            let counted =
                client.get(&format!("/subscriptions/{}/dead-letters/counts", id.segment())).await?;
            json!({ "subscriptions": { id.to_string(): counted } })
        }
        None => client.get("/dead-letters/counts").await?,
    };
    if output.is_json() {
        output.document(&answer);
        return Ok(());
    }
    let mut rows = Vec::new();
    for (id, counted) in
        answer.get("subscriptions").and_then(Value::as_object).into_iter().flatten()
    {
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        for (reason, number) in
            counted.get("reasons").and_then(Value::as_object).into_iter().flatten()
        {
            rows.push((id.clone(), reason.clone(), count(number)));
        }
        let redriven = counted.get("redriven").map_or(0, count);
        if redriven > 0 {
            rows.push((id.clone(), "(being redriven)".to_owned(), redriven));
        }
    }
    output.list(&rows, COUNT_COLUMNS);
    Ok(())
}

async fn redrive(args: RedriveArgs, client: &Client, output: Output) -> CommandResult {
    let path = format!("/subscriptions/{}/dead-letters/redrive", args.subscription.segment());
    let waiting = args.waiting;
    let answer = client.call(Method::POST, &path, Some(&wanted(args))).await?;
    if let Some(count) = answer.get("redriven").and_then(Value::as_u64) {
        output.item(&answer, |_| {
            let are = if count == 1 { "is" } else { "are" };
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            format!("{} {are} brought back", number_of(count, "dead letter"))
        });
        return Ok(if count == 0 { Exit::No } else { Exit::Done });
    }
    let work = Work {
        path: format!("/redrives/{}", text(&answer, "/id")),
        verb: "redriving",
        done: |redrive| redrive.pointer("/counts/redriven").and_then(Value::as_u64),
        in_words,
    };
    follow(waiting, answer, &work, (client, output)).await
}

fn in_words(redrive: &Value) -> String {
    let [id, state, redriven] = ["/id", "/state", "/counts/redriven"].map(|at| text(redrive, at));
    let matched = redrive.pointer("/counts/matched").and_then(Value::as_u64).unwrap_or_default();
    let matched = number_of(matched, "dead letter");
    format!("redrive {id} is {state}: {redriven} of {matched} brought back")
}

/// The request's body.
fn wanted(args: RedriveArgs) -> RedriveRequest {
    RedriveRequest {
        ids: Some(args.ids).filter(|ids| !ids.is_empty()),
        reason: args.choice.reason,
        r#type: args.choice.event_type,
        from: args.choice.from.map(|id| id.to_string()),
        to: args.choice.to.map(|id| id.to_string()),
        rate: args.rate,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn asked(line: &str) -> Option<Value> {
        match Line::try_parse_from(line.split(' ')).ok()?.command {
            Command::Redrive(args) => serde_json::to_value(wanted(args)).ok(),
            _ => None,
        }
    }

    #[test]
    fn all_dead_letters_are_redriven_only_when_that_is_said() {
        assert_eq!(asked("x redrive s"), None);
        assert_eq!(asked("x redrive s --all"), Some(json!({})));
        assert_eq!(asked("x redrive s --id 1 --id 2"), Some(json!({"ids": [1, 2]})));
        assert_eq!(asked("x redrive s --reason gone"), Some(json!({"reason": "gone"})));
        assert_eq!(asked("x redrive s --all --id 1"), None);
        assert_eq!(asked("x redrive s --reason gone --id 1"), None);
        assert_eq!(asked("x redrive s --rate 5"), None);
        assert_eq!(
            asked("x redrive s --type Order.* --reason gone --rate 5"),
            Some(json!({"type": "Order.*", "reason": "gone", "rate": 5}))
        );
    }
}
