//! What arrives asynchronously and cannot be read is kept as bytes, until it can be read or is dropped.

use std::fs;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::Size;
use sealway::event::{EventProducer, ProducerKind};
use sealway::eventlog::{QuarantineQuota, UnreadBytes};
use sealway::source::OnViolation;

use crate::harness::{ACCESS_SECRET, Answer, Process, TestGateway, answer, order_created, program};

const STRUCTURED: &str = "application/cloudevents+json";
const API_DESTINATION: &str = "Amazon/EventBridge/ApiDestinations";
const ASYNCHRONOUS: &str = "/events?manner=asynchronous";
/// Orders cross under a second name too.
const SALES: &str = "domain: sales
contract: asyncapi/orders.yaml
source: /sales
publications:
  - event: Order.Created
    when: { source: [order-service], detail-type: [OrderCreated] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
";

/// Posts as EventBridge does, with a caller's key.
async fn push(issuer: &str, key: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = reqwest::Client::new().post(format!("{issuer}/events")).bearer_auth(key);
    let request = request.header("user-agent", API_DESTINATION).header("content-type", media_type);
    answer(request.body(body)).await
}

/// An order with a member that is nested deeper than this gateway reads, and crosses nowhere.
fn deep_order(id: &str, number: u64) -> Value {
    let mut order = order_created(id, number);
    let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
    order["data"]["internal"] = serde_json::from_str(&deep).unwrap();
    order
}

/// A gateway that reads flat events only, and publishes orders under two names.
async fn shallow() -> TestGateway {
    TestGateway::with(None, |config| {
        config.source.max_depth = 10;
        fs::write(config.publications.join("sales.yaml"), SALES).unwrap();
    })
    .await
}

async fn entries(gateway: &TestGateway) -> Vec<Value> {
    gateway.get("/quarantine").await["quarantined"].as_array().unwrap().clone()
}

async fn release(gateway: &TestGateway, entry: &Value) -> Answer {
    gateway.call(Method::POST, &format!("/quarantine/{entry}/release"), None).await
}

async fn events(gateway: &TestGateway) -> Vec<Value> {
    gateway.get("/events").await["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_body_that_cannot_be_parsed_is_in_quarantine_before_the_answer_and_survives_a_kill() {
    let mut gateway = Process::prepare();
    let operator = gateway.add_caller("operator", "operate read-data");
    let producer = gateway.add_caller("shop", "publish:*");
    gateway.serve().await;
    let body = "{\n  \"id\": \"order-1\", oops }";

    let answered = push(gateway.issuer(), &producer, STRUCTURED, body).await;
    gateway.kill();

    assert_eq!(answered.status, 202, "{}", answered.body);
    let outcome = &answered.body["events"][0];
    assert_eq!(
        (&outcome["outcome"], &outcome["code"]),
        (&json!("quarantined"), &json!("invalid-event"))
    );
    assert!(outcome["detail"].as_str().unwrap().contains("line 2"), "{outcome}");
    gateway.serve().await;
    let get = async |path: &str| gateway.get(&operator, path).await;
    let listed = get("/quarantine?kind=unreadable&producer=shop").await["quarantined"].clone();
    let entry = &listed[0];
    assert_eq!(entry["id"], outcome["entry"]);
    assert_eq!(entry["kind"], "unreadable");
    assert_eq!(entry["producer"], json!({"kind": "caller", "name": "shop"}));
    assert_eq!(entry["violations"][0]["code"], "invalid-event");
    assert!(entry["violations"][0]["message"].as_str().unwrap().contains("line 2"), "{entry}");
    assert!(!listed.to_string().contains("oops"), "a list shows no data");
    let shown = get(&format!("/quarantine/{}", entry["id"])).await;
    assert_eq!(shown["bytes"]["body"], body);
    assert_eq!(shown["bytes"]["headers"], json!([["content-type", STRUCTURED]]));
    assert_eq!(get("/quarantine?kind=event").await["quarantined"], json!([]));
    let counts = get("/quarantine/counts").await;
    assert_eq!(counts["unreadable"], json!({"codes": {"invalid-event": 1}, "total": 1}));

    let run = |arguments: &[&str]| {
        let mut command = program();
        command.args(["--gateway", gateway.issuer()]).env("SEALWAY_CALLER_KEY", &operator);
        let output = command.args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let id = entry["id"].to_string();
    let list = run(&["quarantine", "list", "--kind", "unreadable", "--producer", "shop"]);
    assert!(
        list.0 == Some(0) && list.1.contains("shop") && list.1.contains("invalid-event"),
        "{list:?}"
    );
    let counts = run(&["quarantine", "counts"]);
    assert!(counts.1.contains("(unreadable)") && counts.1.contains("invalid-event"), "{counts:?}");
    assert!(run(&["quarantine", "get", &id]).1.contains("oops"));
    let early = run(&["quarantine", "release", &id]);
    assert!(early.0 != Some(0) && early.1.contains("still cannot be read"), "{early:?}");
    assert_eq!(run(&["quarantine", "remove", &id]).0, Some(0));
    assert_eq!(get("/quarantine").await["quarantined"], json!([]));
}

#[tokio::test]
async fn a_stranger_and_a_caller_that_may_not_publish_leave_nothing_behind() {
    let gateway = TestGateway::start().await;
    let reader = gateway.add_caller("reader", &["consume:shop"]).await;

    let unknown = push(&gateway.issuer(), "sk_unknown", STRUCTURED, "{").await;
    let forbidden = push(&gateway.issuer(), &reader, STRUCTURED, "{").await;
    let request = gateway.request(Method::POST, ASYNCHRONOUS).body("{");
    let nameless = answer(request.header("user-agent", API_DESTINATION)).await;

    assert_eq!((unknown.status, forbidden.status, nameless.status), (401, 403, 401));
    assert_eq!(entries(&gateway).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_producer_that_waits_is_told_and_nothing_is_kept() {
    let gateway = TestGateway::start().await;

    let waiting = gateway.send_text("/events", STRUCTURED, "{").await;

    assert_eq!((waiting.status, waiting.code()), (400, "invalid-event"));
    assert_eq!(entries(&gateway).await, Vec::<Value>::new());
}

#[tokio::test]
async fn whatever_cannot_be_read_is_kept_with_its_reason() {
    let gateway = TestGateway::start().await;
    let deep = format!(r#"{{"id":"deep","data":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let batch = "application/cloudevents-batch+json";
    let cases: &[(&str, &[u8], &str, &str, &str)] = &[
        (STRUCTURED, b"{\"id\":", "invalid-event", "", "line 1"),
        (STRUCTURED, b"", "invalid-event", "", "cannot be read"),
        (STRUCTURED, b"{\"id\":\"twice\",\"a\":1,\"a\":2}", "invalid-event", "twice", "repeated"),
        (STRUCTURED, b"{\"id\":\"\xff\"}", "invalid-event", "", "UTF-8"),
        (STRUCTURED, deep.as_bytes(), "invalid-event", "deep", "too deeply"),
        (
            STRUCTURED,
            b"{\"specversion\":\"1.0\",\"id\":\"bare\"}",
            "invalid-event",
            "bare",
            "`source`",
        ),
        ("application/json", b"{\"id\":\"e\",\"detail\":{}}", "invalid-event", "e", "`source`"),
        ("application/json", b"[1", "invalid-event", "", ""),
        (batch, b"{}", "invalid-event", "", "array"),
        ("text/plain", b"hello", "unsupported-media-type", "", "media type"),
    ];

    for (media_type, body, code, id, word) in cases {
        let answer = gateway.send_text(ASYNCHRONOUS, media_type, body.to_vec()).await;

        assert_eq!(answer.status, 202, "{media_type}: {}", answer.body);
        let entry = entries(&gateway).await.pop().unwrap();
        assert_eq!(entry["id"], answer.body["events"][0]["entry"]);
        assert_eq!(entry["violations"][0]["code"], *code, "{entry}");
        assert_eq!(entry["envelope"], *id, "{entry}");
        assert!(entry["violations"][0]["message"].as_str().unwrap().contains(word), "{entry}");
        let shown = gateway.get(&format!("/quarantine/{}", entry["id"])).await["bytes"].clone();
        match std::str::from_utf8(body) {
            Ok(text) => assert_eq!(shown["body"], text),
            Err(_) => assert_eq!(shown["bodyBase64"], "eyJpZCI6Iv8ifQ=="),
        }
    }
    assert_eq!(entries(&gateway).await.len(), cases.len());
    let metrics = gateway.get("/metrics").await;
    let counted = "sealway_unreadable_quarantined_total{reason=\"unsupported-media-type\"} 1";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
    let found = gateway.get("/quarantine?envelope=twice").await["quarantined"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_whose_coding_cannot_be_undone_is_kept_as_it_was_sent() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("shop", &["publish:*"]).await;
    let damaged = b"\x1f\x8b\x08\x00damaged".to_vec();
    let request = gateway.request(Method::POST, ASYNCHRONOUS).bearer_auth(&key);
    let request = request.header("content-type", STRUCTURED).header("content-encoding", "gzip");

    let kept = answer(request.body(damaged)).await;

    assert_eq!(kept.status, 202, "{}", kept.body);
    let shown = gateway.get("/quarantine/1").await["bytes"].clone();
    assert_eq!(shown["bodyBase64"], "H4sIAGRhbWFnZWQ=");
    assert!(shown["headers"].to_string().contains("content-encoding"), "{shown}");
    assert_eq!(release(&gateway, &json!(1)).await.status, 422);
}

#[tokio::test]
async fn an_event_in_binary_mode_is_kept_with_its_headers_and_without_credentials() {
    let mut gateway = shallow().await;
    let order = deep_order("order-7", 7);
    let request = gateway.request(Method::POST, ASYNCHRONOUS);
    let key = gateway.add_caller("shop", &["publish:*"]).await;
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "order-7"),
        ("ce-source", "order-service"),
        ("ce-type", "OrderCreated"),
        ("cookie", "secret"),
    ];
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let taken = answer(request.bearer_auth(&key).body(order["data"].to_string())).await;

    assert_eq!(taken.status, 202, "{}", taken.body);
    assert_eq!(taken.body["events"][0]["id"], "order-7");
    let entry = &entries(&gateway).await[0];
    let shown = gateway.get(&format!("/quarantine/{}", entry["id"])).await["bytes"].to_string();
    assert!(!shown.contains(&key) && !shown.contains("secret"), "{shown}");
    gateway.restart_with(|config| config.source.max_depth = 64).await;
    let released = release(&gateway, &entry["id"]).await;
    assert_eq!(released.body["events"].as_array().map(Vec::len), Some(2), "{}", released.body);
}

#[tokio::test]
async fn a_caller_keeps_so_many_entries_and_bytes_and_is_then_told_to_come_again() {
    let gateway = TestGateway::with(None, |config| {
        config.source.unreadable.max_entries = 2;
        config.source.unreadable.max_bytes = Size(6000);
    })
    .await;
    let (shop, depot) = (
        gateway.add_caller("shop", &["publish:*"]).await,
        gateway.add_caller("depot", &["publish:*"]).await,
    );
    let push = async |key: &str, body: String| push(&gateway.issuer(), key, STRUCTURED, body).await;

    for body in ["{", "{", "{{"] {
        assert_eq!(push(&shop, body.to_owned()).await.status, 202);
    }
    let request = gateway.request(Method::POST, "/events").header("content-type", STRUCTURED);
    let request = request.header("user-agent", API_DESTINATION).bearer_auth(&shop).body("{{{");
    let third = request.send().await.unwrap();
    assert_eq!(third.status().as_u16(), 429);
    assert_eq!(third.headers()["retry-after"], "60");
    let third: Value = third.json().await.unwrap();
    assert_eq!(third["type"], "/problems/quarantine-full");
    assert_eq!(push(&depot, format!("{{{}", " ".repeat(1200))).await.status, 202);
    assert_eq!(push(&depot, format!("[{}", " ".repeat(1200))).await.code(), "quarantine-full");
    assert_eq!(push(&depot, "{".to_owned()).await.status, 202);
    let never = push(&depot, format!("{{{}", " ".repeat(4000))).await;
    assert_eq!((never.status, never.code()), (413, "too-large"));
    assert_eq!(entries(&gateway).await.len(), 4);
    let order = push(&shop, order_created("order-1", 1).to_string()).await;
    assert_eq!(order.body["events"][0]["eventIds"].as_array().map(Vec::len), Some(1));

    let removed = gateway.call(Method::DELETE, "/quarantine/1", None).await;
    assert_eq!(removed.status, 204);
    assert_eq!(push(&shop, "{{{".to_owned()).await.status, 202);
    let metrics = gateway.get("/metrics").await;
    let counted = "sealway_events_refused_total{reason=\"quarantine-full\"} 2";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
}

#[tokio::test]
async fn what_can_be_read_later_is_released_through_every_publication_that_wants_it() {
    let mut gateway = shallow().await;
    let sent = deep_order("order-1", 1).to_string();
    assert_eq!(gateway.send_text(ASYNCHRONOUS, STRUCTURED, sent.clone()).await.status, 202);
    let entry = entries(&gateway).await.remove(0);

    let early = release(&gateway, &entry["id"]).await;
    assert_eq!((early.status, early.code()), (422, "invalid"), "{}", early.body);
    assert!(early.body["detail"].as_str().unwrap().contains("too deeply"), "{}", early.body);
    assert_eq!(entries(&gateway).await.len(), 1);

    gateway.restart_with(|config| config.source.max_depth = 64).await;
    let released = release(&gateway, &entry["id"]).await;
    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!(
        (&released.body["released"], &released.body["quarantined"]),
        (&entry["id"], &json!(0))
    );
    let sources: Vec<_> =
        events(&gateway).await.iter().map(|event| event["source"].clone()).collect();
    assert_eq!(sources.len(), 2, "{sources:?}");
    assert!(sources.contains(&json!("/orders")) && sources.contains(&json!("/sales")));
    assert_eq!(events(&gateway).await[0]["time"], entry["at"], "it happened when it arrived");
    assert_eq!(entries(&gateway).await, Vec::<Value>::new());

    assert_eq!(release(&gateway, &entry["id"]).await.status, 404);
    let repeat = gateway.send_text("/events", STRUCTURED, sent).await;
    assert_eq!(repeat.body["events"][0]["eventIds"], released.body["events"]);
    assert_eq!(events(&gateway).await.len(), 2);
}

#[tokio::test]
async fn a_release_of_what_has_crossed_meanwhile_makes_no_second_event() {
    let mut gateway = shallow().await;
    let sent = deep_order("order-1", 1).to_string();
    for sent in [sent.clone(), format!("{sent} ")] {
        assert_eq!(gateway.send_text(ASYNCHRONOUS, STRUCTURED, sent).await.status, 202);
    }
    gateway.restart_with(|config| config.source.max_depth = 64).await;
    let crossed = gateway.send_text("/events", STRUCTURED, sent).await.body["events"][0].clone();

    for entry in [1, 2] {
        let released = release(&gateway, &json!(entry)).await;
        assert_eq!(released.body["events"], crossed["eventIds"], "{}", released.body);
    }
    assert_eq!(events(&gateway).await.len(), 2);
    assert_eq!(entries(&gateway).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_read_and_breaks_a_contract_is_set_aside_as_an_event_by_that_publication() {
    let mut gateway = shallow().await;
    let mut order = deep_order("order-1", 1);
    order["data"]["amount"] = json!("much");
    gateway.send_text(ASYNCHRONOUS, STRUCTURED, order.to_string()).await;
    gateway.restart_with(|config| config.source.max_depth = 64).await;

    let released = release(&gateway, &json!(1)).await;

    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!((&released.body["events"], &released.body["quarantined"]), (&json!([]), &json!(2)));
    let kinds: Vec<_> = entries(&gateway).await.iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, ["event", "event"]);
}

#[tokio::test]
async fn a_release_by_filter_counts_what_is_set_aside_again_and_does_not_choose_it() {
    let mut gateway = shallow().await;
    for number in 1..=2 {
        let mut order = deep_order(&format!("order-{number}"), number);
        order["data"]["amount"] = json!("much");
        gateway.send_text(ASYNCHRONOUS, STRUCTURED, order.to_string()).await;
    }
    gateway.restart_with(|config| config.source.max_depth = 64).await;

    let released = gateway.post("/quarantine/release", &json!({ "all": true })).await;

    assert_eq!((&released["matched"], &released["released"]), (&json!(2), &json!(2)), "{released}");
    assert_eq!((&released["events"], &released["quarantined"]), (&json!(0), &json!(4)));
    assert_eq!((&released["stayed"], &released["next"]), (&json!({}), &Value::Null), "{released}");
    assert_eq!(entries(&gateway).await.len(), 4);
    let before = json!({ "all": true, "dryRun": true, "to": released["to"] });
    let chosen = gateway.post("/quarantine/release", &before).await;
    assert_eq!((&chosen["matched"], &chosen["to"]), (&json!(0), &released["to"]), "{chosen}");
}

#[tokio::test]
async fn what_no_publication_wants_says_so_and_stays_until_it_is_dropped() {
    let mut gateway = shallow().await;
    let mut order = deep_order("order-1", 1);
    order["type"] = json!("OrderAudited");
    gateway.send_text(ASYNCHRONOUS, STRUCTURED, order.to_string()).await;
    gateway.restart_with(|config| config.source.max_depth = 64).await;

    let released = release(&gateway, &json!(1)).await;

    assert_eq!((released.status, released.code()), (409, "wrong-state"));
    assert!(released.body["detail"].as_str().unwrap().starts_with("unwanted"), "{}", released.body);
    assert_eq!(entries(&gateway).await.len(), 1);
    assert_eq!(gateway.call(Method::DELETE, "/quarantine/1", None).await.status, 204);
    assert_eq!(entries(&gateway).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_an_access_key_sent_is_released_only_as_a_source_that_the_key_has_now() {
    let own =
        |sources: &[&str]| Some(sources.iter().map(|source| source.parse().unwrap()).collect());
    let mut gateway = TestGateway::with(None, |config| {
        config.source.access_keys[0].sources = own(&["payment-service"]);
    })
    .await;
    let key = gateway.services().source.access_keys[0].id.as_str().into();
    let sent = |name| UnreadBytes {
        producer: EventProducer { kind: ProducerKind::AccessKey, name },
        identity: [1; 32],
        envelope_id: "6f5c1d3e-0d1b-4a5e-9c53-0a5f0f2f7a11".into(),
        codes: "MalformedDetail".into(),
        violations: "[]".to_owned(),
        headers: json!([["content-type", "application/x-amz-json-1.1"]]).to_string(),
        body: json!({
            "Source": "order-service", "DetailType": "OrderCreated",
            "Detail": order_created("order-1", 1)["data"].to_string(),
        })
        .to_string()
        .into_bytes(),
    };
    let quota = QuarantineQuota { entries: 9, bytes: 10_000, total: None };
    let batch = vec![sent(key), sent("AKIAGONE".into())];
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let release = async |gateway: &TestGateway, entry: &Value| {
        let path = format!("/quarantine/{entry}/release");
        gateway.call_as(&operator, (Method::POST, &path), None).await
    };
    gateway.services().store.quarantine.quarantine_bytes(batch, quota).await.unwrap();

    for entry in [1, 2] {
        let refused = release(&gateway, &json!(entry)).await;
        assert_eq!((refused.status, refused.code()), (409, "wrong-state"), "{}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains("access key `AKIA"));
    }
    assert_eq!(events(&gateway).await, Vec::<Value>::new());

    gateway.restart_with(|config| config.source.access_keys[0].sources = own(&["order-*"])).await;
    assert_eq!(release(&gateway, &json!(1)).await.status, 200);
    assert_eq!(release(&gateway, &json!(2)).await.status, 409);
    assert_eq!((events(&gateway).await.len(), entries(&gateway).await.len()), (1, 1));
}

#[tokio::test]
async fn an_unreadable_item_of_a_batch_is_kept_and_released_alone_and_its_neighbors_cross() {
    const BATCH: &str = "application/cloudevents-batch+json";
    let mut gateway = shallow().await;
    let deep = deep_order("order-2", 2);
    let batch = json!([order_created("order-1", 1), deep, order_created("order-3", 3)]);

    let taken = gateway.send_text(ASYNCHRONOUS, BATCH, batch.to_string()).await;

    assert_eq!(taken.status, 202, "{}", taken.body);
    let answers = taken.body["events"].as_array().unwrap();
    let told: Vec<_> = answers.iter().map(|answer| (&answer["index"], &answer["id"])).collect();
    let expected = [(json!(0), "order-1"), (json!(1), "order-2"), (json!(2), "order-3")];
    assert_eq!(told.len(), 3);
    for ((index, id), (expected_index, expected_id)) in told.into_iter().zip(expected) {
        assert_eq!((index, id), (&expected_index, &json!(expected_id)));
    }
    let outcomes: Vec<_> = answers.iter().map(|answer| &answer["outcome"]).collect();
    assert_eq!(outcomes, ["accepted", "quarantined", "accepted"]);
    assert_eq!(events(&gateway).await.len(), 4, "each neighbor crosses under both names");
    let kept = entries(&gateway).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&kept[0]["id"], &kept[0]["kind"]), (&answers[1]["entry"], &json!("unreadable")));
    let shown = gateway.get(&format!("/quarantine/{}", kept[0]["id"])).await["bytes"].clone();
    assert_eq!(shown["body"], deep.to_string());
    assert_eq!(shown["headers"], json!([["content-type", STRUCTURED]]));
    assert_eq!(release(&gateway, &kept[0]["id"]).await.status, 422);

    gateway.restart_with(|config| config.source.max_depth = 64).await;
    let released = release(&gateway, &kept[0]["id"]).await;

    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!(released.body["events"].as_array().map(Vec::len), Some(2), "{}", released.body);
    assert_eq!((events(&gateway).await.len(), entries(&gateway).await.len()), (6, 0));
    let again = gateway.send_text(ASYNCHRONOUS, BATCH, batch.to_string()).await;
    assert_eq!(again.body["events"][1]["eventIds"], released.body["events"]);
    assert_eq!(events(&gateway).await.len(), 6);
}

#[tokio::test]
async fn an_entry_that_was_signed_is_kept_and_released_under_the_id_that_was_answered() {
    let mut gateway = TestGateway::with(None, |config| {
        config.source.max_depth = 10;
        config.source.on_violation = OnViolation::Quarantine;
    })
    .await;
    let sdk = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let detail = |order: Value| order["data"].to_string();
    let entry = |detail: String| {
        let entry = PutEventsRequestEntry::builder().source("order-service");
        entry.detail_type("OrderCreated").detail(detail).build()
    };
    let deep = detail(deep_order("order-2", 2));

    let put = sdk.put_events().entries(entry(detail(order_created("order-1", 1))));
    let put = put.entries(entry(deep.clone())).entries(entry("{\"id\": oops}".to_owned()));
    let answer = put.send().await.unwrap();

    assert_eq!(answer.failed_entry_count(), 0, "{answer:?}");
    let ids: Vec<_> = answer.entries().iter().map(|entry| entry.event_id().unwrap()).collect();
    assert_eq!(events(&gateway).await.len(), 1);
    let key = gateway.services().source.access_keys[0].id.clone();
    let mut kept = entries(&gateway).await;
    kept.sort_by_key(|entry| entry["id"].as_u64());
    assert_eq!(kept.len(), 2, "{kept:?}");
    for (entry, id, place) in
        [(&kept[0], ids[1], "nested too deeply"), (&kept[1], ids[2], "at line 1, column 8")]
    {
        assert_eq!((&entry["kind"], &entry["envelope"]), (&json!("unreadable"), &json!(id)));
        assert_eq!(entry["producer"], json!({"kind": "access-key", "name": key}));
        let message = entry["violations"][0]["message"].as_str().unwrap();
        assert!(message.contains(place), "{message}");
        let early = release(&gateway, &entry["id"]).await;
        assert_eq!((early.status, early.code()), (422, "invalid"), "{}", early.body);
        assert!(early.body["detail"].as_str().unwrap().contains(place), "{}", early.body);
    }

    gateway.restart_with(|config| config.source.max_depth = 64).await;
    let released = release(&gateway, &kept[0]["id"]).await;

    assert_eq!(released.status, 200, "{}", released.body);
    let found = gateway.get(&format!("/events?envelope={}", ids[1])).await["events"].clone();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(
        (&found[0]["id"], &found[0]["data"]["orderId"]),
        (&released.body["events"][0], &json!(2))
    );
    assert_eq!(release(&gateway, &kept[1]["id"]).await.status, 422);
    assert_eq!(entries(&gateway).await.len(), 1);
}
