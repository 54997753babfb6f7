//! Sends what was already let in, again.
//!
//! A [`Replay`] is a durable job over `[from, to]` of the log for one subscription. Its [`Runner`]
//! reads old entries and has each carried by the same hands as live traffic, at a pace of its own,
//! with the same ids and idempotency keys, and marked as a replay.
//!
//! **Invariant:** a replay touches no cursor, no sequence number and no chain.

mod config;
mod desk;
mod job;
mod runner;
mod store;

pub use config::Config;
pub use desk::{Desk, DeskParts, Request};
pub use job::{Counts, Replay, ReplayState, Selection};
pub use runner::{Runner, count};
pub use store::{Error, Replays};
