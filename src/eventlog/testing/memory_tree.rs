//! The tree over the log in memory.

use std::ops::Range;

use async_trait::async_trait;

use crate::eventlog::testing::memory::MemoryLog;
use crate::eventlog::{LogError, LogTree};
use crate::transparency::{LeafData, StoredSpan, TILE_WIDTH, TreeHash, TreeHead};

#[async_trait]
impl LogTree for MemoryLog {
    async fn tree_head(&self) -> Result<TreeHead, LogError> {
        Ok(TreeHead { first: 1, tree: self.hold()?.tree.frontier.root() })
    }

    async fn tree_hashes(
        &self,
        spans: Vec<StoredSpan>,
    ) -> Result<Option<Vec<Vec<TreeHash>>>, LogError> {
        Ok(self.hold()?.tree.all(&spans))
    }

    async fn tree_leaves(&self, indexes: Range<u64>) -> Result<Option<Vec<LeafData>>, LogError> {
        let held = self.hold()?;
        // Whole bundles go.
        let dropped = held.low_watermark.position.0 / TILE_WIDTH * TILE_WIDTH;
        let bounds = usize::try_from(indexes.start)
            .and_then(|start| usize::try_from(indexes.end).map(|end| start..end));
        let kept = bounds.ok().filter(|_| indexes.start >= dropped);
        Ok(kept.and_then(|bounds| held.leaves.get(bounds)).map(<[LeafData]>::to_vec))
    }
}
