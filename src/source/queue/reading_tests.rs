//! Each kind of body is told apart, and nothing that cannot be let in is lost.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::source::queue::RawEvents;

const OWN: &str = "https://gw.example/subscriptions/";
const ARN: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";

fn message(body: &impl ToString) -> QueueMessage {
    QueueMessage {
        id: "m-1".into(),
        body: body.to_string(),
        sent: Some(Timestamp::from_unix_ms(1_000)),
        ..QueueMessage::default()
    }
}

fn queue() -> QueueSource {
    QueueSource::example(ARN)
}

fn raw_queue() -> QueueSource {
    let raw = RawEvents { source: "order-service".into(), detail_type: "OrderCreated".into() };
    QueueSource { raw: Some(raw), ..queue() }
}

fn read_by(queue: &QueueSource, message: &QueueMessage) -> QueueReading {
    read(message, queue, (&Config::default(), OWN), Timestamp::from_unix_ms(9_000))
}

fn taken(queue: &QueueSource, message: &QueueMessage) -> Received {
    match read_by(queue, message) {
        QueueReading::Event(received, _) => *received,
        QueueReading::Own => panic!("an own event"),
        QueueReading::Unreadable(unparsed) => panic!("{:?}", unparsed.reason),
    }
}

fn refused(queue: &QueueSource, message: &QueueMessage) -> Unparsed {
    match read_by(queue, message) {
        QueueReading::Unreadable(unparsed) => *unparsed,
        QueueReading::Event(..) | QueueReading::Own => panic!("it was read"),
    }
}

fn envelope() -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "OrderCreated", "source": "order-service",
        "account": "123456789012", "time": "2026-11-21T20:17:00Z", "region": "eu-west-1",
        "resources": ["arn:aws:x"], "detail": { "id": 101 },
    })
}

#[test]
fn an_envelope_is_taken_as_it_is_also_of_aws_and_without_an_account() {
    let received = taken(&queue(), &message(&envelope()));
    assert_eq!(received.envelope.id, "e-1");
    assert_eq!(received.envelope.account.as_deref(), Some("123456789012"));
    assert!(received.repeatable);

    let mut of_aws = envelope();
    of_aws["source"] = "aws.s3".into();
    of_aws["replay-name"] = "of-may".into();
    of_aws.as_object_mut().unwrap().remove("account");
    let received = taken(&queue(), &message(&of_aws));
    assert_eq!((&*received.envelope.source, received.envelope.account), ("aws.s3", None));
    assert_eq!(received.envelope.replay_name.as_deref(), Some("of-may"));
}

#[test]
fn an_envelope_that_a_transformer_made_has_the_id_and_time_of_its_message() {
    let body = json!({ "source": "a", "detail-type": "B", "detail": {} });
    let received = taken(&queue(), &message(&body));

    assert_eq!(received.envelope.id, "m-1");
    assert_eq!(received.envelope.time.to_string(), "1970-01-01T00:00:01Z");
}

#[test]
fn a_deduplication_id_names_no_event_because_it_may_come_again() {
    let sent = |id: &str| QueueMessage {
        id: id.into(),
        deduplication: Some("order-1".into()),
        ..message(&json!({ "id": 101 }))
    };
    assert_eq!(taken(&raw_queue(), &sent("m-1")).envelope.id, "m-1");
    assert_eq!(taken(&raw_queue(), &sent("m-2")).envelope.id, "m-2");
}

#[test]
fn a_cloudevent_is_taken_as_it_is() {
    let body = json!({
        "specversion": "1.0", "id": "c-1", "source": "order-service", "type": "OrderCreated",
        "subject": "101", "data": { "id": 101 },
    });
    let received = taken(&queue(), &message(&body));

    assert_eq!((&*received.envelope.id, &*received.envelope.detail_type), ("c-1", "OrderCreated"));
    assert_eq!(received.envelope.resources, ["101"]);
}

