//! Replaces the shared secret of a subscription.

use std::sync::Arc;

use serde_json::Value;
use subtle::ConstantTimeEq as _;

use crate::ambient::Secret;
use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::subscriptions::{RecipientKeys, Subscription, Subscriptions, shared_secret_context};

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
        let until = if seen.opens_under(&self.data_key) { until } else { now };
        let (kept, shown) = self.sealer().new_shared_secret(&seen.id, &*self.entropy);
        let begins =
            |kept: &str| self.first_handshake(&seen.id, &seen.document, (Some(kept), None));
        let handshake = if seen.awaits_proof() { begins(&kept) } else { None };
        let rotated =
            self.subscriptions.rotate_secret(&seen, kept, (now, until), handshake).await?;
        self.dispatch.changed(&rotated).await;
        Ok((rotated, shown))
    }

    /// Whether a JWK Set is the newest shared secret of a subscription.
    pub fn has_secret(&self, subscription: &Subscription, told: &Value) -> bool {
        let RecipientKeys::Shared(kept) = &subscription.keys else { return false };
        let opened = self.data_key.open(&shared_secret_context(&subscription.id), kept);
        let kept = opened.ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        kept.is_some_and(|kept| {
            kept.to_string().as_bytes().ct_eq(told.to_string().as_bytes()).into()
        })
    }
}
