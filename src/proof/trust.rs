//! Whom a consumer believes about what it has kept.

use crate::event::{DocumentAsk, Timestamp};
use crate::keys::{OpeningKeys, VerifyingKeys};
use crate::seal::{Checkpoint, CheckpointReader, Opening};

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
