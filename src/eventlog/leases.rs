//! The seam that says who delivers.

use async_trait::async_trait;

use crate::eventlog::LogError;

/// Numbers the owners of delivery, the newest highest. What an older one commits is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingEpoch(pub u64);

/// Gives delivery to one owner at a time.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes delivery over. From now on whoever had it is fenced: the
    /// [changes](crate::eventlog::Changes) of an older epoch are refused whole, with
    /// [`CommitError::Fenced`](crate::eventlog::CommitError::Fenced).
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn acquire(&self) -> Result<FencingEpoch, LogError>;
}

/// One owner for ever, of a store that is locked for this process.
pub struct SoleOwner;

#[async_trait]
impl Leases for SoleOwner {
    async fn acquire(&self) -> Result<FencingEpoch, LogError> {
        Ok(FencingEpoch::default())
    }
}
