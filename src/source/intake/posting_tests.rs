//! Tests of what `POST /events` takes, beside the code they test.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;

pub(super) const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
pub(super) const BATCHED: &str = "application/cloudevents-batch+json";
pub(super) const TRACE: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

pub(super) fn now() -> Timestamp {
    "2026-11-21T20:17:00Z".parse().unwrap()
}

pub(super) fn post(pairs: &[(&str, &str)], body: &str) -> Result<Posting, Unreadable> {
    read(&headers(pairs), body.as_bytes(), &Config::default(), now())
}

pub(super) fn single(pairs: &[(&str, &str)], body: &Value) -> Received {
    let posting = post(pairs, &body.to_string()).unwrap();
    assert!(!posting.is_batch);
    posting.events.into_iter().next().unwrap().unwrap()
}

/// All that an error says, its causes included.
pub(super) fn words(error: &Unreadable) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

pub(super) fn refusal(media_type: &str, body: &str) -> String {
    words(&post(&[("content-type", media_type)], body).unwrap_err())
}

pub(super) fn cloudevent() -> Value {
    json!({
        "specversion": "1.0", "id": "e1", "source": "/orders", "type": "OrderCreated",
        "time": "2024-01-02T03:04:05Z", "subject": "order-101", "traceparent": TRACE,
        "data": {"id": 101}, "comexampleextension": 7,
    })
}

pub(super) fn without(name: &str) -> String {
    let mut event = cloudevent();
    event.as_object_mut().unwrap().remove(name);
    event.to_string()
}

pub(super) fn with(name: &str, value: impl Into<Value>) -> String {
    let mut event = cloudevent();
    event[name] = value.into();
    event.to_string()
}

#[test]
fn a_structured_cloudevent_becomes_an_envelope() {
    let received = single(&[("content-type", STRUCTURED)], &cloudevent());

    assert_eq!(received.envelope.id, "e1");
    assert_eq!(received.envelope.source, "/orders");
    assert_eq!(received.envelope.detail_type, "OrderCreated");
    assert_eq!(received.envelope.time.to_string(), "2024-01-02T03:04:05Z");
    assert_eq!(received.envelope.resources, ["order-101"]);
    assert_eq!(received.envelope.detail, json!({"id": 101}));
    assert_eq!(received.traceparent.as_deref(), Some(TRACE));
    assert!(received.repeatable);
}

#[test]
fn the_binary_mode_gives_the_same_event_as_the_structured_one() {
    let pairs = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "e1"),
        ("ce-source", "%2Forders"),
        ("ce-type", "\"OrderCreated\""),
        ("ce-time", "2024-01-02T03:04:05Z"),
        ("ce-subject", "order-101"),
        ("traceparent", TRACE),
    ];

    let received = single(&pairs, &json!({"id": 101}));

    assert!(received == single(&[("content-type", STRUCTURED)], &cloudevent()));
    let empty = post(pairs.get(1..).unwrap(), "").unwrap();
    assert_eq!(empty.events[0].as_ref().unwrap().envelope.detail, json!({}));
}

#[test]
fn an_eventbridge_envelope_is_taken_alone_or_in_an_array() {
    let envelope = json!({
        "version": "0", "id": "e1", "detail-type": "OrderCreated", "source": "orders",
        "account": "123456789012", "time": "2024-01-02T03:04:05Z", "region": "eu-west-1",
        "resources": ["arn:x"], "detail": {"id": 101}, "replay-name": "r",
    });
    let aws_trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let pairs =
        [("content-type", "application/json; charset=utf-8"), ("x-amzn-trace-id", aws_trace)];

    let received = single(&pairs, &envelope);

    assert_eq!(received.envelope.account.as_deref(), Some("123456789012"));
    assert_eq!(received.envelope.resources, ["arn:x"]);
    assert_eq!(received.traceparent.as_deref(), Some(TRACE));
    let batch = post(&pairs, &json!([envelope, envelope]).to_string()).unwrap();
    assert!(batch.is_batch && batch.events.len() == 2);
}

#[test]
fn attributes_that_are_missing_or_wrong_are_named() {
    for name in ["specversion", "id", "source", "type"] {
        assert_eq!(refusal(STRUCTURED, &without(name)), format!("`{name}` is missing"));
        assert_eq!(refusal(STRUCTURED, &with(name, 7)), format!("`{name}` must be text"));
        assert!(refusal(STRUCTURED, &with(name, "")).starts_with(&format!("`{name}` must")));
    }
    for (name, value) in [
        ("specversion", json!("0.3")),
        ("time", json!("yesterday")),
        ("datacontenttype", json!("application/xml")),
        ("data_base64", json!("AAAA")),
        ("id", json!("x".repeat(1025))),
        ("source", json!("sealway")),
        ("source", json!("SealWay")),
    ] {
        let words = refusal(STRUCTURED, &with(name, value));
        assert!(words.starts_with(&format!("`{name}` ")), "{words}");
    }
    let envelope = r#"{"id":"e","source":"s","detail-type":"t","detail":[]}"#;
    assert_eq!(refusal("application/json", envelope), "`detail` must be a JSON object");
    let own = r#"{"id":"e","source":"sealway","detail-type":"t","detail":{}}"#;
    assert!(refusal("application/json", own).starts_with("`source` must not be `sealway`"));
    let repeated = [
        ("ce-specversion", "1.0"),
        ("ce-id", "a"),
        ("ce-id", "b"),
        ("content-type", "application/json"),
    ];
    assert_eq!(words(&post(&repeated, "{}").unwrap_err()), "`id` is there twice");
}

