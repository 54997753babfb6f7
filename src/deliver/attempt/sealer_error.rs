//! Why an event could not be sealed.

use std::sync::Arc;

use crate::keys::{DataKeyError, KeyError, KeyFailure, RemoteKeysError, SigningAlgorithm};
use crate::seal::SealError;

/// Why an event could not be sealed; it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// There is no key that signs with the algorithm that the subscription asks for.
    #[error("the gateway has no active key for {0}")]
    NoSigningKey(SigningAlgorithm),
    /// The consumer's keys could not be had.
    #[error("the consumer's keys cannot be had")]
    Remote(#[source] Arc<RemoteKeysError>),
    /// The shared secret could not be decrypted.
    #[error("the shared secret cannot be decrypted with the data key")]
    SharedSecret(#[from] DataKeyError),
    /// The secret of the outer keys could not be decrypted.
    #[error("the secret of the outer keys cannot be decrypted with the data key")]
    OuterKey(#[source] DataKeyError),
    /// The shared secret could not be read.
    #[error("the shared secret cannot be read")]
    Damaged(#[from] KeyError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Sign(#[from] KeyFailure),
}
