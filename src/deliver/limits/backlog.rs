//! How much may wait for a subscription.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;
use crate::event::Timestamp;

/// How much may wait for a subscription that was never offered; the oldest becomes dead letters.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BacklogConfig {
    /// How long an event may wait, 1m or more; null: for as long as the subscription is there, or 14
    /// days where the number is bounded.
    #[schemars(extend("x-range" = ["1m", "36500days"]))]
    pub maximum_age: Option<HumanDuration>,
    /// How many events may wait, 1 to 1,000,000; null: any number.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub maximum_events: Option<u32>,
    /// The longest age that a subscription may ask for, `maximum-age` or more; null: `maximum-age`.
    #[schemars(extend("x-range" = ["1m", "36500days"]))]
    pub longest_age: Option<HumanDuration>,
    /// The most events that a subscription may ask for, `maximum-events` to 1,000,000; null:
    /// `maximum-events`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub most_events: Option<u32>,
}

/// The bounds of a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BacklogLimit {
    /// How long a match may wait; nothing: any time.
    pub age: Option<Duration>,
    /// How many matches may wait; nothing: any number.
    pub events: Option<u64>,
}

impl Default for BacklogConfig {
    fn default() -> Self {
        let maximum_age = Some(HumanDuration(BacklogLimit::AGE));
        Self { maximum_age, maximum_events: None, longest_age: None, most_events: None }
    }
}

impl BacklogLimit {
    /// How long a match may wait if nobody says otherwise.
    pub const AGE: Duration = Duration::from_hours(14 * 24);

    /// With an age where there is a number: a few matches that keep within it would keep the log for
    /// ever.
    #[must_use]
    pub fn with_age(self) -> Self {
        let age = self.age.or(self.events.map(|_| Self::AGE));
        Self { age, ..self }
    }

    /// When the oldest match has to be looked at again that is within these bounds: others may become
    /// too many at any time, and it becomes too old at one.
    pub fn due(self, accepted: Timestamp) -> Timestamp {
        match (self.age, self.events) {
            (Some(age), None) => accepted.after(age),
            _ => Timestamp::EPOCH,
        }
    }
}

impl BacklogConfig {
    /// The bounds of a subscription that asks for none.
    pub fn limit(self) -> BacklogLimit {
        let age = self.maximum_age.map(|age| age.0);
        BacklogLimit { age, events: self.maximum_events.map(u64::from) }
    }

    /// The most that a subscription may ask for.
    pub fn cap(self) -> BacklogLimit {
        let Self { maximum_age, maximum_events, longest_age, most_events } = self;
        let wider = Self {
            maximum_age: longest_age.or(maximum_age),
            maximum_events: most_events.or(maximum_events),
            ..self
        };
        wider.limit()
    }
}
