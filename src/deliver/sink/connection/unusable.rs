//! Why a credential that is kept cannot be used.

use crate::event::{Blame, Fault};
use crate::subscriptions::CredentialError;

/// Why a credential that is kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be decrypted.
    #[error(transparent)]
    Sealed(#[from] CredentialError),
    /// A part that was good when it was kept is not now.
    #[error("a part of the sink credential cannot be used; send it again")]
    Part,
}

impl Blame for Unusable {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}
