//! The tokens that a consumer has kept, opened and sorted by what they are.

use std::collections::BTreeSet;

use crate::event::{EventDigest, EventId, SubscriptionId};
use crate::proof::ChainTrust;
use crate::proof::lives::Lives;
use crate::seal::{
    ClaimFault, Link, MissingKey, Opened, PlaceClaims, missing_key, open, signer_of,
};
use crate::transparency::Incarnation;

/// Names of keys that are told to be missing.
const MOST_MISSING: usize = 32;

/// A stored token that does not open, or holds no event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusableToken {
    /// Where it stands, as the caller names it.
    pub at: String,
    /// The key that it takes and that is not there, if that is why.
    pub missing: Option<MissingKey>,
    /// What the gateway has signed in it that cannot be true, if that is why.
    pub fault: Option<ClaimFault>,
}

/// Other subscriptions that are named.
const MOST_NAMED: usize = 10;

/// What was read of one subscription.
#[derive(Debug, Default)]
pub struct StoredTokens {
    /// All tokens.
    pub tokens: usize,
    /// Those with a place in the chain.
    pub links: Vec<Link>,
    /// Those of replays.
    pub replays: usize,
    /// What those are of.
    pub(super) replayed: Vec<(EventId, EventDigest)>,
    /// Tokens without a place, such as challenges, and those of other subscriptions.
    pub others: usize,
    /// The subscriptions whose those are, as far as they say.
    pub other_subscriptions: BTreeSet<String>,
    /// Those that do not open, or hold no event.
    pub unusable: Vec<UnusableToken>,
    /// The incarnations of the log, as far as they are declared, and what was numbered in which.
    pub(super) lives: Lives,
    /// The names of keys that would open or verify what does not.
    pub missing_keys: BTreeSet<String>,
}

impl StoredTokens {
    /// Takes one token; `at` says where it stands.
    pub fn take(
        &mut self,
        token: &str,
        at: impl FnOnce() -> String,
        (subscription, trust): (&SubscriptionId, &ChainTrust<'_>),
    ) {
        self.tokens += 1;
        let mut fault = None;
        let opened = trust.openings().find_map(|opening| {
            let opened = open(token, &opening);
            opened.inspect_err(|error| fault = fault.or(error.claim())).ok()
        });
        let Some(opened) = opened else {
            let missing = trust.openings().next().and_then(|opening| missing_key(token, &opening));
            if let Some(key) = &missing {
                self.lacks(key.kid());
            }
            return self.unusable.push(UnusableToken { at: at(), missing, fault });
        };
        if opened.subscription() != Some(subscription.as_str()) {
            self.others += 1;
            if let Some(other) =
                opened.subscription().filter(|_| self.other_subscriptions.len() < MOST_NAMED)
            {
                self.other_subscriptions.insert(other.to_owned());
            }
        } else if opened.replay().is_some() {
            self.replays += 1;
            self.replayed.extend(named(&opened));
        } else if let Some(place) = opened.place() {
            match link(&opened, place) {
                Some(link) => {
                    self.lives.note(link.id, opened.incarnation());
                    self.links.push(link);
                }
                None => self.unusable.push(UnusableToken { at: at(), missing: None, fault: None }),
            }
        } else {
            self.others += 1;
        }
    }

    /// Takes the signed record of an incarnation of the log; `at` says where it stands.
    pub fn take_incarnation(
        &mut self,
        token: &str,
        at: impl FnOnce() -> String,
        trust: &ChainTrust<'_>,
    ) {
        if let Some(record) = trust.read_incarnation(token) {
            return self.lives.take(&record);
        }
        let missing = signer_of(token).filter(|kid| trust.issuer_keys.get(kid).is_none());
        if let Some(kid) = &missing {
            self.lacks(kid);
        }
        self.unusable.push(UnusableToken {
            at: at(),
            missing: missing.map(MissingKey::Issuer),
            fault: None,
        });
    }

    /// The incarnations of the log that are declared, oldest first, without the first one.
    pub fn incarnations(&self) -> impl Iterator<Item = &Incarnation> {
        self.lives.records.values()
    }

    /// Notes the name of a key that is not there.
    pub(super) fn lacks(&mut self, kid: &str) {
        if self.missing_keys.len() < MOST_MISSING {
            self.missing_keys.insert(kid.to_owned());
        }
    }
}

fn link(opened: &Opened, place: PlaceClaims) -> Option<Link> {
    named(opened).map(|(id, digest)| Link { id, place, digest })
}

/// The id and the digest of an event; nothing if it has another id than its token, or is no event.
fn named(opened: &Opened) -> Option<(EventId, EventDigest)> {
    opened.event().get("id").filter(|id| id.as_str() == Some(opened.id()))?;
    Some((opened.id().parse().ok()?, opened.digest()?))
}
