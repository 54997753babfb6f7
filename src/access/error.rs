//! Why a grant or an access request was not made, changed or found.

use crate::access::{GrantId, GrantState};
use crate::event::{AccessRequestId, Blame, Fault};
use crate::eventlog::LogError;

/// Why a grant or an access request was not made, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A part of it cannot work.
    #[error("{pointer}: {problem}")]
    Invalid {
        /// JSON Pointer to the part.
        pointer: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The name is taken.
    #[error("there is a grant `{0}` already")]
    Exists(GrantId),
    /// There is no such grant.
    #[error("there is no such grant")]
    Unknown,
    /// There is no such request.
    #[error("there is no such access request")]
    NoRequest,
    /// It stands where that cannot be done.
    #[error("grant `{id}` is {state}; make a new one")]
    Over {
        /// Which.
        id: GrantId,
        /// Where it stands.
        state: GrantState,
    },
    /// It was decided, or taken back.
    #[error("access request `{0}` was decided or withdrawn already")]
    Decided(AccessRequestId),
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(String),
    /// Someone else wrote first.
    #[error("it was changed by someone else; read it again")]
    Stale,
    /// What was kept cannot be read.
    #[error("`{id}` of the kind {kind} in the registry is damaged")]
    Damaged {
        /// What it is.
        kind: &'static str,
        /// Which one.
        id: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The log or the registry failed.
    #[error("the registry failed")]
    Registry(#[source] LogError),
}

impl AccessError {
    pub(super) fn invalid(pointer: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { pointer, problem: problem.into() }
    }
}

impl From<LogError> for AccessError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Stale { .. } => Self::Stale,
            other => Self::Registry(other),
        }
    }
}

impl Blame for AccessError {
    fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Damaged { .. } => Fault::Ours,
            _ => Fault::Caller,
        }
    }
}
