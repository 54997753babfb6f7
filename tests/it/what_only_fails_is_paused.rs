//! A subscription that only fails for five days is paused, with everything kept, and says so.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use sealway::ambient::{Clock as _, ManualClock, SystemClock};

use crate::harness::{
    Receiver, Reply, TestGateway, eventually, let_operational_events_cross, never_within,
};

#[tokio::test]
async fn five_days_of_failures_pause_and_a_resume_delivers_everything() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::with(Some(clock.clone()), let_operational_events_cross).await;
    let operator = Receiver::start(&gateway, "operator").await;
    gateway.subscribe(&operator, json!({ "types": ["Subscription.Paused"] })).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "types": ["Order.*"] })).await;
    receiver.answer(Reply::Status(500));
    let began = clock.now();
    let state = async |gateway: &TestGateway| gateway.get("/subscriptions/shop").await;

    // Half a day at a time; in the middle the gateway restarts.
    let mut number = 0;
    while clock.now() < began.after(Duration::from_hours(5 * 24 - 1)) {
        assert_eq!(state(&gateway).await["state"], "active");
        number += 1;
        gateway.fail_for_half_a_day((&clock, &receiver), number).await;
        if number == 5 {
            gateway.restart().await;
        }
    }
    let paused = gateway.wait_for_pause(&clock).await;
    assert!(paused["reason"].as_str().unwrap().starts_with("every attempt since "), "{paused}");
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let counted = "sealway_subscriptions_paused_total{subscription=\"shop\"} 1";
    assert!(metrics.as_str().unwrap().contains(counted));
    let told = operator.wait_for_delivered(1).await.remove(0);
    assert_eq!(told.opened.event()["type"], "Subscription.Paused");
    assert_eq!(told.data()["subscription"], "shop");
    assert_eq!(told.data()["consumer"], "shop");
    assert!(told.data()["since"].is_string() && told.data()["reason"].is_string());

    let made = receiver.arrivals().len();
    number += 1;
    gateway.order(number).await;
    clock.advance(Duration::from_hours(24));
    let more = async || receiver.arrivals().get(made).cloned();
    never_within(Duration::from_millis(100), "it is paused", more).await;
    gateway.restart().await;
    assert_eq!(state(&gateway).await["state"], "paused");

    receiver.answer(Reply::Status(204));
    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    let all = usize::try_from(number).unwrap();
    eventually("everything is delivered", async || {
        clock.advance(Duration::from_hours(1));
        (receiver.delivered().len() >= all).then_some(())
    })
    .await;
    assert_eq!(receiver.chain().0, number);
    eventually("nothing is said of failures any more", async || {
        let shown = state(&gateway).await;
        let resumed = shown.get("reason").is_none() && shown["state"] == "active";
        (resumed && shown["progress"].get("failingSince").is_none()).then_some(())
    })
    .await;
}
