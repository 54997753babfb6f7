//! Decides how a body is to be read, and reads it.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::event::json::{self, Limits};
use crate::event::{Timestamp, TraceContext};
use crate::source::body::{is_utf16, without_byte_order_mark};
use crate::source::intake::attributes::{essence, is_json};
use crate::source::intake::batch::split;
use crate::source::intake::warnings::Warnings;
use crate::source::intake::{Unreadable, Warning, binary, envelope, structured};
use crate::source::trace::trace_of;
use crate::source::{BodyRoom, Config, ContentCoding, Received};

/// The media type of one event in structured mode.
const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of a batch.
const BATCHED: &str = "application/cloudevents-batch+json";
/// The header that makes a request an event in binary mode.
const SPECVERSION: &str = "ce-specversion";

/// The events of one request.
#[derive(Debug)]
pub struct Posting {
    /// The events, in the order sent; each of them was read by itself.
    pub events: Vec<Result<Received, UnreadableItem>>,
    /// Whether they came as an array, even of one.
    pub is_batch: bool,
    /// The rules that they break where nothing of them crosses.
    pub warnings: Vec<Warning>,
}

/// An event of a batch that cannot be read.
pub struct UnreadableItem {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What was sent, byte for byte.
    pub raw: Box<[u8]>,
    /// Why it cannot be read; lines and columns count from its own beginning.
    pub error: Unreadable,
}

/// Shows nothing of what was sent.
impl fmt::Debug for UnreadableItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("UnreadableItem");
        shown.field("index", &self.index).field("error", &self.error).finish_non_exhaustive()
    }
}

/// Reads the events of a request. Without a `time`, an event happened `now`.
///
/// # Errors
///
/// The caller's turn: the request as a whole cannot be read, and nothing of it may be taken.
pub fn read(
    headers: &HeaderMap,
    body: &[u8],
    config: &Config,
    now: Timestamp,
) -> Result<Posting, Unreadable> {
    read_within(headers, body, (config, &()), now)
}

/// Reads the events of a request whose content coding is undone where there is room for it.
///
/// # Errors
///
/// As for [`read`]. Later: there is no room.
pub fn read_within(
    headers: &HeaderMap,
    body: &[u8],
    (config, room): (&Config, &dyn BodyRoom),
    now: Timestamp,
) -> Result<Posting, Unreadable> {
    let limits = config.json_limits();
    if body.len() > limits.bytes {
        let (actual, limit) = (body.len(), limits.bytes);
        return Err(Unreadable::Json(json::Error::TooLong { actual, limit }));
    }
    let coding = ContentCoding::of(headers).map_err(Unreadable::Coding)?;
    let body = coding.decode(body, limits.bytes, room).map_err(Unreadable::Coding)?;
    let body = without_byte_order_mark(&body);
    let seen = Warnings::default();
    let posting = read_text(headers, body, config, &seen, now).map_err(|error| match error {
        Unreadable::Json(_) | Unreadable::NotABatch if is_utf16(body) => Unreadable::Utf16,
        error => error,
    })?;
    Ok(Posting { warnings: seen.into_inner(), ..posting })
}

fn read_text(
    headers: &HeaderMap,
    body: &[u8],
    config: &Config,
    seen: &Warnings,
    now: Timestamp,
) -> Result<Posting, Unreadable> {
    let trace = trace_of(headers);
    let trace = trace.as_ref().map(TraceContext::as_str);
    let limits = config.json_limits();
    let media_type = media_type(headers);
    let cloudevent =
        |text: &[u8]| structured::receive(tree(text, limits)?, trace, limits, seen, now);
    let enveloped = |text: &[u8]| envelope::receive(tree(text, limits)?, trace, now);
    match media_type.as_deref() {
        Some(STRUCTURED) => cloudevent(body).map(one),
        Some(BATCHED) => batch(body, config.max_batch, cloudevent),
        _ if headers.contains_key(SPECVERSION) => {
            binary::receive(headers, body, trace, limits, seen, now).map(one)
        }
        _ if binary::gives_attributes(headers) && !may_be_envelope(body) => {
            let problem = "is missing: a CloudEvent with `ce-` headers has `ce-specversion: 1.0`";
            Err(Unreadable::new("specversion", problem))
        }
        Some(media_type) if is_json(media_type) => {
            if body.trim_ascii_start().starts_with(b"[") {
                batch(body, config.max_batch, enveloped)
            } else {
                enveloped(body).map(one)
            }
        }
        _ => Err(Unreadable::MediaType(
            "send application/cloudevents+json, application/cloudevents-batch+json, \
             application/json with `ce-` headers, or an EventBridge envelope as application/json"
                .to_owned(),
        )),
    }
}

/// The media type of a body, without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE).map(|value| essence(value.to_str().unwrap_or_default()))
}

/// Whether a body is the data of one event whose attributes are headers.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    let is_other = matches!(media_type(headers).as_deref(), Some(STRUCTURED | BATCHED));
    headers.contains_key(SPECVERSION) && !is_other
}

/// Whether a body names the one member that only EventBridge envelopes have.
fn may_be_envelope(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"detail-type\"";
    body.windows(NAME.len()).any(|window| window == NAME)
}

/// Reads the JSON of one event.
fn tree(text: &[u8], limits: Limits) -> Result<Value, Unreadable> {
    json::read_event(text, limits).map_err(Unreadable::Json)
}

fn one(event: Received) -> Posting {
    Posting { events: vec![Ok(event)], is_batch: false, warnings: Vec::new() }
}

/// Reads each event of an array by itself, so that one which cannot be read harms no other.
fn batch(
    body: &[u8],
    most: usize,
    receive: impl Fn(&[u8]) -> Result<Received, Unreadable>,
) -> Result<Posting, Unreadable> {
    let items = split(body, most)?;
    if !(1..=most).contains(&items.count) {
        return Err(Unreadable::BatchSize { actual: items.count, limit: most });
    }
    let receive_at = |(index, text): (usize, &&[u8])| {
        receive(text).map_err(|error| {
            let error = match error {
                Unreadable::Json(error) => Unreadable::Item(error),
                error => error,
            };
            UnreadableItem { index, raw: Box::from(*text), error }
        })
    };
    let events = items.first.iter().enumerate().map(receive_at).collect();
    Ok(Posting { events, is_batch: true, warnings: Vec::new() })
}

#[cfg(test)]
#[path = "posting_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "cloudevent_tests.rs"]
mod cloudevent_tests;
