//! The log of one node: one SQLite database in one directory.
//!
//! [`SqliteLog`] is the whole log and holds the directory's lock; [`SqliteRegistry`] reads and
//! writes documents only, without the lock, beside a running gateway.
//!
//! One thread writes. Requests wait in a queue that is bounded in bytes; while one transaction is
//! synced, the next group collects, so events per sync grow with load and nothing is ever delayed
//! on purpose. Reads go to the tail in memory first, and then to a small pool of connections.
//!
//! **Invariant:** after one failed write nothing is written again, unless it failed because the disk
//! is full, which is before the sync; a failed sync is never retried and called a success.

mod action_seam;
mod actions;
mod append;
mod attempts;
mod backup;
mod changes;
mod checkpoint;
mod contents;
mod contexts;
mod database;
mod envelopes;
mod gauges;
mod given_up;
mod holding;
mod incarnating;
mod letters;
mod log;
mod log_size;
mod sequence_checkpoints;
mod observed;
mod origins;
mod protections;
mod quarantine;
mod quarantine_sizes;
mod queries;
mod queue;
mod readers;
mod receipt_keys;
mod recent;
mod receipts;
mod records;
mod registry;
mod retries;
mod rows;
mod running;
mod schema_seam;
mod schemas;
mod seams;
mod signature_seam;
mod signatures;
mod space;
mod stored;
mod sweeping;
mod telling_steps;
mod times;
mod tree;
mod tree_seam;
mod trim;
mod writer;

pub use backup::{CopyError, Restoring, accept_restored, back_up};
#[cfg(test)]
pub(super) use database::Database;
pub use database::LogOpenError;
pub use holding::{Displaced, HeldDirectory};
pub use log::SqliteLog;
pub use registry::SqliteRegistry;
pub use stored::{Pointer, StoredEntry, StoredLog};
