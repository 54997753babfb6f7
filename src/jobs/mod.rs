//! Sends what was already let in, again.
//!
//! A [`Job`] is durable and of one subscription. A [`Replay`] reads `[from, to]` of the log and hands
//! what matches to the courier, at a rate of its own, with the same ids and idempotency keys, and
//! marked as a replay. A [`Redrive`] hands it dead letters, which take up their own deliveries again.
//! How they are attempted is the courier's alone.
//!
//! **Invariant:** a replay touches no cursor, no sequence number and no chain.

mod config;
mod error;
mod job;
mod job_store;
mod log_holds;
mod redrive;
mod redrive_runner;
mod redrive_service;
mod replay;
mod replay_run;
mod replay_service;
mod runner;
mod running;
mod service;
mod slots;
#[cfg(test)]
mod tests;

pub use config::{Config, ReplayConfigError};
pub use error::JobError;
pub use job::{Job, JobState};
pub use job_store::JobStore;
pub use redrive::{Redrive, RedriveCounts};
pub use replay::{Replay, ReplayCounts, Selection};
pub use replay_service::NewReplay;
pub use runner::{ReplayRunner, ReplayWish, count};
pub use service::{JobService, JobServiceParts, RunnableJob};
