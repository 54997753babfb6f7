//! Another implementation, a port of the one of Go's checksum database, agrees on roots and proofs, and
//! reads our tiles.

use tlog_tiles::{
    Error, Hash, HashReader, Tile as TheirTile, TileHashReader, TileReader, check_record,
    check_tree, prove_record, prove_tree, record_hash, split_stored_hash_index, tree_hash,
};

use crate::transparency::testing::HeldTree;
use crate::transparency::tests::naive;
use crate::transparency::{ProofPlan, Tile, TreeHash, verify_consistency, verify_inclusion};

const SIZE: u64 = 70_000;

/// Answers their reader with our tiles, which it checks against the root.
struct Tiles<'a>(&'a HeldTree);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[TheirTile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &TheirTile| {
            // Their path has the height of the tiles in it, as Go's has.
            let path = tile.path().replace("tile/8/", "");
            let ours: Tile = path.parse().unwrap();
            assert!(ours.is_in(self.0.frontier.size()), "{path}");
            let hashes = self.0.hashes(&ours.span()).unwrap();
            hashes.iter().flat_map(|hash| hash.to_bytes()).collect()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[TheirTile], _: &[Vec<u8>]) {}
}

/// Any hash of a tree, as their arithmetic asks for it.
struct Hashes(Vec<Vec<Hash>>);

impl Hashes {
    fn of(leaves: &[Vec<u8>]) -> Self {
        let mut levels = vec![leaves.iter().map(|leaf| record_hash(leaf)).collect::<Vec<_>>()];
        while levels[levels.len() - 1].len() > 1 {
            let pairs = levels[levels.len() - 1].as_chunks::<2>().0.iter();
            levels.push(pairs.map(|[left, right]| tlog_tiles::node_hash(*left, *right)).collect());
        }
        Self(levels)
    }
}

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let read = |index: &u64| {
            let (level, number) = split_stored_hash_index(*index);
            self.0[usize::from(level)][usize::try_from(number).unwrap()]
        };
        Ok(indexes.iter().map(read).collect())
    }
}

fn theirs(hashes: &[TreeHash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash(hash.to_bytes())).collect()
}

fn ours(hashes: &[Hash]) -> Vec<TreeHash> {
    hashes.iter().map(|hash| TreeHash::from_bytes(hash.0)).collect()
}

#[test]
fn another_implementation_makes_the_same_roots_and_proofs_and_believes_ours() {
    let leaves = naive::leaves(66);
    let data = naive::data(&leaves);
    let whole = naive::tree(&leaves);
    for size in 1..=66_u64 {
        let hashes = Hashes::of(&data[..usize::try_from(size).unwrap()]);
        let root = tree_hash(size, &hashes).unwrap();
        let head = naive::tree(&leaves[..usize::try_from(size).unwrap()]).frontier.root();
        assert_eq!(head.root.to_bytes(), root.0);
        for index in 0..size {
            let made = naive::made(&whole, &ProofPlan::inclusion(index, size).unwrap());
            let other = prove_record(size, index, &hashes).unwrap();
            assert_eq!(made, ours(&other));
            let leaf = leaves[usize::try_from(index).unwrap()];
            assert_eq!(verify_inclusion(&leaf, index, &ours(&other), &head), Ok(()));
            check_record(&theirs(&made), size, root, index, record_hash(leaf.as_ref())).unwrap();
        }
        for old in 1..=size {
            let made = naive::made(&whole, &ProofPlan::consistency(old, size).unwrap());
            let other = prove_tree(size, old, &hashes).unwrap();
            assert_eq!(made, ours(&other));
            let before = naive::tree(&leaves[..usize::try_from(old).unwrap()]).frontier.root();
            assert_eq!(verify_consistency(&before, &head, &ours(&other)), Ok(()));
            let before = Hash(before.root.to_bytes());
            check_tree(&theirs(&made), size, root, old, before).unwrap();
        }
    }
}

#[test]
fn another_implementation_proves_from_our_tiles_what_we_prove() {
    let leaves = naive::leaves(SIZE);
    let tree = naive::tree(&leaves);
    let root = Hash(tree.frontier.root().root.to_bytes());
    let tiles = Tiles(&tree);
    let reader = TileHashReader::new(SIZE, root, &tiles);
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1] {
        let made = naive::made(&tree, &ProofPlan::inclusion(index, SIZE).unwrap());
        assert_eq!(made, ours(&prove_record(SIZE, index, &reader).unwrap()), "leaf {index}");
    }
    for old in [1, 255, 256, 257, 65_535, 65_536, 65_537, SIZE - 1] {
        let made = naive::made(&tree, &ProofPlan::consistency(old, SIZE).unwrap());
        assert_eq!(made, ours(&prove_tree(SIZE, old, &reader).unwrap()), "{old} leaves");
    }
}
