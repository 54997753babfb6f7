//! How fast replays go, unless one says otherwise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of replays.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Events per second of one replay, so that live traffic is not starved; 0 for no bound.
    pub rate: u32,
    /// How many attempts of one replay may be under way at once, 1 to 256.
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { rate: 500, parallel: 8 }
    }
}
