//! `sealway quarantine`: events that broke their contract or could not be read, and their way on.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::ambient::Size;
use crate::api::{ListAnswer, QuarantineListQuery};
use crate::cli::answer::{ListColumn, column, list, show};
use crate::cli::quarantine_release::{self, ReleaseArgs};
use crate::cli::{Column, CommandResult, Context, Exit};
use crate::event::Timestamp;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the events in quarantine, oldest first, without their data
    List {
        /// Only those after this one
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
        /// Only what had this id on its producer's bus: why an event never arrived
        #[arg(long, value_name = "ID")]
        envelope: Option<String>,
        /// Only what this publication wanted, as `domain/event`
        #[arg(long)]
        publication: Option<String>,
        /// `event`: only what broke its contract; `unreadable`: only what could not be read
        #[arg(long)]
        kind: Option<String>,
        /// Only what was sent by this caller, access key or queue (its ARN)
        #[arg(long, value_name = "NAME")]
        producer: Option<String>,
        /// Only what has a violation of this code
        #[arg(long)]
        code: Option<String>,
        /// Only what was set aside then or later, in RFC 3339
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Only what was set aside then or earlier, in RFC 3339
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
    },
    /// Count the events in quarantine, by publication and by the codes of what is wrong with them
    Counts,
    /// Show one as it was received, and how it breaks its contract or why it cannot be read
    Get {
        /// Its number in the list
        id: u64,
    },
    /// Let one, or what a filter chooses, through the publication that set it aside, after a fix
    ///
    /// What could not be read is read again, and let through all that want it. It stays if it still
    /// cannot.
    Release(ReleaseArgs),
    /// Drop one for good
    Remove {
        /// Its number in the list
        id: u64,
    },
}

/// What a list shows of an event in quarantine.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Id", "/id"),
    column("At", "/at"),
    column("Kind", "/kind"),
    column("Publication", "/publication"),
    column("Producer", "/producer/name"),
    column("Envelope", "/envelope"),
    column("Violations", "/violations").shown_by(count),
    column("The first", "/violations/0/code"),
    column("Place", "/violations/0/pointer"),
];

/// What a table of counts shows: a publication, a code, and how many.
const COUNT_COLUMNS: &[Column<(String, String, u64)>] = &[
    ("Publication", |row| row.0.clone()),
    ("Code", |row| row.1.clone()),
    ("Events", |row| row.2.to_string()),
];

fn count(event: &Value, pointer: &str) -> String {
    event.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len).to_string()
}

fn count_rows(answer: &Value) -> Vec<(String, String, u64)> {
    let members = |value: Option<&Value>| {
        let members = value.and_then(Value::as_object).cloned().unwrap_or_default();
        members.into_iter()
    };
    let mut rows = Vec::new();
    for (publication, counted) in counted(answer) {
        for (code, count) in members(counted.get("codes")) {
            rows.push((publication.clone(), code, count.as_u64().unwrap_or(0)));
        }
        let total = counted.get("total").and_then(Value::as_u64).unwrap_or(0);
        rows.push((publication, "(all)".to_owned(), total));
    }
    rows
}

/// How much there is, in words.
fn size(answer: &Value) -> String {
    let number = |name: &str| answer.pointer(&format!("/size/{name}")).and_then(Value::as_u64);
    let entries = number("entries").unwrap_or(0);
    let bytes = Size(number("bytes").unwrap_or(0));
    match number("maxBytes").map(Size) {
        Some(most) => format!("{entries} in quarantine, at most {bytes} of {most}"),
        None => format!("{entries} in quarantine, at most {bytes}"),
    }
}

/// The counts of an answer, with what could not be read as if it had a publication.
fn counted(answer: &Value) -> Vec<(String, Value)> {
    let publications = answer.get("publications").and_then(Value::as_object).cloned();
    let unreadable = answer.get("unreadable").filter(|counted| {
        counted.get("total").and_then(Value::as_u64).is_some_and(|total| total > 0)
    });
    let unreadable = unreadable.map(|counted| ("(unreadable)".to_owned(), counted.clone()));
    publications.into_iter().flatten().chain(unreadable).collect()
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::List { after, envelope, publication, kind, producer, code, from, to } => {
            let after = Some(after);
            let (from, to) = (from.map(|time| time.to_string()), to.map(|time| time.to_string()));
            let query = QuarantineListQuery {
                after,
                envelope,
                publication,
                kind,
                producer,
                code,
                from,
                to,
            };
            let shown = (ListAnswer::QUARANTINED, COLUMNS);
            list((&client, output), "/quarantine", &query, shown).await?;
        }
        Command::Counts => {
            let answer = client.get("/quarantine/counts").await?;
            if output.is_json() {
                output.document(&answer);
            } else {
                output.list(&count_rows(&answer), COUNT_COLUMNS);
                // Who answers for a domain is not told what all producers take together.
                if answer.get("size").is_some() {
                    output.note(format_args!("{}", size(&answer)));
                }
            }
        }
        Command::Get { id } => show(output, &client.get(&format!("/quarantine/{id}")).await?),
        Command::Release(args) => return quarantine_release::run(args, &client, output).await,
        Command::Remove { id } => {
            client.call::<()>(Method::DELETE, &format!("/quarantine/{id}"), None).await?;
            output.note(format_args!("event {id} is dropped"));
        }
    }
    Ok(Exit::Done)
}
