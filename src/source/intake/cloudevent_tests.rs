//! Tests of what is odd about CloudEvents and their bodies, beside the code they test.

use proptest::prelude::*;
use serde_json::json;

use super::tests::{
    BATCHED, STRUCTURED, TRACE, cloudevent, headers, now, post, refusal, single, with, without,
    words,
};
use super::*;
use crate::source::intake::WarningKind;

/// The one event of a structured posting, and the rules that it breaks.
fn warned(body: &str) -> (Received, Vec<WarningKind>) {
    let posting = post(&[("content-type", STRUCTURED)], body).unwrap();
    let kinds = posting.warnings.iter().map(|warning| warning.kind).collect();
    (posting.events.into_iter().next().unwrap().unwrap(), kinds)
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
    assert_eq!(posting.events[0].as_ref().unwrap().traceparent.as_deref(), Some(TRACE));
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
    assert_eq!(
        post(&pairs, envelope).unwrap().events[0].as_ref().unwrap().envelope.detail_type,
        "t"
    );

    let binary = [("ce-specversion", "1.0"), ("ce-id", "e"), ("ce-source", "s"), ("ce-type", "t")];
    assert_eq!(
        post(&binary, "[1]").unwrap().events[0].as_ref().unwrap().envelope.detail,
        json!([1])
    );
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
        assert_eq!(posting.events[0].as_ref().unwrap().envelope.id, "e1");
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
}
