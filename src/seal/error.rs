//! Why a token could not be made.

use crate::event::{Blame, Fault};
use crate::keys::KeyFailure;

/// Why a token could not be made. Never the caller's doing: keys and claims are valid already.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] KeyFailure),
    /// The content could not be encrypted.
    #[error("the cryptographic library could not encrypt a token")]
    Encrypt,
}

impl Blame for SealError {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}
