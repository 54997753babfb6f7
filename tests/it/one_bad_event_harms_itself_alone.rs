//! One event that cannot cross is answered by itself, and its neighbors cross; the answer says what
//! happened to each.

use std::io::Write as _;
use std::process::Stdio;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::Method;
use serde_json::{Value, json};

use sealway::source::OnViolation;

use crate::harness::{ACCESS_SECRET, Answer, Process, TestGateway, answer, order_created, program};

const CLOUDEVENTS: &str = "application/cloudevents-batch+json";

fn envelope(id: &str, number: u64) -> Value {
    json!({
        "id": id, "source": "order-service", "detail-type": "OrderCreated",
        "detail": { "id": number, "amount": 100 },
    })
}

fn outcomes(answer: &Answer) -> Vec<&str> {
    let events = answer.body["events"].as_array().unwrap();
    events.iter().map(|event| event["outcome"].as_str().unwrap()).collect()
}

/// The numbers of the orders that have crossed.
async fn crossed(gateway: &TestGateway) -> Vec<u64> {
    let events = gateway.get("/events").await["events"].clone();
    let number = |event: &Value| event["data"]["orderId"].as_u64().unwrap();
    events.as_array().unwrap().iter().map(number).collect()
}

#[tokio::test]
async fn an_unreadable_event_of_a_batch_is_answered_by_its_index_and_the_others_cross() {
    let gateway = TestGateway::start().await;
    let mut number = 0;
    for media_type in [CLOUDEVENTS, "application/json"] {
        let mut good = || {
            number += 1;
            let id = format!("o-{number}");
            let event = if media_type == CLOUDEVENTS {
                order_created(&id, number)
            } else {
                envelope(&id, number)
            };
            event.to_string().into_bytes()
        };
        for broken in [
            &br#"{"id":"private","id":"private"}"#[..],
            br#"{"id":"private","n":NaN}"#,
            br#"{"id":"private",}"#,
            b"{\"id\":\"private\xe9\"}",
            b"{\"id\":\"private\n\"}",
            br#"{"id":"private"}"#,
            b"7",
            b"null",
            b"{}",
        ] {
            let batch = [&b"["[..], &good(), b", ", broken, b",", &good(), b"]"].concat();

            let answer = gateway.send_text("/events", media_type, batch).await;

            assert_eq!((answer.status, answer.code()), (400, "invalid-event"), "{}", answer.body);
            assert_eq!(outcomes(&answer), ["accepted", "refused", "accepted"]);
            let refused = &answer.body["events"][1];
            assert_eq!((&refused["index"], &refused["code"]), (&json!(1), &json!("invalid-event")));
            assert!(refused["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
            assert!(!answer.body.to_string().contains("private"), "{}", answer.body);
        }
    }
    assert_eq!(crossed(&gateway).await, (1..=number).collect::<Vec<_>>());
    let metrics = gateway.services().metrics.render();
    assert!(metrics.contains("refused_total{reason=\"invalid-event\"} 18\n"), "{metrics}");
}

#[tokio::test]
async fn a_batch_whose_events_have_no_certain_end_is_refused_whole() {
    let gateway = TestGateway::start().await;
    let good = order_created("o-1", 1).to_string();
    for body in [format!("[{good},{{"), format!("[{good}]]"), format!("[{good},{{\"a\":\"b}}]")] {
        let answer = gateway.send_text("/events", CLOUDEVENTS, body).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid-event"));
        assert!(answer.body.get("events").is_none());
    }
    assert_eq!(crossed(&gateway).await, Vec::<u64>::new());
}

#[tokio::test]
async fn the_answer_says_what_happened_and_never_that_a_lost_event_was_taken() {
    let gateway = TestGateway::start().await;
    let mut unwanted = order_created("u", 2);
    unwanted["type"] = json!("OrderCraeted");
    let mut broken = order_created("q", 3);
    broken["data"]["amount"] = json!(-1);
    let first = order_created("o", 1);
    gateway.publish(&first).await;
    let batch = json!([first, order_created("n", 4), unwanted, broken]).to_string();

    let answer = gateway.send_text("/events?manner=asynchronous", CLOUDEVENTS, batch).await;

    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(outcomes(&answer), ["repeated", "accepted", "unwanted", "quarantined"]);
    assert!(!answer.body.to_string().contains("taken"));
    assert_eq!(
        answer.body["events"][2],
        json!({"index": 2, "id": "u", "outcome": "unwanted", "eventIds": [], "repeated": false,
            "quarantined": 0})
    );
    let metrics = gateway.services().metrics.render();
    let series = "sealway_events_unwanted_total{source=\"order-service\",\
                  detail_type=\"OrderCraeted\"} 1\n";
    assert!(metrics.contains(series), "{metrics}");
}

#[tokio::test]
async fn a_misspelt_detail_type_is_told_in_one_line_of_the_log() {
    let mut process = Process::prepare();
    let key = process.add_caller("producer", "publish:*");
    process.serve().await;
    let http = reqwest::Client::new();
    for number in 0..5 {
        let mut event = order_created(&format!("o-{number}"), number);
        event["type"] = json!("LevelChagned");
        let request = http.request(Method::POST, format!("{}/events", process.issuer()));
        let request = request.header("content-type", "application/cloudevents+json");
        let answer = answer(request.bearer_auth(&key).body(event.to_string())).await;
        assert_eq!(outcomes(&answer), ["unwanted"]);
    }
    let log = process.log();
    process.stop().await;

    let lines: Vec<_> = log.lines().filter(|line| line.contains("LevelChagned")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("No publication wants events of source `order-service`"));
}

fn entry(detail: impl Into<String>) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .source("order-service")
        .detail_type("OrderCreated")
        .detail(detail)
        .build()
}

#[tokio::test]
async fn an_entry_of_put_events_fails_alone() {
    let gateway = TestGateway::start().await;
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let put = client
        .put_events()
        .entries(entry(json!({"id": 1, "amount": 100}).to_string()))
        .entries(entry(r#"{"id":2,"id":2}"#))
        .entries(entry(r#"{"id":NaN}"#))
        .entries(entry(json!({"id": 4, "amount": -1}).to_string()))
        .entries(PutEventsRequestEntry::builder().source("order-service").build())
        .entries(entry(json!({"id": 6, "amount": 100}).to_string()));

    let answer = put.send().await.unwrap();

    let codes: Vec<_> = answer.entries().iter().map(|entry| entry.error_code()).collect();
    let (malformed, violation) = (Some("MalformedDetail"), Some("ContractViolation"));
    assert_eq!(codes, [None, malformed, malformed, violation, Some("InvalidArgument"), None]);
    assert_eq!(crossed(&gateway).await, [1, 6]);
    let metrics = gateway.services().metrics.render();
    for (code, count) in [("MalformedDetail", 2), ("ContractViolation", 1), ("InvalidArgument", 1)]
    {
        let series = format!(
            "sealway_put_events_refused_total{{access_key=\"AKIATESTTESTTESTTEST\",\
             code=\"{code}\"}} {count}\n"
        );
        assert!(metrics.contains(&series), "{metrics}");
    }
}

#[tokio::test]
async fn a_bus_that_quarantines_answers_an_id_and_keeps_what_breaks_its_contract() {
    let gateway = TestGateway::with(None, |config| {
        config.source.on_violation = OnViolation::Quarantine;
    })
    .await;
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let put = client
        .put_events()
        .entries(entry(json!({"id": 1, "amount": -1}).to_string()))
        .entries(entry(json!({"id": 2, "amount": 100}).to_string()));

    let answer = put.send().await.unwrap();

    assert_eq!(answer.failed_entry_count(), 0);
    assert_eq!(crossed(&gateway).await, [2]);
    let kept = gateway.get("/quarantine").await["quarantined"].clone();
    assert_eq!(kept.as_array().unwrap().len(), 1);
    assert_eq!(kept[0]["violations"][0]["pointer"], "/amount");
    let given = answer.entries()[0].event_id().unwrap();
    assert!(kept.to_string().contains(given), "{kept}");
}

// The command blocks, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_put_goes_on_over_wrong_lines_and_says_at_the_end_which_failed_and_why() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("producer", &["publish:*"]).await;
    let line = |number| envelope(&format!("o-{number}"), number).to_string().into_bytes();
    let mut broken = envelope("o-5", 5);
    broken["detail"]["amount"] = json!(-1);
    let mut unwanted = envelope("o-9", 9);
    unwanted["detail-type"] = json!("OrderCraeted");
    let long = format!("{{\"private\":\"{}\"}}", "x".repeat(1024 * 1024));
    let lines: [Vec<u8>; 11] = [
        line(1),
        br#"{"private": nothing}"#.to_vec(),
        b"{\"private\":\"\xe9\"}".to_vec(),
        br#"{"id":"private","id":"private"}"#.to_vec(),
        broken.to_string().into_bytes(),
        long.into_bytes(),
        b"7".to_vec(),
        order_created("o-8", 8).to_string().into_bytes(),
        unwanted.to_string().into_bytes(),
        line(1),
        line(11),
    ];
    let input = lines.join(&b'\n');
    let put = |batch: &str| {
        let mut child = program()
            .args(["--output", "json", "--gateway", &gateway.issuer()])
            .args(["events", "put", "-", "--batch", batch])
            .env("SEALWAY_CALLER_KEY", &key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        child.wait_with_output().unwrap()
    };

    let ended = put("100");

    let remarks = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{remarks}");
    let tally: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        tally,
        json!({"accepted": 2, "repeated": 1, "quarantined": 0, "unwanted": 1, "refused": 3,
            "unreadable": 4, "alsoQuarantined": 0})
    );
    let told: Vec<_> = remarks.lines().filter(|line| line.starts_with("line ")).collect();
    let expected = [
        "line 2: not JSON: ",
        "line 3: not UTF-8",
        "line 4: this event cannot be read, counted from its own beginning: a member name that is repeated",
        "line 5: publication `orders/Order.Created` cannot let the event cross",
        "line 6: longer than 1048576 bytes",
        "line 7: an event must be a JSON object",
        "line 8: a CloudEvent; say `--format cloudevents`",
    ];
    assert_eq!(told.len(), expected.len(), "{remarks}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    assert!(!remarks.contains("private"), "{remarks}");
    assert_eq!(crossed(&gateway).await, [1, 11]);

    // Each line in a request of its own says the same.
    let again = put("1");
    let tally: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((again.status.code(), &tally["repeated"]), (Some(1), &json!(3)));
    assert_eq!(String::from_utf8(again.stderr).unwrap(), remarks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_put_takes_a_batch_apart_that_the_gateway_refuses_as_a_whole() {
    let gateway = TestGateway::with(None, |config| {
        config.source.max_batch = 3;
        config.source.max_body = sealway::ambient::Size(400);
    })
    .await;
    let key = gateway.add_caller("producer", &["publish:*"]).await;
    let mut long = envelope("long", 99);
    long["detail"]["note"] = json!("x".repeat(500));
    let mut lines: Vec<_> = (1..=9).map(|n| envelope(&format!("o-{n}"), n).to_string()).collect();
    lines.insert(4, long.to_string());
    let file = gateway.path("orders.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();

    let ended = program()
        .args(["--gateway", &gateway.issuer(), "events", "put"])
        .arg(&file)
        .env("SEALWAY_CALLER_KEY", &key)
        .output()
        .unwrap();

    let (said, remarks) = (String::from_utf8(ended.stdout).unwrap(), ended.stderr);
    let remarks = String::from_utf8(remarks).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{remarks}");
    assert!(said.starts_with("accepted 9, repeated 0, quarantined 0, unwanted 0, refused 1"));
    assert!(remarks.contains("line 5: the body is over"), "{remarks}");
    assert_eq!(crossed(&gateway).await, (1..=9).collect::<Vec<_>>());
}
