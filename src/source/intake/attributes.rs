//! What CloudEvents attributes must look like, whatever carries them.

use serde_json::{Map, Value};

use crate::event::{
    EventSource, EventTime, EventTimeError, EventType, Timestamp, TraceContext, is_noncharacter,
};
use crate::source::intake::Unreadable;
use crate::source::intake::warnings::{WarningKind, Warnings, of_uris};
use crate::source::received::is_own_source;
use crate::source::{Envelope, Received};

const MAX_ID: usize = 1024;

/// The context attributes of one CloudEvent, as texts that nobody has looked at.
#[derive(Default)]
pub(super) struct Attributes {
    pub specversion: Option<String>,
    pub id: Option<String>,
    pub source: Option<String>,
    pub event_type: Option<String>,
    pub subject: Option<String>,
    pub time: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    pub traceparent: Option<String>,
    /// The rules that are broken by what is left out.
    pub warnings: Vec<WarningKind>,
}

impl Attributes {
    /// Checks the attributes and puts them around the data.
    ///
    /// An event without data has an empty detail. A subject becomes the one resource, so that
    /// publications can match it; what crosses of it is checked where it crosses. A rule that is
    /// broken where nothing crosses costs a warning.
    ///
    /// # Errors
    ///
    /// The caller's turn: an attribute is missing or not allowed, or the data is not JSON.
    pub(super) fn around(
        self,
        data: Option<Value>,
        seen: &Warnings,
        now: Timestamp,
    ) -> Result<Received, Unreadable> {
        let mut kinds = self.warnings;
        kinds.extend(of_uris(self.source.as_deref(), self.dataschema.as_deref()));
        let version = required("specversion", self.specversion)?;
        if version != "1.0" {
            return Err(Unreadable::new("specversion", "must be `1.0`"));
        }
        let id = check_id(required("id", self.id)?)?;
        let source = check_source(required("source", self.source)?)?;
        EventSource::new(&source).map_err(Unreadable::Attribute)?;
        let detail_type = required("type", self.event_type)?;
        EventType::new(&detail_type).map_err(Unreadable::Attribute)?;
        let time = check_time(self.time, now)?;
        check_content_type(self.datacontenttype.as_deref())?;
        let envelope = Envelope {
            id,
            source,
            detail_type,
            time,
            account: None,
            region: None,
            replay_name: None,
            resources: self.subject.into_iter().collect(),
            detail: data.unwrap_or_else(|| Value::Object(Map::new())),
        };
        seen.add(&envelope.id, kinds);
        Ok(Received { envelope, repeatable: true, traceparent: self.traceparent, producer: None })
    }
}

/// Refuses data of another kind than JSON.
pub(super) fn check_content_type(media_type: Option<&str>) -> Result<(), Unreadable> {
    match media_type {
        Some(media_type) if !is_json(media_type) => Err(Unreadable::new(
            "datacontenttype",
            "must be JSON, such as `application/json`; in binary mode it is the header \
             Content-Type",
        )),
        _ => Ok(()),
    }
}

/// The trace of an event: its own, if it can be read, or that of its request. `given` is the member or
/// header as it was sent; what is no text is as broken as a text that cannot be read.
pub(super) fn own_trace<E>(
    given: Result<Option<String>, E>,
    request: Option<&str>,
    warnings: &mut Vec<WarningKind>,
) -> Option<String> {
    let is_given = !matches!(given, Ok(None));
    let own = readable(given.ok().flatten());
    if is_given && own.is_none() {
        warnings.push(WarningKind::TraceParent);
    }
    own.or_else(|| request.map(str::to_owned))
}

/// Keeps a `traceparent` that can be read; a broken one must not cost the event.
pub(super) fn readable(traceparent: Option<String>) -> Option<String> {
    traceparent.filter(|text| text.parse::<TraceContext>().is_ok())
}

pub(super) fn required(name: &'static str, value: Option<String>) -> Result<String, Unreadable> {
    value.ok_or_else(|| Unreadable::new(name, "is missing"))
}

/// Checks an id by the rules of the other attributes.
pub(super) fn check_id(id: String) -> Result<String, Unreadable> {
    let problem = if id.is_empty() {
        "must not be empty"
    } else if id.len() > MAX_ID {
        "must not be longer than 1024 bytes"
    } else if id.contains(|c: char| c.is_control() || is_noncharacter(c)) {
        "must not contain control characters or Unicode non-characters"
    } else {
        return Ok(id);
    };
    Err(Unreadable::new("id", problem))
}

/// Checks that nobody speaks in the gateway's name: who acts on its operational events believes
/// their `source`.
pub(super) fn check_source(source: String) -> Result<String, Unreadable> {
    if is_own_source(&source) {
        let problem = "must not be `sealway`, which the gateway's own events have; use another";
        return Err(Unreadable::new("source", problem));
    }
    Ok(source)
}

/// Reads when the event occurred; without a word of the producer, it is now.
pub(super) fn check_time(time: Option<String>, now: Timestamp) -> Result<EventTime, Unreadable> {
    let Some(time) = time else { return Ok(now.into()) };
    time.parse().map_err(|error: EventTimeError| Unreadable::new("time", error.problem()))
}

/// Takes a JSON object and nothing else, since publications point into it.
pub(super) fn object(name: &'static str, value: Value) -> Result<Value, Unreadable> {
    if value.is_object() { Ok(value) } else { Err(Unreadable::new(name, "must be a JSON object")) }
}

/// The media type without its parameters, in lower case.
pub(super) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is JSON (`application/json`, `text/json`, `…+json`).
pub(super) fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type);
    matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json")
}

/// Removes a text member of an object; `null` counts as absent.
///
/// # Errors
///
/// The caller's turn: the member is not text.
pub(super) fn take_text(
    members: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, Unreadable> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unreadable::new(name, "must be text")),
    }
}
