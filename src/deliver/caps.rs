//! The most that a subscription may ask for, by the operator's word.

use crate::deliver::Allowance;
use crate::subscriptions::{Document, Error, Invalid, Subscription};

/// The most that a subscription may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Attempts under way at once.
    pub parallel: u16,
    /// Attempts per second; nothing: as many as its sink takes.
    pub rate: Option<u32>,
}

impl Default for Caps {
    /// As many at once as a document can ask for, at any rate.
    fn default() -> Self {
        Self { parallel: 256, rate: None }
    }
}

impl Caps {
    /// Checks what a document asks for.
    ///
    /// # Errors
    ///
    /// The caller's turn: it asks for more than the operator lets it.
    pub fn check(&self, document: &Document) -> Result<(), Error> {
        let asked = [
            ("parallel", document.config.parallel.map(u32::from), Some(self.parallel.into())),
            ("rate", document.config.rate, self.rate),
        ];
        for (name, asked, most) in asked {
            if let (Some(asked), Some(most)) = (asked, most)
                && asked > most
            {
                let problem = format!(
                    "{asked} is more than this gateway allows: use {most} at the most, or ask its \
                     operator (`delivery.maximum-{name}`)",
                );
                return Err(Invalid { pointer: format!("/config/{name}"), problem }.into());
            }
        }
        Ok(())
    }

    /// How many attempts a subscription may have at once and per second: what it was allowed to ask
    /// for once may be more than it may now.
    pub(super) fn bound(
        self,
        subscription: &Subscription,
        general: Allowance,
    ) -> (u16, Option<u32>) {
        let parallel = subscription.parallel.unwrap_or(general.parallel).min(self.parallel);
        let rate = subscription.document.config.rate.or(general.rate);
        (parallel, rate.into_iter().chain(self.rate).min())
    }
}
