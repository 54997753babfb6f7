//! One question to one witness, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use url::Url;

use crate::egress::{EgressRefusal, ExchangeError, GuardedClients, GuardedRequest};
use crate::eventlog::{LogError, LogTree};
use crate::telemetry::error_chain;
use crate::transparency::{
    AddCheckpoint, MOST_LEAVES, NoteSignature, ProofPlan, SignedNote, TreeRoot, WitnessKey,
};
use crate::witness::serving::SIZE_TYPE;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of an answer is read: some cosignatures.
const LONGEST: usize = 16 * 1024;
/// How often the size is asked for anew before it is given up: once would do.
const TURNS: u32 = 3;

/// A witness of the settings.
pub(super) struct AskedWitness {
    pub(super) key: WitnessKey,
    /// Where it is asked: the address of `add-checkpoint`.
    pub(super) url: Url,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It has cosigned a tree of this log that this log does not have.
    #[error(
        "it has cosigned {0}, which this log does not have: the log was set back, or another gateway \
         goes on with a copy of it"
    )]
    OtherHistory(String),
    /// It refuses.
    #[error("it answers {0}: {1}")]
    Refused(StatusCode, &'static str),
    /// Its answer cannot be used.
    #[error("its answer has no cosignature by its key over this checkpoint")]
    NotCosigned,
    /// It cannot be reached.
    #[error("it cannot be asked")]
    Unreached(#[source] ExchangeError),
    /// Its address may not be dialed.
    #[error("its address may not be dialed")]
    Address(#[source] EgressRefusal),
    /// The tree cannot be read.
    #[error("the tree cannot be read")]
    Log(#[from] LogError),
}

impl AskError {
    /// The stable word of what came of a question.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::OtherHistory(_) => "other-history",
            Self::Refused(..) | Self::NotCosigned => "refused",
            Self::Unreached(_) | Self::Address(_) => "unreached",
            Self::Log(_) => "failed",
        }
    }

    /// Tells it to the operator.
    pub(super) fn tell(&self, witness: &WitnessKey) {
        let name = witness.name();
        let error = error_chain(self);
        if matches!(self, Self::OtherHistory(_)) {
            tracing::error!(witness.name = name, error = %error, "Witness {name} refuses the log");
        } else {
            tracing::warn!(witness.name = name, error = %error, "Witness {name} does not cosign");
        }
    }
}

/// Asks a witness to cosign a note of a tree; `old` is the size that it has cosigned last, as far as is
/// known.
pub(super) async fn ask(
    witness: &AskedWitness,
    (note, tree): (&SignedNote, TreeRoot),
    mut old: u64,
    (clients, log): (&GuardedClients, &Arc<dyn LogTree>),
) -> Result<Vec<NoteSignature>, AskError> {
    for _ in 0..TURNS {
        let plan = ProofPlan::consistency(old, tree.size).ok_or_else(|| ahead(old))?;
        let proof = log.make_proof(&plan).await?;
        let body = AddCheckpoint { old, proof, note: note.clone() }.to_string();
        let answer = post(&witness.url, body, clients).await?;
        match (answer.status(), size_in(&answer)) {
            (StatusCode::OK, _) => return cosignatures(&witness.key, note, answer.body()),
            (StatusCode::CONFLICT, Some(size)) if size != old => old = size,
            (StatusCode::CONFLICT, _) => {
                let tree = format!("another tree of {} leaves", tree.size);
                return Err(AskError::OtherHistory(tree));
            }
            (StatusCode::UNPROCESSABLE_ENTITY, _) => {
                let tree = format!("another tree of {old} leaves");
                return Err(AskError::OtherHistory(tree));
            }
            (status, _) => return Err(AskError::Refused(status, meaning(status))),
        }
    }
    Err(AskError::Refused(StatusCode::CONFLICT, "it names another size each time"))
}

fn ahead(size: u64) -> AskError {
    AskError::OtherHistory(format!("a tree of {size} leaves"))
}

fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            "it does not know the log; give its operator the key of `sealway log key`"
        }
        StatusCode::FORBIDDEN => "it knows the log by another key than that of `sealway log key`",
        _ => "see the witness",
    }
}

async fn post(
    url: &Url,
    body: String,
    clients: &GuardedClients,
) -> Result<Response<Vec<u8>>, AskError> {
    let client = clients.client_for(url).map_err(AskError::Address)?;
    let media_type = (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let request = GuardedRequest {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter([media_type]),
        body: body.into(),
        body_limit: LONGEST,
        patience: PATIENCE,
    };
    client.exchange(request).await.map_err(AskError::Unreached)
}

/// The size in an answer that tells one.
pub(super) fn size_in(answer: &Response<Vec<u8>>) -> Option<u64> {
    let media_type = answer.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    media_type.split(';').next().filter(|essence| essence.trim() == SIZE_TYPE)?;
    let digits = std::str::from_utf8(answer.body()).ok()?.strip_suffix('\n')?;
    digits.parse().ok().filter(|size| *size <= MOST_LEAVES)
}

/// The lines of an answer that are cosignatures of a witness over a note; others' are not looked at.
pub(super) fn cosignatures(
    key: &WitnessKey,
    note: &SignedNote,
    answer: &[u8],
) -> Result<Vec<NoteSignature>, AskError> {
    let not_cosigned = |_| AskError::NotCosigned;
    let answer = std::str::from_utf8(answer).map_err(|_| AskError::NotCosigned)?;
    let lines: SignedNote = format!("{}\n{answer}", note.text).parse().map_err(not_cosigned)?;
    let answered = SignedNote { text: note.text.clone(), signatures: lines.signatures };
    key.verify(&answered).map_err(not_cosigned)?;
    // More lines than a note may have would make it, and the bundle that holds it, unreadable.
    let mut lines = key.lines_of(&answered);
    lines.truncate(1);
    Ok(lines)
}
