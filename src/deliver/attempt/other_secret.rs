//! Offers a sink the same event under another shared secret, where it refuses the first.

use std::sync::Arc;

use crate::deliver::attempt::attempter::parcel;
use crate::deliver::attempt::sealer::{SealedEvent, Sealer};
use crate::deliver::outcome::Delivery;
use crate::deliver::sink::{AnswerKind, Destination, SinkAnswer, SinkTarget};
use crate::subscriptions::{OuterKey, RecipientKeys};

/// Whether a sink that has another secret answers like this.
const fn may_have_another(answer: &SinkAnswer) -> bool {
    matches!(answer.kind, AnswerKind::OtherKey | AnswerKind::Refused | AnswerKind::Unauthorised)
}

impl Sealer {
    /// Offers an event that a sink has refused under each other shared secret that is good, if there are
    /// several, until it takes one; gives that answer and what was sealed, or nothing.
    ///
    /// Not cancel safe, as an attempt is not.
    pub(super) async fn offer_under_another(
        &self,
        delivery: &Delivery,
        (refused, answer): (&SealedEvent, &SinkAnswer),
        (destination, target): (&dyn Destination, &Arc<SinkTarget>),
        outer_key: Option<OuterKey>,
    ) -> Option<(SealedEvent, SinkAnswer)> {
        let subscription = &delivery.subscription;
        let RecipientKeys::Shared(newest) = &subscription.keys else { return None };
        if !may_have_another(answer) {
            return None;
        }
        let now = self.parts.clock.now();
        for secret in self.overlap.in_order(subscription, newest, now) {
            let generation = self.parts.ring.generation();
            let pair = self.pair_of_secret(subscription, secret).ok()?;
            let sealed = self.seal_with(delivery, pair, generation).await.ok()?;
            if sealed.key() == refused.key() {
                continue;
            }
            let parcel = parcel(delivery, &sealed, (self.issuer(), outer_key));
            let answer = destination.deliver(target, parcel).await;
            if answer.is_yes() {
                self.overlap.note_taken(subscription, secret);
                return Some((sealed, answer));
            }
        }
        None
    }
}
