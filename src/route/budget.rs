//! How much work a filter may be, and what comes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of an event and a filter after so much work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOutcome {
    /// The event is wanted.
    Matches,
    /// The event is not wanted.
    Differs,
    /// It would take more steps than were allowed.
    Undecided,
}

/// It would take more steps than were allowed to tell whether a filter wants an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event is too large for the pattern: to tell whether it matches takes too much work")]
pub struct Undecided;

/// The most steps that a filter may take to decide about one event before it is given up.
///
/// Numbers of deliveries hang on it, so it belongs to a filter and the position from which on the
/// filter holds: the same log, filter and budget give the same numbers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Budget(pub u64);

impl Budget {
    /// Nothing is ever given up: how it was before there were budgets.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// The steps.
    pub const fn steps(self) -> u64 {
        self.0
    }
}

/// Steps that are taken at once, while others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepAllowance {
    /// For one filter and one event.
    pub each: u64,
    /// For all filters of one owner and one event: however many they are, others wait no longer.
    pub owner: u64,
    /// For all filters and one event. Each has [`LEAST_STEPS`] all the same, as far as its owner has
    /// steps left, so that an expensive filter takes nothing from those of others.
    pub whole: u64,
}

/// What every filter may take of every event, whatever those of others have taken.
pub const LEAST_STEPS: u64 = 2_000;

impl StepAllowance {
    /// One bound for everything.
    pub const fn of_all(steps: u64) -> Self {
        Self { each: steps, owner: steps, whole: steps }
    }

    /// Everything is decided at once.
    pub const UNLIMITED: Self = Self::of_all(u64::MAX);
}

/// The filters that want an event, and those of which that takes more work to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed<K> {
    /// Those that want it, sorted.
    pub matching: Vec<K>,
    /// Those that are undecided, sorted.
    pub undecided: Vec<K>,
    /// Steps that were taken.
    pub steps: u64,
}
