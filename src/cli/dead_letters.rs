//! `sealway dead-letters`: deliveries that were given up, and their way back.

use clap::{ArgGroup, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::answer::{items, note_next, text};
use crate::cli::{Column, Context, Exit, Outcome};
use crate::event::SubscriptionId;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the dead letters of a subscription, oldest first
    List(ListArgs),
    /// Have dead letters delivered again, with all their attempts before them
    Redrive(RedriveArgs),
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
}

/// Which dead letters to deliver again.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "reason", "all"]))]
pub struct RedriveArgs {
    /// The subscription's name
    subscription: SubscriptionId,
    /// This one, by its number in the list; may be repeated
    #[arg(long = "id", value_name = "NUMBER")]
    ids: Vec<u64>,
    /// All that were given up for this reason
    #[arg(long)]
    reason: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
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

/// Runs the command; the answer is no if there was nothing to deliver again.
pub async fn run(command: Command, context: &Context) -> Outcome {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::List(ListArgs { subscription, after, limit }) => {
            let path =
                format!("/subscriptions/{subscription}/dead-letters?after={after}&limit={limit}");
            let answer = client.get(&path).await?;
            output.list(&items(&answer, "deadLetters"), COLUMNS);
            note_next(output, &answer, "--after");
            Ok(Exit::Done)
        }
        Command::Redrive(args) => {
            let path = format!("/subscriptions/{}/dead-letters/redrive", args.subscription);
            let answer = client.call(Method::POST, &path, Some(&wanted(&args))).await?;
            output.item(&answer, |answer| {
                format!("{} dead letters are delivered again", text(answer, "/redriven"))
            });
            let none = answer.get("redriven").and_then(Value::as_u64) == Some(0);
            Ok(if none { Exit::No } else { Exit::Done })
        }
    }
}

/// The request's body.
fn wanted(args: &RedriveArgs) -> Value {
    match (&args.reason, args.all) {
        (Some(reason), _) => json!({ "reason": reason }),
        (None, true) => json!({}),
        (None, false) => json!({ "ids": args.ids }),
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
            Command::Redrive(args) => Some(wanted(&args)),
            Command::List(_) => None,
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
    }
}
