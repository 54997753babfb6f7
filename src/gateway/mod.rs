//! The composition root: the only room that knows every other.
//!
//! [`build()`] takes the settings apart once and puts the rooms together in the order in which they
//! must exist. [`Inbound`] is the way in, on one screen; the way out is in `deliver`.
//! [`Gateway::run`] serves until it is told to stop, then lets go of nothing that is in flight.
//!
//! **Invariant:** no other room names this one, but for the command line.

mod archiving;
mod aws_edges;
mod build;
mod build_error;
mod choosing;
mod crossing;
mod crossing_rules;
mod event_buses;
mod evidence_hold;
mod exporting;
mod expiry;
mod file_grants;
mod granting;
mod guarding_log;
mod inbound;
mod incarnations;
mod inward;
mod keeping_schemas;
mod keeping_signatures;
mod lagging;
mod lifecycle;
mod log_checkpoint;
mod log_lives;
mod loops;
mod machine;
mod missing_log;
mod own_issuer;
mod own_keys;
mod pacing;
mod quotas;
mod reading_documents;
mod reloading;
mod repeats;
mod retention;
mod run_error;
mod setting_aside;
mod starting;
mod signing_answers;
mod storing;
mod tending_callers;
mod tending_keys;
mod telling_sinks;
mod unbound_callers;
mod unwanted;
mod watching;
mod witnessing;

pub use build::build;
pub use build_error::{BuildError, why_not_listening};
pub use choosing::Choosing;
pub use crossing::Crossing;
pub use crossing_rules::CrossingRules;
pub use guarding_log::{compare_all, places};
pub use inbound::Inbound;
pub use inward::{contracts, naming};
pub use keeping_schemas::{changed, published_schemas};
pub use lifecycle::Gateway;
pub use log_checkpoint::{
    CheckpointError, LogCheckpoint, LogUnconfirmed, SetBack, checkpoint_beside, forget_checkpoint,
};
pub use log_lives::{KnownLives, LivesBeside};
pub use machine::Machine;
pub use missing_log::{MissingLog, check_log_is_there};
pub use own_issuer::check_issuer;
pub use own_keys::{OwnKeys, check_keys, make_keys, read_keys, renew_outer_keys, unopened};
pub use reloading::Reloader;
pub use run_error::RunError;
