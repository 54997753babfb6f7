//! What is wrong with an operation of a patch, in its file or with an event.

use std::fmt;

use crate::enrich::crossing::CrossingProblem;

/// A mistake in an operation, found when the patch is read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatchMistake {
    /// The member of the operation that holds it: `op`, `from`, `path` or `value`.
    pub member: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// An operation that does not fit an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchFailure {
    /// Which operation, from 0.
    pub index: usize,
    /// Its `op`.
    pub operation: &'static str,
    /// Its `path`.
    pub path: String,
    /// Why, without values.
    pub reason: PatchProblem,
}

/// Why an operation does not fit an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchProblem {
    /// The event is not made as the operation expects.
    Misfit(&'static str),
    /// There is nothing where the operation takes its value from.
    Missing {
        /// Pointer into what the patch reads.
        from: String,
    },
    /// What is copied cannot cross: where it is in the event, where it would be in the data.
    Crossing {
        /// Pointer into what the patch reads.
        found: String,
        /// Pointer into the data, where the value would have come to stand.
        pointer: String,
        /// What is wrong there.
        problem: CrossingProblem,
    },
}

impl fmt::Display for PatchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misfit(reason) => f.write_str(reason),
            Self::Missing { from } => write!(f, "there is nothing at its `from`, `{from}`"),
            Self::Crossing { found, problem, .. } => write!(f, "`{found}` is {problem}"),
        }
    }
}

impl From<&'static str> for PatchProblem {
    fn from(reason: &'static str) -> Self {
        Self::Misfit(reason)
    }
}

impl fmt::Display for PatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, operation, path, reason } = self;
        write!(f, "operation {index}, `{operation}` at `{path}`: {reason}")
    }
}

impl std::error::Error for PatchFailure {}
