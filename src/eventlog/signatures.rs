//! The seam to signatures of producers that were seen lately.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::LogError;

/// An invocation that came under a signature; opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSignature {
    /// The access key id.
    pub access_key: Arc<str>,
    /// The moment that the signature names, to the second.
    pub signed_at: Timestamp,
    /// The signature, shortened.
    pub signature: [u8; 16],
    /// The name of the invocation.
    pub invocation: [u8; 32],
    /// Whether it came first under the signature.
    pub is_first: bool,
}

/// Keeps signatures for minutes.
#[async_trait]
pub trait SignatureStore: Send + Sync {
    /// Keeps an invocation, unless it is kept already under its signature, and forgets signatures
    /// that name a moment before `oldest`. What is appended by a later call is not durable before it.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the store failed.
    ///
    /// # Cancel safety
    ///
    /// What was begun is kept, also if nobody waits for it.
    async fn keep_signature(&self, seen: KeptSignature, oldest: Timestamp) -> Result<(), LogError>;

    /// Lists the signatures that name this moment or a later one, the oldest first, and of each
    /// signature the invocation that came first.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn kept_signatures(&self, since: Timestamp) -> Result<Vec<KeptSignature>, LogError>;
}
