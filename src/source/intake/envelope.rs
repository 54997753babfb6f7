//! The EventBridge envelope, as rules, API destinations and archives write it.

use serde_json::{Map, Value};

use crate::event::Timestamp;
use crate::source::intake::Unreadable;
use crate::source::intake::attributes::{
    check_id, check_source, check_time, object, readable, required, take_text,
};
use crate::source::{Envelope, Received};

/// The longest name of a replay, in bytes, as the `StartReplay` model has it.
const MAX_REPLAY_NAME: usize = 64;

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
        replay_name: take_replay_name(&mut members),
        resources,
        detail: object("detail", detail.unwrap_or(Value::Null))?,
    };
    let traceparent = readable(header_trace.map(str::to_owned));
    Ok(Received { envelope, repeatable: true, traceparent, producer: None })
}

fn filled(name: &'static str, value: Option<String>) -> Result<String, Unreadable> {
    let value = required(name, value)?;
    if value.is_empty() { Err(Unreadable::new(name, "must not be empty")) } else { Ok(value) }
}

/// Takes the name of the replay, if it is one that EventBridge gives: another says nothing, and must not
/// cost the event.
fn take_replay_name(members: &mut Map<String, Value>) -> Option<String> {
    let is_name = |name: &str| {
        (1..=MAX_REPLAY_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    match members.remove("replay-name") {
        Some(Value::String(name)) if is_name(&name) => Some(name),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_name_of_a_replay_is_kept_and_one_that_is_none_costs_nothing() {
        let replay = |name: Value| {
            let event = json!({
                "id": "e", "source": "orders", "detail-type": "Made", "detail": {},
                "replay-name": name,
            });
            receive(event, None, Timestamp::EPOCH).unwrap().envelope.replay_name
        };
        let longest = "r".repeat(MAX_REPLAY_NAME);

        assert_eq!(replay(json!("of-May_2026.1")).as_deref(), Some("of-May_2026.1"));
        assert_eq!(replay(json!(longest)), Some(longest));
        for other in [json!(null), json!(7), json!(""), json!("a b"), json!("r".repeat(65))] {
            assert_eq!(replay(other.clone()), None, "{other}");
        }
    }
}
