//! `sealway events try`: what would become of events, told without a gateway that runs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use crate::ambient::{Clock as _, SystemClock};
use crate::api::{TriedAttributes, TriedEvent, TriedPublication};
use crate::cli::event_file::{input_name, read_events, read_input};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::config::{self, Config};
use crate::event::{CloudEvent, Diagnostic, SubscriptionId, yaml};
use crate::gateway::{Crossing, contracts, naming};
use crate::route::{Filter, StepAllowance};
use crate::source::ResponseMode;
use crate::subscriptions::SubscriptionDocument;

/// Which events.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// CloudEvents, EventBridge envelopes, or entries of `PutEvents`, as JSON: one, an array, or one
    /// to a line; `-` for standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Nobody waits for the answer, as with API destinations: an event that breaks a contract is
    /// quarantined, and not refused
    #[arg(long)]
    asynchronous: bool,
}

/// What is told of one event.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Tried(TriedEvent),
    /// It cannot be read.
    Unreadable {
        index: usize,
        outcome: &'static str,
        detail: String,
    },
}

/// A subscription of the folder, and what it wants.
struct Wish {
    id: SubscriptionId,
    filter: Filter,
}

/// Runs the command; the answer is no unless every event would cross.
pub fn run(args: &Args, context: &Context) -> CommandResult {
    let config = context.config()?;
    let (_, publications, gate) = contracts(&config).map_err(Failure::blame)?;
    let naming = naming(&config, gate.catalog(), &publications);
    let crossing = Crossing { publications: &publications, gate: &gate, naming: &naming };
    let wishes = wishes(&config).map_err(Failure::input)?;
    let file = input_name(&args.event);
    let bytes = read_input(&args.event, config.source.max_body.bytes())
        .with_context(|| format!("cannot read {file}"))
        .map_err(Failure::input)?;
    let most = config.source.max_body;
    if bytes.len() > most.bytes() {
        return Err(Failure::input(anyhow!("{file} is over {most}, which no gateway would take")));
    }
    let response_mode =
        if args.asynchronous { ResponseMode::Asynchronous } else { ResponseMode::Synchronous };
    let mut told = Vec::new();
    for (index, read) in
        read_events(&bytes, &config.source, SystemClock.now()).into_iter().enumerate()
    {
        told.push(match read {
            Err(detail) => Told::Unreadable { index, outcome: "unreadable", detail },
            Ok(received) => {
                let received = Arc::new(received);
                let steps = config.patterns.budget().steps();
                let allowance = StepAllowance::of_all(steps);
                let wanted = crossing.publications.wanted_by(&received, allowance);
                let trials = crossing.trials(&received, &wanted, steps);
                let wanting = |event: &_| wanting(&wishes, event);
                TriedEvent::new((index, &received), trials, response_mode, wanting)
                    .map(Told::Tried)
                    .map_err(Failure::ours)?
            }
        });
    }
    let exit = exit(&told);
    context.output().item(&told, |told| {
        told.iter().map(in_words).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    });
    exit.map_err(|index| Failure::input(anyhow!("event {index} of {file} cannot be read")))
}

/// How the command ends; an event that cannot be read is a mistake of the file.
fn exit(told: &[Told]) -> Result<Exit, usize> {
    let mut exit = Exit::Done;
    for one in told {
        match one {
            Told::Unreadable { index, .. } => return Err(*index),
            Told::Tried(event) if event.outcome != "accepted" => exit = Exit::No,
            Told::Tried(_) => {}
        }
    }
    Ok(exit)
}

/// The subscriptions of the folder that the settings name.
fn wishes(config: &Config) -> anyhow::Result<Vec<Wish>> {
    let mistakes = |found: Vec<Diagnostic>| {
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    };
    let mut wishes = Vec::new();
    for (name, text) in config::folder(&config.subscriptions).map_err(mistakes)? {
        let document: SubscriptionDocument =
            yaml::read(&name, &text).map_err(|mistake| mistakes(vec![*mistake]))?;
        let filter = Filter::new(&document.types, &document.filters)
            .with_context(|| format!("in the filters of {name}"))?;
        wishes.extend(document.given_name().map(|name| Wish { id: name.as_id(), filter }));
    }
    Ok(wishes)
}

fn wanting(wishes: &[Wish], event: &CloudEvent) -> Option<Vec<SubscriptionId>> {
    let tree = event.to_tree();
    let wanting = wishes.iter().filter(|wish| wish.filter.matches(&tree));
    (!wishes.is_empty()).then(|| wanting.map(|wish| wish.id.clone()).collect())
}

/// What is told of an event, top to bottom.
fn in_words(told: &Told) -> String {
    let mut words = String::new();
    // Writing to a string cannot fail.
    let _ = match told {
        Told::Unreadable { index, detail, .. } => {
            writeln!(words, "event {index}: cannot be read: {detail}")
        }
        Told::Tried(event) => {
            let id = event.id.as_deref().unwrap_or_default();
            writeln!(words, "event {}, {}: {}", event.index, id, event.outcome)
        }
    };
    let Told::Tried(event) = told else { return words };
    for publication in &event.publications {
        for line in publication_lines(publication) {
            let _ = writeln!(words, "  {line}");
        }
    }
    let any = |verdict| event.publications.iter().any(|one| one.verdict == verdict);
    if event.outcome == "refused" && any("crosses") {
        words += "  a producer that waits for the answer has its event taken whole or not at all\n";
    }
    words
}

fn publication_lines(publication: &TriedPublication) -> Vec<String> {
    let name = &publication.publication;
    let mut lines = vec![match (publication.verdict, publication.code) {
        ("crosses", _) if publication.violations.is_empty() => format!("{name}: it crosses"),
        ("crosses", _) => {
            format!("{name}: it crosses, and breaks its contract, which is only observed")
        }
        ("refused", code) => format!("{name}: refused, {}", code.unwrap_or_default()),
        _ => format!("{name}: not wanted"),
    }];
    lines
        .extend(publication.mismatches.iter().map(|one| format!("  {}: {}", one.path, one.reason)));
    lines.extend(publication.violations.iter().map(|one| {
        let place = if one.pointer.is_empty() { "the data" } else { &one.pointer };
        format!("  {place}: {}, {}", one.code, one.message)
    }));
    lines.extend(publication.event.iter().flat_map(attribute_lines));
    if let Some(subscriptions) = &publication.subscriptions {
        let names: Vec<_> = subscriptions.iter().map(ToString::to_string).collect();
        let names = if names.is_empty() { "no subscription".to_owned() } else { names.join(", ") };
        lines.push(format!("  goes to     {names}"));
    }
    lines
}

fn attribute_lines(event: &TriedAttributes) -> Vec<String> {
    let optional = |name, value: &Option<String>| value.clone().map(|value| (name, value));
    let told = [
        Some(("type", event.r#type.clone())),
        Some(("source", event.source.clone())),
        optional("subject", &event.subject),
        optional("time", &event.time),
        optional("dataschema", &event.dataschema),
        optional("key", &event.idempotency_key),
    ];
    let extensions = event.extensions.iter();
    let extensions = extensions.map(|(name, value)| (name.as_str(), value.to_string()));
    let told = told.into_iter().flatten().chain(extensions);
    let told = told.chain([("data", event.data.get().to_owned())]);
    told.map(|(name, value)| format!("  {name:<11} {value}")).collect()
}
