//! The Merkle tree over the log, as RFC 6962 has it: hashes, heads, proofs, and the files in which
//! others read them.
//!
//! A [`LeafData`] comes in for each event that the log takes, and its [`TreeHash`] goes to the
//! [`Frontier`], which knows the root at every size. What is kept of the tree are its leaves and every
//! eighth level above them; a [`ProofPlan`] says which of those a root or a proof needs, and puts it
//! together. [`verify_inclusion`] and [`verify_consistency`] hold a proof against a [`TreeRoot`], and
//! a [`Tile`] names a piece of the tree as C2SP tlog-tiles does. A [`LogNote`] is what a [`SignedNote`]
//! says of a log, under a [`NoteKey`]. A log asks witnesses by [`AddCheckpoint`]; [`judge_checkpoint`] says
//! what an honest one cosigns, and a [`WitnessKey`] verifies that it has.
//!
//! **Invariant:** a tree only grows. Two trees of one log agree on everything that both of them have,
//! and the engines of the log keep hashes and decide nothing about them.

mod add_checkpoint;
mod cosignature;
mod frontier;
mod head;
mod incarnation;
mod leaf;
mod log_note;
mod note;
mod plan;
mod proof;
mod stored;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tile;
mod tree_hash;
mod verifier_key;
mod witnessing;

pub use add_checkpoint::AddCheckpoint;
pub use cosignature::{WitnessKey, WitnessKeyError};
pub use frontier::Frontier;
pub use head::{MOST_LEAVES, TreeHead, TreeRoot};
pub use incarnation::{Incarnation, Incarnations, LogHead};
pub use leaf::LeafData;
pub use log_note::LogNote;
pub use note::{NoteError, NoteKey, NoteKeyError, NoteSignature, SignedNote};
pub use plan::ProofPlan;
pub use proof::{LeafProof, ProofError, verify_consistency, verify_inclusion};
pub use stored::{StoredSpan, TILE_HEIGHT, TILE_WIDTH};
#[cfg(test)]
pub(crate) use testing::HeldTree;
pub use tile::{Tile, TilePathError};
pub use tree_hash::{TreeHash, TreeHashError};
pub use witnessing::{WitnessRefusal, judge_checkpoint};
