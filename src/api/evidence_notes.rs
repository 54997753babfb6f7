//! What witnesses have cosigned of the log, for a bundle.

use std::time::Duration;

use crate::api::Services;
use crate::eventlog::LogError;
use crate::transparency::{ProofPlan, SignedNote, TreeHash, TreeHead};

/// How long a bundle waits for witnesses that have not cosigned all of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The newest checkpoints that witnesses have cosigned, each with the proof that ties it to the tree of the
/// last place; none where there are no witnesses, or none has ever answered.
pub(super) async fn cosigned(
    services: &Services,
    last: Option<TreeHead>,
) -> Result<Vec<(SignedNote, Vec<TreeHash>)>, LogError> {
    let Some(last) = last.map(|head| head.tree.size) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (tree, note) in services.log_proofs.witnesses.covering(last, PATIENCE).await {
        let (old, new) = (tree.size.min(last), tree.size.max(last));
        let plan = ProofPlan::consistency(old, new).ok_or(LogError::TreeHole)?;
        found.push((note, services.store.tree.make_proof(&plan).await?));
    }
    Ok(found)
}
