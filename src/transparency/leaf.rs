//! What the tree knows of an event.

use crate::event::{EventDigest, EventId};

/// The data of a leaf: the 16 bytes of an event's ULID, then the 32 bytes of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafData([u8; Self::LENGTH]);

impl LeafData {
    /// How many bytes it has.
    pub const LENGTH: usize = 48;

    /// The leaf of an event.
    pub fn new(id: EventId, digest: EventDigest) -> Self {
        let mut bytes = [0; Self::LENGTH];
        let (first, rest) = bytes.split_at_mut(16);
        first.copy_from_slice(&id.to_bytes());
        rest.copy_from_slice(&digest.to_bytes());
        Self(bytes)
    }

    /// Its bytes, of which the tree takes the hash.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl AsRef<[u8]> for LeafData {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
