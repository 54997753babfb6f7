//! Moves a subscription on because of what its sink has done.

use std::sync::Arc;

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::subscriptions::{Subscription, SubscriptionError, SubscriptionState};

impl SubscriptionService {
    /// Closes a subscription, or pauses one that is active, because of what the sink has done that it was
    /// seen with. Nothing where that says nothing of it any more: it has another sink by now, has moved on,
    /// or is gone.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn step_for_sink(
        &self,
        seen: &Subscription,
        to: SubscriptionState,
        reason: String,
    ) -> Result<Option<Arc<Subscription>>, SubscriptionServiceError> {
        // Until it is kept nobody gives it another sink.
        let _changing = self.changing(&seen.id).await;
        let current = match self.again(seen).await {
            Err(SubscriptionServiceError::Subscription(SubscriptionError::Unknown(_))) => {
                return Ok(None);
            }
            current => current?,
        };
        let is_meant = match to {
            SubscriptionState::Paused => current.state == SubscriptionState::Active,
            _ => current.state != SubscriptionState::Closed,
        };
        if !is_meant || current.sink != seen.sink {
            return Ok(None);
        }
        let changed = self.subscriptions.step(&current, to, Some(reason)).await?;
        self.dispatch.changed(&changed).await;
        Ok(Some(changed))
    }
}
