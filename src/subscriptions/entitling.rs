//! Records what the consumer of a subscription may hear, and what of that has ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::access::{ComingEnd, EndedAccess, Entitlement};
use crate::eventlog::Position;
use crate::subscriptions::writing::begin_epoch;
use crate::subscriptions::{Epoch, Subscription, SubscriptionError, Subscriptions};

/// Publications whose end is kept with a subscription, the newest.
const MOST_ENDED: usize = 64;

impl Subscriptions {
    /// Records what the consumer of a subscription may hear from a position on, and which
    /// publications it cannot hear any more.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn entitle(
        &self,
        current: &Subscription,
        (entitlement, ended): (&Entitlement, Vec<EndedAccess>),
        (from, low_watermark): (Position, Position),
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = self.kept(current).await?;
        // The newest filter goes on as it is.
        if let Some(newest) = kept.epochs.last().cloned() {
            let next = Epoch { from, entitlement: Arc::new(entitlement.clone()), ..newest };
            begin_epoch(&mut kept.epochs, next, low_watermark);
        }
        let heard = |one: &EndedAccess| entitlement.hears(&one.publication, self.clock.now());
        let anew: BTreeSet<&str> = ended.iter().map(|one| one.publication.as_str()).collect();
        kept.ended.retain(|one| !anew.contains(one.publication.as_str()) && !heard(one));
        kept.ended.extend(ended);
        let surplus = kept.ended.len().saturating_sub(MOST_ENDED);
        kept.ended.drain(..surplus);
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Notes that the sink of a subscription was told of these ends, those that come among them, or is not
    /// told any more.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn note_told(
        &self,
        current: &Subscription,
        (ended, coming): (&[EndedAccess], Vec<ComingEnd>),
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = self.kept(current).await?;
        for one in &mut kept.ended {
            let is_it =
                |told: &EndedAccess| told.publication == one.publication && told.at == one.at;
            one.told = one.told || ended.iter().any(is_it);
        }
        kept.told_coming = coming;
        self.keep(&current.id, Some(current.revision), kept).await
    }
}
