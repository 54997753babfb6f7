//! A credential that is kept encrypted, the former one beside the new one for a while.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::event::{Blame, Fault, SubscriptionId, Timestamp};
use crate::keys::{DataKey, DataKeyError};
use crate::subscriptions::SinkCredential;

/// What is kept of a credential: all of it, encrypted under the gateway's data key.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptCredential {
    pub(super) sealed: Arc<str>,
    pub(super) changed: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) former: Option<Former>,
}

#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Former {
    pub(super) sealed: Arc<str>,
    pub(super) until: Timestamp,
}

/// A credential that was kept and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It does not open.
    #[error("the sink credential cannot be decrypted with the data key")]
    Sealed(#[from] DataKeyError),
    /// What was encrypted is no credential; the cause is left out, because it may quote it.
    #[error("the sink credential cannot be read")]
    Damaged,
}

impl Blame for CredentialError {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}

/// The credential of one subscription, still encrypted.
#[derive(Clone)]
pub struct SealedCredential {
    subscription: SubscriptionId,
    pub(super) kept: Arc<KeptCredential>,
}

impl SealedCredential {
    pub(super) fn new(subscription: SubscriptionId, kept: KeptCredential) -> Self {
        Self { subscription, kept: Arc::new(kept) }
    }

    /// Whose it is.
    pub const fn subscription(&self) -> &SubscriptionId {
        &self.subscription
    }

    /// The one that holds; no two have the same text.
    pub fn current(&self) -> &Arc<str> {
        &self.kept.sealed
    }

    /// The one from before, while it is still tried.
    pub fn former(&self, now: Timestamp) -> Option<&Arc<str>> {
        self.kept.former.as_ref().filter(|former| now < former.until).map(|former| &former.sealed)
    }

    /// When the present one came.
    pub fn changed(&self) -> Timestamp {
        self.kept.changed
    }

    /// Until when the former one is tried, if it still is.
    pub fn former_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.kept.former.as_ref().map(|former| former.until).filter(|until| now < *until)
    }

    /// Decrypts the present or the former one.
    ///
    /// # Errors
    ///
    /// Ours: it was altered or moved, or the data key is another.
    pub fn open(
        &self,
        sealed: &str,
        data_key: &DataKey,
    ) -> Result<SinkCredential, CredentialError> {
        let text = data_key.open(&context(&self.subscription), sealed)?;
        serde_json::from_slice(&text).map_err(|_| CredentialError::Damaged)
    }
}

/// Shows nothing of it, not even encrypted.
impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedCredential(of {})", self.subscription)
    }
}

/// Shows nothing of it, not even encrypted.
impl fmt::Debug for KeptCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptCredential(…)")
    }
}

/// Encrypts a credential for its subscription.
pub(super) fn seal(
    id: &SubscriptionId,
    credential: &SinkCredential,
    data_key: &DataKey,
) -> Arc<str> {
    // Writing values of these types to memory cannot fail.
    let text = Zeroizing::new(serde_json::to_vec(credential).unwrap_or_default());
    data_key.seal(&context(id), &text).into()
}

/// Binds an encrypted credential to its subscription, so that it cannot be moved to another.
fn context(id: &SubscriptionId) -> String {
    format!("subscription/{id}/sink-credential")
}
