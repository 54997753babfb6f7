//! The EventBridge envelope, as rules, API destinations and archives write it.

use serde_json::{Map, Value};

use crate::event::Timestamp;
use crate::source::intake::Unreadable;
use crate::source::intake::attributes::{
    check_id, check_source, check_time, object, readable, required, take_text,
};
use crate::source::{Envelope, Received};

/// Takes one envelope. Members that are not of the envelope are left out.
///
/// # Errors
///
/// The caller's turn: this is not an EventBridge envelope.
pub(super) fn receive(
    event: Value,
    header_trace: Option<&str>,
    now: Timestamp,
) -> Result<Received, Unreadable> {
    let Value::Object(mut members) = event else {
        return Err(Unreadable::NotAnObject);
    };
    if members.contains_key("specversion") && !members.contains_key("detail-type") {
        return Err(Unreadable::MediaType(
            "a CloudEvent is sent as `application/cloudevents+json`".to_owned(),
        ));
    }
    let resources = take_resources(&mut members)?;
    let detail = members.remove("detail");
    let mut take = |name| take_text(&mut members, name);
    let time = check_time(take("time")?, now)?;
    let envelope = Envelope {
        id: check_id(required("id", take("id")?)?)?,
        source: check_source(filled("source", take("source")?)?)?,
        detail_type: filled("detail-type", take("detail-type")?)?,
        time,
        account: take("account")?.filter(|account| !account.is_empty()),
        region: take("region")?.filter(|region| !region.is_empty()),
        resources,
        detail: object("detail", detail.unwrap_or(Value::Null))?,
    };
    let traceparent = readable(header_trace.map(str::to_owned));
    Ok(Received { envelope, repeatable: true, traceparent })
}

fn filled(name: &'static str, value: Option<String>) -> Result<String, Unreadable> {
    let value = required(name, value)?;
    if value.is_empty() { Err(Unreadable::new(name, "must not be empty")) } else { Ok(value) }
}

fn take_resources(members: &mut Map<String, Value>) -> Result<Vec<String>, Unreadable> {
    let refuse = || Unreadable::new("resources", "must be an array of texts");
    match members.remove("resources") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(refuse()),
            })
            .collect(),
        Some(_) => Err(refuse()),
    }
}
