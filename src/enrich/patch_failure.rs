//! What is wrong with an operation of a patch, in its file or with an event.

use std::fmt;

use crate::enrich::crossing::CrossingProblem;

/// A mistake in an operation, found when the patch is read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatchMistake {
    /// The member of the operation that holds it: `op`, `from`, `path`, `value`, `optional`, `map`
    /// or `default`.
    pub member: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Which operation of a patch: `3`, or `3.1` in a group, each from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationIndex {
    /// Its place in the patch, or that of its group.
    pub entry: usize,
    /// Its place in its group.
    pub within: Option<usize>,
}

impl fmt::Display for OperationIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.entry)?;
        self.within.map_or(Ok(()), |within| write!(f, ".{within}"))
    }
}

/// An operation that does not fit an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchFailure {
    /// Which operation.
    pub index: OperationIndex,
    /// Its `op`.
    pub operation: &'static str,
    /// Its `path`.
    pub path: String,
    /// Which item of the array that its `*` names, from 0.
    pub item: Option<usize>,
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
    /// What is copied is none of the values that its `map` knows, and there is no `default`.
    Unmapped {
        /// Pointer into what the patch reads.
        found: String,
        /// Pointer into the data, where the value would have come to stand.
        pointer: String,
    },
}

impl PatchProblem {
    /// The place in the data that the problem is about, if it is about one.
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::Crossing { pointer, .. } | Self::Unmapped { pointer, .. } => Some(pointer),
            Self::Misfit(_) | Self::Missing { .. } => None,
        }
    }
}

impl fmt::Display for PatchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misfit(reason) => f.write_str(reason),
            Self::Missing { from } => write!(f, "there is nothing at its `from`, `{from}`"),
            Self::Crossing { found, problem, .. } => write!(f, "`{found}` is {problem}"),
            Self::Unmapped { found, .. } => {
                write!(f, "`{found}` is a value that its `map` does not know, and has no `default`")
            }
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
        let Self { index, operation, path, item, reason } = self;
        write!(f, "operation {index}, `{operation}` at `{path}`")?;
        item.map_or(Ok(()), |item| write!(f, ", item {item}"))?;
        write!(f, ": {reason}")
    }
}

impl std::error::Error for PatchFailure {}

/// Why a step does not fit, and for which item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StepFailure {
    /// Which item of the array that its `*` names.
    pub item: Option<usize>,
    /// Why.
    pub reason: PatchProblem,
}

impl StepFailure {
    /// Says which item it is about.
    pub fn of_item(item: usize) -> impl Fn(PatchProblem) -> Self {
        move |reason| Self { item: Some(item), reason }
    }
}

impl<R: Into<PatchProblem>> From<R> for StepFailure {
    fn from(reason: R) -> Self {
        Self { item: None, reason: reason.into() }
    }
}

/// What is said where a `path` does not lead.
pub(super) const NOTHING_AT_PATH: &str = "its `path` leads nowhere";
