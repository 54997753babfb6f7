//! `sealway log proof` and `sealway log key`: proofs over a running gateway's log, checked here, and the
//! key under which its checkpoints are known.

use anyhow::anyhow;
use serde_json::{Value, json};

use crate::cli::log_incarnation::last_number;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::event::{EventDigest, EventId};
use crate::eventlog::StoredLog;
use crate::gateway::read_keys;
use crate::transparency::{
    LeafData, LogNote, NoteKey, ProofError, TreeHash, TreeRoot, verify_consistency,
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
        /// How many leaves the older tree has
        #[arg(long, value_name = "SIZE")]
        from: u64,
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
}

/// Runs the command: asks the gateway, and checks what it answers.
pub(super) async fn run(proof: Proof, context: &Context) -> CommandResult {
    match proof {
        Proof::Inclusion { event, digest, index, size, root } => {
            let of = index.map_or_else(|| format!("event={event}"), |at| format!("index={at}"));
            let size = size.map_or_else(String::new, |size| format!("&size={size}"));
            let path = format!("/log/proof/inclusion?{of}{size}");
            let answer = context.client()?.get(&path).await?;
            let tree = tree(&answer, "/tree", root)?;
            let digest = match digest {
                Some(digest) => digest,
                None => parsed(&answer, "/digest")?,
            };
            let index = number(&answer, "/index")?;
            let leaf = LeafData::new(event, digest);
            let proved = verify_inclusion(&leaf, index, &hashes(&answer)?, &tree);
            Ok(say(context, &answer, proved, || {
                format!("event {event} is leaf {index} of the tree of {} leaves", tree.size)
            }))
        }
        Proof::Consistency { from, from_root, to, to_root } => {
            let to = to.map_or_else(String::new, |to| format!("&to={to}"));
            let path = format!("/log/proof/consistency?from={from}{to}");
            let answer = context.client()?.get(&path).await?;
            let (old, new) = (tree(&answer, "/from", from_root)?, tree(&answer, "/to", to_root)?);
            let proved = verify_consistency(&old, &new, &hashes(&answer)?);
            Ok(say(context, &answer, proved, || {
                format!("the tree of {} leaves begins with that of {}", new.size, old.size)
            }))
        }
    }
}

/// Prints the verifier key of the log, of the settings and the key directory.
pub(super) fn key(incarnation: Option<u64>, context: &Context) -> CommandResult {
    let config = context.config()?;
    let ring = read_keys(&config, &crate::ambient::SystemEntropy).map_err(Failure::blame)?;
    let found = ring.present_note_key().map_err(Failure::blame)?;
    let Some(found) = found else {
        let place = ring.place_of_note_key();
        return Err(Failure::input(anyhow!(
            "{place} is not there; the first start of the gateway makes it, or `sealway keys generate`"
        )));
    };
    let address = format!("{}/log", config.issuer.as_str().trim_end_matches('/'));
    let incarnation = match incarnation {
        Some(number) => number,
        // Without a log there is the first one, which the first start begins.
        None if !StoredLog::is_at(&config.data_dir) => 1,
        None => last_number(&StoredLog::open(&config.data_dir).map_err(Failure::blame)?)?,
    };
    let key = NoteKey::new(&LogNote::origin_of(&address, incarnation), found.public());
    let key = key.ok_or_else(|| Failure::input(anyhow!("the issuer is no name of a log")))?;
    context.output().item(&json!({ "key": key.to_string() }), |_| key.to_string());
    Ok(Exit::Done)
}

fn say(
    context: &Context,
    answer: &Value,
    proved: Result<(), ProofError>,
    words: impl FnOnce() -> String,
) -> Exit {
    let problem = proved.err().map(|error| error.to_string());
    let told = json!({ "proved": problem.is_none(), "problem": problem, "answer": answer });
    context.output().item(&told, |_| match &problem {
        None => format!("proved: {}", words()),
        Some(problem) => format!("not proved: {problem}"),
    });
    if problem.is_none() { Exit::Done } else { Exit::No }
}

fn malformed(pointer: &str) -> Failure {
    Failure::ours(anyhow!(
        "the gateway's answer has no `{}` of ours",
        pointer.trim_start_matches('/')
    ))
}

fn number(answer: &Value, pointer: &str) -> Result<u64, Failure> {
    answer.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| malformed(pointer))
}

fn parsed<T: std::str::FromStr>(answer: &Value, pointer: &str) -> Result<T, Failure> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(pointer))
}

/// The tree that the gateway tells of, with the root that the caller knows in place of its own.
fn tree(answer: &Value, pointer: &str, known: Option<TreeHash>) -> Result<TreeRoot, Failure> {
    let told = answer.pointer(pointer).cloned().unwrap_or_default();
    let told: TreeRoot = serde_json::from_value(told).map_err(|_| malformed(pointer))?;
    Ok(TreeRoot { root: known.unwrap_or(told.root), ..told })
}

fn hashes(answer: &Value) -> Result<Vec<TreeHash>, Failure> {
    let proof = answer.get("proof").cloned().unwrap_or_default();
    serde_json::from_value(proof).map_err(|_| malformed("/proof"))
}
