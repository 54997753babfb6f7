//! CloudEvents in structured mode: the JSON event format, section 3 (one event) and 4 (batches).

use serde_json::{Map, Value};

use crate::event::{Timestamp, json};
use crate::source::Received;
use crate::source::body::without_byte_order_mark;
use crate::source::intake::Unreadable;
use crate::source::intake::attributes::{Attributes, is_json, own_trace, take_text};
use crate::source::intake::warnings::{
    WarningKind, Warnings, in_the_right_case, is_attribute_name,
};

/// Takes one event in the JSON event format. Extension attributes other than `traceparent` are left
/// out, since nothing crosses that no publication names; so one that breaks a rule costs a warning.
///
/// # Errors
///
/// The caller's turn: this is not a CloudEvent, or its data is not JSON.
pub(super) fn receive(
    event: Value,
    header_trace: Option<&str>,
    limits: json::Limits,
    seen: &Warnings,
    now: Timestamp,
) -> Result<Received, Unreadable> {
    let Value::Object(mut members) = event else {
        return Err(Unreadable::NotAnObject);
    };
    if let Some(name) = members.keys().find_map(|name| in_the_right_case(name)) {
        let problem = "is there in another case: names of attributes are in lower case";
        return Err(Unreadable::new(name, problem));
    }
    let data = members.remove("data");
    let encoded = take_text(&mut members, "data_base64")?;
    let schema = take_extension(&mut members, "dataschema");
    let trace = take_extension(&mut members, "traceparent");
    let mut take = |name| take_text(&mut members, name);
    let mut attributes = Attributes {
        specversion: take("specversion")?,
        id: take("id")?,
        source: take("source")?,
        event_type: take("type")?,
        subject: take("subject")?,
        time: take("time")?,
        datacontenttype: take("datacontenttype")?,
        ..Attributes::default()
    };
    attributes.warnings.extend(members.iter().filter_map(warning));
    match schema {
        Ok(schema) => attributes.dataschema = schema,
        Err(_) => attributes.warnings.push(WarningKind::DataSchema),
    }
    attributes.traceparent = own_trace(trace, header_trace, &mut attributes.warnings);
    let data = match (data, encoded) {
        (data, None) => data,
        (None | Some(Value::Null), Some(encoded)) => Some(decode(&attributes, &encoded, limits)?),
        (Some(_), Some(_)) => {
            return Err(Unreadable::new("data_base64", "is there beside `data`: send one of them"));
        }
    };
    attributes.around(data, seen, now)
}

/// Removes an attribute that does not cross: its text, or the value that is no text.
fn take_extension(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Value> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(other),
    }
}

/// Reads data that is in base64 because its producer does not tell JSON from bytes.
fn decode(
    attributes: &Attributes,
    encoded: &str,
    limits: json::Limits,
) -> Result<Value, Unreadable> {
    if attributes.datacontenttype.as_deref().is_some_and(|media_type| !is_json(media_type)) {
        let problem = "is taken where `datacontenttype` is JSON; bytes of other kinds are not";
        return Err(Unreadable::new("data_base64", problem));
    }
    let bytes = base64_simd::STANDARD
        .decode_to_vec(encoded)
        .map_err(|_| Unreadable::new("data_base64", "must be base64 (RFC 4648, section 4)"))?;
    json::read_event(without_byte_order_mark(&bytes), limits)
        .map_err(|source| Unreadable::Data { name: "data_base64", source })
}

/// The rule that a member breaks which is neither specified nor the data.
fn warning((name, value): (&String, &Value)) -> Option<WarningKind> {
    if !is_attribute_name(name) {
        return Some(WarningKind::Name);
    }
    let is_allowed = match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => {
            number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
        }
        Value::String(text) => !text.contains(char::is_control),
        Value::Array(_) | Value::Object(_) => false,
    };
    (!is_allowed).then_some(WarningKind::Extension)
}
