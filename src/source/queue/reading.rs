//! Reads a message of a queue as an event.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::event::{EventTime, OWN_SOURCE, Timestamp, TraceContext, Violation};
use crate::source::body::without_byte_order_mark;
use crate::source::intake::{self, Unreadable, Warning};
use crate::source::queue::message::QueueMessage;
use crate::source::queue::settings::QueueSource;
use crate::source::queue::wrapping::{Told, WrappingError, unwrap};
use crate::source::received::is_own_source;
use crate::source::source_rule::is_allowed;
use crate::source::{Config, Received, Unparsed};
use crate::telemetry::error_chain;

/// The code of what cannot be read as an event.
const UNREADABLE: &str = "invalid-event";
/// The code of an event whose source is not the queue's.
const FORBIDDEN: &str = "forbidden";
/// Whoever acts on the gateway's events believes their source.
const NOT_OURS: &str = "its source is that of the gateway's own events, and this gateway has not put it on \
                        a bus: have its producer name itself otherwise, or have the rule leave out the \
                        events of another gateway, and remove the entry";

/// What a message is.
pub(super) enum QueueReading {
    /// An event, and the rules that it breaks where nothing of it crosses.
    Event(Box<Received>, Vec<Warning>),
    /// An event that this gateway has put on a bus and that came back: what it says is in the log already.
    Own,
    /// Nothing that can be let in as it is.
    Unreadable(Box<Unparsed>),
}

/// Why no event of a producer can be made of a message.
enum Misread {
    /// Its source is the gateway's: the resources that it names, if it is written as the gateway writes.
    OwnSource(Vec<String>),
    Unreadable(Violation),
}

/// Reads a message by the settings of its queue. Without a time of its own, its event happened when the
/// message was sent. `own_resources` is what the resources of all events begin with that this gateway puts
/// on a bus.
pub(super) fn read(
    message: &QueueMessage,
    queue: &QueueSource,
    (config, own_resources): (&Config, &str),
    now: Timestamp,
) -> QueueReading {
    let read = event(message, queue, config, now).and_then(|(received, warnings)| {
        if is_allowed(queue.sources.as_deref(), &received.envelope.source) {
            return Ok((received, warnings));
        }
        let words = "the `sources` of the queue do not name the source of the event: widen them and \
                     release the entry, or remove it";
        Err(violation("/source", FORBIDDEN, words.to_owned()))
    });
    let is_own = |resources: &[String]| {
        let mut resources = resources.iter();
        resources.len() > 0 && resources.all(|resource| resource.starts_with(own_resources))
    };
    let reason = match read {
        Ok((received, warnings)) => return QueueReading::Event(Box::new(received), warnings),
        Err(Misread::OwnSource(resources)) if is_own(&resources) => return QueueReading::Own,
        Err(Misread::OwnSource(_)) => Violation {
            pointer: "/source".to_owned(),
            code: FORBIDDEN.to_owned(),
            message: NOT_OURS.to_owned(),
        },
        Err(Misread::Unreadable(reason)) => reason,
    };
    QueueReading::Unreadable(Box::new(Unparsed {
        producer: queue.producer(),
        headers: message.headers(),
        id: intake::told_id(&HeaderMap::new(), message.body.as_bytes()),
        body: message.body.clone().into_bytes(),
        reason,
    }))
}

/// Reads a message again that the quarantine kept, by the settings of this moment. Its source is for
/// the caller to check.
///
/// # Errors
///
/// The caller's turn: it still cannot be read, or its queue is not read any more; the text says so
/// without data.
pub fn read_again(
    config: &Config,
    queue: &str,
    (headers, body): (&HeaderMap, &[u8]),
    arrived: Timestamp,
) -> Result<Received, String> {
    let queue = config
        .queue(queue)
        .ok_or_else(|| "its queue is not in `source.queues` any more".to_owned())?;
    match event(&QueueMessage::kept(headers, body), queue, config, arrived) {
        Ok((received, _)) => Ok(received),
        Err(Misread::OwnSource(_)) => Err(NOT_OURS.to_owned()),
        Err(Misread::Unreadable(reason)) => Err(reason.message),
    }
}

