//! `sealway log proof` and `sealway log key`: proofs over a running gateway's log, checked here, and the
//! key under which its checkpoints are known.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::{Value, json};

use crate::cli::log_incarnation::last_number;
use crate::cli::proof_answer::{hashes, malformed, tree};
use crate::cli::{CommandResult, Context, DataDirectory, Exit, Failure, log_proof_accepted};
use crate::event::{EventDigest, EventId};
use crate::eventlog::StoredLog;
use crate::gateway::read_keys;
use crate::keys::LogIssuer;
use crate::transparency::{
    LeafData, LogNote, NoteKey, ProofError, SignedNote, TreeHash, TreeRoot, verify_consistency,
    verify_inclusion,
};

/// What is to be proved.
#[derive(Debug, clap::Subcommand)]
pub enum Proof {
    /// That an event is in the log, at its place
    Inclusion {
        /// The event
        #[arg(value_name = "EVENT")]
        event: EventId,
        /// Its digest, in hexadecimal digits, as you know it; the gateway's word, if not given
        #[arg(long, value_name = "DIGEST")]
        digest: Option<EventDigest>,
        /// The index of its leaf, for an event that the log does not hold any more
        #[arg(long, value_name = "INDEX", requires = "digest")]
        index: Option<u64>,
        /// How many leaves the tree has; as many as there are, if not given
        #[arg(long, value_name = "SIZE")]
        size: Option<u64>,
        /// The root of the tree of that size, as you know it; the gateway's word, if not given
        #[arg(long, value_name = "ROOT", requires = "size", allow_hyphen_values = true)]
        root: Option<TreeHash>,
    },
    /// That the log of today begins with an older one, so that nothing in it was changed
    Consistency {
        /// A checkpoint that you have kept, as `/log/checkpoint` served it: its tree is the older one
        #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "from_root"])]
        note: Option<PathBuf>,
        /// How many leaves the older tree has
        #[arg(long, value_name = "SIZE", required_unless_present = "note")]
        from: Option<u64>,
        /// Its root, as you know it, for example from a checkpoint; the gateway's word, if not given
        #[arg(long, value_name = "ROOT", allow_hyphen_values = true)]
        from_root: Option<TreeHash>,
        /// How many leaves the newer tree has; as many as there are, if not given
        #[arg(long, value_name = "SIZE")]
        to: Option<u64>,
        /// Its root, as you know it; the gateway's word, if not given
        #[arg(long, value_name = "ROOT", requires = "to", allow_hyphen_values = true)]
        to_root: Option<TreeHash>,
    },
    /// That the log holds what it has accepted by signed answers, at its place and unaltered
    Accepted(log_proof_accepted::Args),
}

/// Runs the command: asks the gateway, and checks what it answers.
pub(super) async fn run(proof: Proof, context: &Context) -> CommandResult {
    match proof {
        Proof::Accepted(args) => log_proof_accepted::run(&args, context).await,
        Proof::Inclusion { event, digest, index, size, root } => {
            let of = index.map_or_else(|| format!("event={event}"), |at| format!("index={at}"));
            let size = size.map_or_else(String::new, |size| format!("&size={size}"));
            let path = format!("/log/proof/inclusion?{of}{size}");
            let answer = context.client()?.get(&path).await?;
            let told = believed(&[("the root", root.is_none()), ("the digest", digest.is_none())]);
            let tree = tree(&answer, "/tree", root)?;
            let digest = match digest {
                Some(digest) => digest,
                None => parsed(&answer, "/digest")?,
            };
            let index = number(&answer, "/index")?;
            let leaf = LeafData::new(event, digest);
            let proved = verify_inclusion(&leaf, index, &hashes(&answer)?, &tree);
            Ok(say(context, &answer, (proved, told), || {
                format!("event {event} is leaf {index} of the tree of {} leaves", tree.size)
            }))
        }
        Proof::Consistency { note, from, from_root, to, to_root } => {
            let kept = note.as_deref().map(kept).transpose()?;
            let from = kept.map_or(from.unwrap_or_default(), |kept| kept.size);
            let from_root = from_root.or(kept.map(|kept| kept.root));
            let to = to.map_or_else(String::new, |to| format!("&to={to}"));
            let path = format!("/log/proof/consistency?from={from}{to}");
            let answer = context.client()?.get(&path).await?;
            let told = believed(&[
                ("the older root", from_root.is_none()),
                ("the newer root", to_root.is_none()),
            ]);
            let (old, new) = (tree(&answer, "/from", from_root)?, tree(&answer, "/to", to_root)?);
            let proved = verify_consistency(&old, &new, &hashes(&answer)?);
            Ok(say(context, &answer, (proved, told), || {
                format!("the tree of {} leaves begins with that of {}", new.size, old.size)
            }))
        }
    }
}

