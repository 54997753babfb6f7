//! Lets filters go that applied to nothing but events that have left the log.

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::eventlog::Position;

impl SubscriptionService {
    /// Drops the filters that nothing in the log is asked for any more, now that it begins after this
    /// position.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn drop_old_epochs(
        &self,
        low_watermark: Position,
    ) -> Result<(), SubscriptionServiceError> {
        for seen in self.subscriptions.list().await? {
            // Most were never changed, and nobody waits for them.
            if seen.epochs.get(1).is_none_or(|second| second.from > low_watermark) {
                continue;
            }
            let _changing = self.changing(&seen.id).await;
            let Ok(current) = self.again(&seen).await else { continue };
            let dropped = self.subscriptions.drop_old_epochs(&current, low_watermark).await?;
            if let Some(changed) = dropped {
                self.dispatch.changed(&changed).await;
            }
        }
        Ok(())
    }
}
