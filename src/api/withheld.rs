//! What an answer leaves out because its caller may not see it, and which scope would show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Caller, Scope};
use crate::event::{CloudEvent, ConsumerId, SPEC_VERSION};

/// What is left out of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Withheld {
    /// The members that are left out, where there are any.
    members: Vec<&'static str>,
    /// The scope that shows them.
    scope: String,
}

impl Withheld {
    /// Members that `read-data` would show.
    pub(super) fn data(members: &[&'static str]) -> Self {
        Self { members: members.to_vec(), scope: Scope::ReadData.to_string() }
    }

    /// What is left out for a caller that sees no data; nothing for one that does.
    pub(super) fn from_caller(caller: &Caller, members: &[&'static str]) -> Option<Self> {
        (!caller.reads_data()).then(|| Self::data(members))
    }

    /// What is left out for a caller that sees no data of a consumer; nothing for one that does.
    pub(super) fn from_reader(
        (caller, consumer): (&Caller, &ConsumerId),
        members: &[&'static str],
    ) -> Option<Self> {
        (!caller.reads_data_of(consumer)).then(|| Self::data(members))
    }
}

/// The members of an event that [`metadata`] leaves out.
pub(super) const SEALED_MEMBERS: &[&str] =
    &["data", "idempotencykey", "subject and extension attributes that are not clear"];

/// What a sink has said may be what it was sent.
pub(super) const SINK_WORDS: &[&str] = &["detail of attempts that a sink has answered"];

/// An event in its JSON form, with nothing that comes of its data: what may stand outside of tokens,
/// and no name of its content.
pub(super) fn metadata(event: &CloudEvent) -> serde_json::Value {
    let mut members = serde_json::Map::new();
    members.insert("specversion".into(), SPEC_VERSION.into());
    members.insert("id".into(), event.id.to_string().into());
    for (name, value) in event.clear_attributes().filter(|(name, _)| *name != "idempotencykey") {
        members.insert(name.into(), value.into_owned().into());
    }
    for (name, value) in event.clear_extensions() {
        members.insert(name.to_string(), value.to_json());
    }
    members.into()
}

/// What went wrong with a delivery, as far as the caller may see it: the words of a sink that has answered
/// are the sink's, which may repeat what it was sent.
pub(super) fn words(detail: &str, status: Option<u16>, reads_data: bool) -> Option<String> {
    (reads_data || status.is_none() || detail.is_empty()).then(|| detail.to_owned())
}
