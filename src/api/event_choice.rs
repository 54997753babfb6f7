//! One of several events of which a caller has to name one.

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Timestamp;
use crate::eventlog::Entry;

/// One of several events that came of one envelope, or of envelopes with one id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct EventChoice {
    /// The event's id, a ULID.
    id: String,
    /// The event's type.
    r#type: String,
    /// The publication that let it cross, as `domain/event`.
    publication: String,
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    accepted: Timestamp,
}

impl EventChoice {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            id: entry.event.id.to_string(),
            r#type: entry.event.event_type.to_string(),
            publication: entry.publication.to_string(),
            accepted: entry.accepted,
        }
    }
}
