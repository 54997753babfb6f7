//! Says how far a subscription has come, signed.

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::subscriptions::{Subscription, SubscriptionError};

impl SubscriptionService {
    /// Signs how far a subscription has come: nothing up to `head` is for it beyond `seq`.
    ///
    /// # Errors
    ///
    /// Ours: the log failed or there is no signing key.
    pub async fn checkpoint(
        &self,
        subscription: &Subscription,
    ) -> Result<String, SubscriptionServiceError> {
        let standing = self.dispatch.standing(&subscription.id);
        let standing =
            standing.ok_or_else(|| SubscriptionError::Unknown(subscription.id.clone()))?;
        // It names no event that the consumer may not know of.
        let head = self.newest_heard(subscription, standing.scanned).await?;
        // With the last that it could hear, there is nothing more to come.
        let closing = !subscription.ended.is_empty() && self.hears_nothing(subscription);
        let newest = (standing.sequence, standing.chain);
        let ending = self.coming_ends(subscription);
        // Taken last, so that it has everything that is told of.
        let tree = self.store.tree.tree_head().await?;
        Ok(self.sealer().sign_standing(subscription, newest, (head, closing), &ending, tree)?)
    }
}
