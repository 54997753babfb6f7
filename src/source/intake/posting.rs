//! Decides how a body is to be read, and reads it.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::event::{Timestamp, TraceContext, json};
use crate::source::body::{is_utf16, without_byte_order_mark};
use crate::source::intake::attributes::{essence, is_json};
use crate::source::intake::warnings::Warnings;
use crate::source::intake::{Unreadable, Warning, binary, envelope, structured};
use crate::source::{Config, ContentCoding, Received};

/// The events of one request, all of them readable.
#[derive(Debug)]
pub struct Posting {
    /// The events, in the order sent.
    pub events: Vec<Received>,
    /// Whether they came as an array, even of one.
    pub is_batch: bool,
    /// The rules that they break where nothing of them crosses.
    pub warnings: Vec<Warning>,
}

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
    let seen = Warnings::default();
    let limits = config.json_limits();
    let coding = ContentCoding::of(headers).map_err(Unreadable::Coding)?;
    let body = coding.decode(body, limits.bytes).map_err(Unreadable::Coding)?;
    let body = without_byte_order_mark(&body);
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
    let trace = trace(headers);
    let trace = trace.as_ref().map(TraceContext::as_str);
    let limits = config.json_limits();
    let media_type =
        headers.get(CONTENT_TYPE).map(|value| essence(value.to_str().unwrap_or_default()));
    let tree = || json::read(body, limits).map_err(Unreadable::Json);
    let cloudevent = |event| structured::receive(event, trace, limits, seen, now);
    let enveloped = |event| envelope::receive(event, trace, now);
    match media_type.as_deref() {
        Some("application/cloudevents+json") => one(cloudevent(tree()?)?),
        Some("application/cloudevents-batch+json") => match tree()? {
            Value::Array(events) => batch(events, cloudevent, config),
            _ => Err(Unreadable::NotABatch),
        },
        _ if headers.contains_key("ce-specversion") => {
            one(binary::receive(headers, body, trace, limits, seen, now)?)
        }
        _ if binary::gives_attributes(headers) && !may_be_envelope(body) => {
            let problem = "is missing: a CloudEvent with `ce-` headers has `ce-specversion: 1.0`";
            Err(Unreadable::new("specversion", problem))
        }
        Some(media_type) if is_json(media_type) => match tree()? {
            Value::Array(events) => batch(events, enveloped, config),
            event => one(enveloped(event)?),
        },
        _ => Err(Unreadable::MediaType(
            "send application/cloudevents+json, application/cloudevents-batch+json, \
             application/json with `ce-` headers, or an EventBridge envelope as application/json"
                .to_owned(),
        )),
    }
}

/// Whether a body names the one member that only EventBridge envelopes have.
fn may_be_envelope(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"detail-type\"";
    body.windows(NAME.len()).any(|window| window == NAME)
}

#[expect(clippy::unnecessary_wraps, reason = "every way of reading ends alike")]
fn one(event: Received) -> Result<Posting, Unreadable> {
    Ok(Posting { events: vec![event], is_batch: false, warnings: Vec::new() })
}

fn batch(
    events: Vec<Value>,
    receive: impl Fn(Value) -> Result<Received, Unreadable>,
    config: &Config,
) -> Result<Posting, Unreadable> {
    if !(1..=config.max_batch).contains(&events.len()) {
        return Err(Unreadable::BatchSize { actual: events.len(), limit: config.max_batch });
    }
    let receive_at = |(index, event)| {
        receive(event).map_err(|source| Unreadable::InBatch { index, source: Box::new(source) })
    };
    let events = events.into_iter().enumerate().map(receive_at).collect::<Result<_, _>>()?;
    Ok(Posting { events, is_batch: true, warnings: Vec::new() })
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

#[cfg(test)]
#[path = "cloudevent_tests.rs"]
mod cloudevent_tests;
