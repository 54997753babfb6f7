//! Signed receipts of delivery, as they are kept.

use std::fmt;
use std::sync::Arc;

use crate::event::{Timestamp, TokenDigest};
use crate::eventlog::DeliveryKey;

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
