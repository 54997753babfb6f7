//! The record of every event that was let in, and of how far each subscription has come.
//!
//! A [`Draft`] comes in and becomes an [`Entry`] with an id and a position; only then is its
//! producer answered. Followers read entries back in order. What leaves the straight line of a
//! cursor (retries, dead letters, quarantine) is kept beside the entries, and so are the registry's
//! small documents: one store, one backup.
//!
//! A store is reached through seams, each with its own promises: [`Log`], [`DeliveryState`],
//! [`Registry`], [`DeadLetters`], [`Quarantine`], [`Receipts`], [`Schemas`], [`SignatureStore`],
//! [`Attempts`], [`Actions`], [`LogTree`] and [`Leases`].
//! [`SqliteLog`] keeps them all for one node, whose [`SoleOwner`] delivers; [`Tailed`] reads the
//! newest entries of any log from memory. What a store knows at once of others' work may be stale,
//! as the seams say; what an owner with an older [`FencingEpoch`] commits is refused. The tests in
//! `conformance` are a suite for each seam, which every store passes.
//!
//! **Invariant:** engines store and nothing else. Scheduling, ordering, matching and sealing live
//! in other rooms, so that every engine delivers alike.

mod action_kind;
mod action_reason;
mod actions;
mod aged;
mod attempts;
mod config;
#[cfg(test)]
mod conformance;
mod cursor;
mod dead_letter_usage;
mod dead_letters;
mod delivery;
mod delivery_state;
mod disk_bytes;
mod entry;
mod error;
mod leases;
mod log;
mod id_generator;
mod identity;
mod kept_incarnation;
mod observed;
mod page;
mod quarantine;
mod quarantine_size;
mod receipt_keys;
mod receipts;
mod read_back;
mod record;
mod registry;
mod retention;
mod schemas;
mod signatures;
mod sqlite;
mod store;
mod tail;
mod tailed;
mod tree;
#[cfg(test)]
mod testing;
mod witness_config;

pub use action_kind::ActionKind;
pub use action_reason::{ActionReason, ActionReasonError};
pub use actions::{
    Action, ActionEnd, ActionId, ActionOutcome, ActionOwners, ActionQuery, Actions, NewAction,
};
pub use aged::Aged;
pub use attempts::{Attempt, Attempts};
pub use config::{Config, LogLimits, ProofAccess, RetentionConfig};
pub use cursor::{Cursor, SequenceCheckpoint, SequenceSet};
pub use dead_letter_usage::{DeadLetterUsage, DroppedDeadLetter};
pub use dead_letters::{
    DeadLetter, DeadLetterCount, DeadLetterId, DeadLetterQuery, DeadLetters, GivenUp,
};
pub use delivery::{DeliveryKey, Retry};
pub use delivery_state::{Changes, CommitError, DeliveryState, SavedDeliveries};
pub use disk_bytes::MOST_BESIDE;
pub use entry::{Appended, Draft, Entry, Origin, Position, Protection};
pub use error::LogError;
pub use identity::{LogIdentity, LogMark, RestoredFrom};
pub use kept_incarnation::{KeptIncarnation, NewIncarnation};
pub use leases::{FencingEpoch, Leases, SoleOwner};
pub use log::{DiskLevel, Log};
pub use observed::Observed;
pub use page::Page;
pub use quarantine::{
    KeptEntry, NewQuarantined, Quarantine, QuarantineCount, QuarantineId, QuarantineQuery,
    Quarantined, QuarantinedContent, UnreadBytes,
};
pub use quarantine_size::{
    ProducerUsage, QuarantineKind, QuarantineQuota, QuarantineSize, QuarantineUsage,
};
pub use receipt_keys::ReceiptKey;
pub use receipts::{KeptReceipt, ReceiptId, Receipts};
pub use record::{Record, RecordKey, Revision};
pub use registry::Registry;
pub use retention::{Extent, LowWatermark, Retention, Trimmed};
pub use schemas::{ContractChoice, KeptContract, KeptSchema, NewSchema, Schemas, TextDigest};
pub use signatures::{KeptSignature, SignatureStore};
pub use sqlite::{
    CopyError, Displaced, HeldDirectory, LogOpenError, Pointer, Restoring, SqliteLog,
    SqliteRegistry, StoredEntry, StoredLog, accept_restored, back_up,
};
pub use store::Store;
pub use tail::Tail;
pub use tailed::Tailed;
#[cfg(test)]
pub(crate) use testing::{MemoryLog, RemoteStore};
pub use tree::LogTree;
pub use witness_config::WitnessConfig;
