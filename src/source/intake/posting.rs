//! Decides how a body is to be read, and reads it.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::event::{Timestamp, TraceContext, json};
use crate::source::intake::attributes::{essence, is_json};
use crate::source::intake::{Unreadable, binary, envelope, structured};
use crate::source::{Config, Received};

/// The events of one request, all of them readable.
#[derive(Debug)]
pub struct Posting {
    /// The events, in the order sent.
    pub events: Vec<Received>,
    /// Whether they came as an array, even of one.
    pub is_batch: bool,
}

/// Reads one event of a body's tree.
type Receive = fn(Value, Option<&str>, Timestamp) -> Result<Received, Unreadable>;

/// Reads the events of a request. Without a `time`, an event happened `now`.
///
/// # Errors
///
/// The caller's turn: the request cannot be read, and nothing of it may be taken.
pub fn read(
    headers: &HeaderMap,
    body: &[u8],
    config: &Config,
    now: Timestamp,
) -> Result<Posting, Unreadable> {
    let trace = trace(headers);
    let trace = trace.as_ref().map(TraceContext::as_str);
    let limits = config.json_limits();
    let media_type =
        headers.get(CONTENT_TYPE).map(|value| essence(value.to_str().unwrap_or_default()));
    let tree = || json::read_event(body, limits).map_err(Unreadable::Json);
    match media_type.as_deref() {
        Some("application/cloudevents+json") => one(structured::receive(tree()?, trace, now)?),
        Some("application/cloudevents-batch+json") => match tree()? {
            Value::Array(events) => batch(events, structured::receive, trace, config, now),
            _ => Err(Unreadable::NotABatch),
        },
        _ if headers.contains_key("ce-specversion") => {
            one(binary::receive(headers, body, trace, limits, now)?)
        }
        Some(media_type) if is_json(media_type) => match tree()? {
            Value::Array(events) => batch(events, envelope::receive, trace, config, now),
            event => one(envelope::receive(event, trace, now)?),
        },
        _ => Err(Unreadable::MediaType(
            "send application/cloudevents+json, application/cloudevents-batch+json, \
             application/json with `ce-` headers, or an EventBridge envelope as application/json"
                .to_owned(),
        )),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every way of reading ends alike")]
fn one(event: Received) -> Result<Posting, Unreadable> {
    Ok(Posting { events: vec![event], is_batch: false })
}

fn batch(
    events: Vec<Value>,
    receive: Receive,
    trace: Option<&str>,
    config: &Config,
    now: Timestamp,
) -> Result<Posting, Unreadable> {
    if !(1..=config.max_batch).contains(&events.len()) {
        return Err(Unreadable::BatchSize { actual: events.len(), limit: config.max_batch });
    }
    let receive_at = |(index, event)| {
        receive(event, trace, now)
            .map_err(|source| Unreadable::InBatch { index, source: Box::new(source) })
    };
    let events = events.into_iter().enumerate().map(receive_at).collect::<Result<_, _>>()?;
    Ok(Posting { events, is_batch: true })
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
