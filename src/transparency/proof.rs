//! Holds proofs against roots; the arithmetic is `ct-merkle`'s.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::transparency::{LeafData, MOST_LEAVES, TreeHash, TreeRoot};

/// That a tree has a leaf: what a verifier needs beside the leaf and the root.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LeafProof {
    /// The index of the leaf.
    pub index: u64,
    /// The hashes beside its path, from the leaf to the root.
    pub proof: Vec<TreeHash>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// No log is that large.
    #[error("a tree of more than 2^62 leaves")]
    TooLarge,
    /// The tree has no leaf there.
    #[error("the tree has no leaf at this index")]
    NotInside,
    /// The older tree has more leaves.
    #[error("the older tree has more leaves than the newer one")]
    Shrunk,
    /// Roots of one size differ.
    #[error("the trees have one size and different roots")]
    Forked,
    /// The proof leads to another root.
    #[error("the proof does not lead to the root")]
    Wrong,
}

/// Verifies that a tree has a leaf at an index (RFC 6962, section 2.1.1).
///
/// # Errors
///
/// The sender's turn: it is not proved.
pub fn verify_inclusion(
    leaf: &LeafData,
    index: u64,
    proof: &[TreeHash],
    tree: &TreeRoot,
) -> Result<(), ProofError> {
    of_leaf(leaf.as_bytes(), index, proof, tree)
}

/// The same for a leaf with any data.
pub(super) fn of_leaf(
    leaf: &[u8],
    index: u64,
    proof: &[TreeHash],
    tree: &TreeRoot,
) -> Result<(), ProofError> {
    let root = root_of(tree)?;
    if index >= tree.size {
        return Err(ProofError::NotInside);
    }
    let proof = InclusionProof::try_from_bytes(bytes_of(proof)).map_err(|_| ProofError::Wrong)?;
    root.verify_inclusion(&leaf, index, &proof).map_err(|_| ProofError::Wrong)
}

/// Verifies that a tree begins with all leaves of an older one, in their order (RFC 6962, section
/// 2.1.2).
///
/// # Errors
///
/// The sender's turn: it is not proved, or the opposite is: [`ProofError::Forked`].
pub fn verify_consistency(
    old: &TreeRoot,
    new: &TreeRoot,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    let (before, after) = (root_of(old)?, root_of(new)?);
    if old.size > new.size {
        return Err(ProofError::Shrunk);
    }
    if old.size == new.size && old.root != new.root {
        return Err(ProofError::Forked);
    }
    // A tree begins with nothing, and with itself.
    if old.size == 0 || old.size == new.size {
        return if proof.is_empty() { Ok(()) } else { Err(ProofError::Wrong) };
    }
    let proof = ConsistencyProof::try_from_bytes(bytes_of(proof)).map_err(|_| ProofError::Wrong)?;
    after.verify_consistency(&before, &proof).map_err(|_| ProofError::Wrong)
}

/// A root for the library, which counts to 2^63 and panics beyond.
fn root_of(tree: &TreeRoot) -> Result<RootHash<Sha256>, ProofError> {
    if tree.size > MOST_LEAVES {
        return Err(ProofError::TooLarge);
    }
    Ok(RootHash::new(tree.root.to_bytes().into(), tree.size))
}

fn bytes_of(proof: &[TreeHash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.to_bytes()).collect()
}
