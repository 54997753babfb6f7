//! Which secrets of a subscription rest encrypted under the gateway's data key.

use std::sync::Arc;

use crate::event::{IdempotencyKey, SubscriptionId, Timestamp};
use crate::keys::{DataKey, DataKeyError};
use crate::subscriptions::{
    OuterKey, RecipientKeys, Subscription, SubscriptionError, Subscriptions,
};

impl Subscription {
    /// Whether anything of it rests encrypted.
    pub fn keeps_secrets(&self) -> bool {
        self.credential.is_some()
            || self.outer_key_secret.is_some()
            || matches!(self.keys, RecipientKeys::Shared(_))
    }

    /// Whether everything of it that rests encrypted and is good at a moment opens under a data key.
    pub fn opens_under(&self, data_key: &DataKey, now: Timestamp) -> bool {
        let credential = self.credential.as_ref();
        let shared = match &self.keys {
            RecipientKeys::Shared(kept) => Some(kept),
            RecipientKeys::Public(_) => None,
        };
        self.opens_outer_keys_under(data_key)
            && credential.is_none_or(|kept| kept.open(kept.current(), data_key).is_ok())
            && shared
                .into_iter()
                .chain(self.former_secrets(now).map(|former| &former.sealed))
                .all(|kept| data_key.open(&shared_secret_context(&self.id), kept).is_ok())
    }

    /// Whether the secret of its outer keys opens under a data key, if it has one.
    pub fn opens_outer_keys_under(&self, data_key: &DataKey) -> bool {
        self.outer_key_secret.as_ref().is_none_or(|sealed| sealed.open(data_key).is_ok())
    }

    /// What stands for an idempotency key outside of its tokens; nothing for a subscription that has
    /// no secret yet, which shows none.
    ///
    /// # Errors
    ///
    /// Ours: the secret does not open.
    pub fn outer_key(
        &self,
        key: IdempotencyKey,
        data_key: &DataKey,
    ) -> Result<Option<OuterKey>, DataKeyError> {
        let Some(sealed) = &self.outer_key_secret else { return Ok(None) };
        Ok(Some(sealed.open(data_key)?.outer_key(key)))
    }
}

impl Subscriptions {
    /// Gives a subscription this secret for its outer keys, encrypted, in the place of the one that it
    /// has or lacks; it is durable once this returns.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn give_outer_key_secret(
        &self,
        current: &Subscription,
        sealed: String,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = self.kept(current).await?;
        kept.outer_key_secret = Some(sealed);
        self.keep(&current.id, Some(current.revision), kept).await
    }
}

/// Binds the two encrypted secret keys of a subscription to it, so that they cannot be moved to
/// another.
pub fn shared_secret_context(id: &SubscriptionId) -> String {
    format!("subscription/{id}/shared-secret")
}
