//! What became of one event of a request, as its producer is told.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Code;
use crate::event::{Fault, Violation};
use crate::source::{AdmitRefusal, Admitted};

/// What became of one event of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    /// The id under which the producer sent it; absent if the event could not be read.
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
    Accepted(Kept),
    /// Everything that it became was in the log already.
    Repeated(Kept),
    /// Nothing of it is in the log, and at least one publication had it quarantined.
    Quarantined(Kept),
    /// No publication wants it, and it went nowhere.
    Unwanted(Kept),
    /// Nothing of it was stored.
    Refused(Refusal),
}

/// What is kept of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The events in the log that it became, one for each publication that wanted it.
    event_ids: Vec<String>,
    /// Whether the log had all of them already.
    repeated: bool,
    /// How many publications had it quarantined.
    quarantined: usize,
}

/// Why nothing of an event was stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Refusal {
    /// A stable word, as in problems.
    code: &'static str,
    /// What is wrong and what to do.
    detail: String,
    /// How it breaks its contract, if that is why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    violations: Vec<Violation>,
}

impl Settled {
    /// Says what happened, and never that an event was taken which went nowhere.
    pub(super) fn of(answer: Result<Admitted, AdmitRefusal>) -> Self {
        let admitted = match answer {
            Ok(admitted) => admitted,
            Err(refusal) => return Self::Refused(refusal.into()),
        };
        let Admitted { events, repeated, quarantined } = admitted;
        let kept = Kept {
            event_ids: events.iter().map(ToString::to_string).collect(),
            repeated,
            quarantined,
        };
        match (events.is_empty(), repeated) {
            (false, false) => Self::Accepted(kept),
            (false, true) => Self::Repeated(kept),
            (true, _) if quarantined > 0 => Self::Quarantined(kept),
            (true, _) => Self::Unwanted(kept),
        }
    }
}

impl From<AdmitRefusal> for Refusal {
    fn from(refusal: AdmitRefusal) -> Self {
        let detail = match refusal.fault {
            // What failed on our side is for our log only.
            Fault::Ours => Code::Internal.title().to_owned(),
            Fault::Caller | Fault::Later => refusal.message,
        };
        Self { code: refusal.code, detail, violations: refusal.violations }
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
            let settled = Settled::of(Ok(Admitted { events, repeated, quarantined }));
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
