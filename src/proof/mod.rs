//! Proof offline: holds what was stored or handed over against itself and against keys that are trusted.
//!
//! [`verify_bundle`] judges an evidence bundle, [`verify_bundle_against`] also by what a producer was answered,
//! [`verify_series`] several bundles that follow each other, and [`verify_chain`] the tokens that a consumer has
//! kept, with a checkpoint or without. The command line, the tests and consumers that build on this crate call the same
//! functions. Nothing is fetched or written here.

mod accepted;
mod accepted_range;
mod asked;
mod bundle;
mod bundle_words;
mod chain;
mod checkpoints;
mod contract_line;
mod series;
mod stored;
mod told_trees;
mod trust;

pub use accepted::{AcceptedCheck, AcceptedFlaw, AcceptedReport, AcceptedScope, MissingEvent};
pub use bundle::{BundleReport, BundleVerdict, NoBundle, verify_bundle, verify_bundle_against};
pub use chain::{ChainReport, CheckpointProblem, verify_chain};
pub use checkpoints::CheckpointConflict;
pub use series::{SeriesFlaw, SeriesReport, verify_series};
pub use stored::{StoredTokens, UnusableToken};
pub use trust::ChainTrust;
