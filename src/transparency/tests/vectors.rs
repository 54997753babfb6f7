//! The reference vectors of Certificate Transparency, and the wrong proofs that are made of them.

use serde::Deserialize;

use crate::transparency::proof::of_leaf;
use crate::transparency::testing::HeldTree;
use crate::transparency::tests::naive;
use crate::transparency::{ProofPlan, TreeHash, TreeRoot, verify_consistency};

#[derive(Deserialize)]
struct Vectors {
    leaves: Vec<String>,
    roots: Vec<String>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
}

#[derive(Deserialize)]
struct Inclusion {
    index: u64,
    size: u64,
    proof: Vec<String>,
}

#[derive(Deserialize)]
struct Consistency {
    old: u64,
    new: u64,
    proof: Vec<String>,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../tests/vectors/merkle/certificate-transparency.json");
    serde_json::from_str(text).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { panic!("{hex}") };
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| byte(pair.as_slice())).collect()
}

fn hash(hex: &str) -> TreeHash {
    TreeHash::from_bytes(bytes(hex).try_into().unwrap())
}

fn proof(texts: &[String]) -> Vec<TreeHash> {
    texts.iter().map(|text| hash(text)).collect()
}

impl Vectors {
    fn root(&self, size: u64) -> TreeRoot {
        let at = usize::try_from(size).unwrap() - 1;
        TreeRoot { size, root: hash(&self.roots[at]) }
    }
}

/// A hash of nothing in particular, which the vectors use as well.
fn some_hash() -> TreeHash {
    hash("abacaba000000000000000000000000000000000000000000060061e00123456")
}

/// The wrong proofs that are made of a right one.
fn corrupted(proof: &[TreeHash], others: &[TreeHash], bit: u8) -> Vec<Vec<TreeHash>> {
    let mut made = Vec::new();
    for other in others {
        made.push([&[*other], proof].concat());
        made.push([proof, &[*other]].concat());
    }
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        let mut bytes = flipped[at].to_bytes();
        bytes[0] ^= bit;
        flipped[at] = TreeHash::from_bytes(bytes);
        made.push(flipped);
    }
    if let [first, rest @ ..] = proof {
        made.push(proof[..proof.len() - 1].to_vec());
        made.push(Vec::new());
        made.push([&[*first], proof].concat());
        made.push([&[*first, some_hash()], rest].concat());
    }
    made
}

#[test]
fn the_reference_tree_has_the_reference_roots_and_proofs() {
    let vectors = vectors();
    let leaves: Vec<Vec<u8>> = vectors.leaves.iter().map(|leaf| bytes(leaf)).collect();
    let mut tree = HeldTree::empty();
    for (size, leaf) in (1..).zip(&leaves) {
        tree.push_hash(naive::root(std::slice::from_ref(leaf)));
        assert_eq!(tree.frontier.root(), vectors.root(size));
    }
    for vector in &vectors.inclusion {
        let plan = ProofPlan::inclusion(vector.index, vector.size).unwrap();
        assert_eq!(naive::made(&tree, &plan), proof(&vector.proof));
    }
    for vector in &vectors.consistency {
        let plan = ProofPlan::consistency(vector.old, vector.new).unwrap();
        assert_eq!(naive::made(&tree, &plan), proof(&vector.proof));
    }
}

#[test]
fn reference_proofs_of_inclusion_hold_and_every_wrong_one_made_of_them_is_refused() {
    let vectors = vectors();
    for Inclusion { index, size, proof: texts } in &vectors.inclusion {
        let (index, size, right) = (*index, *size, proof(texts));
        let leaf = bytes(&vectors.leaves[usize::try_from(index).unwrap()]);
        let tree = vectors.root(size);
        assert_eq!(of_leaf(&leaf, index, &right, &tree), Ok(()));

        for other in [index.wrapping_sub(1), index + 1, index ^ 2] {
            assert!(of_leaf(&leaf, other, &right, &tree).is_err(), "{index} of {size}: {other}");
        }
        for other in [size * 2, size / 2] {
            let tree = TreeRoot { size: other, ..tree };
            assert!(of_leaf(&leaf, index, &right, &tree).is_err(), "{index} of {size}: {other}");
        }
        for root in [TreeHash::of_nothing(), some_hash()] {
            assert!(of_leaf(&leaf, index, &right, &TreeRoot { size, root }).is_err());
        }
        assert!(of_leaf(b"WrongLeaf", index, &right, &tree).is_err());
        for wrong in corrupted(&right, &[tree.root], 8) {
            assert!(of_leaf(&leaf, index, &wrong, &tree).is_err(), "{index} of {size}: {wrong:?}");
        }
    }
    for (index, size) in [(0, 0), (0, 1), (1, 0), (2, 1)] {
        for root in [TreeHash::of_nothing(), some_hash()] {
            assert!(of_leaf(b"data", index, &[], &TreeRoot { size, root }).is_err());
        }
    }
}

#[test]
fn reference_proofs_of_consistency_hold_and_every_wrong_one_made_of_them_is_refused() {
    let vectors = vectors();
    for Consistency { old, new, proof: texts } in &vectors.consistency {
        let (size, right) = (*new, proof(texts));
        let (old, new) = (vectors.root(*old), vectors.root(size));
        assert_eq!(verify_consistency(&old, &new, &right), Ok(()));
        for wrong in corrupted(&right, &[old.root, new.root], 16) {
            assert!(verify_consistency(&old, &new, &wrong).is_err(), "{old:?} {size}: {wrong:?}");
        }
        if right.is_empty() {
            continue;
        }
        for other in [old.size - 1, old.size + 1, old.size ^ 2] {
            let other = TreeRoot { size: other, ..old };
            assert!(verify_consistency(&other, &new, &right).is_err(), "{other:?} {size}");
        }
        for other in [size * 2, size / 2] {
            let other = TreeRoot { size: other, ..new };
            assert!(verify_consistency(&old, &other, &right).is_err(), "{old:?} {other:?}");
        }
        let wrong = |tree: TreeRoot| TreeRoot { root: some_hash(), ..tree };
        assert!(verify_consistency(&wrong(old), &new, &right).is_err());
        assert!(verify_consistency(&old, &wrong(new), &right).is_err());
        let (old, new) = (TreeRoot { root: new.root, ..old }, TreeRoot { root: old.root, ..new });
        assert!(verify_consistency(&old, &new, &right).is_err());
    }
}
