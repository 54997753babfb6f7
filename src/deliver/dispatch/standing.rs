//! Says how far a subscription has come, signed.

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::eventlog::{Page, Position};
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
        let before = Position(standing.scanned.0.saturating_sub(1));
        let head = self.store.log.read(before, Page { items: 1, bytes: 1 }).await?;
        let head = head.first().filter(|entry| entry.position == standing.scanned);
        let head = if let Some(entry) = head {
            Some(entry.event.id)
        } else {
            self.store.log.fresh_head().await?;
            let low_watermark = self.store.log.low_watermark();
            (low_watermark.position == standing.scanned).then_some(low_watermark.id)
        };
        // With the last that it could hear, there is nothing more to come.
        let closing = !subscription.ended.is_empty() && self.hears_nothing(subscription);
        let newest = (standing.sequence, standing.chain);
        // Taken last, so that it has everything that is told of.
        let tree = self.store.tree.tree_head().await?;
        Ok(self.sealer().sign_standing(subscription, newest, (head, closing), tree)?)
    }
}
