//! Offers a sink the same event under another shared secret, where it refuses the first.

use std::sync::Arc;

use crate::deliver::attempt::attempter::parcel;
use crate::deliver::attempt::sealer::{Pair, SealedEvent, Sealer};
use crate::deliver::outcome::Delivery;
use crate::deliver::sink::{AnswerKind, Destination, SinkAnswer, SinkTarget};
use crate::subscriptions::{OuterKey, RecipientKeys};

/// Whether a sink that has another secret answers like this.
const fn may_have_another(answer: &SinkAnswer) -> bool {
    matches!(answer.kind, AnswerKind::OtherKey | AnswerKind::Refused | AnswerKind::Unauthorised)
}

impl Sealer {
    /// Offers an event that a sink has refused under one other shared secret, if several are good; gives
    /// that answer and what was sealed, or nothing where it is refused like the first. What is left is the
    /// turn of further attempts.
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
        let (now, generation) = (self.parts.clock.now(), self.parts.ring.generation());
        // One that does not open is none.
        let open =
            |secret| Some((secret, Pair::of_secret(&self.opened(subscription, secret).ok()?)));
        let all = self.overlap.in_order(subscription, newest, now).into_iter().filter_map(open);
        let mut others: Vec<(&str, Pair)> =
            all.filter(|(_, pair)| pair.sealing != *refused.key()).collect();
        // By event as well: one that is given up at once must not leave the next with the same turn.
        let turn = delivery.rank().wrapping_add(delivery.attempts.into());
        let turn = usize::try_from(turn.checked_rem(others.len() as u64)?).ok()?;
        let (secret, pair) = others.swap_remove(turn);
        let sealed = self.seal_with(delivery, pair, generation).await.ok()?;
        let parcel = parcel(delivery, &sealed, (self.issuer(), outer_key));
        let answer = destination.deliver(target, parcel).await;
        if answer.is_yes() {
            self.overlap.note_taken(subscription, secret, now);
        }
        (!may_have_another(&answer)).then_some((sealed, answer))
    }
}
