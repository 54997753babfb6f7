//! `sealway evidence export`: writes what a subscription was offered into a file that stands alone.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::api::EvidenceQuery;
use crate::cli::{CommandResult, Context, Exit, Failure, Output};
use crate::event::{EventBound, SubscriptionReference};

/// What to export.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The subscription: its name, `consumer/name`, or its id
    #[arg(long, value_name = "ID")]
    subscription: SubscriptionReference,
    /// Where to begin, included: an event, or a time in RFC 3339 at which it was accepted; from the start,
    /// if not given
    #[arg(long, value_name = "ULID|TIME")]
    from: Option<EventBound>,
    /// Where to end, included: an event or a time; up to the newest, if not given
    #[arg(long, value_name = "ULID|TIME")]
    to: Option<EventBound>,
    /// The file, which must not be there yet; `-` for standard output, and then the summary goes to
    /// standard error
    file: PathBuf,
}

/// What was exported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary<'a> {
    /// The file; nothing for standard output.
    file: Option<&'a Path>,
    subscription: &'a SubscriptionReference,
    #[serde(flatten)]
    tally: Tally,
}

/// What went by, line by line.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Tally {
    events: u64,
    lines: u64,
    bytes: u64,
    /// Why there are no keys for receipts in it, if the gateway could not have them.
    receipt_keys_problem: Option<String>,
    /// The line that has no end yet.
    #[serde(skip)]
    begun: Vec<u8>,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    kind: String,
    problem: Option<String>,
}

/// Where the bundle goes.
enum Target {
    File(File),
    StandardOutput(Output),
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    if args.from.zip(args.to).is_some_and(|(from, to)| from.first() > to.last()) {
        return Err(Failure::input(anyhow!("--from is later than --to")));
    }
    let [from, to] = [args.from, args.to].map(|id| id.map(|id| id.to_string()));
    let path = format!("/subscriptions/{}/evidence", args.subscription.segment());
    let client = context.client()?;
    let mut response =
        client.send(client.request(Method::GET, &path)?.query(&EvidenceQuery { from, to })).await?;
    let output = context.output();
    let mut target = Target::of(&args.file, output)?;
    let place = target.name(&args.file);
    let cut = || format!("{place} is not whole; remove it and export again");
    let mut tally = Tally::default();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Failure::ours(error.without_url()).context(cut()))?
    {
        target.write(&chunk).map_err(|failure| failure.context(cut()))?;
        tally.take(&chunk);
    }
    target.finish().map_err(|error| Failure::ours(error).context(cut()))?;
    if let Some(problem) = &tally.receipt_keys_problem {
        output.complain(format_args!(
            "the bundle has no keys for receipts: {problem}; verify them with --receipt-keys"
        ));
    }
    let is_file = matches!(target, Target::File(_));
    let file = is_file.then_some(&*args.file);
    let summary = Summary { file, subscription: &args.subscription, tally };
    let words = |summary: &Summary<'_>| format!("{} events are in {place}", summary.tally.events);
    if is_file {
        output.item(&summary, words);
    } else {
        output.aside(&summary, words);
    }
    Ok(Exit::Done)
}

impl Target {
    fn of(file: &Path, output: Output) -> Result<Self, Failure> {
        if file.as_os_str() == "-" {
            return Ok(Self::StandardOutput(output));
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map(Self::File)
            .with_context(|| format!("cannot make {}", file.display()))
            .map_err(Failure::input)
    }

    fn name(&self, file: &Path) -> String {
        match self {
            Self::File(_) => file.display().to_string(),
            Self::StandardOutput(_) => "the bundle on standard output".to_owned(),
        }
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.write_all(chunk).map_err(Failure::ours),
            Self::StandardOutput(output) => output.must_write(chunk).map_err(Failure::unwritten),
        }
    }

    fn finish(&self) -> std::io::Result<()> {
        match self {
            Self::File(file) => file.sync_all(),
            // Each part was flushed.
            Self::StandardOutput(_) => Ok(()),
        }
    }
}

impl Tally {
    fn take(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.count();
                self.begun.clear();
            }
        }
    }

    fn count(&mut self) {
        self.lines += 1;
        let Ok(line) = serde_json::from_slice::<Line>(&self.begun) else { return };
        match &*line.kind {
            "event" => self.events += 1,
            // The lines with kept keys behind it have no problem of their own.
            "receipt-keys" if line.problem.is_some() => self.receipt_keys_problem = line.problem,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_however_the_bundle_comes_in() {
        let text = concat!(
            "{\"kind\":\"evidence\"}\n{\"kind\":\"receipt-keys\",\"jwks\":null,\"problem\":\"gone\"}\n",
            "{\"kind\":\"event\",\"token\":\"a\"}\n{\"kind\":\"event\"}\n{\"kind\":\"closing\"}\n",
        );
        for size in [1, 7, 64, 1000] {
            let mut tally = Tally::default();
            text.as_bytes().chunks(size).for_each(|chunk| tally.take(chunk));

            assert_eq!((tally.events, tally.lines, tally.bytes), (2, 5, text.len() as u64));
            assert_eq!(tally.receipt_keys_problem.as_deref(), Some("gone"));
        }
    }
}
