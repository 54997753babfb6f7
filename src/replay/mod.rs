//! Sends what was already let in, again.
//!
//! A [`Replay`] is a durable job over `[from, to]` of the log for one subscription. Its [`Runner`]
//! reads old entries and has each carried by the same hands as live traffic, at a pace of its own,
//! with the same ids and idempotency keys, and marked as a replay.
//!
//! A [`Redrive`] brings the dead letters of a subscription back in the same way; they are handed to
//! its courier, because they take up their own deliveries again.
//!
//! **Invariant:** a replay touches no cursor, no sequence number and no chain.

mod abandoned;
mod config;
mod desk;
mod job;
mod journey;
mod reached;
mod redrive;
mod redrive_desk;
mod redrive_runner;
mod redrives;
mod runner;
mod running;
mod shelf;
mod slots;
mod store;
#[cfg(test)]
mod tests;

pub use config::{Config, ConfigError};
pub use desk::{Desk, DeskParts, Request};
pub use job::{Counts, Replay, ReplayState, Selection};
pub use redrive::{Redrive, RedriveCounts};
pub use redrives::Redrives;
pub use runner::{Runner, count};
pub use store::{Error, Replays};
