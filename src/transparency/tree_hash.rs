//! The hash of a leaf or of a subtree.

use std::fmt;
use std::str::FromStr;

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::transparency::LeafData;

/// Keeps leaves and nodes apart, so that none passes for the other (RFC 6962, section 2.1).
const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// A Merkle Tree Hash of RFC 6962, section 2.1, with SHA-256.
///
/// Its text form is unpadded base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHash([u8; 32]);

impl TreeHash {
    /// How many bytes it has.
    pub const LENGTH: usize = 32;

    /// The hash of a leaf.
    pub fn of_leaf(leaf: &LeafData) -> Self {
        Self(Sha256::new_with_prefix(LEAF).chain_update(leaf.as_bytes()).finalize().into())
    }

    /// The hash of a subtree, of those of its two halves.
    pub fn of_node(left: Self, right: Self) -> Self {
        let hash = Sha256::new_with_prefix(NODE).chain_update(left.0).chain_update(right.0);
        Self(hash.finalize().into())
    }

    /// The root of a tree without leaves: the hash of nothing.
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Takes the bytes of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes of the hash.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The hash of a subtree whose left parts and their right end are given, from left to right;
    /// nothing for nothing.
    pub(super) fn of_parts(parts: &[Self]) -> Option<Self> {
        parts.iter().rev().copied().reduce(|right, left| Self::of_node(left, right))
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

/// A text that is not the hash of a tree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a hash of a tree: expected 43 characters of unpadded base64url")]
pub struct TreeHashError;

impl FromStr for TreeHash {
    type Err = TreeHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| TreeHashError)?;
        bytes.try_into().map(Self).map_err(|_| TreeHashError)
    }
}

impl Serialize for TreeHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TreeHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
