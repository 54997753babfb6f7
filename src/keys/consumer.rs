//! Public keys of a consumer: given with the subscription, or at the address where it keeps them.

use std::sync::Arc;

use url::Url;

use crate::keys::{KeySet, PublicKeys, RemoteKeys, RemoteKeysError, SealingKey};

/// Where the keys of a consumer come from.
#[derive(Clone, Debug)]
pub enum ConsumerKeys<S: PublicKeys = KeySet> {
    /// Given with the subscription.
    Inline(Arc<S>),
    /// Kept by the consumer at an address, its `jwks_uri`.
    Remote(Url),
}

impl<S: PublicKeys> ConsumerKeys<S> {
    /// The set as it is known.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// For keys at an address only. The caller's turn: the address is not allowed. Later: its owner
    /// does not give a usable set.
    pub async fn known(&self, remote: &RemoteKeys<S>) -> Result<Arc<S>, Arc<RemoteKeysError>> {
        match self {
            Self::Inline(set) => Ok(Arc::clone(set)),
            // Boxed, because few keys are elsewhere.
            Self::Remote(url) => Box::pin(remote.get(url)).await,
        }
    }

    /// The set, fetched again because a key is not in the one that is known.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As for [`known`](Self::known).
    pub async fn renewed(&self, remote: &RemoteKeys<S>) -> Result<Arc<S>, Arc<RemoteKeysError>> {
        match self {
            Self::Inline(set) => Ok(Arc::clone(set)),
            Self::Remote(url) => Box::pin(remote.refresh(url)).await,
        }
    }
}

impl ConsumerKeys {
    /// The key to seal with now.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As for [`known`](Self::known).
    pub async fn current(&self, remote: &RemoteKeys) -> Result<SealingKey, Arc<RemoteKeysError>> {
        Ok(self.known(remote).await?.current().clone())
    }
}
