//! Tests of what `POST /events` takes, beside the code they test.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::source::intake::WarningKind;

const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCHED: &str = "application/cloudevents-batch+json";
const TRACE: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn now() -> Timestamp {
    "2026-11-21T20:17:00Z".parse().unwrap()
}

fn post(pairs: &[(&str, &str)], body: &str) -> Result<Posting, Unreadable> {
    read(&headers(pairs), body.as_bytes(), &Config::default(), now())
}

fn single(pairs: &[(&str, &str)], body: &Value) -> Received {
    let posting = post(pairs, &body.to_string()).unwrap();
    assert!(!posting.is_batch);
    posting.events.into_iter().next().unwrap()
}

/// All that an error says, its causes included.
fn words(error: &Unreadable) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

fn refusal(media_type: &str, body: &str) -> String {
    words(&post(&[("content-type", media_type)], body).unwrap_err())
}

fn cloudevent() -> Value {
    json!({
        "specversion": "1.0", "id": "e1", "source": "/orders", "type": "OrderCreated",
        "time": "2024-01-02T03:04:05Z", "subject": "order-101", "traceparent": TRACE,
        "data": {"id": 101}, "comexampleextension": 7,
    })
}

fn without(name: &str) -> String {
    let mut event = cloudevent();
    event.as_object_mut().unwrap().remove(name);
    event.to_string()
}

fn with(name: &str, value: impl Into<Value>) -> String {
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
    assert_eq!(empty.events[0].envelope.detail, json!({}));
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
            assert_eq!(received.envelope.time, now());
        }
    }
}

#[test]
fn a_batch_with_one_unreadable_event_is_refused_whole_and_the_event_is_named() {
    let batch = format!("[{},{}]", cloudevent(), without("id"));

    assert_eq!(refusal(BATCHED, &batch), "event 1 of the batch (counted from 0): `id` is missing");
    assert_eq!(refusal(BATCHED, &cloudevent().to_string()), "a batch must be a JSON array");
    assert!(refusal(BATCHED, "[]").contains("1 to 100 events, this one has 0"));
    let many = format!("[{}]", vec!["{}"; 101].join(","));
    assert!(refusal(BATCHED, &many).contains("this one has 101"));
    assert!(refusal(BATCHED, "[1]").ends_with("an event must be a JSON object"));
}

