//! How much one consumer may have: its subscriptions, and what their filters take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::Size;
use crate::subscriptions::usage::{ConsumerBound, Exceeded, Usage};

/// Settings of what each consumer may have. What is there already stays when a bound is lowered.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The most subscriptions of one consumer.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub subscriptions: u32,
    /// The most that the filters of one consumer take together, as JSON; equal ones count once.
    #[schemars(extend("x-range" = ["1 KiB", "1 GiB"]))]
    pub filter_size: Size,
    /// The most filters that one consumer has or had for events that the log still holds: each
    /// change of a filter adds one.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub epochs: u32,
    /// The most combinations that the filters of one consumer make together: alternatives of `$or`
    /// multiply, and a filter without them makes one.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub combinations: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            subscriptions: 1000,
            filter_size: Size(4 * 1024 * 1024),
            epochs: 4000,
            combinations: 20_000,
        }
    }
}

impl Config {
    /// Compares what a consumer would have with what it may have: what does not grow is not refused.
    pub(super) fn check(&self, before: Usage, after: Usage) -> Result<(), Exceeded> {
        let bounds = [
            (ConsumerBound::Subscriptions, u64::from(self.subscriptions)),
            (ConsumerBound::FilterSize, self.filter_size.0),
            (ConsumerBound::Epochs, u64::from(self.epochs)),
            (ConsumerBound::Combinations, u64::from(self.combinations)),
        ];
        let exceeded = bounds.into_iter().find_map(|(bound, most)| {
            let (used, wanted) = (before.of(bound), after.of(bound));
            (wanted > most && wanted > used).then_some(Exceeded { bound, most, used, wanted })
        });
        exceeded.map_or(Ok(()), Err)
    }
}