#[test]
fn other_json_is_of_the_kind_that_the_queue_names() {
    for body in [json!({ "id": 101 }), json!([1, 2]), json!("text"), json!({ "detail-type": "B" })]
    {
        let received = taken(&raw_queue(), &message(&body));
        assert_eq!(received.envelope.detail, body);
        assert_eq!((&*received.envelope.source, &*received.envelope.id), ("order-service", "m-1"));
        assert_eq!(received.envelope.detail_type, "OrderCreated");
        assert_eq!(received.envelope.time.to_string(), "1970-01-01T00:00:01Z");

        let unparsed = refused(&queue(), &message(&body));
        assert_eq!(unparsed.reason.code, "invalid-event");
        assert!(unparsed.reason.message.contains("raw: {"), "{}", unparsed.reason.message);
        assert_eq!(unparsed.body, body.to_string().into_bytes());
    }
}

#[test]
fn what_topics_and_custom_buses_wrap_is_unwrapped() {
    let notified = |message: &str| {
        json!({
            "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:…",
            "Message": message, "Timestamp": "2026-11-21T20:17:05.5Z",
        })
    };
    let received = taken(&queue(), &message(&notified(&envelope().to_string())));
    assert_eq!(received.envelope.id, "e-1");

    let received = taken(&raw_queue(), &message(&notified(r#"{"id":101}"#)));
    assert_eq!((&*received.envelope.id, &*received.envelope.source), ("sns-1", "order-service"));
    assert_eq!(received.envelope.time.to_string(), "2026-11-21T20:17:05.5Z");

    let mut put = envelope();
    put.as_object_mut().unwrap().remove("id");
    let of_bus = |data: &Value| {
        json!({ "Data": data, "SystemMetadata": {
            "aws:EventId": "v2-1", "aws:DeliveryType": "LIVE", "aws:Source": "order-service",
            "aws:DetailType": "OrderCreated", "aws:IngestionTime": "2026-11-21T20:17:06Z",
        } })
    };
    let received = taken(&queue(), &message(&of_bus(&put)));
    assert_eq!((&*received.envelope.id, &*received.envelope.source), ("v2-1", "order-service"));
    assert_eq!(received.envelope.time.to_string(), "2026-11-21T20:17:00Z");

    let received = taken(&queue(), &message(&of_bus(&json!({ "id": 101 }))));
    assert_eq!(received.envelope.detail, json!({ "id": 101 }));
    assert_eq!(received.envelope.time.to_string(), "2026-11-21T20:17:06Z");

    let unparsed = refused(&raw_queue(), &message(&notified("plain text")));
    assert_eq!(unparsed.reason.pointer, "/Message");
}

#[test]
fn what_this_gateway_has_put_on_a_bus_is_known_in_every_wrapping() {
    let mut own = envelope();
    own["source"] = "sealway".into();
    own["resources"] = json!([format!("{OWN}01K00000000000000000000000")]);
    let notified = json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:…",
        "Message": own.to_string(),
    });
    for body in [own, notified] {
        assert!(matches!(read_by(&queue(), &message(&body)), QueueReading::Own));
    }
}

#[test]
fn what_others_send_in_the_gateways_name_is_kept() {
    let of = |source: &str, resources: Value| {
        let mut event = envelope();
        (event["source"], event["resources"]) = (source.into(), resources);
        event
    };
    let ours = format!("{OWN}a");
    let cloudevent = json!({ "specversion": "1.0", "id": "a", "source": "sealway", "type": "B" });
    let mut without_resources = of("sealway", Value::Null);
    without_resources.as_object_mut().unwrap().remove("resources");
    let foreign = [
        of("sealway", json!([])),
        of("sealway", json!(["https://another.example/subscriptions/a"])),
        of("sealway", json!([ours, "arn:aws:x"])),
        of("sealway", json!([ours, 1])),
        of("Sealway", json!([ours])),
        of(" sealway", json!([ours])),
        without_resources,
        cloudevent,
    ];
    for body in foreign {
        let unparsed = refused(&queue(), &message(&body));
        assert_eq!((&*unparsed.reason.pointer, &*unparsed.reason.code), ("/source", "forbidden"));
        assert_eq!(unparsed.body, body.to_string().into_bytes());
    }
}

#[test]
fn a_source_that_is_not_the_queues_is_kept_under_its_own_code() {
    let queue = QueueSource { sources: Some(vec!["payment-*".parse().unwrap()]), ..queue() };
    let unparsed = refused(&queue, &message(&envelope()));

    assert_eq!((&*unparsed.reason.pointer, &*unparsed.reason.code), ("/source", "forbidden"));
    assert_eq!(unparsed.producer.to_string(), format!("queue `{ARN}`"));
    assert_eq!(unparsed.id.as_deref(), Some("e-1"));
}

#[test]
fn a_poison_body_is_kept_with_what_stood_beside_it_and_known_when_it_comes_again() {
    let poison = QueueMessage {
        attributes: vec![("RULE_ARN".into(), "arn:aws:events:…".into())],
        ..message(&"{broken")
    };
    let unparsed = refused(&queue(), &poison);

    assert_eq!(unparsed.body, b"{broken");
    let headers = unparsed.headers.to_map();
    assert_eq!(headers["sqs-message-id"], "m-1");
    assert_eq!(
        headers.get("sqs-attribute-rule_arn").unwrap().as_bytes(),
        "arn:aws:events:…".as_bytes()
    );
    let traced = QueueMessage { trace: Some("Root=1-a".into()), ..poison };
    assert_eq!(refused(&queue(), &traced).identity(), unparsed.identity());
    let other = QueueMessage { id: "m-2".into(), ..message(&"{broken") };
    assert_ne!(refused(&queue(), &other).identity(), unparsed.identity());
}

#[test]
fn what_was_kept_is_read_again_by_the_settings_of_this_moment() {
    let unparsed = refused(&queue(), &message(&r#"{"id":101}"#));
    let again = |queues: Vec<QueueSource>| {
        let config = Config { queues, ..Config::default() };
        let kept = (&unparsed.headers.to_map(), &*unparsed.body);
        read_again(&config, ARN, kept, Timestamp::from_unix_ms(9_000))
    };

    assert!(again(vec![queue()]).unwrap_err().contains("raw: {"));
    assert!(again(vec![]).unwrap_err().contains("source.queues"));
    let received = again(vec![raw_queue()]).unwrap();
    assert_eq!((&*received.envelope.id, received.envelope.detail), ("m-1", json!({ "id": 101 })));
    assert_eq!(received.envelope.time.to_string(), "1970-01-01T00:00:01Z");
}

#[test]
fn a_body_is_read_within_the_limits_of_every_way_in() {
    let config = Config { max_depth: 10, ..Config::default() };
    let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
    let read = read(&message(&deep), &raw_queue(), (&config, OWN), Timestamp::EPOCH);

    assert!(matches!(read, QueueReading::Unreadable(_)));
}

proptest! {
    #[test]
    fn an_arbitrary_body_is_an_event_or_kept_byte_for_byte(
        body in prop_oneof![
            any::<String>(),
            "[{}\\[\\],:\"a-c1]{0,40}",
            Just(r#"{"Type":"Notification","MessageId":"a","TopicArn":"b","Message":"{"}"#.to_owned()),
        ],
    ) {
        match read_by(&raw_queue(), &message(&body)) {
            QueueReading::Event(received, _) => prop_assert!(!received.envelope.id.is_empty()),
            QueueReading::Own => {}
            QueueReading::Unreadable(unparsed) => {
                prop_assert_eq!(unparsed.body, body.into_bytes());
                prop_assert!(!unparsed.reason.message.is_empty());
            }
        }
    }

    #[test]
    fn any_members_beside_those_of_an_envelope_harm_nobody(name in ".{0,8}", value in ".{0,8}") {
        let mut event = envelope();
        event.as_object_mut().unwrap().entry(name).or_insert_with(|| value.into());
        prop_assert_eq!(taken(&queue(), &message(&event)).envelope.source, "order-service");
    }
}
