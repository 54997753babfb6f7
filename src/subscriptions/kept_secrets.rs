//! Which secrets of a subscription rest encrypted under the gateway's data key.

use crate::event::SubscriptionId;
use crate::keys::DataKey;
use crate::subscriptions::{RecipientKeys, Subscription};

impl Subscription {
    /// Whether anything of it rests encrypted.
    pub fn keeps_secrets(&self) -> bool {
        self.credential.is_some() || matches!(self.keys, RecipientKeys::Shared(_))
    }

    /// Whether everything of it that rests encrypted opens under a data key.
    pub fn opens_under(&self, data_key: &DataKey) -> bool {
        let credential = self.credential.as_ref();
        let shared = match &self.keys {
            RecipientKeys::Shared(kept) => Some(kept),
            RecipientKeys::Public(_) => None,
        };
        credential.is_none_or(|kept| kept.open(kept.current(), data_key).is_ok())
            && shared
                .is_none_or(|kept| data_key.open(&shared_secret_context(&self.id), kept).is_ok())
    }
}

/// Binds the two encrypted secret keys of a subscription to it, so that they cannot be moved to
/// another.
pub fn shared_secret_context(id: &SubscriptionId) -> String {
    format!("subscription/{id}/shared-secret")
}
