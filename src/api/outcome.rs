//! What became of one event of a request, as its producer is told.

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Violation;

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
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
pub enum Settled {
    /// It is durable.
    Taken {
        /// The events in the log that it became, one for each publication that wanted it.
        event_ids: Vec<String>,
        /// Whether the log had all of them already.
        repeated: bool,
        /// How many publications had it quarantined.
        quarantined: usize,
    },
    /// It could not be read, and is in quarantine as bytes.
    #[serde(rename = "quarantined")]
    SetAside(SetAside),
    /// Nothing of it was stored.
    Refused {
        /// A stable word, as in problems.
        code: &'static str,
        /// What is wrong and what to do.
        detail: String,
        /// How it breaks its contract, if that is why.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schema(value_type = Vec<Object>)]
        violations: Vec<Violation>,
    },
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
