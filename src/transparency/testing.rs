//! A tree in memory, for tests and for the log in memory.

use crate::transparency::{Frontier, LeafData, StoredSpan, TILE_HEIGHT, TreeHash};

/// What is kept of a tree, level by level.
pub(crate) struct HeldTree {
    pub(crate) frontier: Frontier,
    levels: Vec<Vec<TreeHash>>,
}

impl HeldTree {
    pub(crate) const fn empty() -> Self {
        Self { frontier: Frontier::empty(), levels: Vec::new() }
    }

    pub(crate) fn push(&mut self, leaf: &LeafData) {
        self.push_hash(TreeHash::of_leaf(leaf));
    }

    pub(crate) fn push_hash(&mut self, leaf: TreeHash) {
        let levels = &mut self.levels;
        let mut keep = |height: u32, number: u64, hash| {
            let level = usize::try_from(height / TILE_HEIGHT).unwrap();
            if level == levels.len() {
                levels.push(Vec::new());
            }
            assert_eq!(levels[level].len() as u64, number);
            levels[level].push(hash);
        };
        let number = self.frontier.size();
        keep(0, number, leaf);
        self.frontier.push(leaf, |height, number, hash| {
            if height.is_multiple_of(TILE_HEIGHT) {
                keep(height, number, hash);
            }
        });
    }

    pub(crate) fn hashes(&self, span: &StoredSpan) -> Option<Vec<TreeHash>> {
        let level = self.levels.get(usize::try_from(span.level).ok()?)?;
        let start = usize::try_from(span.start).ok()?;
        let end = start.checked_add(usize::try_from(span.count).ok()?)?;
        level.get(start..end).map(<[TreeHash]>::to_vec)
    }

    pub(crate) fn all(&self, spans: &[StoredSpan]) -> Option<Vec<Vec<TreeHash>>> {
        spans.iter().map(|span| self.hashes(span)).collect()
    }
}
