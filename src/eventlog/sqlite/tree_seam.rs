//! The seam to the tree: its head from memory, everything else from the pool.

use std::ops::Range;
use std::sync::PoisonError;

use async_trait::async_trait;

use crate::eventlog::sqlite::log::SqliteLog;
use crate::eventlog::sqlite::tree;
use crate::eventlog::{LogError, LogTree};
use crate::transparency::{LeafData, StoredSpan, TreeHash, TreeHead};

#[async_trait]
impl LogTree for SqliteLog {
    async fn tree_head(&self) -> Result<TreeHead, LogError> {
        let (first, frontier) =
            self.shared.tree.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(TreeHead { first: first.0, tree: frontier.root() })
    }

    async fn tree_hashes(
        &self,
        spans: Vec<StoredSpan>,
    ) -> Result<Option<Vec<Vec<TreeHash>>>, LogError> {
        self.readers.run("read the tree", move |c| tree::spans(c, &spans)).await
    }

    async fn tree_leaves(&self, indexes: Range<u64>) -> Result<Option<Vec<LeafData>>, LogError> {
        let count = indexes.end.saturating_sub(indexes.start);
        let found =
            self.readers.run("read leaves of the tree", move |c| tree::entries(c, indexes)).await?;
        let all = found.len() as u64 == count;
        Ok(all.then(|| found.into_iter().map(|(_, leaf)| leaf).collect()))
    }
}
