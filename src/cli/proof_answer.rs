//! Reads what a gateway answers that is asked for a proof over its log.

use anyhow::anyhow;
use serde_json::Value;

use crate::cli::Failure;
use crate::transparency::{TreeHash, TreeRoot};

/// An answer that lacks what a gateway of ours would have said.
pub(super) fn malformed(pointer: &str) -> Failure {
    Failure::ours(anyhow!(
        "the gateway's answer has no `{}` of ours",
        pointer.trim_start_matches('/')
    ))
}

/// The tree that the gateway tells of, with the root that the caller knows in place of its own.
pub(super) fn tree(
    answer: &Value,
    pointer: &str,
    known: Option<TreeHash>,
) -> Result<TreeRoot, Failure> {
    let told = answer.pointer(pointer).cloned().unwrap_or_default();
    let told: TreeRoot = serde_json::from_value(told).map_err(|_| malformed(pointer))?;
    Ok(TreeRoot { root: known.unwrap_or(told.root), ..told })
}

/// The hashes of the proof.
pub(super) fn hashes(answer: &Value) -> Result<Vec<TreeHash>, Failure> {
    let proof = answer.get("proof").cloned().unwrap_or_default();
    serde_json::from_value(proof).map_err(|_| malformed("/proof"))
}
