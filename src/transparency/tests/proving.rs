//! Roots and proofs of trees of any size are those that the text of the standard makes.

use proptest::prelude::*;

use crate::transparency::tests::naive;
use crate::transparency::{
    Frontier, MOST_LEAVES, ProofError, ProofPlan, TreeHash, TreeRoot, verify_consistency,
    verify_inclusion,
};

#[test]
fn every_root_and_proof_of_a_small_tree_is_that_of_the_standard() {
    let leaves = naive::leaves(20);
    let data = naive::data(&leaves);
    for size in 1..=20 {
        let tree = naive::tree(&leaves[..size]);
        let head = naive::tree_root(&data[..size]);
        assert_eq!(tree.frontier.root(), head);
        for (index, leaf) in leaves.iter().enumerate().take(size) {
            let plan = ProofPlan::inclusion(index as u64, size as u64).unwrap();
            let proof = naive::made(&tree, &plan);
            assert_eq!(proof, naive::path(index, &data[..size]), "leaf {index} of {size}");
            assert_eq!(verify_inclusion(leaf, index as u64, &proof, &head), Ok(()));
        }
        for old in 1..=size {
            let plan = ProofPlan::consistency(old as u64, size as u64).unwrap();
            let proof = naive::made(&tree, &plan);
            assert_eq!(proof, naive::consistency(old, &data[..size]), "{old} of {size}");
            let before = naive::tree_root(&data[..old]);
            assert_eq!(verify_consistency(&before, &head, &proof), Ok(()));
        }
    }
}

#[test]
fn trees_over_more_than_one_tile_are_those_of_the_standard() {
    let leaves = naive::leaves(700);
    let data = naive::data(&leaves);
    let whole = naive::tree(&leaves);
    for size in [255, 256, 257, 511, 512, 513, 699, 700] {
        // A larger tree tells of the smaller ones that it was.
        let root = naive::made(&whole, &ProofPlan::root(size as u64).unwrap());
        assert_eq!(root, [naive::root(&data[..size])]);
        let peaks = naive::made(&whole, &ProofPlan::frontier(size as u64));
        let frontier = Frontier::of(size as u64, peaks).unwrap();
        assert_eq!(frontier.root().root, root[0]);
        assert_eq!(frontier, naive::tree(&leaves[..size]).frontier);
        for index in [0, 1, 254, size / 2, size - 1] {
            let plan = ProofPlan::inclusion(index as u64, size as u64).unwrap();
            assert_eq!(naive::made(&whole, &plan), naive::path(index, &data[..size]));
        }
        for old in [1, 2, 200, 255, size / 2, size - 1, size] {
            let plan = ProofPlan::consistency(old as u64, size as u64);
            let proof = plan.map(|plan| naive::made(&whole, &plan));
            assert_eq!(proof, (old <= size).then(|| naive::consistency(old, &data[..size])));
        }
    }
}

#[test]
fn what_is_not_in_a_tree_has_no_proof() {
    assert_eq!(ProofPlan::inclusion(7, 7), None);
    assert_eq!(ProofPlan::inclusion(0, 0), None);
    assert_eq!(ProofPlan::inclusion(0, MOST_LEAVES + 1), None);
    assert_eq!(ProofPlan::consistency(8, 7), None);
    assert_eq!(ProofPlan::consistency(8, u64::MAX), None);
    assert_eq!(ProofPlan::root(0), None);
    assert_eq!(ProofPlan::root(u64::MAX), None);
    assert!(ProofPlan::consistency(0, 7).unwrap().spans().is_empty());
    assert_eq!(Frontier::of(7, Vec::new()), None);
    assert_eq!(Frontier::empty().root(), TreeRoot::empty());
}

#[test]
fn a_proof_needs_few_hashes_of_the_largest_tree() {
    let plan = ProofPlan::inclusion(MOST_LEAVES / 3, MOST_LEAVES - 1).unwrap();
    let hashes: u64 = plan.spans().iter().map(|span| span.count).sum();
    assert!(plan.spans().len() < 130 && hashes < 130 * 128, "{hashes}");
}

#[test]
fn two_histories_of_one_size_are_told_apart_from_a_wrong_proof() {
    let data = naive::data(&naive::leaves(8));
    let (old, new) = (naive::tree_root(&data[..5]), naive::tree_root(&data));
    let other = TreeRoot { root: old.root, ..new };
    assert_eq!(verify_consistency(&other, &new, &[]), Err(ProofError::Forked));
    assert_eq!(verify_consistency(&new, &old, &[]), Err(ProofError::Shrunk));
    assert_eq!(verify_consistency(&old, &new, &[]), Err(ProofError::Wrong));
    assert_eq!(verify_consistency(&TreeRoot::empty(), &new, &[]), Ok(()));
    let extra = [TreeHash::of_nothing()];
    assert_eq!(verify_consistency(&TreeRoot::empty(), &new, &extra), Err(ProofError::Wrong));
    assert_eq!(verify_consistency(&new, &new, &extra), Err(ProofError::Wrong));
}

fn hashes() -> impl Strategy<Value = Vec<TreeHash>> {
    proptest::collection::vec(any::<[u8; 32]>().prop_map(TreeHash::from_bytes), 0..70)
}

proptest! {
    #[test]
    fn proofs_of_strangers_are_refused_and_harm_nobody(
        proof in hashes(),
        sizes in any::<(u64, u64)>(),
        roots in any::<([u8; 32], [u8; 32])>(),
        index in any::<u64>(),
    ) {
        let root = |size, bytes| TreeRoot { size, root: TreeHash::from_bytes(bytes) };
        let (old, new) = (root(sizes.0, roots.0), root(sizes.1, roots.1));
        let leaf = naive::leaves(1)[0];
        prop_assert!(verify_inclusion(&leaf, index, &proof, &new).is_err());
        prop_assert!(verify_inclusion(&leaf, index % new.size.max(1), &proof, &new).is_err());
        prop_assert!(verify_consistency(&old, &new, &proof).is_err() || old.size == 0);
    }

    #[test]
    fn hashes_come_back_from_their_texts(bytes in any::<[u8; 32]>(), other in ".{0,60}") {
        let hash = TreeHash::from_bytes(bytes);
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        if let Ok(read) = other.parse::<TreeHash>() {
            prop_assert_eq!(read.to_string(), other);
        }
    }
}
