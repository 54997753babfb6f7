//! Proof offline: holds what was stored or handed over against itself and against keys that are trusted.
//!
//! [`verify_bundle`] judges an evidence bundle, and [`verify_chain`] the tokens that a consumer has kept, with a
//! checkpoint or without,
//! across restores that a signed record declares. The command line, the tests and consumers that build on this crate call the same two
//! functions. Nothing is fetched or written here.

mod bundle;
mod chain;
mod contract_line;
mod lives;
mod stored;
mod trust;

pub use bundle::{BundleReport, BundleVerdict, NoBundle, verify_bundle};
pub use chain::{ChainReport, CheckpointProblem, verify_chain};
pub use lives::LostEvents;
pub use stored::{StoredTokens, UnusableToken};
pub use trust::ChainTrust;
