//! Why the ring could not be read or changed.

use crate::event::{Blame, Fault};
use crate::keys::{KeyError, KeyFailure, SigningAlgorithm, StoreError};

/// Why the ring could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The store failed, and says what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document that the gateway did not write.
    #[error("{place} is not a key of the gateway: move it out of the directory")]
    Foreign {
        /// Where it is.
        place: String,
    },
    /// A document that is not whole.
    #[error(
        "{place} is damaged ({reason}): restore it from a backup, or move it out of the directory to go on without this key"
    )]
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The keys are not those any more that the gateway runs with.
    #[error(
        "{place} is gone or another than the gateway runs with: put the key directory back, which is noticed within seconds; a start without it is refused"
    )]
    Replaced {
        /// Where the data key should be.
        place: String,
    },
    /// A key that the cryptographic library refuses.
    #[error(
        "{place} holds a key that cannot be used: restore it from a backup, or move it out of the directory to go on without this key"
    )]
    Unusable {
        /// Where it is.
        place: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The cryptographic library failed.
    #[error(transparent)]
    Failure(#[from] KeyFailure),
    /// There is no key of this name.
    #[error("there is no key `{0}`: `sealway keys list` shows those there are")]
    Unknown(String),
    /// The settings name no such algorithm.
    #[error("{0} has no keys here: name it in `keys.algorithms` first")]
    NotOffered(SigningAlgorithm),
}

impl Blame for RingError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown(_) | Self::NotOffered(_) => Fault::Caller,
            Self::Store(error) => error.fault(),
            Self::Foreign { .. }
            | Self::Damaged { .. }
            | Self::Replaced { .. }
            | Self::Unusable { .. }
            | Self::Failure(_) => Fault::Ours,
        }
    }
}
