//! The proofs of a bundle of evidence: its events in the tree over the log, and that the tree has only grown.

use crate::eventlog::{LogError, Position, Store};
use crate::transparency::{LeafProof, ProofPlan, TreeHash, TreeHead};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTreeProof {
    /// There cannot be one.
    #[error("{0}")]
    Impossible(&'static str),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The tree of now, and that it begins with one of before.
///
/// # Errors
///
/// Ours: the log failed.
pub(super) async fn growth(
    store: &Store,
    before: TreeHead,
) -> Result<(TreeHead, Vec<TreeHash>), NoTreeProof> {
    let now = store.tree.tree_head().await?;
    let plan = ProofPlan::consistency(before.tree.size, now.tree.size);
    let plan = plan.ok_or(NoTreeProof::Impossible("the tree shrank"))?;
    Ok((now, store.tree.make_proof(&plan).await?))
}

/// The proof that the event at a position is in a tree; nothing if it is from before that.
///
/// # Errors
///
/// Ours: the log failed.
pub(super) async fn inclusion(
    store: &Store,
    head: Option<TreeHead>,
    position: Position,
) -> Result<Option<LeafProof>, NoTreeProof> {
    let Some(head) = head else { return Ok(None) };
    let Some(index) = position.0.checked_sub(head.first) else { return Ok(None) };
    let plan = ProofPlan::inclusion(index, head.tree.size);
    let plan = plan.ok_or(NoTreeProof::Impossible("an event is in no tree"))?;
    let proof = store.tree.make_proof(&plan).await?;
    Ok(Some(LeafProof { index, proof }))
}
