//! Witnesses: asking others to cosign the tree over the log, and being one for the logs of others.
//!
//! [`Witnesses`] asks those of the settings, as C2SP tlog-witness has it, and keeps what they have
//! cosigned. A [`WitnessBook`] is a witness: its key, and the tree of each log that it cosigned last;
//! [`witness_routes`] serves it. What may be cosigned is decided in `transparency`.
//!
//! **Invariants:** nothing of the log waits for a witness. A witness keeps a tree durably before anybody
//! has its cosignature, and of one log never cosigns a tree that does not begin with that one.

mod asking;
mod book;
mod book_file;
mod exchange;
mod kept;
mod serving;
#[cfg(test)]
mod tests;

pub use asking::{CheckpointNoteError, Witnesses, WitnessesParts};
pub use book::{BookError, WitnessBook};
pub use serving::witness_routes;
