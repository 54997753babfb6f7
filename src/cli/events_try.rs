//! `sealway events try`: what would become of events, told without a gateway that runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use serde_json::Value;

use crate::ambient::{Clock as _, SystemClock};
use crate::api::TriedEvent;
use crate::cli::event_file::{input_name, read_events, read_input};
use crate::cli::events_try_words::TriedWords;
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
    /// Tell of every publication why it does not want an event, and not only of the nearest three where
    /// none does
    #[arg(long)]
    all: bool,
}

/// What is told of one event.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Tried {
        #[serde(flatten)]
        event: Box<TriedEvent>,
        /// The event as patterns see it.
        #[serde(skip)]
        tree: Value,
    },
    /// It cannot be read.
    Unreadable { index: usize, outcome: &'static str, detail: String },
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
                let event = TriedEvent::new((index, &received), trials, response_mode, wanting);
                let tree = received.envelope.to_tree();
                Told::Tried { event: Box::new(event.map_err(Failure::ours)?), tree }
            }
        });
    }
    let exit = exit(&told);
    let words = TriedWords { publications: &publications, tells_all: args.all };
    let in_words = |told: &Told| match told {
        Told::Unreadable { index, detail, .. } => {
            format!("event {index}: cannot be read: {detail}\n")
        }
        Told::Tried { event, tree } => words.of(event, tree),
    };
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
            Told::Tried { event, .. } if event.outcome != "accepted" => exit = Exit::No,
            Told::Tried { .. } => {}
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
