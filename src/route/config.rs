//! How much work patterns may be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::route::budget::{Budget, LEAST_STEPS, StepAllowance};

/// How much work it may be to tell whether an event matches, in steps: a value of the event that is
/// visited, a name that is looked up, 64 bytes of text that are compared.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PatternConfig {
    /// Steps that one filter may take of one event at once, while others wait, 2,000 to 10,000,000.
    /// What takes more is decided beside everything else, and only its own subscription waits. All
    /// filters of one consumer may take twice as many together.
    #[schemars(range(min = 2_000, max = 10_000_000))]
    pub steps_at_once: u64,
    /// Steps that one filter may take of one event at all, `steps-at-once` to 10,000,000,000. What
    /// takes more is given up: a dead letter, with the reason `undecided`. It counts for filters
    /// that are made from then on.
    #[schemars(range(min = 2_000, max = 10_000_000_000_u64))]
    pub steps: u64,
}

impl Default for PatternConfig {
    fn default() -> Self {
        Self { steps_at_once: 50_000, steps: 20_000_000 }
    }
}

/// A setting of patterns that cannot work: its name, and what to do about it.
pub type PatternConfigMistake = (&'static str, &'static str);

/// So many times the steps of one filter may all filters of one owner take together of one event at
/// once.
const OF_ONE_OWNER: u64 = 2;
/// So many times those may all filters.
const WHOLE: u64 = 4;

impl PatternConfig {
    /// Checks ranges that the types do not.
    ///
    /// # Errors
    ///
    /// The operator's turn: a setting is out of range.
    pub fn check(self) -> Result<(), PatternConfigMistake> {
        if !(LEAST_STEPS..=10_000_000).contains(&self.steps_at_once) {
            return Err(("steps-at-once", "use 2000 to 10000000"));
        }
        if !(self.steps_at_once..=10_000_000_000).contains(&self.steps) {
            return Err(("steps", "use 10000000000 or less, and not less than steps-at-once"));
        }
        Ok(())
    }

    /// What may be done at once.
    pub const fn at_once(self) -> StepAllowance {
        let each = self.steps_at_once;
        StepAllowance { each, owner: each * OF_ONE_OWNER, whole: each * WHOLE }
    }

    /// What a filter that is made now may take at all.
    pub const fn budget(self) -> Budget {
        Budget(self.steps)
    }
}
