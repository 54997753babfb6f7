//! Decides how a body is to be read, and reads it.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::event::json::{self, Limits};
use crate::event::{Timestamp, TraceContext};
use crate::source::intake::attributes::{essence, is_json};
use crate::source::intake::batch::split;
use crate::source::intake::{Unreadable, binary, envelope, structured};
use crate::source::{Config, Received};

/// The events of one request.
#[derive(Debug)]
pub struct Posting {
    /// The events, in the order sent; each of them was read by itself.
    pub events: Vec<Result<Received, UnreadableItem>>,
    /// Whether they came as an array, even of one.
    pub is_batch: bool,
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

/// Reads one event of a body's tree.
type Receive = fn(Value, Option<&str>, Timestamp) -> Result<Received, Unreadable>;

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
    let trace = trace(headers);
    let trace = trace.as_ref().map(TraceContext::as_str);
    let limits = config.json_limits();
    if body.len() > limits.bytes {
        let (actual, limit) = (body.len(), limits.bytes);
        return Err(Unreadable::Json(json::Error::TooLong { actual, limit }));
    }
    let media_type =
        headers.get(CONTENT_TYPE).map(|value| essence(value.to_str().unwrap_or_default()));
    let event = |receive: Receive, text: &[u8]| receive(tree(text, limits)?, trace, now);
    match media_type.as_deref() {
        Some("application/cloudevents+json") => event(structured::receive, body).map(one),
        Some("application/cloudevents-batch+json") => {
            batch(body, config.max_batch, |item| event(structured::receive, item))
        }
        _ if headers.contains_key("ce-specversion") => {
            binary::receive(headers, body, trace, limits, now).map(one)
        }
        Some(media_type) if is_json(media_type) => {
            if body.trim_ascii_start().starts_with(b"[") {
                batch(body, config.max_batch, |item| event(envelope::receive, item))
            } else {
                event(envelope::receive, body).map(one)
            }
        }
        _ => Err(Unreadable::MediaType(
            "send application/cloudevents+json, application/cloudevents-batch+json, \
             application/json with `ce-` headers, or an EventBridge envelope as application/json"
                .to_owned(),
        )),
    }
}

/// Reads the JSON of one event.
fn tree(text: &[u8], limits: Limits) -> Result<Value, Unreadable> {
    json::read_event(text, limits).map_err(Unreadable::Json)
}

fn one(event: Received) -> Posting {
    Posting { events: vec![Ok(event)], is_batch: false }
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
        receive(text).map_err(|error| UnreadableItem { index, raw: Box::from(*text), error })
    };
    Ok(Posting { events: items.first.iter().enumerate().map(receive_at).collect(), is_batch: true })
}

/// The trace that the request itself belongs to.
fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    header("traceparent")
        .and_then(|text| text.parse().ok())
        .or_else(|| TraceContext::from_aws(header("x-amzn-trace-id")?).ok())
}

#[cfg(test)]
#[path = "posting_tests.rs"]
mod tests;
