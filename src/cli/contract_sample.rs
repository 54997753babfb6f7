//! `sealway contract sample`: data that keeps a message, made from its schema.

use anyhow::anyhow;
use serde::Serialize;
use serde_json::Value;

use crate::cli::{CommandResult, Context, Exit, Failure, Output};
use crate::config::{self, Config};
use crate::contract::{Catalog, Sample, SampleKind, SampleRequest, Samples};
use crate::event::Diagnostic;

/// Which samples to make.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The contract: a file below the folder of contracts, with or without that folder in front
    contract: String,
    /// The message: its name, its key or its `messageId`
    message: String,
    /// Also print one sample without each optional member, one for each alternative and value of a
    /// list, and the edges of what the schema allows
    #[arg(long)]
    edges: bool,
    /// The most samples; beyond the ordinary one and what `--edges` gives, they vary in everything
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// What the variations follow from: the same seed gives the same samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// A sample, for programs.
#[derive(Serialize)]
struct ShownSample<'a> {
    kind: SampleKind,
    name: &'a str,
    data: &'a Value,
}

/// Runs the command: done if there is a sample.
pub fn run(args: &Args, context: &Context) -> CommandResult {
    let config = context.config()?;
    let texts = config::folder(&config.contracts).map_err(|found| mistakes(&found))?;
    let catalog = Catalog::load(&texts);
    let path = path_of(&args.contract, &config, &catalog);
    let message = catalog
        .described(path, &args.message)
        .map_err(|error| Failure::input(anyhow!("{error}; {}", error.help())))?;
    let request = SampleRequest {
        count: args.count.unwrap_or(if args.edges { SampleRequest::default().count } else { 1 }),
        seed: args.seed,
        deviations: args.edges,
        varied: args.count.is_some(),
        ..SampleRequest::default()
    };
    let samples = message.samples(&request);
    print(&samples, context.output());
    if samples.is_cut_short && args.count.is_none() && args.edges {
        context.output().note("there are more; ask for them with `--count`");
    }
    Ok(if samples.found.is_empty() { Exit::No } else { Exit::Done })
}

fn print(samples: &Samples, output: Output) {
    if output.is_json() {
        output.document(&samples.found.iter().map(ShownSample::of).collect::<Vec<_>>());
    } else {
        samples.found.iter().for_each(|sample| output.line(&sample.data));
    }
    for unreached in &samples.unreached {
        output.note(format_args!("no sample shows: {unreached}"));
    }
}

impl<'a> ShownSample<'a> {
    fn of(sample: &'a Sample) -> Self {
        Self { kind: sample.kind, name: &sample.name, data: &sample.data }
    }
}

/// A contract's path below the folder, from how a person names it.
fn path_of<'a>(written: &'a str, config: &Config, catalog: &Catalog) -> &'a str {
    let plain = written.trim_start_matches("./");
    let folder = config.contracts.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let below = plain.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    match below {
        Some(below) if catalog.document(plain).is_none() => below,
        _ => plain,
    }
}

fn mistakes(mistakes: &[Diagnostic]) -> Failure {
    let shown: Vec<String> = mistakes.iter().map(Diagnostic::to_string).collect();
    Failure::input(anyhow!("{}", shown.join("\n")))
}
