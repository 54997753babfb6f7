//! Sends what was already let in, again.
//!
//! A [`Replay`] is a durable job over `[from, to]` of the log for one subscription. Its
//! [`ReplayRunner, ReplayWish`] reads old entries and attempts each as live traffic is attempted, at a rate of
//! its own, with the same ids and idempotency keys, and marked as a replay.
//!
//! A [`Redrive`] brings the dead letters of a subscription back in the same way; they are handed to
//! its courier, because they take up their own deliveries again.
//!
//! **Invariant:** a replay touches no cursor, no sequence number and no chain.

mod config;
mod error;
mod replay;
mod replay_positions;
mod replay_run;
mod replays;
mod redrive;
mod redrives;
mod redrive_runner;
mod redrive_service;
mod runner;
mod running;
mod job_store;
mod slots;
mod service;
mod abandoned;
#[cfg(test)]
mod tests;

pub use config::{Config, ReplayConfigError};
pub use error::JobError;
pub use redrive::{Redrive, RedriveCounts};
pub use redrives::Redrives;
pub use replay::{Replay, ReplayCounts, ReplayState, Selection};
pub use replays::Replays;
pub use runner::{ReplayRunner, ReplayWish, count};
pub use service::{JobService, JobServiceParts, NewReplay};
