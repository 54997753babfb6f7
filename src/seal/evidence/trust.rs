//! Whom whoever verifies a bundle believes.

use std::time::Duration;

use crate::event::{DocumentAsk, Timestamp};
use crate::keys::{OpeningKeys, VerifyingKeys};
use crate::seal::evidence::WitnessTrust;

/// What a bundle is judged with.
#[derive(Clone, Copy)]
pub struct BundleTrust<'a> {
    /// The gateway's keys from elsewhere; without them the bundle's own are believed.
    pub issuer_keys: Option<&'a VerifyingKeys>,
    /// The consumer's private keys; with them the tokens are opened.
    pub opening_keys: Option<&'a OpeningKeys>,
    /// The consumer's keys for receipts from elsewhere; without them the bundle's own are believed. With them a
    /// receipt under another key is a flaw.
    pub receipt_keys: Option<&'a VerifyingKeys>,
    /// Every issuer that is believed, those that the gateway had before included; none: the one that the bundle
    /// names.
    pub issuers: &'a [String],
    /// What the subscription asks for by the consumer's own documents; with them, anything else is a flaw.
    pub documents: &'a [DocumentAsk],
    /// The witnesses that must have cosigned the tree over the log; without them nobody need have.
    pub witnesses: Option<&'a WitnessTrust>,
    /// The present moment.
    pub now: Timestamp,
}

impl BundleTrust<'_> {
    /// How far the clocks of two sides may differ.
    pub const LEEWAY: Duration = Duration::from_mins(1);

    /// Believes whatever keys the bundle brings.
    pub const fn none(now: Timestamp) -> Self {
        Self {
            issuer_keys: None,
            opening_keys: None,
            receipt_keys: None,
            issuers: &[],
            documents: &[],
            witnesses: None,
            now,
        }
    }

    /// Whether an issuer is one that is believed.
    pub fn believes(&self, issuer: &str) -> bool {
        self.issuers.is_empty() || self.issuers.iter().any(|one| one == issuer)
    }

    /// Every name that receipts to the gateway may have as their audience, beginning with that of the bundle:
    /// those that are believed and, where nothing was said of that, those that the bundle says.
    pub(super) fn addressees<'b>(
        &'b self,
        issuer: &'b str,
        aliases: &'b [String],
    ) -> impl Iterator<Item = &'b str> {
        let said = aliases.iter().filter(|_| self.issuers.is_empty());
        let others = self.issuers.iter().chain(said).map(String::as_str);
        std::iter::once(issuer).chain(others.filter(move |one| *one != issuer))
    }
}
