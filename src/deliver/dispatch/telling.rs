//! Tells sinks what their consumers cannot hear any more, or soon cannot: a signed checkpoint, which is no
//! event.

use std::sync::Arc;

use crate::access::ComingEnd;
use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::subscriptions::Subscription;

impl SubscriptionService {
    /// The subscriptions whose sinks are to be told of an end, or of one that comes.
    pub fn untold(&self) -> Vec<Arc<Subscription>> {
        let mut all = self.dispatch.subscriptions();
        all.retain(|one| {
            let is_untold = |end| !one.told_coming.contains(end);
            one.state.delivers()
                && !one.is_pulled()
                && (one.ended.iter().any(|end| !end.told)
                    || self.coming_ends(one).iter().any(is_untold))
        });
        all
    }

    /// Tells the sink of a subscription; says whether it has taken it.
    ///
    /// # Errors
    ///
    /// Ours: the log or the registry failed, or there is no key to sign with.
    pub async fn tell_end(
        &self,
        subscription: &Arc<Subscription>,
    ) -> Result<bool, SubscriptionServiceError> {
        let coming = self.coming_ends(subscription);
        let statement = self.checkpoint(subscription).await?;
        let is_taken = self.dispatch.tell_sink(subscription, statement).await;
        if is_taken {
            self.note_told(subscription, coming).await?;
        }
        Ok(is_taken)
    }

    /// Notes that a sink is not told any more of what has ended for its subscription by now, nor of what
    /// ends soon.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription is gone, or someone else wrote first. Ours: the registry
    /// failed.
    pub async fn note_told(
        &self,
        subscription: &Arc<Subscription>,
        coming: Vec<ComingEnd>,
    ) -> Result<(), SubscriptionServiceError> {
        let _changing = self.changing(&subscription.id).await;
        let current = self.again(subscription).await?;
        let told = self.subscriptions.note_told(&current, (&subscription.ended, coming)).await?;
        self.dispatch.changed(&told).await;
        Ok(())
    }
}
