//! One event whose JSON another way in has read already.

use serde_json::Value;

use crate::event::{Timestamp, json};
use crate::source::Received;
use crate::source::intake::warnings::Warnings;
use crate::source::intake::{Unreadable, Warning, envelope, structured};

/// Takes a CloudEvent in the JSON event format, or else an EventBridge envelope, with the rules that it
/// breaks where nothing of it crosses. Without a `time`, it happened `now`.
///
/// # Errors
///
/// The caller's turn: it is neither.
pub(in crate::source) fn receive(
    event: Value,
    trace: Option<&str>,
    limits: json::Limits,
    now: Timestamp,
) -> Result<(Received, Vec<Warning>), Unreadable> {
    let has = |name: &str| event.get(name).is_some();
    if has("specversion") && !has("detail-type") {
        let seen = Warnings::default();
        let received = structured::receive(event, trace, limits, &seen, now)?;
        return Ok((received, seen.into_inner()));
    }
    Ok((envelope::receive(event, trace, now)?, Vec::new()))
}
