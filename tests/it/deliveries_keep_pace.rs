//! Producers that send faster than the gateway can deliver are slowed down; a sink that hangs, is slow, is
//! paused or is fetched from slows nobody.

use std::time::Duration;

use sealway::ambient::HumanDuration;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Receiver, Reply, TestGateway, eventually, order_created};

async fn impatient(parallel: u16) -> TestGateway {
    TestGateway::with(None, |config| {
        config.delivery.slow_producers_after = Some(HumanDuration(Duration::from_secs(1)));
        config.delivery.parallel = parallel;
    })
    .await
}

/// Has producers send as fast as they can until one is refused or the time is over; gives the refusal.
async fn flood(gateway: &TestGateway, producers: u64, span: Duration) -> Option<reqwest::Response> {
    let end = Instant::now() + span;
    let producers = (0..producers).map(async |producer| {
        for number in 1.. {
            if Instant::now() >= end {
                break;
            }
            let event = order_created(&format!("{producer}-{number}"), number);
            let request = gateway.request(reqwest::Method::POST, "/events");
            let request = request.header("content-type", "application/cloudevents+json");
            let request = request.bearer_auth(gateway.admin()).body(event.to_string());
            let answer = request.send().await.unwrap();
            if answer.status() != 202 {
                return Some(answer);
            }
        }
        None
    });
    let answers = futures_util::future::join_all(producers).await;
    answers.into_iter().flatten().next()
}

async fn share(gateway: &TestGateway) -> f64 {
    let page = gateway.request(reqwest::Method::GET, "/metrics");
    let page = page.bearer_auth(gateway.admin()).send().await.unwrap();
    let text = page.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("sealway_admitted_share "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_sink_that_hangs_or_is_slow_or_paused_or_fetched_from_or_asks_for_less_slows_nobody() {
    let gateway = impatient(16).await;
    let slow = Receiver::subscribed(&gateway, "slow").await;
    let hung = Receiver::subscribed(&gateway, "hung").await;
    let paused = Receiver::start(&gateway, "paused").await;
    let shown = gateway.subscribe(&paused, json!({})).await;
    let id = shown["id"].as_str().unwrap();
    gateway.post(&format!("/subscriptions/{id}/pause"), &json!({})).await;
    let fetched = Receiver::start(&gateway, "fetched").await;
    gateway.subscribe(&fetched, json!({ "sink": null, "protocol": "PULL" })).await;
    let narrow = Receiver::start(&gateway, "narrow").await;
    gateway.subscribe(&narrow, json!({ "config": { "parallel": 1 } })).await;
    slow.answer(Reply::After(Duration::from_millis(600)));
    hung.answer(Reply::Hang);

    let refused = flood(&gateway, 16, Duration::from_secs(8)).await;

    assert!(refused.is_none(), "{refused:?}");
    assert!(share(&gateway).await >= 1.0);
    let narrow = gateway.get("/subscriptions/narrow").await;
    assert!(narrow["progress"]["behind"].as_u64().unwrap() > 10, "{narrow}");
    hung.answer(Reply::Status(204));
}

#[tokio::test]
async fn producers_wait_for_deliveries_that_only_the_gateway_keeps() {
    // One attempt at a time, each of which waits for its turn among the producers.
    let gateway = impatient(1).await;
    let _consumer = Receiver::subscribed(&gateway, "consumer").await;

    let refused =
        flood(&gateway, 64, Duration::from_mins(1)).await.expect("nobody was slowed down");

    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/busy");
    assert!(problem["detail"].as_str().unwrap().contains("deliveries are behind"), "{problem}");
    assert!(share(&gateway).await < 1.0);
    eventually("everything is taken again", async || (share(&gateway).await >= 1.0).then_some(()))
        .await;
}
