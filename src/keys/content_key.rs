//! The key that encrypts the content of one token.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::keys::{ContentEncryption, KeyFailure};

/// The key that encrypts the content of one token; wiped when dropped.
pub struct ContentKey {
    bytes: Zeroizing<[u8; 32]>,
    encryption: ContentEncryption,
}

impl ContentKey {
    pub(super) const fn new(bytes: Zeroizing<[u8; 32]>, encryption: ContentEncryption) -> Self {
        Self { bytes, encryption }
    }

    /// Makes a random key.
    pub(super) fn random(encryption: ContentEncryption) -> Result<Self, KeyFailure> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut()).map_err(|_| KeyFailure("make a content key"))?;
        Ok(Self { bytes, encryption })
    }

    /// What it encrypts with.
    pub const fn encryption(&self) -> ContentEncryption {
        self.encryption
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8] {
        // No key is longer than the array.
        self.bytes.get(..self.encryption.key_length()).unwrap_or_default()
    }
}
