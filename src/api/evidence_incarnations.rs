//! The records of incarnations that a bundle of evidence holds, each with what proves that the log goes on
//! from what survived.

use crate::api::Services;
use crate::transparency::{ProofPlan, TreeHash, TreeHead};

/// A signed record, and the proof that the tree begins with the survivors that it names.
pub(super) type ProvedRecord = (String, Vec<TreeHash>);

/// All records of the log, oldest first; `head` is its tree, as the bundle has it.
///
/// # Errors
///
/// Later: there is no key to sign with. Ours: the tree cannot be read.
pub(super) async fn records(
    services: &Services,
    head: Option<TreeHead>,
) -> Result<Vec<ProvedRecord>, Box<dyn std::error::Error + Send + Sync>> {
    let sealer = services.subscription_service.sealer();
    let mut proved = Vec::new();
    let tokens = sealer.incarnation_records()?;
    for (record, token) in sealer.incarnations().records().iter().zip(tokens) {
        let (Some(head), Some(survived)) = (head, record.survivors.tree) else { continue };
        let plan = ProofPlan::consistency(survived.tree.size, head.tree.size);
        let proof = services.store.tree.make_proof(&plan.ok_or("the tree shrank")?).await?;
        proved.push((token, proof));
    }
    Ok(proved)
}
