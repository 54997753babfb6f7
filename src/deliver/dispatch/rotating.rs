//! Replaces the shared secret of a subscription, and drops those that it has replaced.

use std::sync::Arc;

use serde_json::Value;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::ambient::Secret;
use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::subscriptions::{
    RecipientKeys, Subscription, SubscriptionError, Subscriptions, shared_secret_context,
};
use crate::telemetry::error_chain;

impl SubscriptionService {
    /// Gives a subscription another shared secret, which is returned and never shown again; the former
    /// one is good beside it for so many seconds. A sink that has yet to prove itself is asked anew, a
    /// moment after the answer.
    ///
    /// # Errors
    ///
    /// The caller's turn: it has no shared secret, it is closed, the overlap is out of bounds, or someone
    /// else wrote first. Ours: the registry failed.
    pub async fn rotate_secret(
        &self,
        current: &Arc<Subscription>,
        overlap: Option<u32>,
    ) -> Result<(Arc<Subscription>, Secret), SubscriptionServiceError> {
        let _changing = self.changing(&current.id).await;
        let (seen, now) = (self.again(current).await?, self.clock.now());
        let until = Subscriptions::overlap_of(&seen, overlap, now)?;
        // What does not open any more is of no use beside the new one.
        let until = self.opened_secret(&seen).map_or(now, |_| until);
        let (kept, shown) = self.sealer().new_shared_secret(&seen.id, &*self.entropy);
        let begins =
            |kept: &str| self.first_handshake(&seen.id, &seen.document, (Some(kept), None));
        let handshake = if seen.awaits_proof() { begins(&kept) } else { None };
        let rotated =
            self.subscriptions.rotate_secret(&seen, kept, (now, until), handshake).await?;
        self.dispatch.changed(&rotated).await;
        Ok((rotated, shown))
    }

    /// Drops the former secrets of all subscriptions that are good no more. Where that fails of one it is
    /// tried again with the next call.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn drop_ended_secrets(&self) -> Result<(), SubscriptionServiceError> {
        for seen in self.subscriptions.list().await? {
            // Most have none, and nobody waits for them.
            if seen.has_ended_secret(self.clock.now())
                && let Err(error) = self.drop_ended_secrets_of(&seen).await
            {
                tracing::error!(
                    subscription.id = %seen.id,
                    error = %error_chain(&error),
                    "Former secrets of subscription {} that have ended are still kept", seen.shown(),
                );
            }
        }
        Ok(())
    }

    async fn drop_ended_secrets_of(
        &self,
        seen: &Subscription,
    ) -> Result<(), SubscriptionServiceError> {
        let _changing = self.changing(&seen.id).await;
        let current = match self.again(seen).await {
            // It was removed, and its secrets with it.
            Err(SubscriptionServiceError::Subscription(SubscriptionError::Unknown(_))) => {
                return Ok(());
            }
            current => current?,
        };
        if current.has_ended_secret(self.clock.now()) {
            let changed = self.subscriptions.drop_ended_secrets(&current).await?;
            // Its worker has nothing to begin anew for.
            self.dispatch.replaced(&changed);
        }
        Ok(())
    }

    /// Whether a JWK Set is the newest shared secret of a subscription.
    pub fn has_secret(&self, subscription: &Subscription, told: &Value) -> bool {
        let opened = self.opened_secret(subscription);
        let kept = opened.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        kept.is_some_and(|kept| {
            kept.to_string().as_bytes().ct_eq(told.to_string().as_bytes()).into()
        })
    }

    /// The newest shared secret of a subscription, if it has one that opens.
    fn opened_secret(&self, subscription: &Subscription) -> Option<Zeroizing<Vec<u8>>> {
        let RecipientKeys::Shared(kept) = &subscription.keys else { return None };
        self.data_key.open(&shared_secret_context(&subscription.id), kept).ok()
    }
}
