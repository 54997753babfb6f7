//! What became of one event of a request, as its producer is told.

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Violation;
use crate::source::Admitted;

/// What became of one event of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    /// The id under which the producer sent it; missing if it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(flatten)]
    pub(super) result: Settled,
}

/// How it ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Settled {
    /// At least one new event is in the log.
    Accepted(Became),
    /// Everything that it became was in the log already.
    Repeated(Became),
    /// Nothing of it is in the log, and at least one publication had it quarantined.
    Quarantined(Became),
    /// No publication wants it, and it went nowhere.
    Unwanted(Became),
    /// It could not be read, and is in quarantine as bytes.
    #[serde(rename = "quarantined")]
    SetAside(SetAside),
    /// Nothing of it was stored.
    Refused(RefusedEvent),
}

/// What became of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Became {
    /// The events in the log that it became, one for each publication that wanted it.
    event_ids: Vec<String>,
    /// Whether the log had all of them already.
    repeated: bool,
    /// Present where an event under the same source and id is in the log with another content: this
    /// one was taken for its repeat and left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    differs: bool,
    /// How many publications had it quarantined.
    quarantined: usize,
}

/// Why nothing of an event was stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedEvent {
    /// A stable word, as in problems.
    pub(super) code: &'static str,
    /// What is wrong and what to do.
    pub(super) detail: String,
    /// How it breaks its contract, if that is why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub(super) violations: Vec<Violation>,
}

impl Settled {
    /// Says what happened, and never that an event was taken which went nowhere.
    pub(super) fn of(admitted: &Admitted) -> Self {
        let Admitted { events, repeated, differs, quarantined, .. } = admitted;
        let (repeated, differs, quarantined) = (*repeated, *differs, *quarantined);
        let became = Became {
            event_ids: events.iter().map(ToString::to_string).collect(),
            repeated,
            differs,
            quarantined,
        };
        match (events.is_empty(), repeated) {
            (false, false) => Self::Accepted(became),
            (false, true) => Self::Repeated(became),
            (true, _) if quarantined > 0 => Self::Quarantined(became),
            (true, _) => Self::Unwanted(became),
        }
    }
}

/// What became of an event that could not be read and is in quarantine as bytes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// The events in the log that it became: none.
    event_ids: [String; 0],
    /// Whether the log had all of them already: no.
    repeated: bool,
    /// How many entries of the quarantine it became: one.
    quarantined: usize,
    /// The number of its entry there, for the operator.
    entry: u64,
    /// A stable word for the reason, as in problems.
    code: &'static str,
    /// What is wrong and where.
    detail: String,
}

impl SetAside {
    /// The entry with this number, and why it is there.
    pub(super) const fn new(entry: u64, code: &'static str, detail: String) -> Self {
        Self { event_ids: [], repeated: false, quarantined: 1, entry, code, detail }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::EventId;

    use super::*;

    #[test]
    fn the_outcome_says_what_happened_to_an_event() {
        let word = |count: u64, repeated, quarantined| {
            let events = (0..count).map(EventId::first_of).collect();
            let settled =
                Settled::of(&Admitted { events, repeated, quarantined, ..Admitted::default() });
            serde_json::to_value(&settled).unwrap()["outcome"].clone()
        };

        assert_eq!(word(1, false, 0), "accepted");
        assert_eq!(word(2, false, 1), "accepted");
        assert_eq!(word(2, true, 0), "repeated");
        assert_eq!(word(1, true, 1), "repeated");
        assert_eq!(word(0, false, 1), "quarantined");
        assert_eq!(word(0, false, 0), "unwanted");
    }
}