#[test]
fn bodies_that_readers_would_read_differently_are_refused_without_repeating_them() {
    let config = Config { max_body: crate::ambient::Size(300), ..Config::default() };
    let long = with("data", json!({"text": "x".repeat(300)}));
    let type_of = headers(&[("content-type", STRUCTURED)]);
    let too_long = read(&type_of, long.as_bytes(), &config, now()).unwrap_err();
    assert!(words(&too_long).contains("over the limit of 300 bytes"));

    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    for (body, problem) in [
        ("{\"secret\":1,\"secret\":2}", "repeated"),
        ("{\"secret\":", "line 1"),
        ("{\"n\":9007199254740993}", "binary64"),
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

/// The one event of a structured posting, and the rules that it breaks.
fn warned(body: &str) -> (Received, Vec<WarningKind>) {
    let posting = post(&[("content-type", STRUCTURED)], body).unwrap();
    let kinds = posting.warnings.iter().map(|warning| warning.kind).collect();
    (posting.events.into_iter().next().unwrap(), kinds)
}

/// The data of a structured event.
fn detail(body: &str) -> Value {
    warned(body).0.envelope.detail
}

#[test]
fn data_may_be_any_json_value() {
    for data in [json!([1, [2]]), json!("text"), json!(7), json!(true), json!(null), json!({})] {
        assert_eq!(detail(&with("data", data.clone())), data);
        let pairs = [
            ("ce-specversion", "1.0"),
            ("ce-id", "e1"),
            ("ce-source", "/orders"),
            ("ce-type", "OrderCreated"),
            ("content-type", "application/json"),
        ];
        assert_eq!(single(&pairs, &data).envelope.detail, data);
    }
    assert_eq!(detail(&without("data")), json!({}));
}

#[test]
fn data_in_base64_is_read_if_it_is_json_and_refused_otherwise() {
    let encoded = |media_type: Value, data: Value, base64: Value| {
        let mut event = cloudevent();
        event["datacontenttype"] = media_type;
        event["data_base64"] = base64;
        match data {
            Value::Bool(_) => event.as_object_mut().unwrap().remove("data"),
            data => event.as_object_mut().unwrap().insert("data".to_owned(), data),
        };
        event.to_string()
    };
    let absent = || Value::Bool(false);
    let base64 = || json!(base64_simd::STANDARD.encode_to_string(b"\xef\xbb\xbf{\"id\":101}"));
    for media_type in [json!(null), json!("application/json"), json!("application/vnd.x+json; a=b")]
    {
        for data in [absent(), json!(null)] {
            let body = encoded(media_type.clone(), data, base64());
            assert_eq!(detail(&body), json!({"id": 101}), "{media_type}");
        }
    }
    assert_eq!(detail(&encoded(json!(null), json!([1]), json!(null))), json!([1]));
    assert_eq!(detail(&encoded(json!(null), absent(), json!(null))), json!({}));

    let refused = |body: String| refusal(STRUCTURED, &body);
    for (body, words) in [
        (encoded(json!(null), json!({}), base64()), "`data_base64` is there beside `data`"),
        (encoded(json!("image/png"), absent(), base64()), "`data_base64` is taken where"),
        (encoded(json!(null), absent(), json!("e30_")), "`data_base64` must be base64"),
        (encoded(json!(null), absent(), json!("eyI=")), "`data_base64` is not JSON once decoded: "),
        (encoded(json!(null), absent(), json!(7)), "`data_base64` must be text"),
        (encoded(json!("text/plain"), json!("x"), json!(null)), "`datacontenttype` must be JSON"),
    ] {
        let said = refused(body);
        assert!(said.starts_with(words), "{said}");
    }
}

#[test]
fn specified_names_in_another_case_are_refused_and_the_right_one_is_named() {
    for (wrong, right) in [
        ("Id", "id"),
        ("specVersion", "specversion"),
        ("SOURCE", "source"),
        ("Type", "type"),
        ("Subject", "subject"),
        ("Time", "time"),
        ("DataContentType", "datacontenttype"),
        ("dataSchema", "dataschema"),
        ("Data", "data"),
        ("Data_Base64", "data_base64"),
    ] {
        for body in
            [with(wrong, "x"), without(right).replacen('{', &format!("{{\"{wrong}\":1,"), 1)]
        {
            let words = refusal(STRUCTURED, &body);
            assert!(words.starts_with(&format!("`{right}` is there in another case")), "{words}");
        }
    }
}

#[test]
fn other_odd_names_and_values_cost_a_warning_and_no_event() {
    let fits =
        [json!(-2_147_483_648_i64), json!(2_147_483_647), json!(true), json!("x"), json!(null)];
    for value in fits {
        assert_eq!(warned(&with("ext", value.clone())).1, [], "{value}");
    }
    let odd = [
        json!(2_147_483_648_i64),
        json!(-2_147_483_649_i64),
        json!(1.5),
        json!([]),
        json!({"a": 1}),
        json!("a\nb"),
    ];
    for value in odd {
        assert_eq!(warned(&with("ext", value.clone())).1, [WarningKind::Extension], "{value}");
    }
    for name in ["myExt", "my_ext", "my-ext", "", "\u{e9}t\u{e9}", "spec_version"] {
        assert_eq!(warned(&with(name, 1)).1, [WarningKind::Name], "{name}");
    }
    for value in [json!("no trace"), json!(7)] {
        let (received, kinds) = warned(&with("traceparent", value));
        assert_eq!((received.traceparent, kinds), (None, vec![WarningKind::TraceParent]));
    }
    let pairs = [("content-type", STRUCTURED), ("traceparent", TRACE)];
    let posting = post(&pairs, &with("traceparent", "broken")).unwrap();
    assert_eq!(posting.events[0].traceparent.as_deref(), Some(TRACE));
    assert_eq!(posting.warnings[0].id, "e1");

    let binary = |name: &str, value: &str| {
        let pairs = [
            ("ce-specversion", "1.0"),
            ("ce-id", "e1"),
            ("ce-source", "/orders"),
            ("ce-type", "OrderCreated"),
            ("content-type", "application/json"),
            (name, value),
        ];
        let warnings = post(&pairs, "{}").unwrap().warnings;
        warnings.iter().map(|warning| warning.kind).collect::<Vec<_>>()
    };
    assert_eq!(binary("ce-ext", "99999999999"), [], "in headers all values are text");
    assert_eq!(binary("ce-ext", "%zz"), [WarningKind::Extension]);
    assert_eq!(binary("ce-my_ext", "1"), [WarningKind::Name]);
    assert_eq!(binary("ce-traceparent", "broken"), [WarningKind::TraceParent]);
    assert_eq!(binary("ce-dataschema", "relative"), [WarningKind::DataSchema]);
    assert_eq!(binary("ce-dataschema", "%zz"), [WarningKind::DataSchema]);
}

#[test]
fn a_source_is_a_uri_reference_and_a_dataschema_an_absolute_uri_or_a_warning_says_so() {
    for source in ["/orders", "order-service", "https://a.example/x?y#z", "urn:x:y", "a%20b", "#"] {
        assert_eq!(warned(&with("source", source)).1, [], "{source}");
    }
    for source in ["my orders", "http://[::1", "a%zz", "\u{fc}ber", "1a:b"] {
        let (received, kinds) = warned(&with("source", source));
        assert_eq!((received.envelope.source.as_str(), kinds), (source, vec![WarningKind::Source]));
    }
    assert_eq!(warned(&with("dataschema", "https://a.example/s.json")).1, []);
    for schema in [json!("/s.json"), json!("s"), json!("http://a b"), json!(7), json!("")] {
        assert_eq!(
            warned(&with("dataschema", schema.clone())).1,
            [WarningKind::DataSchema],
            "{schema}"
        );
    }
}

#[test]
fn a_subject_that_does_not_cross_harms_nobody() {
    let long = "x".repeat(5000);
    for subject in [long.as_str(), "a\nb", "", "\u{fffe}"] {
        let (received, kinds) = warned(&with("subject", subject));
        assert_eq!(
            (received.envelope.resources.as_slice(), kinds),
            (&[subject.to_owned()][..], vec![])
        );
    }
}

#[test]
fn an_id_or_type_that_cannot_be_kept_is_told_its_bound() {
    let long = "x".repeat(1025);
    for name in ["id", "type", "source"] {
        for (value, problem) in [
            ("", "must not be empty"),
            (long.as_str(), "must not be longer than 1024 bytes"),
            ("a\u{1}b", "must not contain control characters"),
        ] {
            let words = refusal(STRUCTURED, &with(name, value));
            assert!(words.starts_with(&format!("`{name}` {problem}")), "{words}");
        }
    }
}

#[test]
fn a_binary_event_that_lacks_only_its_specversion_is_told_so() {
    let pairs = [
        ("content-type", "application/json"),
        ("ce-id", "e1"),
        ("ce-source", "/orders"),
        ("ce-type", "OrderCreated"),
    ];
    for body in ["{\"id\":101}", "[1]", "", "not JSON"] {
        for from in 0..2 {
            let words = words(&post(&pairs[from..], body).unwrap_err());
            assert!(words.starts_with("`specversion` is missing"), "{words}");
            assert!(words.contains("`ce-specversion: 1.0`"), "{words}");
        }
    }
    let envelope = r#"{"id":"e","source":"s","detail-type":"t","detail":{}}"#;
    assert_eq!(post(&pairs, envelope).unwrap().events[0].envelope.detail_type, "t");

    let binary = [("ce-specversion", "1.0"), ("ce-id", "e"), ("ce-source", "s"), ("ce-type", "t")];
    assert_eq!(post(&binary, "[1]").unwrap().events[0].envelope.detail, json!([1]));
    let other = [&[("content-type", "text/plain")][..], &binary[..]].concat();
    let words = words(&post(&other, "hello").unwrap_err());
    assert!(words.starts_with("`datacontenttype` must be JSON"), "{words}");
    assert!(words.contains("Content-Type"), "{words}");
}

#[test]
fn a_byte_order_mark_is_read_over_and_utf_16_is_named() {
    for (media_type, event) in [
        (STRUCTURED, cloudevent()),
        (BATCHED, json!([cloudevent()])),
        ("application/json", json!({"id": "e1", "source": "s", "detail-type": "t", "detail": {}})),
        (
            "application/json",
            json!([{"id": "e1", "source": "s", "detail-type": "t", "detail": {}}]),
        ),
    ] {
        let posting = post(&[("content-type", media_type)], &format!("\u{feff}{event}")).unwrap();
        assert_eq!(posting.events[0].envelope.id, "e1");
        for mark in ["\u{feff}", ""] {
            let text = format!("{mark}{event}");
            for bytes in [
                text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
                text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            ] {
                let headers = headers(&[("content-type", media_type)]);
                let error = read(&headers, &bytes, &Config::default(), now()).unwrap_err();
                assert_eq!(words(&error), "the body is UTF-16: send it as UTF-8");
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_headers_and_attributes_never_panic(
        name in "[a-zA-Z0-9_]{0,8}",
        value in ".{0,30}",
        header_value in "[ -~]{0,20}",
    ) {
        let _ = post(&[("content-type", STRUCTURED)], &with(&name, value.clone()));
        let _ = post(&[("content-type", STRUCTURED)], &without("data").replacen('{', &format!("{{\"data_base64\":{},", json!(value)), 1));
        let name = format!("ce-{name}");
        let _ = post(&[("ce-specversion", "1.0"), (name.as_str(), header_value.as_str())], "1");
        let _ = post(&[("content-encoding", header_value.as_str())], "1");
    }

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
