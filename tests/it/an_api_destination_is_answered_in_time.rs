//! What an API destination pushes is answered before it gives up, and an event that the log took after
//! the answer is the same event when it is sent again.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Number, Process, answer};

/// How long EventBridge waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An order as an EventBridge rule pushes it.
fn envelope(id: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "OrderCreated", "source": "order-service",
        "account": "123456789012", "time": "2026-11-21T20:17:00Z", "region": "eu-west-1",
        "resources": [], "detail": { "id": 1, "amount": 100 },
    })
}

fn pushed(issuer: &str, key: &str, event: &Value) -> RequestBuilder {
    reqwest::Client::new()
        .request(Method::POST, format!("{issuer}/events"))
        .header("user-agent", "Amazon/EventBridge/ApiDestinations")
        .header("content-type", "application/json; charset=utf-8")
        .header("x-api-key", key)
        .body(event.to_string())
}

#[tokio::test]
async fn a_log_that_stalls_is_answered_503_in_time_and_the_repeat_is_one_event() {
    let mut process = Process::prepare().with_disk();
    let producer = process.add_caller("bus", "publish:*");
    let operator = process.add_caller("operator", "operate");
    process.serve().await;
    let issuer = process.issuer().to_owned();
    let push = || pushed(&issuer, &producer, &envelope("e-1"));

    process.disk().set(Number::SyncMicros, 7_000_000);
    let begun = Instant::now();
    let late = push().send().await.unwrap();
    assert!(begun.elapsed() < PATIENCE, "answered after {:?}", begun.elapsed());
    assert_eq!(late.status(), 503);
    assert_eq!(late.headers()["retry-after"], "1");
    let problem: Value = late.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/timed-out");
    process.disk().set(Number::SyncMicros, 500);

    // EventBridge repeats a 503; the sync that was under way takes its time to the end.
    let mut repeat = answer(push()).await;
    for _ in 0..3 {
        if repeat.status != 503 {
            break;
        }
        repeat = answer(push()).await;
    }
    assert_eq!(repeat.status, 202, "{}", repeat.body);
    let outcome = &repeat.body["events"][0];
    assert_eq!((&outcome["outcome"], &outcome["repeated"]), (&json!("repeated"), &json!(true)));
    let found = process.get(&operator, "/events?envelope=e-1").await;
    assert_eq!(found["events"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["events"][0]["id"], outcome["eventIds"][0]);
}