/// Prints the verifier key of the log, of the settings and the key directory.
pub(super) async fn key(
    incarnation: Option<u64>,
    data: &DataDirectory,
    context: &Context,
) -> CommandResult {
    let config = data.config(context)?;
    let ring = read_keys(&config, &crate::ambient::SystemEntropy).map_err(Failure::blame)?;
    let found = ring.present_note_key().map_err(Failure::blame)?;
    let Some(found) = found else {
        let place = ring.place_of_note_key();
        return Err(Failure::input(anyhow!(
            "{place} is not there; the first start of the gateway makes it, or `sealway keys generate`"
        )));
    };
    // A log keeps the name that it began under; without one, the first start begins it.
    let (names, last) = if StoredLog::is_at(&config.data_dir) {
        let log = StoredLog::open(&config.data_dir).map_err(Failure::blame)?;
        must_have(&log, incarnation)?;
        (LogIssuer::read(&log).await.map_err(Failure::blame)?, last_number(&log)?)
    } else {
        (None, 1)
    };
    let began = names.map_or_else(|| config.issuer_text().to_owned(), |names| names.began);
    let origin = LogNote::origin_of_issuer(&began, incarnation.unwrap_or(last));
    let key = NoteKey::new(&origin, found.public());
    let key = key.ok_or_else(|| Failure::input(anyhow!("the issuer is no name of a log")))?;
    context.output().item(&json!({ "key": key.to_string() }), |_| key.to_string());
    Ok(Exit::Done)
}

/// Refuses the number of an incarnation that a log does not have.
fn must_have(log: &StoredLog, incarnation: Option<u64>) -> Result<(), Failure> {
    let kept = log.incarnations().map_err(Failure::blame)?;
    match incarnation.filter(|number| *number != 1) {
        Some(number) if kept.iter().all(|kept| kept.incarnation.number != number) => {
            Err(Failure::input(anyhow!("the log has no incarnation {number}")))
        }
        _ => Ok(()),
    }
}

/// The tree of a checkpoint that was kept.
fn kept(file: &Path) -> Result<TreeRoot, Failure> {
    let read = || -> anyhow::Result<TreeRoot> {
        let note: SignedNote = std::fs::read_to_string(file)?.parse()?;
        Ok(note.text.parse::<LogNote>()?.tree)
    };
    read().map_err(|error| Failure::input(error.context(format!("cannot use {}", file.display()))))
}

fn say(
    context: &Context,
    answer: &Value,
    (proved, believed): (Result<(), ProofError>, Vec<&'static str>),
    words: impl FnOnce() -> String,
) -> Exit {
    let problem = proved.err().map(|error| error.to_string());
    let told = json!({
        "proved": problem.is_none(), "problem": problem, "gateways-word": believed, "answer": answer,
    });
    context.output().item(&told, |_| match &problem {
        None => format!("proved: {}", words()),
        Some(problem) => format!("not proved: {problem}"),
    });
    if problem.is_none() && !believed.is_empty() {
        context.output().note(format_args!(
            "this is the gateway's word: {}. An answer that agrees with itself proves nothing; give what you \
             know from your own token and checkpoint",
            believed.join(" and ")
        ));
    }
    if problem.is_none() { Exit::Done } else { Exit::No }
}

/// What was not given, and is taken from the answer.
fn believed(parts: &[(&'static str, bool)]) -> Vec<&'static str> {
    parts.iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| *name).collect()
}

fn number(answer: &Value, pointer: &str) -> Result<u64, Failure> {
    answer.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| malformed(pointer))
}

fn parsed<T: std::str::FromStr>(answer: &Value, pointer: &str) -> Result<T, Failure> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(pointer))
}
