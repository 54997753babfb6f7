//! An entry of `PutEvents` of which no event can be made, and why.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::Violation;
use crate::source::aws::Identity;
use crate::source::aws::answer::EntryResult;
use crate::source::{KeptHeaders, Unparsed};

/// The reason of an entry of which no event can be made, as problems name it.
const UNREADABLE: &str = "invalid-event";

/// Why no event can be made of an entry.
pub(super) struct EntryFault {
    failed: EntryResult,
    reason: Option<String>,
}

impl EntryFault {
    /// A fault of which the producer is told less than is known.
    pub(super) const fn with_reason(failed: EntryResult, reason: String) -> Self {
        Self { failed, reason: Some(reason) }
    }

    /// Names the entry whose fault it is.
    pub(super) fn of(self, raw: &str) -> UnreadableEntry {
        UnreadableEntry { raw: raw.into(), failed: self.failed, reason: self.reason }
    }
}

impl From<EntryResult> for EntryFault {
    fn from(failed: EntryResult) -> Self {
        Self { failed, reason: None }
    }
}

/// An entry of which no event can be made.
pub(super) struct UnreadableEntry {
    /// The JSON of the entry, as it was sent.
    pub raw: Box<str>,
    /// Why, as its producer is told.
    pub failed: EntryResult,
    /// The reason and its place, where the producer is told the words of AWS, which have none.
    pub reason: Option<String>,
}

impl UnreadableEntry {
    /// Why, as whoever looks into the quarantine is told: with all that is known, without data.
    pub(super) fn why(&self) -> String {
        match (&self.failed, &self.reason) {
            (EntryResult::Failed { error_code, error_message }, Some(reason)) => {
                format!("{error_message} Reason: {reason}. ({error_code})")
            }
            (EntryResult::Failed { error_code, error_message }, None) => {
                format!("{error_message} ({error_code})")
            }
            (EntryResult::Taken { .. }, _) => String::new(),
        }
    }

    /// Describes the entry as the quarantine keeps it: by itself, and its content coding undone.
    pub(super) fn into_unparsed(
        self,
        event_id: Uuid,
        (identity, headers): (&Identity, &HeaderMap),
    ) -> Unparsed {
        let message = self.why();
        Unparsed {
            producer: identity.producer(),
            headers: KeptHeaders::of_item(headers),
            body: self.raw.into_boxed_bytes().into_vec(),
            id: Some(event_id.to_string()),
            reason: Violation { pointer: String::new(), code: UNREADABLE.to_owned(), message },
        }
    }
}

/// The members of an entry whose types are checked here, whatever they are.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members<'a> {
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    detail_type: Option<&'a RawValue>,
    detail: Option<&'a RawValue>,
    event_bus_name: Option<&'a RawValue>,
    resources: Option<&'a RawValue>,
    trace_header: Option<&'a RawValue>,
}

/// Names what is of the wrong type in an entry, counted from 1, and what it must be.
pub(super) fn wrong_member(text: &str, place: usize) -> String {
    if !text.starts_with('{') {
        return format!("entry {place} must be an object");
    }
    let unknown = format!("a member of entry {place} is of the wrong type");
    let Ok(entry) = serde_json::from_str::<Members<'_>>(text) else {
        return unknown;
    };
    let texts = [
        ("Source", entry.source),
        ("DetailType", entry.detail_type),
        ("Detail", entry.detail),
        ("EventBusName", entry.event_bus_name),
        ("TraceHeader", entry.trace_header),
    ];
    let is_text = |raw: &RawValue| raw.get().starts_with('"');
    match texts.iter().find(|(_, raw)| raw.is_some_and(|raw| !is_text(raw))) {
        Some((name, _)) => format!("`{name}` of entry {place} must be a string"),
        None if entry.resources.is_some() => {
            format!("`Resources` of entry {place} must be a list of strings")
        }
        None => unknown,
    }
}
