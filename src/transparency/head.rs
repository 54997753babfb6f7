//! How large a tree is, and its root.

use serde::{Deserialize, Serialize};

use crate::transparency::TreeHash;

/// No tree has more leaves; a log has no more positions either.
pub const MOST_LEAVES: u64 = 1 << 62;

/// The root of a tree of one size: it stands for every leaf of it, and their order.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct TreeRoot {
    /// How many leaves the tree has.
    pub size: u64,
    /// Its hash.
    pub root: TreeHash,
}

/// The tree of a log at one moment.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct TreeHead {
    /// The position of its first leaf: events before it are in no tree. The leaf of a position has
    /// the index `position - first`.
    pub first: u64,
    /// How many leaves it has, and their root.
    #[serde(flatten)]
    pub tree: TreeRoot,
}

impl TreeRoot {
    /// The root of a tree without leaves.
    pub fn empty() -> Self {
        Self { size: 0, root: TreeHash::of_nothing() }
    }
}

/// Reads a tree size as logs and witnesses write it: decimal, without zeros in front.
pub(super) fn size_of(digits: &str) -> Option<u64> {
    let size = digits.parse().ok().filter(|size: &u64| size.to_string() == digits);
    size.filter(|size| *size <= MOST_LEAVES)
}