fn event(
    message: &QueueMessage,
    queue: &QueueSource,
    config: &Config,
    now: Timestamp,
) -> Result<(Received, Vec<Warning>), Misread> {
    let limits = config.json_limits();
    let body = without_byte_order_mark(message.body.as_bytes());
    let body = crate::event::json::read_event(body, limits)
        .map_err(|error| unreadable(&Unreadable::Json(error)))?;
    let (body, told) = unwrap(body, limits).map_err(|error| wrapped_wrong(&error))?;
    let event = described(body, told, message, queue)?;
    if let Some(source) = event.get("source").and_then(Value::as_str).filter(|it| is_own_source(it))
    {
        let resources = event.get("resources").and_then(Value::as_array);
        let resources = resources.filter(|_| source == OWN_SOURCE).into_iter().flatten();
        let texts: Option<Vec<_>> = resources.map(|one| one.as_str().map(str::to_owned)).collect();
        return Err(Misread::OwnSource(texts.unwrap_or_default()));
    }
    let trace = message.trace();
    let trace = trace.as_ref().map(TraceContext::as_str);
    let sent = message.sent.unwrap_or(now);
    let (received, warnings) =
        intake::receive(event, trace, limits, sent).map_err(|error| unreadable(&error))?;
    Ok((Received { producer: Some(queue.producer()), ..received }, warnings))
}

/// The event as a tree that says its id, source and type.
fn described(
    body: Value,
    told: Told,
    message: &QueueMessage,
    queue: &QueueSource,
) -> Result<Value, Misread> {
    let time = told.time.filter(|time| time.parse::<EventTime>().is_ok());
    let id = told.id.unwrap_or_else(|| message.id.clone());
    let has = |name: &str| body.get(name).is_some();
    if has("specversion") && !has("detail-type") {
        return Ok(body);
    }
    match body {
        // An input transformer may leave out what only AWS knows.
        Value::Object(members) if is_envelope(&members) => Ok(completed(members, &id, time)),
        data => {
            let raw = queue.raw.as_ref();
            let source = told.source.or_else(|| raw.map(|raw| raw.source.clone()));
            let kind = told.detail_type.or_else(|| raw.map(|raw| raw.detail_type.clone()));
            let (Some(source), Some(kind)) = (source, kind) else { return Err(unnamed()) };
            let mut event =
                json!({ "specversion": "1.0", "id": id, "source": source, "type": kind });
            if let Value::Object(event) = &mut event {
                event.extend(time.map(|time| ("time".to_owned(), time.into())));
                event.insert("data".to_owned(), data);
            }
            Ok(event)
        }
    }
}

fn is_envelope(members: &Map<String, Value>) -> bool {
    ["source", "detail-type", "detail"].iter().all(|name| members.contains_key(*name))
}

fn completed(mut members: Map<String, Value>, id: &str, time: Option<String>) -> Value {
    let is_missing =
        |members: &Map<String, Value>, name: &str| members.get(name).is_none_or(Value::is_null);
    if is_missing(&members, "id") {
        members.insert("id".to_owned(), id.into());
    }
    if let (true, Some(time)) = (is_missing(&members, "time"), time) {
        members.insert("time".to_owned(), time.into());
    }
    Value::Object(members)
}

fn unnamed() -> Misread {
    let words = "it carries no `source` and no `detail-type`: send the whole event, or say in the \
                 settings of the queue what its bodies are (`raw: { source: …, detail-type: … }`) and \
                 release the entry";
    violation("", UNREADABLE, words.to_owned())
}

fn wrapped_wrong(error: &WrappingError) -> Misread {
    let pointer = match error {
        WrappingError::Message(_) => "/Message",
        WrappingError::ContentType => "/Data",
    };
    violation(pointer, UNREADABLE, error_chain(error).to_string())
}

fn unreadable(error: &Unreadable) -> Misread {
    violation(&error.pointer(), UNREADABLE, error_chain(error).to_string())
}

fn violation(pointer: &str, code: &str, message: String) -> Misread {
    let (pointer, code) = (pointer.to_owned(), code.to_owned());
    Misread::Unreadable(Violation { pointer, code, message })
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
