//! The record of every event that was let in, and of how far each subscription has come.
//!
//! A [`Draft`] comes in and becomes an [`Entry`] with an id and a position; only then is its
//! producer answered. Followers read entries back in order. What leaves the straight line of a
//! cursor (retries, dead letters, quarantine) is kept beside the entries, and so are the registry's
//! small documents: one store, one backup.
//!
//! Engines: [`SqliteLog`] for one node, [`MemoryLog`] for tests and trials. The tests in
//! `conformance` are the suite that each of them passes.
//!
//! **Invariant:** engines store and nothing else. Scheduling, ordering, matching and sealing live
//! in other rooms, so that every engine delivers alike.

mod aside;
mod config;
#[cfg(test)]
mod conformance;
mod engine;
mod entry;
mod memory;
mod id_generator;
mod observed;
mod receipt;
mod registry;
mod retention;
mod sqlite;
mod state;
mod tail;

pub use aside::{DeadLetterCount, DeadLetterQuery, QuarantineCount, QuarantineQuery, SetAside};
pub use config::{Config, RetentionConfig};
pub use engine::{CommitError, DiskLevel, EventLog, LogError, LogLimits, Page};
pub use entry::{Appended, Draft, Entry, Origin, Position};
pub use memory::MemoryLog;
pub use observed::Observed;
pub use receipt::{KeptReceipt, ReceiptId};
pub use registry::{Record, RecordKey, Registry, Revision};
pub use retention::{Extent, LowWatermark, Retention, Trimmed};
pub use sqlite::{
    CopyError, LogOpenError, Pointer, Restoring, SqliteLog, SqliteRegistry, StoredEntry, StoredLog,
    back_up,
};
pub use state::{
    Attempt, Changes, Cursor, DeadLetter, DeadLetterId, DeliveryKey, DeliveryState, NewQuarantined,
    QuarantineId, Quarantined, Retry, SequenceCheckpoint, SequenceSet,
};
