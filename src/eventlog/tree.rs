//! The seam to the tree over the log: what is kept of it, and proofs from that.

use std::ops::Range;

use async_trait::async_trait;

use crate::eventlog::LogError;
use crate::transparency::{LeafData, ProofPlan, StoredSpan, TreeHash, TreeHead, TreeRoot};

/// The Merkle tree over all entries from some position on, one leaf for each, in their order.
///
/// 1. **Of the log.** An entry and its leaf are written together or not at all, and every engine has
///    the same tree for the same entries.
/// 2. **Kept.** Hashes stay when retention drops their entries. The data of leaves stays with the
///    entries, and for what was dropped of a bundle of 256 of which some are still there.
#[async_trait]
pub trait LogTree: Send + Sync {
    /// The tree over everything that is durable.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn tree_head(&self) -> Result<TreeHead, LogError>;

    /// Reads kept hashes, for each span its own; nothing if some are not there.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn tree_hashes(
        &self,
        spans: Vec<StoredSpan>,
    ) -> Result<Option<Vec<Vec<TreeHash>>>, LogError>;

    /// Reads the data of leaves by their indexes; nothing if some were dropped, or are not there yet.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn tree_leaves(&self, indexes: Range<u64>) -> Result<Option<Vec<LeafData>>, LogError>;

    /// Makes what a plan says.
    ///
    /// # Errors
    ///
    /// Ours: the store failed, or lacks hashes that a tree of this size has.
    async fn make_proof(&self, plan: &ProofPlan) -> Result<Vec<TreeHash>, LogError> {
        let hashes = self.tree_hashes(plan.spans().to_vec()).await?;
        hashes.and_then(|hashes| plan.assemble(&hashes)).ok_or(LogError::TreeHole)
    }

    /// The root of the tree when it had so many leaves, which it must have had.
    ///
    /// # Errors
    ///
    /// Ours: the store failed, or lacks hashes that a tree of this size has.
    async fn tree_root(&self, size: u64) -> Result<TreeRoot, LogError> {
        let Some(plan) = ProofPlan::root(size) else { return Ok(TreeRoot::empty()) };
        let root = self.make_proof(&plan).await?.first().copied().ok_or(LogError::TreeHole)?;
        Ok(TreeRoot { size, root })
    }
}
