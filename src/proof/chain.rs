//! Judges what a consumer has kept of a subscription: the chain, and how far it reaches.

use std::collections::HashMap;

use crate::event::{DocumentAsk, EventDigest, EventId, SubscriptionId, Timestamp};
use crate::proof::checkpoints::conflicts;
use crate::proof::{ChainTrust, CheckpointConflict, StoredTokens};
use crate::seal::evidence::{BundleTrust, unlike_documents};
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
    /// Its date has not come.
    #[error("it is dated {0}, which lies in the future, unless this clock is behind")]
    Future(Timestamp),
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
    /// The checkpoint with the highest number, and how far what is held reaches next to it.
    pub newest: Option<(ChainStanding, Checkpoint)>,
    /// How many checkpoints were believed.
    pub checkpoints: usize,
    /// Why others tell nothing, in the order in which they were given.
    pub bad_checkpoints: Vec<CheckpointProblem>,
    /// What checkpoints say otherwise than each other, or than the events.
    pub conflicts: Vec<CheckpointConflict>,
    /// Why checkpoints are not for what the consumer's own documents ask for.
    pub other_ask: Vec<String>,
}

impl ChainReport {
    /// Whether everything is there, in order and unaltered.
    pub fn is_whole(&self) -> bool {
        self.stored.unusable.is_empty()
            && self.check.findings.is_empty()
            && self.bad_checkpoints.is_empty()
            && self.conflicts.is_empty()
            && self.other_ask.is_empty()
    }

    /// Whether there was nothing to judge: no event at or after the start, and no word on it.
    pub fn says_nothing(&self) -> bool {
        // A checkpoint may say that there is nothing to hold; one of before the start says nothing.
        let is_told =
            self.newest.as_ref().is_some_and(|(standing, _)| *standing != ChainStanding::Ahead);
        let is_doubted = !self.bad_checkpoints.is_empty() || !self.conflicts.is_empty();
        self.check.events == 0 && self.stored.unusable.is_empty() && !is_told && !is_doubted
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
/// compares with signed checkpoints, if there are any, and these with each other.
pub fn verify_chain(
    mut stored: StoredTokens,
    start: PlaceClaims,
    checkpoints: &[String],
    (subscription, trust): (&SubscriptionId, &ChainTrust<'_>),
) -> ChainReport {
    let links = std::mem::take(&mut stored.links);
    let contradicting = contradicting(&links, &stored.replayed);
    let (good, bad_checkpoints) = read(&mut stored, checkpoints, (subscription, trust));
    let conflicts = conflicts(&good.iter().collect::<Vec<_>>(), &links);
    let mut check = ChainCheck::of(start, links);
    check.findings.extend(contradicting);
    let count = good.len();
    let newest = good.iter().max_by_key(|one| (one.sequence, one.issued_at)).cloned();
    for checkpoint in &good {
        check.hold_value(checkpoint);
    }
    let newest = newest.map(|checkpoint| (check.compare(&checkpoint), checkpoint));
    let other_ask = good.iter().filter_map(|one| other_ask(one, trust.documents)).collect();
    ChainReport { stored, check, newest, checkpoints: count, bad_checkpoints, conflicts, other_ask }
}

/// The checkpoints that are believed, and why the others are not.
fn read(
    stored: &mut StoredTokens,
    checkpoints: &[String],
    (subscription, trust): (&SubscriptionId, &ChainTrust<'_>),
) -> (Vec<Checkpoint>, Vec<CheckpointProblem>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for token in checkpoints {
        match trust.read(token) {
            Some(other) if other.subscription != *subscription => {
                bad.push(CheckpointProblem::OtherSubscription(other.subscription));
            }
            Some(ahead) if ahead.issued_at > trust.now.after(BundleTrust::LEEWAY) => {
                bad.push(CheckpointProblem::Future(ahead.issued_at));
            }
            Some(checkpoint) => good.push(checkpoint),
            None => {
                let signer = signer_of(token).filter(|kid| trust.issuer_keys.get(kid).is_none());
                bad.push(signer.map_or(CheckpointProblem::Invalid, |kid| {
                    stored.lacks(&kid);
                    CheckpointProblem::MissingKey(kid)
                }));
            }
        }
    }
    (good, bad)
}
