//! Whom a consumer believes about what it has kept.

use crate::event::{DocumentAsk, Timestamp};
use crate::keys::{OpeningKeys, VerifyingKeys};
use crate::seal::{Checkpoint, CheckpointReader, IncarnationReader, Opening};
use crate::transparency::Incarnation;

/// Whom a consumer believes, and with what it opens its tokens.
#[derive(Clone, Copy)]
pub struct ChainTrust<'a> {
    /// The consumer's private keys.
    pub keys: &'a OpeningKeys,
    /// The gateway's public keys.
    pub issuer_keys: &'a VerifyingKeys,
    /// Every `iss` that is believed: the gateway's, and those that it had before.
    pub issuers: &'a [String],
    /// The consumer's own name.
    pub audience: &'a str,
    /// What the subscription asks for by the consumer's own documents; with them, a checkpoint that says
    /// anything else is a flaw.
    pub documents: &'a [DocumentAsk],
    /// The present moment.
    pub now: Timestamp,
}

impl<'a> ChainTrust<'a> {
    /// What is expected of stored tokens, for each issuer.
    pub(super) fn openings(self) -> impl Iterator<Item = Opening<'a>> {
        self.issuers.iter().map(move |issuer| Opening {
            stored: true,
            ..Opening::new(self.keys, self.issuer_keys, issuer, self.audience, self.now)
        })
    }

    /// Reads the record of an incarnation by any of the issuers.
    pub(super) fn read_incarnation(self, token: &str) -> Option<Incarnation> {
        self.openings().find_map(|opening| {
            let reader = IncarnationReader {
                issuer_keys: opening.issuer_keys,
                issuer: opening.issuer,
                latest: opening.now.after(opening.leeway),
            };
            reader.read(token).ok()
        })
    }

    /// Reads a checkpoint by any of the issuers, whatever its date.
    pub(super) fn read(self, token: &str) -> Option<Checkpoint> {
        self.openings().find_map(|opening| {
            let reader = CheckpointReader {
                issuer_keys: opening.issuer_keys,
                issuer: opening.issuer,
                audience: opening.audience,
                now: Timestamp::MAX,
                leeway: opening.leeway,
            };
            reader.read(token).ok()
        })
    }
}
