//! The consumers' keys under which receipts were checked.

use std::sync::Arc;

use crate::event::SubscriptionId;

/// A public key of a consumer under which a receipt was checked, kept as long as the last such receipt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceiptKey {
    /// Whose receipts.
    pub subscription: SubscriptionId,
    /// The name that the receipts call it by, which a consumer may give to another key later.
    pub kid: Arc<str>,
    /// Its RFC 7638 thumbprint.
    pub thumbprint: Arc<str>,
    /// The key, a JWK; opaque here.
    pub jwk: Arc<str>,
}

impl ReceiptKey {
    /// So many are kept of one subscription; of more, the one that was not used for longest goes. Nobody
    /// rotates so often, and a consumer cannot fill the disk by it.
    pub const MOST: usize = 100;
}
