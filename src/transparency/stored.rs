//! What is kept of a tree: its leaves, and every eighth level above them, as tiles have them.

use crate::transparency::TreeHash;

/// How many levels of the tree a tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// How many hashes a whole tile has.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Hashes that are kept side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredSpan {
    /// Of which level: 0 has the leaves, and each hash of a level is the root of 256 hashes of the
    /// level below.
    pub level: u32,
    /// The number of the first one.
    pub start: u64,
    /// How many, at least one and at most 256.
    pub count: u64,
}

/// A subtree of 2^height leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subtree {
    pub(super) height: u32,
    /// Its number among those of its height.
    pub(super) number: u64,
}

impl Subtree {
    /// The whole subtrees that make a range of leaves, from left to right. A range that is a node of a
    /// tree begins with its largest.
    pub(super) fn of_range(mut start: u64, end: u64) -> Vec<Self> {
        let mut found = Vec::new();
        while start < end {
            let height = (end - start).ilog2().min(start.trailing_zeros());
            found.push(Self { height, number: start >> height });
            start += 1 << height;
        }
        found
    }

    /// The kept hashes that it is the root of.
    pub(super) const fn span(self) -> StoredSpan {
        let inside = self.height % TILE_HEIGHT;
        StoredSpan {
            level: self.height / TILE_HEIGHT,
            start: self.number << inside,
            count: 1 << inside,
        }
    }
}

impl StoredSpan {
    /// The root of its hashes; nothing unless all of them are there.
    pub(super) fn root(&self, hashes: &[TreeHash]) -> Option<TreeHash> {
        if u64::try_from(hashes.len()) != Ok(self.count) {
            return None;
        }
        let mut row = hashes.to_vec();
        while row.len() > 1 {
            let (pairs, []) = row.as_chunks::<2>() else { return None };
            row = pairs.iter().map(|[left, right]| TreeHash::of_node(*left, *right)).collect();
        }
        row.first().copied()
    }
}
