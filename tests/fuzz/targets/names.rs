//! Names, ids, times, numbers and sizes: short texts of one form each.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use sealway::ambient::{HumanDuration, Size};
use sealway::api::Scope;
use sealway::egress::Network;
use sealway::event::number::{crossing_text, is_exact};
use sealway::event::{
    AttributeName, CallerId, ChainValue, ConsumerId, ContentDigest, EventBusArn, EventId,
    EventSource, EventTime, EventType, IdempotencyKey, NumericValue, ProducerKind, QueueArn,
    RoleArn, Subject, SubscriptionId, Timestamp, TokenDigest, TraceContext, crossing_fault,
    nearest,
};
use sealway::keys::{ContentEncryption, SigningAlgorithm};

/// What is read of a text is shown as a text that is read as the same.
pub fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    again::<EventId>(text);
    again::<CallerId>(text);
    again::<ConsumerId>(text);
    again::<SubscriptionId>(text);
    again::<AttributeName>(text);
    again::<EventSource>(text);
    again::<EventType>(text);
    again::<Subject>(text);
    again::<EventBusArn>(text);
    again::<QueueArn>(text);
    again::<RoleArn>(text);
    again::<ChainValue>(text);
    again::<ContentDigest>(text);
    again::<IdempotencyKey>(text);
    again::<TokenDigest>(text);
    again::<TraceContext>(text);
    again::<EventTime>(text);
    again::<Timestamp>(text);
    again::<Network>(text);
    again::<Scope>(text);
    again::<SigningAlgorithm>(text);
    again::<ContentEncryption>(text);
    again::<HumanDuration>(text);
    again::<Size>(text);
    numbers(text);
    other(text);
}

fn again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let shown = read.to_string();
    let second = shown.parse::<T>().ok();
    assert_eq!(second, Some(read), "{text:?} is shown as {shown:?}");
}

/// A number that crosses has the same value afterwards, and crosses as itself then.
fn numbers(text: &str) {
    let Ok(number) = serde_json::from_str::<serde_json::Number>(text) else { return };
    let text = number.to_string();
    let value = NumericValue::of(&text);
    let Ok(crossed) = crossing_text(&text) else { return };
    assert_eq!(crossing_text(&crossed).unwrap(), crossed);
    assert!(value.is_some(), "{text} crosses and has no value");
    if is_exact(&text) {
        assert_eq!(NumericValue::of(&crossed), value, "{text} crosses as {crossed}");
    }
}

fn other(text: &str) {
    let _ = crossing_fault(text);
    let _ = nearest(text, ["source", "detail", "resources"]);
    if let Ok(trace) = TraceContext::from_aws(text) {
        assert_eq!(TraceContext::from_aws(&trace.to_aws()).unwrap().trace_id(), trace.trace_id());
    }
    if let Some(kind) = ProducerKind::from_text(text) {
        assert_eq!(kind.text(), text);
    }
    if let Some((seconds, decimals)) = text.split_once('.')
        && let Ok(seconds) = seconds.parse()
        && let Ok(time) = EventTime::from_epoch(seconds, decimals)
    {
        again::<EventTime>(&time.to_string());
    }
}
