//! `sealway quarantine`: events that broke their contract, and their way on.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::cli::answer::{items, note_next, show, text};
use crate::cli::{Column, Context, Exit, Outcome};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the events in quarantine, oldest first, without their data
    List {
        /// Only those after this one
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Show one as it was received, and how it breaks its contract
    Get {
        /// Its number in the list
        id: u64,
    },
    /// Let one through the publication that set it aside, after a fix; it stays if it still cannot
    Release {
        /// Its number in the list
        id: u64,
    },
    /// Drop one for good
    Remove {
        /// Its number in the list
        id: u64,
    },
}

/// What a list shows of an event in quarantine.
const COLUMNS: &[Column<Value>] = &[
    ("Id", |event| text(event, "/id")),
    ("At", |event| text(event, "/at")),
    ("Publication", |event| text(event, "/publication")),
    ("Violations", |event| items(event, "violations").len().to_string()),
    ("The first", |event| text(event, "/violations/0/message")),
    ("Place", |event| text(event, "/violations/0/pointer")),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Outcome {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::List { after } => {
            let answer = client.get(&format!("/quarantine?after={after}")).await?;
            output.list(&items(&answer, "quarantined"), COLUMNS);
            note_next(output, &answer, "--after");
        }
        Command::Get { id } => show(output, &client.get(&format!("/quarantine/{id}")).await?),
        Command::Release { id } => {
            let path = format!("/quarantine/{id}/release");
            let answer = client.call::<()>(Method::POST, &path, None).await?;
            output.item(&answer, |answer| {
                let events = items(answer, "events");
                let ids: Vec<&str> = events.iter().filter_map(Value::as_str).collect();
                format!("event {id} is released as {}", ids.join(" "))
            });
        }
        Command::Remove { id } => {
            client.call::<()>(Method::DELETE, &format!("/quarantine/{id}"), None).await?;
            output.note(format_args!("event {id} is dropped"));
        }
    }
    Ok(Exit::Done)
}
