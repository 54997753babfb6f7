//! Whoever needs old events is listed, warned of, and bounded: nobody keeps the log for ever.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};

use crate::harness::{Receiver, Reply, TestGateway, eventually, let_operational_events_cross};

const DAY: Duration = Duration::from_hours(24);

async fn holder(gateway: &TestGateway, name: &str) -> Option<Value> {
    let log = gateway.get("/log").await;
    let mut holders = log["holders"].as_array().unwrap().iter();
    holders.find(|holder| holder["subscription"] == name).cloned()
}

async fn lag_seconds(gateway: &TestGateway, name: &str) -> Option<u64> {
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let start = format!("sealway_lag_seconds{{subscription=\"{name}\"}} ");
    metrics.as_str()?.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[tokio::test]
async fn what_nobody_takes_expires_after_two_weeks_and_operators_are_warned_after_one() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), let_operational_events_cross).await;
    let operator = Receiver::start(&gateway, "operator").await;
    gateway.subscribe(&operator, json!({ "types": ["Subscription.Behind"] })).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "types": ["Order.*"] })).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let id = gateway.order(1).await;
    let accepted = clock.now();

    clock.advance(6 * DAY);
    let held = eventually("it is listed", async || holder(&gateway, "shop").await).await;
    assert_eq!((&held["consumer"], &held["state"]), (&json!("shop"), &json!("paused")));
    assert_eq!(held["events"], 1);
    assert_eq!(held["since"], accepted.to_string());
    assert_eq!(held["expires"], accepted.after(14 * DAY).to_string());
    assert_eq!(lag_seconds(&gateway, "shop").await, Some(6 * 86_400));
    assert_eq!(lag_seconds(&gateway, "operator").await, Some(0));
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let refused = gateway.call_as(&consumer, (Method::GET, "/log"), None).await;
    assert_eq!(refused.status, 403, "who needs what is for operators to know");

    clock.advance(DAY);
    let told = eventually("an operator is warned", async || {
        clock.advance(Duration::from_mins(1));
        operator.delivered().pop()
    })
    .await;
    assert_eq!(told.opened.event()["type"], "Subscription.Behind");
    assert_eq!(told.data()["subscription"], "shop");
    assert_eq!(told.data()["since"], accepted.to_string());
    let expires = accepted.after(14 * DAY).to_string();
    assert!(told.data()["reason"].as_str().unwrap().contains(&expires), "{}", told.data());

    eventually("the warning is settled", async || {
        (holder(&gateway, "operator").await.is_none()).then_some(())
    })
    .await;

    clock.advance(7 * DAY);
    let letters = eventually("it has expired", async || {
        clock.advance(Duration::from_mins(1));
        let listed = gateway.get("/subscriptions/shop/dead-letters").await;
        listed["deadLetters"].as_array().filter(|letters| !letters.is_empty()).cloned()
    })
    .await;
    assert_eq!((&letters[0]["event"], &letters[0]["reason"]), (&json!(id), &json!("expired")));
    eventually("it needs nothing any more", async || {
        clock.advance(Duration::from_mins(1));
        holder(&gateway, "shop").await.is_none().then_some(())
    })
    .await;
    let warned = operator.arrivals();
    let others = warned.iter().filter(|arrival| arrival.id() != told.id());
    let others: Vec<_> = others.map(crate::harness::Arrival::data).collect();
    assert!(others.is_empty(), "one warning is enough: {others:?}");
}

#[tokio::test]
async fn a_replay_that_stands_still_is_listed_and_then_cancelled() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({})).await;
    let ids = gateway.orders(1..=3).await;
    receiver.wait_for_delivered(3).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let wish = json!({ "from": ids[0] });
    let id = gateway.post("/subscriptions/shop/replays", &wish).await["id"].clone();
    let path = format!("/replays/{}", id.as_str().unwrap());
    let listed = async |gateway: &TestGateway| {
        let log = gateway.get("/log").await;
        log["holders"].as_array().unwrap().iter().find(|holder| holder["replay"] == id).cloned()
    };
    let held = listed(&gateway).await.expect("it is listed");
    assert_eq!((&held["subscription"], &held["events"]), (&json!("shop"), &json!(3)));

    clock.advance(7 * DAY);
    gateway.restart().await;
    assert_eq!(gateway.get(&path).await["state"], "running");
    clock.advance(7 * DAY);

    eventually("it is cancelled", async || {
        clock.advance(Duration::from_secs(1));
        (gateway.get(&path).await["state"] == "cancelled").then_some(())
    })
    .await;
    assert_eq!(listed(&gateway).await, None);
    assert!(receiver.arrivals().iter().all(|arrival| arrival.opened.replay().is_none()));

    clock.advance(30 * DAY);
    eventually("nothing is left of it", async || {
        clock.advance(Duration::from_mins(1));
        let answer = gateway.call(Method::GET, &path, None).await;
        (answer.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_consumer_has_so_many_jobs_at_once_and_no_more() {
    let gateway = TestGateway::with(None, |config| config.replay.running_per_consumer = 1).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(500));
    let id = gateway.order(1).await;
    eventually("it is given up", async || {
        let listed = gateway.get("/subscriptions/shop/dead-letters").await;
        (listed["deadLetters"].as_array()?.len() == 1).then_some(())
    })
    .await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let (replays, wish) = ("/subscriptions/shop/replays", json!({ "from": id }));
    let (redrives, pace) = ("/subscriptions/shop/dead-letters/redrive", json!({ "rate": 1 }));
    let first = gateway.post(replays, &wish).await["id"].clone();

    for (path, body) in [(replays, &wish), (redrives, &pace)] {
        let refused = gateway.call(Method::POST, path, Some(body)).await;
        assert_eq!((refused.status, refused.code()), (429, "too-many"), "{}", refused.body);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("replay.running-per-consumer"), "{detail}");
    }

    let path = format!("/replays/{}", first.as_str().unwrap());
    gateway.call(Method::DELETE, &path, None).await;
    eventually("there is room again", async || {
        let answer = gateway.call(Method::POST, redrives, Some(&pace)).await;
        (answer.status == 201).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_too_many_dead_letters_the_oldest_go_and_are_counted() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.dead_letters_per_consumer = Some(3);
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let config = json!({ "backlog": { "maximumEvents": 1 } });
    gateway.subscribe(&receiver, json!({ "config": config })).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let stranger = Receiver::start(&gateway, "other").await;
    gateway.subscribe(&stranger, json!({ "config": config })).await;
    gateway.post("/subscriptions/other/pause", &json!({})).await;
    gateway.orders(1..=5).await;
    let sequences = async |of: &str| {
        let listed = gateway.get(&format!("/subscriptions/{of}/dead-letters")).await;
        let letters = listed["deadLetters"].as_array().unwrap().clone();
        letters.iter().map(|letter| letter["sequence"].as_u64().unwrap()).collect::<Vec<_>>()
    };

    for name in ["shop", "other"] {
        eventually("the oldest is gone", async || {
            clock.advance(Duration::from_secs(20));
            (sequences(name).await == [2, 3, 4]).then_some(())
        })
        .await;
    }

    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let dropped = "sealway_dead_letters_dropped_total{subscription=\"shop\",reason=\"expired\"} 1";
    assert!(metrics.as_str().unwrap().contains(dropped), "{metrics}");
}
