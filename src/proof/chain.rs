//! Judges what a consumer has kept of a subscription: the chain, and how far it reaches.

use std::collections::{BTreeSet, HashMap};

use crate::event::{EventDigest, EventId, SubscriptionId};
use crate::proof::lives::Lives;
use crate::proof::{ChainTrust, LostEvents, StoredTokens};
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
    /// What is held and a declared restore has lost; no flaw, and not in the chain that goes on.
    pub lost: Vec<LostEvents>,
    /// Incarnations of the log that something names and no record declares.
    pub undeclared: BTreeSet<u64>,
    /// The checkpoint, and how far what is held reaches next to it; or why it tells nothing.
    pub checkpoint: Option<Result<(ChainStanding, Checkpoint), CheckpointProblem>>,
}

impl ChainReport {
    /// Whether everything is there, in order and unaltered.
    pub fn is_whole(&self) -> bool {
        self.stored.unusable.is_empty()
            && self.check.findings.is_empty()
            && !matches!(self.checkpoint, Some(Err(_)))
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

/// Follows the chain through the tokens that were kept, from a number and the chain value before it on, and
/// compares with a signed checkpoint, if there is one. It goes on behind restores that a record declares.
pub fn verify_chain(
    mut stored: StoredTokens,
    start: PlaceClaims,
    checkpoint: Option<&str>,
    (subscription, trust): (&SubscriptionId, &ChainTrust<'_>),
) -> ChainReport {
    let links = std::mem::take(&mut stored.links);
    let lives = &stored.lives;
    let (living, lost) = lives.split(&links);
    let mut check = ChainCheck::of(start, living);
    // What was lost was whole in its time.
    for ended in lives.ended(&links) {
        let then = ChainCheck::of(start, lives.history(ended, &links));
        take_over(&mut check, then.findings, false);
    }
    take_over(&mut check, contradicting(&links, &stored.replayed), false);
    let doubled = lives.doubled.iter().map(|number| Finding::Forked { incarnation: *number });
    check.findings.extend(doubled);
    let checkpoint = checkpoint.map(|token| read(token, &mut stored, (subscription, trust)));
    let lives = &stored.lives;
    let checkpoint = checkpoint.map(|read| {
        read.map(|checkpoint| {
            (compare(&mut check, &checkpoint, lives, (start, &links)), checkpoint)
        })
    });
    let read = checkpoint.as_ref().and_then(|read| read.as_ref().ok());
    let undeclared = lives.undeclared(read.map(|(_, checkpoint)| checkpoint));
    if !check.findings.is_empty() {
        let restored = undeclared.iter().map(|number| Finding::Undeclared { incarnation: *number });
        check.findings.extend(restored);
    }
    ChainReport { stored, check, lost, undeclared, checkpoint }
}

/// Takes findings over that are not there yet; what is missing of what was lost is no finding.
fn take_over(check: &mut ChainCheck, findings: Vec<Finding>, is_missed: bool) {
    for finding in findings {
        let counts = is_missed || !matches!(finding, Finding::Missing { .. });
        if counts && !check.findings.contains(&finding) {
            check.findings.push(finding);
        }
    }
}

fn read(
    token: &str,
    stored: &mut StoredTokens,
    (subscription, trust): (&SubscriptionId, &ChainTrust<'_>),
) -> Result<Checkpoint, CheckpointProblem> {
    match trust.read(token) {
        Some(checkpoint) if checkpoint.subscription == *subscription => Ok(checkpoint),
        Some(other) => Err(CheckpointProblem::OtherSubscription(other.subscription)),
        None => Err(match signer_of(token).filter(|kid| trust.issuer_keys.get(kid).is_none()) {
            Some(kid) => {
                stored.lacks(&kid);
                CheckpointProblem::MissingKey(kid)
            }
            None => CheckpointProblem::Invalid,
        }),
    }
}

/// Compares with a checkpoint: one of before a restore with what was held then.
fn compare(
    check: &mut ChainCheck,
    checkpoint: &Checkpoint,
    lives: &Lives,
    (start, links): (PlaceClaims, &[Link]),
) -> ChainStanding {
    take_over(check, lives.contradicting(checkpoint), false);
    let number = checkpoint.incarnation;
    if number >= lives.newest() {
        return check.compare(checkpoint);
    }
    let mut then = ChainCheck::of(start, lives.history(number, links));
    then.findings.clear();
    let standing = then.compare(checkpoint);
    let is_kept = checkpoint.head.is_none_or(|head| lives.has_kept(number, head));
    take_over(check, then.findings, is_kept);
    standing
}
