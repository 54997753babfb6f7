//! The settings of access: bounds, and how long ahead an end is told.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;

/// What consumers may hear: bounds, and how long ahead an end is told.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How long before a grant ends its consumer and the owner of the publication are told.
    #[schemars(extend("x-range" = ["0s", "365days"]))]
    pub tell_before: HumanDuration,
    /// Grants of one domain that a consumer may have which have not ended.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub grants_per_consumer: u32,
    /// Access requests of a consumer that may wait for a decision.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_consumer: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tell_before: HumanDuration(Duration::from_hours(24 * 14)),
            grants_per_consumer: 500,
            requests_per_consumer: 20,
        }
    }
}
