//! The right edge of a tree: all that is needed to go on, and to tell its root.

use crate::transparency::{TreeHash, TreeRoot};

/// The whole subtrees that a tree consists of, the largest first: one for each bit of its size.
///
/// Transparency literature calls it a compact range. It has at most 62 hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// That of a tree without leaves.
    pub const fn empty() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Goes on with a tree of so many leaves; nothing unless there is a hash for each bit of the size.
    pub fn of(size: u64, peaks: Vec<TreeHash>) -> Option<Self> {
        let fits = usize::try_from(size.count_ones()).is_ok_and(|bits| bits == peaks.len());
        fits.then_some(Self { size, peaks })
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and tells of each subtree that it completes: its height, its number among those of
    /// that height, and its hash.
    pub fn push(&mut self, leaf: TreeHash, mut completed: impl FnMut(u32, u64, TreeHash)) {
        let (mut hash, mut height, mut number) = (leaf, 0, self.size);
        while number % 2 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = TreeHash::of_node(left, hash);
            (height, number) = (height + 1, number / 2);
            completed(height, number, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree as it is.
    pub fn root(&self) -> TreeRoot {
        let root = TreeHash::of_parts(&self.peaks).unwrap_or_else(TreeHash::of_nothing);
        TreeRoot { size: self.size, root }
    }
}
