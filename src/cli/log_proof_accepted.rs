//! `sealway log proof accepted`: holds a running gateway's log against the signed answers that a producer has kept.

use std::path::PathBuf;

use anyhow::anyhow;
use serde::Serialize;
use serde_json::json;

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::evidence_accepted::each_answer;
use crate::cli::proof_answer::{hashes, tree};
use crate::cli::receipt_file::{keys_of, published};
use crate::cli::{Client, CommandResult, Context, Exit, Failure};
use crate::event::{EventId, number_of};
use crate::seal::evidence::BundleTrust;
use crate::seal::{AcceptedEvent, AcceptedPlace, AcceptedReader, AcceptedReceipt};
use crate::transparency::{LeafData, verify_consistency, verify_inclusion};

/// Which answers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The signed answers, as `sealway events put --receipts` keeps them
    file: PathBuf,
    /// The gateway's public keys from a source that you trust, a JWK or a JWK Set; those that it publishes, if
    /// not given
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

/// What was found.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Found {
    receipts: usize,
    events: usize,
    problems: Vec<Unproved>,
}

/// Something that is not proved.
#[derive(Serialize)]
struct Unproved {
    line: usize,
    id: Option<String>,
    problem: String,
}

/// Runs the command: asks for proofs of every tree and event that was signed, and checks them.
pub(super) async fn run(args: &Args, context: &Context) -> CommandResult {
    let client = context.client()?;
    let keys = match &args.jwks {
        Some(file) => keys_of(file)?,
        None => published(&client).await?,
    };
    let (now, leeway) = (SystemClock.now(), BundleTrust::LEEWAY);
    let reader = AcceptedReader { issuer_keys: &keys, issuers: &[], now, leeway };
    let mut read = Vec::new();
    each_answer(&args.file, |line, token| read.push((line, reader.read(token))))?;
    let mut found = Found::default();
    for (line, receipt) in read {
        match receipt {
            Ok(receipt) => found.prove(&client, line, &receipt).await?,
            Err(fault) => {
                found.problems.push(Unproved { line, id: None, problem: fault.to_string() });
            }
        }
    }
    let is_proved = found.problems.is_empty();
    let told = json!({ "proved": is_proved, "found": found });
    context.output().item(&told, |_| found.in_words());
    Ok(if is_proved { Exit::Done } else { Exit::No })
}

impl Found {
    async fn prove(
        &mut self,
        client: &Client,
        line: usize,
        receipt: &AcceptedReceipt,
    ) -> Result<(), Failure> {
        self.receipts += 1;
        self.note((line, None), consistency(client, receipt).await)?;
        let events = receipt.entries.iter().flat_map(|entry| &entry.events);
        for AcceptedEvent { id, place, .. } in events {
            let Some(place) = place else { continue };
            // What was there before the tree is in none.
            let Some(index) = place.position.checked_sub(receipt.tree.first) else { continue };
            self.events += 1;
            let proved = inclusion(client, receipt, (*id, place, index)).await;
            self.note((line, Some(*id)), proved)?;
        }
        Ok(())
    }

    /// Notes what the gateway does not prove; an error is one of the way there.
    fn note(
        &mut self,
        (line, id): (usize, Option<EventId>),
        proved: Result<(), Failure>,
    ) -> Result<(), Failure> {
        match proved {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_input() => {
                let (id, problem) = (id.map(|id| id.to_string()), failure.to_string());
                self.problems.push(Unproved { line, id, problem });
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn in_words(&self) -> String {
        let mut lines: Vec<String> = self
            .problems
            .iter()
            .map(|Unproved { line, id, problem }| {
                let id = id.as_ref().map_or_else(String::new, |id| format!(", event {id}"));
                format!("line {line}{id}: {problem}")
            })
            .collect();
        let (answers, events) =
            (number_of(self.receipts, "signed answer"), number_of(self.events, "event"));
        lines.push(if self.problems.is_empty() {
            format!("proved: the log of today holds what {answers} with {events} told of it")
        } else {
            format!("not proved: {answers} with {events} were compared")
        });
        lines.join("\n")
    }
}

/// That the tree of today begins with the one that was signed.
async fn consistency(client: &Client, receipt: &AcceptedReceipt) -> Result<(), Failure> {
    let AcceptedReceipt { tree: signed, incarnation, .. } = receipt;
    if signed.tree.size == 0 {
        return Ok(());
    }
    let from = signed.tree.size;
    let path = format!("/log/proof/consistency?from={from}&incarnation={incarnation}");
    let answer = client.get(&path).await?;
    let (old, new) = (tree(&answer, "/from", Some(signed.tree.root))?, tree(&answer, "/to", None)?);
    verify_consistency(&old, &new, &hashes(&answer)?).map_err(|error| {
        let problem = "the log of today does not begin with the tree that was signed";
        Failure::input(anyhow!("{problem}: {error}"))
    })
}

/// That an event is where its answer says, in the tree that was signed with it.
async fn inclusion(
    client: &Client,
    AcceptedReceipt { tree: signed, incarnation, .. }: &AcceptedReceipt,
    (id, place, index): (EventId, &AcceptedPlace, u64),
) -> Result<(), Failure> {
    let size = signed.tree.size;
    let path = format!("/log/proof/inclusion?index={index}&size={size}&incarnation={incarnation}");
    let answer = client.get(&path).await?;
    let leaf = LeafData::new(id, place.digest);
    verify_inclusion(&leaf, index, &hashes(&answer)?, &signed.tree).map_err(|error| {
        let problem = "it is not in the tree that was signed with it";
        Failure::input(anyhow!("{problem}: {error}"))
    })
}