#[test]
fn what_is_optional_may_be_missing_and_the_time_is_now() {
    for name in ["time", "subject", "traceparent", "data"] {
        let body = serde_json::from_str(&without(name)).unwrap();
        let received = single(&[("content-type", STRUCTURED)], &body);
        if name == "time" {
            assert_eq!(received.envelope.time, now().into());
        }
    }
}

/// What is said of each event of a batch: its id, or why it cannot be read.
fn told(media_type: &str, body: &[u8]) -> Vec<Result<String, String>> {
    let headers = headers(&[("content-type", media_type)]);
    let posting = read(&headers, body, &Config::default(), now()).unwrap();
    assert!(posting.is_batch);
    let tell = |(index, event): (usize, Result<Received, UnreadableItem>)| match event {
        Ok(received) => Ok(received.envelope.id),
        Err(item) => {
            assert_eq!(item.index, index);
            let shown = format!("{item:?}");
            assert!(!shown.contains("private") && !shown.contains("raw"), "{shown}");
            Err(words(&item.error))
        }
    };
    posting.events.into_iter().enumerate().map(tell).collect()
}

#[test]
fn an_unreadable_event_of_a_batch_is_told_by_its_index_and_the_others_are_read() {
    let good = cloudevent().to_string();
    let deep = with("data", json!({"private": 0}))
        .replace('0', &format!("{}{}", "[".repeat(1100), "]".repeat(1100)));
    for (broken, problem) in [
        (r#"{"private":1,"private":2}"#.to_owned(), "repeated"),
        (r#"{"private":NaN}"#.to_owned(), "line 1, column"),
        (r#"{"private":1,}"#.to_owned(), "line 1, column"),
        (deep, "too deeply"),
        (without("id"), "`id` is missing"),
        (with("time", "yesterday"), "`time` must"),
        ("7".to_owned(), "an event must be a JSON object"),
    ] {
        let read = told(BATCHED, format!("[{good},{broken} , {good}]").as_bytes());

        assert_eq!((&read[0], &read[2]), (&Ok("e1".to_owned()), &Ok("e1".to_owned())));
        assert!(read[1].as_ref().unwrap_err().contains(problem), "{:?}", read[1]);
    }

    let envelope = r#"{"id":"e2","source":"s","detail-type":"t","detail":{}}"#;
    let latin = [b"[{\"id\":\"\xe9\"},", envelope.as_bytes(), b"]"].concat();
    let read = told("application/json", &latin);
    assert!(read[0].as_ref().unwrap_err().contains("not UTF-8 at byte 7"), "{read:?}");
    assert_eq!(read[1], Ok("e2".to_owned()));
    let misplaced = told("application/json", format!("[{good},{envelope}]").as_bytes());
    assert!(misplaced[0].is_err() && misplaced[1].is_ok());
}

#[test]
fn an_unreadable_event_of_a_batch_keeps_its_bytes() {
    let posting = post(&[("content-type", BATCHED)], "[ {\"a\" : NaN } ]").unwrap();

    assert_eq!(&*posting.events[0].as_ref().unwrap_err().raw, b"{\"a\" : NaN }");
}

#[test]
fn a_batch_that_is_no_array_or_has_no_certain_events_is_refused_whole() {
    assert_eq!(refusal(BATCHED, &cloudevent().to_string()), "a batch must be a JSON array");
    assert!(refusal(BATCHED, "[]").contains("1 to 100 events, this one has 0"));
    let many = format!("[{}]", vec!["{}"; 101].join(","));
    assert!(refusal(BATCHED, &many).contains("this one has 101"));
    let cut = format!("[{},{{", cloudevent());
    assert!(refusal(BATCHED, &cut).contains("does not end"));
    assert!(refusal("application/json", "[{}").contains("does not end"));
}

#[test]
fn bodies_that_readers_would_read_differently_are_refused_without_repeating_them() {
    let config = Config { max_body: crate::ambient::Size(300), ..Config::default() };
    let long = with("data", json!({"text": "x".repeat(300)}));
    let type_of = headers(&[("content-type", STRUCTURED)]);
    let too_long = read(&type_of, long.as_bytes(), &config, now()).unwrap_err();
    assert!(words(&too_long).contains("over the limit of 300 bytes"));

    let deep = format!("{}{}", "[".repeat(1001), "]".repeat(1001));
    for (body, problem) in [
        ("{\"secret\":1,\"secret\":2}", "repeated"),
        ("{\"secret\":", "line 1"),
        (deep.as_str(), "too deeply"),
    ] {
        let words = refusal(STRUCTURED, body);
        assert!(words.contains(problem) && !words.contains("secret"), "{words}");
    }
    let bytes = read(&type_of, b"{\"a\":\"\xff\"}", &config, now()).unwrap_err();
    assert!(words(&bytes).contains("not UTF-8 at byte 6"));
}

#[test]
fn a_media_type_that_cannot_be_taken_is_answered_with_those_that_can() {
    assert!(refusal("text/plain", "{}").contains("application/cloudevents+json"));
    assert!(words(&post(&[], "{}").unwrap_err()).contains("application/cloudevents-batch+json"));
    let misnamed = refusal("application/json", &cloudevent().to_string());
    assert!(misnamed.contains("a CloudEvent is sent as"), "{misnamed}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        media_type in prop::sample::select(vec![STRUCTURED, BATCHED, "application/json", "x"]),
    ) {
        let _ = read(&headers(&[("content-type", media_type)]), &bytes, &Config::default(), now());
    }

    #[test]
    fn arbitrary_members_never_panic(
        name in prop::sample::select(vec!["specversion", "id", "source", "type", "time", "data"]),
        value in r#"[\[\]{}",:0-9a-z ]{0,30}"#,
    ) {
        let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
        let _ = post(&[("content-type", STRUCTURED)], &with(name, value));
    }
}
