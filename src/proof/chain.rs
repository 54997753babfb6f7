//! Judges what a consumer has kept of a subscription: the chain, and how far it reaches.

use std::collections::HashMap;

use crate::event::{DocumentAsk, EventDigest, EventId, SubscriptionId};
use crate::proof::{ChainTrust, StoredTokens};
use crate::seal::evidence::unlike_documents;
use crate::seal::{ChainCheck, ChainStanding, Checkpoint, Finding, Link, PlaceClaims, signer_of};

/// Why a checkpoint tells nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointProblem {
    /// The key that is said to have signed it is not there.
    #[error("it is signed with the key `{0}`, which is not among those that are believed")]
    MissingKey(String),
    /// It is none, was altered, or is for somebody else.
    #[error("it is not a checkpoint of this issuer for this audience")]
    Invalid,
    /// It is of another subscription.
    #[error("it is a checkpoint of the subscription `{0}`")]
    OtherSubscription(SubscriptionId),
}

/// What was found.
pub struct ChainReport {
    /// What was read.
    pub stored: StoredTokens,
    /// What is wrong with the chain.
    pub check: ChainCheck,
    /// The checkpoint, and how far what is held reaches next to it; or why it tells nothing.
    pub checkpoint: Option<Result<(ChainStanding, Checkpoint), CheckpointProblem>>,
    /// Why the checkpoint is not for what the consumer's own documents ask for.
    pub other_ask: Option<String>,
}

impl ChainReport {
    /// Whether everything is there, in order and unaltered.
    pub fn is_whole(&self) -> bool {
        self.stored.unusable.is_empty()
            && self.check.findings.is_empty()
            && !matches!(self.checkpoint, Some(Err(_)))
            && self.other_ask.is_none()
    }

    /// Whether there was nothing to judge: no event at or after the start, and no word on it.
    pub fn says_nothing(&self) -> bool {
        let told = self.checkpoint.as_ref().is_some_and(|checkpoint| match checkpoint {
            // A checkpoint may say that there is nothing to hold; one of before the start says nothing.
            Ok((standing, _)) => *standing != ChainStanding::Ahead,
            Err(_) => true,
        });
        self.check.events == 0 && self.stored.unusable.is_empty() && !told
    }
}

/// What replays say otherwise than the tokens that have a place: one event has one content.
fn contradicting(links: &[Link], replayed: &[(EventId, EventDigest)]) -> Vec<Finding> {
    let placed: HashMap<EventId, &Link> = links.iter().map(|link| (link.id, link)).collect();
    let other = |(id, digest): &(EventId, EventDigest)| {
        let link = placed.get(id).filter(|link| link.digest != *digest)?;
        Some(Finding::Conflict { sequence: link.place.sequence, ids: vec![*id, *id] })
    };
    replayed.iter().filter_map(other).collect()
}

/// What is wrong with what a checkpoint says that the subscription asks for, next to the consumer's documents.
fn other_ask(checkpoint: &Checkpoint, documents: &[DocumentAsk]) -> Option<String> {
    if documents.is_empty() {
        return None;
    }
    match (checkpoint.sub_digest, &checkpoint.asked) {
        (Some(digest), Some(known)) => unlike_documents(digest, (known, None), documents),
        _ => Some("the checkpoint does not say what the subscription asks for".to_owned()),
    }
}

/// Follows the chain through the tokens that were kept, from a number and the chain value before it on, and
/// compares with a signed checkpoint, if there is one.
pub fn verify_chain(
    mut stored: StoredTokens,
    start: PlaceClaims,
    checkpoint: Option<&str>,
    (subscription, trust): (&SubscriptionId, &ChainTrust<'_>),
) -> ChainReport {
    let links = std::mem::take(&mut stored.links);
    let contradicting = contradicting(&links, &stored.replayed);
    let mut check = ChainCheck::of(start, links);
    check.findings.extend(contradicting);
    let checkpoint = checkpoint.map(|token| match trust.read(token) {
        Some(checkpoint) if checkpoint.subscription == *subscription => {
            Ok((check.compare(&checkpoint), checkpoint))
        }
        Some(other) => Err(CheckpointProblem::OtherSubscription(other.subscription)),
        None => Err(match signer_of(token).filter(|kid| trust.issuer_keys.get(kid).is_none()) {
            Some(kid) => {
                stored.lacks(&kid);
                CheckpointProblem::MissingKey(kid)
            }
            None => CheckpointProblem::Invalid,
        }),
    });
    let other_ask = match &checkpoint {
        Some(Ok((_, checkpoint))) => other_ask(checkpoint, trust.documents),
        _ => None,
    };
    ChainReport { stored, check, checkpoint, other_ask }
}
