//! `sealway dead-letters`: deliveries that were given up, and their way back.

use clap::{ArgGroup, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::answer::{items, note_next, text};
use crate::cli::waiting::{Waiting, Work, follow};
use crate::cli::{Client, Column, CommandResult, Context, Exit, Failure, Output};
use crate::event::{EventId, RedriveId, SubscriptionId};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the dead letters of a subscription, oldest first
    List(ListArgs),
    /// Count dead letters by reason, of one subscription or of all
    Counts {
        /// The subscription's name; all subscriptions if missing, for operators
        subscription: Option<SubscriptionId>,
    },
    /// Have dead letters delivered again, with all their attempts before them
    ///
    /// At most a hundred are brought back at once, if no rate is given. More are a redrive with a
    /// pace, which is the gateway's: it goes on when this command is interrupted, and after a
    /// restart.
    Redrive(RedriveArgs),
    /// List the redrives of a subscription, oldest first
    Redrives {
        /// The subscription's name
        subscription: SubscriptionId,
    },
    /// End a redrive that is running
    Cancel {
        /// The redrive's name
        id: RedriveId,
    },
    /// Drop a dead letter for good
    Dismiss {
        /// The subscription's name
        subscription: SubscriptionId,
        /// Its number in the list; may be repeated
        #[arg(required = true)]
        ids: Vec<u64>,
    },
}

/// Which dead letters to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The subscription's name
    subscription: SubscriptionId,
    /// Only those after this one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most dead letters, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
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
    /// The first event wanted
    #[arg(long, value_name = "ULID")]
    from: Option<EventId>,
    /// The last event wanted
    #[arg(long, value_name = "ULID")]
    to: Option<EventId>,
}

impl Choice {
    /// The members of a request.
    fn members(&self) -> Vec<(&'static str, String)> {
        let id = |id: &Option<EventId>| id.map(|id| id.to_string());
        let members = [
            ("reason", self.reason.clone()),
            ("type", self.event_type.clone()),
            ("from", id(&self.from)),
            ("to", id(&self.to)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Which dead letters to deliver again.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["ids", "all", "reason", "event_type", "from", "to"]))]
pub struct RedriveArgs {
    /// The subscription's name
    subscription: SubscriptionId,
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
const COLUMNS: &[Column<Value>] = &[
    ("Id", |letter| text(letter, "/id")),
    ("Event", |letter| text(letter, "/event")),
    ("Type", |letter| text(letter, "/type")),
    ("Sequence", |letter| text(letter, "/sequence")),
    ("Replay", |letter| text(letter, "/replay")),
    ("Reason", |letter| text(letter, "/reason")),
    ("Attempts", |letter| text(letter, "/attempts")),
    ("Status", |letter| text(letter, "/status")),
    ("Detail", |letter| text(letter, "/detail")),
    ("At", |letter| text(letter, "/at")),
];

/// What a list shows of a redrive.
const REDRIVE_COLUMNS: &[Column<Value>] = &[
    ("Id", |redrive| text(redrive, "/id")),
    ("State", |redrive| text(redrive, "/state")),
    ("Reason", |redrive| text(redrive, "/reason")),
    ("Type", |redrive| text(redrive, "/type")),
    ("Rate", |redrive| text(redrive, "/rate")),
    ("Matched", |redrive| text(redrive, "/counts/matched")),
    ("Redriven", |redrive| text(redrive, "/counts/redriven")),
    ("Created", |redrive| text(redrive, "/created")),
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
            let path = format!("/subscriptions/{subscription}/dead-letters");
            let query = [("after", after.to_string()), ("limit", limit.to_string())];
            let request = client.request(Method::GET, &path)?.query(&query);
            let answer = client.read(request.query(&choice.members())).await?;
            output.list(&items(&answer, "deadLetters"), COLUMNS);
            note_next(output, &answer, "--after");
        }
        Command::Counts { subscription } => counts(subscription.as_ref(), &client, output).await?,
        Command::Redrive(args) => return redrive(&args, &client, output).await,
        Command::Redrives { subscription } => {
            let path = format!("/subscriptions/{subscription}/dead-letters/redrives");
            let answer = client.get(&path).await?;
            output.list(&items(&answer, "redrives"), REDRIVE_COLUMNS);
        }
        Command::Cancel { id } => {
            client.call::<()>(Method::DELETE, &format!("/redrives/{id}"), None).await?;
            output.note(format_args!("redrive `{id}` ends; what it has brought back is delivered"));
        }
        Command::Dismiss { subscription, ids } => {
            for id in ids {
                let path = format!("/subscriptions/{subscription}/dead-letters/{id}");
                client.call::<()>(Method::DELETE, &path, None).await?;
                output.note(format_args!("dead letter {id} is dropped"));
            }
        }
    }
    Ok(Exit::Done)
}

async fn counts(
    subscription: Option<&SubscriptionId>,
    client: &Client,
    output: Output,
) -> Result<(), Failure> {
    let answer = match subscription {
        Some(id) => {
            let counted = client.get(&format!("/subscriptions/{id}/dead-letters/counts")).await?;
            json!({ "subscriptions": { id.as_str(): counted } })
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

async fn redrive(args: &RedriveArgs, client: &Client, output: Output) -> CommandResult {
    let path = format!("/subscriptions/{}/dead-letters/redrive", args.subscription);
    let answer = client.call(Method::POST, &path, Some(&wanted(args))).await?;
    if let Some(count) = answer.get("redriven").and_then(Value::as_u64) {
        output.item(&answer, |_| format!("{count} dead letters are brought back"));
        return Ok(if count == 0 { Exit::No } else { Exit::Done });
    }
    let work = Work {
        path: format!("/redrives/{}", text(&answer, "/id")),
        verb: "redriving",
        done: |redrive| redrive.pointer("/counts/redriven").and_then(Value::as_u64),
        in_words,
    };
    follow(args.waiting, answer, &work, (client, output)).await
}

fn in_words(redrive: &Value) -> String {
    let [id, state, redriven, matched] =
        ["/id", "/state", "/counts/redriven", "/counts/matched"].map(|at| text(redrive, at));
    format!("redrive {id} is {state}: {redriven} of {matched} dead letters are brought back")
}

/// The request's body.
fn wanted(args: &RedriveArgs) -> Value {
    let members = args.choice.members().into_iter();
    let mut wanted: Map<String, Value> =
        members.map(|(name, value)| (name.to_owned(), value.into())).collect();
    if !args.ids.is_empty() {
        wanted.insert("ids".to_owned(), json!(args.ids));
    }
    if let Some(rate) = args.rate {
        wanted.insert("rate".to_owned(), rate.into());
    }
    Value::Object(wanted)
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
            Command::Redrive(args) => Some(wanted(&args)),
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
