//! Why a gateway stopped by itself.

use crate::eventlog::{self, Displaced};

/// Why a gateway stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log failed; everything that was answered with yes is in it.
    #[error("the log failed")]
    Log(#[source] eventlog::LogError),
    /// The log was moved, and nothing more is accepted.
    #[error("the log was moved")]
    Displaced(#[source] Displaced),
}
