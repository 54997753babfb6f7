//! CloudEvents in structured mode: the JSON event format, section 3 (one event) and 4 (batches).

use serde_json::Value;

use crate::event::Timestamp;
use crate::source::Received;
use crate::source::intake::Unreadable;
use crate::source::intake::attributes::{Attributes, take_text};

/// Takes one event in the JSON event format. Extension attributes other than `traceparent` are left
/// out, since nothing crosses that no publication names.
///
/// # Errors
///
/// The caller's turn: this is not a CloudEvent whose data is a JSON object.
pub(super) fn receive(
    event: Value,
    header_trace: Option<&str>,
    now: Timestamp,
) -> Result<Received, Unreadable> {
    let Value::Object(mut members) = event else {
        return Err(Unreadable::NotAnObject);
    };
    if members.contains_key("data_base64") {
        return Err(Unreadable::new("data_base64", "is not taken: send `data` as a JSON object"));
    }
    let data = members.remove("data");
    let mut take = |name| take_text(&mut members, name);
    let attributes = Attributes {
        specversion: take("specversion")?,
        id: take("id")?,
        source: take("source")?,
        event_type: take("type")?,
        subject: take("subject")?,
        time: take("time")?,
        datacontenttype: take("datacontenttype")?,
        traceparent: take("traceparent")?.or_else(|| header_trace.map(str::to_owned)),
    };
    attributes.around(data, now)
}
