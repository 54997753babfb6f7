//! What services put around an event on its way to a queue: SNS, and custom event buses of EventBridge.

use serde_json::{Map, Value};

use crate::event::json;

/// How often an event may be wrapped: by its bus, and by a topic behind the bus.
const DEEPEST: usize = 2;

/// What is told of an event by what was around it; the innermost word counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WrapperFacts {
    /// An id that stays the same when the event is sent again.
    pub id: Option<String>,
    /// When it came to the service, as the service wrote it.
    pub time: Option<String>,
    /// Its source, of an event that says none itself.
    pub source: Option<String>,
    /// Its type, of an event that says none itself.
    pub detail_type: Option<String>,
}

/// Why what is wrapped cannot be had: what it is called, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrappingError {
    /// The message of a notification is no JSON.
    #[error("the `Message` of the SNS notification cannot be read")]
    Message(#[source] json::Error),
    /// The data of a custom event bus is of another kind.
    #[error("`Data` is not JSON: its `ContentType` is another one")]
    ContentType,
}

/// Takes off what is around an event, and keeps what it tells.
///
/// # Errors
///
/// The caller's turn: what is wrapped is not JSON.
pub(super) fn unwrap(
    body: Value,
    limits: json::Limits,
) -> Result<(Value, WrapperFacts), WrappingError> {
    let (mut event, mut told) = (body, WrapperFacts::default());
    for _ in 0..DEEPEST {
        event = match wrapping_of(&event) {
            None => break,
            Some(Wrapping::Notification) => notification(event, &mut told, limits)?,
            Some(Wrapping::CustomBus) => custom_bus(event, &mut told)?,
        };
    }
    Ok((event, told))
}

enum Wrapping {
    /// A notification of SNS, without raw delivery.
    Notification,
    /// What a subscriber of a custom event bus (V2) gets `WITH_METADATA`.
    CustomBus,
}

fn wrapping_of(body: &Value) -> Option<Wrapping> {
    let members = body.as_object()?;
    let is_text = |name: &str| members.get(name).is_some_and(Value::is_string);
    let is_notification = members.get("Type").and_then(Value::as_str) == Some("Notification")
        && ["Message", "MessageId", "TopicArn"].iter().all(|name| is_text(name));
    if is_notification {
        return Some(Wrapping::Notification);
    }
    let is_own = |name: &String| matches!(name.as_str(), "Data" | "Metadata" | "SystemMetadata");
    let is_wrapped = members.contains_key("Data")
        && members.get("SystemMetadata").is_some_and(Value::is_object)
        && members.keys().all(is_own);
    is_wrapped.then_some(Wrapping::CustomBus)
}

fn notification(
    mut body: Value,
    told: &mut WrapperFacts,
    limits: json::Limits,
) -> Result<Value, WrappingError> {
    let mut take = |name: &str| text(body.get_mut(name).map(Value::take));
    told.id = take("MessageId").or(told.id.take());
    told.time = take("Timestamp").or(told.time.take());
    let message = take("Message").unwrap_or_default();
    json::read_event(message.as_bytes(), limits).map_err(WrappingError::Message)
}

fn custom_bus(mut body: Value, told: &mut WrapperFacts) -> Result<Value, WrappingError> {
    let system = body.get_mut("SystemMetadata").map(Value::take).unwrap_or_default();
    let system: Map<String, Value> = match system {
        Value::Object(system) => system,
        _ => Map::new(),
    };
    let tell = |name: &str| text(system.get(name).cloned());
    // `application/eventbridge+json` is what `PutEvents` makes.
    let is_json = |kind: String| kind.ends_with("/json") || kind.ends_with("+json");
    if !tell("ContentType").is_none_or(is_json) {
        return Err(WrappingError::ContentType);
    }
    told.id = tell("aws:EventId").or(told.id.take());
    told.time = tell("aws:IngestionTime").or(told.time.take());
    told.source = tell("aws:Source").or(told.source.take());
    told.detail_type = tell("aws:DetailType").or(told.detail_type.take());
    Ok(body.get_mut("Data").map(Value::take).unwrap_or_default())
}

fn text(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const LIMITS: json::Limits = json::Limits::new(100_000, 100);

    fn notified(message: &str) -> Value {
        json!({
            "Type": "Notification", "MessageId": "sns-1",
            "TopicArn": "arn:aws:sns:eu-west-1:111122223333:orders", "Message": message,
            "Timestamp": "2026-11-21T20:17:00.123Z", "SignatureVersion": "1", "Signature": "…",
            "MessageAttributes": { "tenant": { "Type": "String", "Value": "a" } },
        })
    }

    fn of_bus(data: &Value, kind: &str) -> Value {
        json!({ "Data": data, "Metadata": { "tenant": "a" }, "SystemMetadata": {
            "ContentType": kind, "aws:EventId": "v2-1", "aws:DeliveryType": "LIVE",
            "aws:IngestionTime": "2026-11-21T20:17:01Z",
        } })
    }

    #[test]
    fn what_services_put_around_is_taken_off_and_tells_id_and_time() {
        let event = json!({ "id": 101 });
        let (inner, told) = unwrap(notified(&event.to_string()), LIMITS).unwrap();
        assert_eq!(inner, event);
        assert_eq!(told.id.as_deref(), Some("sns-1"));
        assert_eq!(told.time.as_deref(), Some("2026-11-21T20:17:00.123Z"));

        let (inner, told) = unwrap(of_bus(&event, "application/json"), LIMITS).unwrap();
        assert_eq!((inner, told.id.as_deref()), (event.clone(), Some("v2-1")));

        let both = notified(&of_bus(&event, "application/eventbridge+json").to_string());
        let (inner, told) = unwrap(both, LIMITS).unwrap();
        assert_eq!((inner, told.id.as_deref()), (event, Some("v2-1")));
    }

    #[test]
    fn what_only_looks_like_a_wrapping_is_left_as_it_is() {
        for body in [
            json!({ "Type": "Notification", "Message": "{}" }),
            json!({ "Type": "SubscriptionConfirmation", "Message": "{}", "MessageId": "a", "TopicArn": "b" }),
            json!({ "Data": {}, "Metadata": {} }),
            json!({ "Data": {}, "SystemMetadata": {}, "orderId": 1 }),
            json!([1]),
            json!("text"),
        ] {
            assert_eq!(unwrap(body.clone(), LIMITS).unwrap(), (body, WrapperFacts::default()));
        }
        let thrice = notified(&notified(&notified("{}").to_string()).to_string());
        assert_eq!(unwrap(thrice, LIMITS).unwrap().0, notified("{}"));
    }

    #[test]
    fn what_is_wrapped_and_no_json_is_refused() {
        let error = unwrap(notified("plain text"), LIMITS).unwrap_err();
        assert!(error.to_string().contains("SNS"), "{error}");
        let error = unwrap(of_bus(&json!("b2s="), "application/avro"), LIMITS).unwrap_err();
        assert!(error.to_string().contains("ContentType"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_unwrapped_as_it_was_sent(key in ".{0,8}", value in ".{0,20}") {
            let event = json!({ key: value });
            let wrapped = notified(&of_bus(&event, "application/json").to_string());
            prop_assert_eq!(unwrap(wrapped, LIMITS).unwrap().0, event);
        }

        #[test]
        fn an_arbitrary_message_never_panics(message in any::<String>()) {
            let _ = unwrap(notified(&message), LIMITS);
        }
    }
}
