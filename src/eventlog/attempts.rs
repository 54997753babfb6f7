//! The seam to the delivery log: one line for each try.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::eventlog::{DeliveryKey, LogError, Page};

/// One try at delivering, kept for people who ask what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Its count, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// What it meant, as a word of the closed list that `deliver` keeps.
    pub verdict: Arc<str>,
    /// What went wrong, shortened; empty on success.
    pub detail: Arc<str>,
    /// What the check of a receipt came to, as a word of the closed list that `seal` keeps; nothing
    /// where none is asked for, or where the sink did not say yes.
    pub receipt: Option<Arc<str>>,
}

/// Lists the attempts that were [committed](crate::eventlog::DeliveryState::commit). The oldest go
/// by age and number.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Lists attempts, newest first: of one subscription or of one event or of both.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn attempts(
        &self,
        subscription: Option<&SubscriptionId>,
        event: Option<EventId>,
        page: Page,
    ) -> Result<Vec<Attempt>, LogError>;
}
