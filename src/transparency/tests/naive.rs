//! RFC 6962, section 2.1, word for word: slow, and nothing to get wrong.

use sha2::{Digest, Sha256};

use crate::event::{EventDigest, EventId};
use crate::transparency::testing::HeldTree;
use crate::transparency::{LeafData, ProofPlan, TreeHash, TreeRoot};

fn split(length: usize) -> usize {
    1 << (length - 1).ilog2()
}

/// MTH(D\[n\]).
pub(super) fn root(leaves: &[Vec<u8>]) -> TreeHash {
    let hash = match leaves {
        [] => Sha256::digest([]),
        [leaf] => Sha256::new_with_prefix([0]).chain_update(leaf).finalize(),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            let (left, right) = (root(left).to_bytes(), root(right).to_bytes());
            Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize()
        }
    };
    TreeHash::from_bytes(hash.into())
}

/// PATH(m, D\[n\]).
pub(super) fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<TreeHash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, sibling) =
        if index < at { (path(index, left), right) } else { (path(index - at, right), left) };
    path.push(root(sibling));
    path
}

/// PROOF(m, D\[n\]).
pub(super) fn consistency(old: usize, leaves: &[Vec<u8>]) -> Vec<TreeHash> {
    subproof(old, leaves, true)
}

fn subproof(old: usize, leaves: &[Vec<u8>], known: bool) -> Vec<TreeHash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut proof, sibling) = if old <= at {
        (subproof(old, left, known), right)
    } else {
        (subproof(old - at, right, false), left)
    };
    proof.push(root(sibling));
    proof
}

/// So many leaves.
pub(super) fn leaves(count: u64) -> Vec<LeafData> {
    let leaf = |n: u64| {
        let digest = Sha256::digest(n.to_be_bytes()).into();
        LeafData::new(EventId::first_of(n), EventDigest::from_bytes(digest))
    };
    (0..count).map(leaf).collect()
}

pub(super) fn data(leaves: &[LeafData]) -> Vec<Vec<u8>> {
    leaves.iter().map(|leaf| leaf.as_bytes().to_vec()).collect()
}

pub(super) fn tree(leaves: &[LeafData]) -> HeldTree {
    let mut tree = HeldTree::empty();
    for leaf in leaves {
        tree.push(leaf);
    }
    tree
}

pub(super) fn made(tree: &HeldTree, plan: &ProofPlan) -> Vec<TreeHash> {
    plan.assemble(&tree.all(plan.spans()).unwrap()).unwrap()
}

pub(super) fn tree_root(leaves: &[Vec<u8>]) -> TreeRoot {
    TreeRoot { size: leaves.len() as u64, root: root(leaves) }
}
