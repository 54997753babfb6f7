//! What a subscription asked for at the places of a bundle of evidence.

use std::sync::Arc;

use crate::deliver::{Sealer, SealerError};
use crate::event::{EventId, SubscriptionAsk};
use crate::eventlog::{Position, SequenceCheckpoint};
use crate::subscriptions::{Epoch, Subscription};
use crate::transparency::TreeHead;

/// Walks along the epochs of a subscription, as a bundle goes along its log.
pub(super) struct AskedEpochs {
    subscription: Arc<Subscription>,
    at: usize,
}

impl AskedEpochs {
    /// Begins with what applies to the events behind a place.
    pub(super) fn behind(subscription: &Arc<Subscription>, place: Position) -> Self {
        let begun = subscription.epochs.iter().filter(|epoch| epoch.from.0 <= place.0 + 1).count();
        Self { subscription: Arc::clone(subscription), at: begun.saturating_sub(1) }
    }

    /// What is asked for at the place that was come to.
    pub(super) fn now(&self) -> Option<SubscriptionAsk> {
        self.subscription.epochs.get(self.at).map(Epoch::asks_for)
    }

    /// Goes on by one epoch, if one begins up to a position.
    pub(super) fn next_up_to(&mut self, position: Position) -> Option<SubscriptionAsk> {
        let next = self.subscription.epochs.get(self.at + 1);
        let next = next.filter(|next| next.from <= position).map(Epoch::asks_for);
        self.at += usize::from(next.is_some());
        next
    }

    /// Signs a place with what is asked for there.
    ///
    /// # Errors
    ///
    /// Ours: there is no key to sign with.
    pub(super) fn sign(
        &self,
        sealer: &Sealer,
        place: SequenceCheckpoint,
        at: (Option<EventId>, Option<TreeHead>),
    ) -> Result<String, SealerError> {
        let asked = self.now().as_ref().map(SubscriptionAsk::digest);
        sealer.sign_place(&self.subscription, place, at, asked)
    }
}
