//! The hash chain over everything that one subscription was sent, so that a gap shows.

use std::fmt;
use std::str::FromStr;

use base64_simd::AsOut as _;
use sha2::{Digest, Sha256};

use crate::event::{EventDigest, EventId, SubscriptionId};

/// What a subscription's chain has come to after some event.
///
/// The value after an event is the SHA-256 of the 32 bytes of the value before it, the 26
/// characters of the event id, and the 32 bytes of the event's [`EventDigest`]. The value before
/// the first event is the SHA-256 of `sealway chain 1`, a newline, and the subscription id. The
/// text form is unpadded base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainValue([u8; 32]);

impl ChainValue {
    /// The value before the first event of a subscription.
    pub fn start(subscription: &SubscriptionId) -> Self {
        let hash = Sha256::new_with_prefix("sealway chain 1\n").chain_update(subscription.as_str());
        Self(hash.finalize().into())
    }

    /// The value after one more event.
    pub fn next(self, id: EventId, digest: EventDigest) -> Self {
        let hash = Sha256::new_with_prefix(self.0)
            .chain_update(id.text(&mut [0; EventId::TEXT_BYTES]))
            .chain_update(digest.to_bytes());
        Self(hash.finalize().into())
    }

    /// Takes the bytes of a value.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes of the value.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for ChainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 43];
        f.write_str(
            base64_simd::URL_SAFE_NO_PAD.encode_as_str(&self.0, text.as_mut_slice().as_out()),
        )
    }
}

/// A text that is not a chain value.
#[derive(Debug, thiserror::Error)]
#[error("not a chain value: expected 43 characters of unpadded base64url")]
pub struct ChainValueError;

impl FromStr for ChainValue {
    type Err = ChainValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes =
            base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| ChainValueError)?;
        bytes.try_into().map(Self).map_err(|_| ChainValueError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_depends_on_subscription_order_id_and_content() {
        let subscription: SubscriptionId = "orders".parse().unwrap();
        let start = ChainValue::start(&subscription);
        let (a, b) = (EventId::first_of(1), EventId::first_of(2));
        let digest = EventDigest::from_bytes([9; 32]);

        assert_ne!(start, ChainValue::start(&"other".parse().unwrap()));
        assert_ne!(start.next(a, digest).next(b, digest), start.next(b, digest).next(a, digest));
        assert_ne!(start.next(a, digest), start.next(a, EventDigest::from_bytes([8; 32])));
        assert_eq!(start.to_string().parse::<ChainValue>().unwrap(), start);
    }
}
