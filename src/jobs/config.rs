//! How fast replays go, unless one says otherwise.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;

/// Settings of replays.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Events per second of one replay, so that live traffic is not starved; 0 for no bound.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub rate: u32,
    /// How many attempts of one replay may be in flight at once, 1 to 256.
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u16,
    /// Dead letters per second that a redrive brings back, unless it says otherwise, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub redrive_rate: u32,
    /// How long a replay may stand still, because its subscription is paused or its sink does not
    /// answer, before it is cancelled: as long as it runs, the log keeps its range.
    #[schemars(extend("x-range" = ["1m", "3650days"]))]
    pub patience: HumanDuration,
    /// How many replays, dry runs and redrives of one consumer may run at once, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub running_per_consumer: u16,
    /// How long replays and redrives that have ended are kept; of a subscription, the newest
    /// hundred at the most.
    #[schemars(extend("x-range" = ["1m", "3650days"]))]
    pub keep_ended: HumanDuration,
}

/// A setting of replays that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("replay.{setting}: {problem}")]
pub struct ReplayConfigError {
    /// The name of the setting below `replay`.
    pub setting: &'static str,
    /// What to do about it.
    pub problem: &'static str,
}

impl Config {
    /// Dead letters per second that a redrive may ask for.
    pub const REDRIVE_RATES: std::ops::RangeInclusive<u32> = 1..=1000;

    /// Checks ranges that the types do not.
    ///
    /// # Errors
    ///
    /// The operator's turn: a setting is out of range.
    pub fn check(&self) -> Result<(), ReplayConfigError> {
        if !(1..=256).contains(&self.parallel) {
            return Err(ReplayConfigError { setting: "parallel", problem: "use 1 to 256" });
        }
        if !Self::REDRIVE_RATES.contains(&self.redrive_rate) {
            return Err(ReplayConfigError { setting: "redrive-rate", problem: "use 1 to 1000" });
        }
        if self.patience.0 < Duration::from_mins(1) {
            return Err(ReplayConfigError { setting: "patience", problem: "use 1m or more" });
        }
        if !(1..=1000).contains(&self.running_per_consumer) {
            return Err(ReplayConfigError {
                setting: "running-per-consumer",
                problem: "use 1 to 1000",
            });
        }
        if self.keep_ended.0 < Duration::from_mins(1) {
            return Err(ReplayConfigError { setting: "keep-ended", problem: "use 1m or more" });
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rate: 500,
            parallel: 8,
            redrive_rate: 50,
            patience: HumanDuration(Duration::from_hours(14 * 24)),
            running_per_consumer: 10,
            keep_ended: HumanDuration(Duration::from_hours(30 * 24)),
        }
    }
}
