//! The seam to signed receipts of delivery.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{EventId, SubscriptionId, Timestamp, TokenDigest};
use crate::eventlog::{DeliveryKey, LogError, Page, ReceiptKey};

/// Names a kept receipt; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(pub u64);

/// A consumer's signed word that it has received a token. Whoever keeps one has checked it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptReceipt {
    /// Its name; the engine gives it, and ignores what a new one holds here.
    pub id: ReceiptId,
    /// Which delivery.
    pub key: DeliveryKey,
    /// The sequence number of the delivery; nothing in a replay.
    pub sequence: Option<u64>,
    /// When it was received.
    pub at: Timestamp,
    /// The digest of the token that was received.
    pub token: TokenDigest,
    /// The receipt itself, a compact JWS.
    pub jws: Arc<str>,
}

/// Shows names only, because a consumer may have put anything into what it signs.
impl fmt::Debug for KeptReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({}, {:?}, {})", self.id.0, self.key, self.token)
    }
}

/// Keeps the receipts that were [committed](crate::eventlog::DeliveryState::commit), until they are
/// too old or too many.
#[async_trait]
pub trait Receipts: Send + Sync {
    /// Lists the receipts of a subscription with an id above `after`, oldest first; of one event or of
    /// all.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn receipts(
        &self,
        subscription: &SubscriptionId,
        event: Option<EventId>,
        after: ReceiptId,
        page: Page,
    ) -> Result<Vec<KeptReceipt>, LogError>;

    /// Lists the keys under which receipts of a subscription were checked, the one that was used last
    /// first. Each is kept as long as a receipt under it, [at most so many](ReceiptKey::MOST).
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn receipt_keys(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<Vec<ReceiptKey>, LogError>;

    /// Counts receipts of delivery by subscription.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn count_receipts(&self) -> Result<Vec<(SubscriptionId, u64)>, LogError>;

    /// Drops the oldest receipts of a subscription, at most so many; says how many went.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the store failed.
    async fn drop_receipts(
        &self,
        subscription: &SubscriptionId,
        most: usize,
    ) -> Result<usize, LogError>;
}
