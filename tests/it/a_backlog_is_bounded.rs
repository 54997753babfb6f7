//! What waits too long, or is too much, for a subscription that does not take it becomes dead letters
//! in line, and makes room in the log.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};

use crate::harness::{Receiver, TestGateway, eventually};

/// The dead letters of a subscription, as soon as there are so many.
async fn letters(gateway: &TestGateway, clock: &ManualClock, of: &str, count: usize) -> Vec<Value> {
    let path = format!("/subscriptions/{of}/dead-letters?limit=1000");
    eventually(format!("{count} dead letters"), async || {
        clock.advance(Duration::from_secs(5));
        let listed = gateway.get(&path).await;
        let letters = listed["deadLetters"].as_array().unwrap().clone();
        (letters.len() == count).then_some(letters)
    })
    .await
}

fn member(letters: &[Value], pointer: &str) -> Vec<Value> {
    letters.iter().map(|letter| letter.pointer(pointer).unwrap().clone()).collect()
}

#[tokio::test]
async fn a_paused_subscription_keeps_the_newest_and_the_rest_expires_in_line() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let wish = json!({ "config": { "backlog": { "maximumEvents": 3 } } });
    gateway.subscribe(&receiver, wish).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let ids = gateway.orders(1..=10).await;

    let expired = letters(&gateway, &clock, "shop", 7).await;

    assert_eq!(member(&expired, "/event"), ids[..7].iter().map(|id| json!(id)).collect::<Vec<_>>());
    assert!(member(&expired, "/reason").iter().all(|reason| reason == "expired"), "{expired:?}");
    assert!(member(&expired, "/attempts").iter().all(|attempts| attempts == 0), "{expired:?}");
    gateway.restart().await;
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let none = "sealway_dead_letters_total{subscription=\"shop\",reason=\"expired\"} 0\n";
    assert!(metrics.as_str().unwrap().contains(none), "nothing expires twice");

    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    let mut arrived = receiver.wait_for_delivered(3).await;
    arrived.sort_by_key(crate::harness::Arrival::sequence);
    let seen: Vec<_> = arrived.iter().map(|one| (one.sequence(), one.id())).collect();
    assert_eq!(seen, [(Some(8), &*ids[7]), (Some(9), &*ids[8]), (Some(10), &*ids[9])]);
    gateway.post("/subscriptions/shop/dead-letters/redrive", &json!({})).await;
    receiver.wait_for_delivered(10).await;
    assert_eq!(receiver.chain().0, 10, "the numbers of what expired are its own");
}

#[tokio::test]
async fn what_has_waited_too_long_expires_and_then_leaves_the_log() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = Some(HumanDuration(Duration::from_mins(1)));
        config.delivery.backlog.maximum_age = Some(HumanDuration(Duration::from_hours(1)));
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    gateway.orders(1..=300).await;
    clock.advance(Duration::from_mins(30));
    let young = gateway.orders(301..=302).await;
    clock.advance(Duration::from_secs(1801));

    letters(&gateway, &clock, "shop", 300).await;

    eventually("what has expired leaves the log", async || {
        clock.advance(Duration::from_secs(10));
        let listed = gateway.get("/events?limit=1000").await;
        (listed["events"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    let mut arrived = receiver.wait_for_delivered(2).await;
    arrived.sort_by_key(crate::harness::Arrival::sequence);
    let seen: Vec<_> = arrived.iter().map(|one| (one.sequence(), one.id())).collect();
    assert_eq!(seen, [(Some(301), &*young[0]), (Some(302), &*young[1])]);
}

#[tokio::test]
async fn no_consumer_has_events_kept_for_longer_than_the_operator_allows() {
    let clock = ManualClock::at(SystemClock.now());
    let hour = HumanDuration(Duration::from_hours(1));
    let mut gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.delivery.backlog.maximum_age = Some(hour);
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let year = json!({ "config": { "backlog": { "maximumAge": 31_536_000 } } });
    let document = receiver.document(year.clone());

    let refused = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;

    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap();
    for part in ["/config/backlog/maximumAge", "3600", "delivery.backlog.longest-age"] {
        assert!(detail.contains(part), "{detail}");
    }
    gateway.change(|config| {
        config.delivery.backlog.longest_age = Some(HumanDuration(Duration::from_hours(366 * 24)));
    });
    gateway.restart().await;
    gateway.subscribe(&receiver, year).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    gateway.order(1).await;
    clock.advance(Duration::from_hours(24));
    let listed = gateway.get("/subscriptions/shop/dead-letters").await;
    assert_eq!(listed["deadLetters"], json!([]), "it was let ask for more");

    gateway.change(|config| config.delivery.backlog.longest_age = None);
    gateway.restart().await;

    letters(&gateway, &clock, "shop", 1).await;
}

#[tokio::test]
async fn what_nobody_fetches_expires_in_line_and_then_leaves_the_log() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = Some(HumanDuration(Duration::from_mins(1)));
        config.delivery.backlog.maximum_age = Some(HumanDuration(Duration::from_hours(1)));
    })
    .await;
    let shop = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&shop, json!({ "sink": null, "protocol": "PULL" })).await;
    let few = Receiver::start(&gateway, "few").await;
    let backlog = json!({ "backlog": { "maximumEvents": 2 } });
    let wish = json!({ "sink": null, "protocol": "PULL", "config": backlog });
    gateway.subscribe(&few, wish).await;
    let ids = gateway.orders(1..=5).await;
    let said = json!({ "ack": [ids[1]], "maxEvents": 0 });
    gateway.post("/subscriptions/shop/poll", &said).await;

    let expired = letters(&gateway, &clock, "few", 3).await;
    assert_eq!(member(&expired, "/sequence"), [json!(1), json!(2), json!(3)]);
    clock.advance(Duration::from_hours(1));
    let expired = letters(&gateway, &clock, "shop", 4).await;

    let sequences = [json!(1), json!(3), json!(4), json!(5)];
    assert_eq!(member(&expired, "/sequence"), sequences, "what was acknowledged does not expire");
    assert!(member(&expired, "/reason").iter().all(|reason| reason == "expired"), "{expired:?}");
    letters(&gateway, &clock, "few", 5).await;
    eventually("what has expired leaves the log", async || {
        clock.advance(Duration::from_secs(10));
        let listed = gateway.get("/events?limit=1000").await;
        listed["events"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    gateway.restart().await;
    let new = gateway.order(6).await;
    let expired = letters(&gateway, &clock, "shop", 4).await;
    assert_eq!(member(&expired, "/sequence"), sequences);

    let polled = eventually("the new one can be fetched", async || {
        let polled = gateway.post("/subscriptions/shop/poll", &json!({ "maxEvents": 10 })).await;
        (!polled["sets"].as_object()?.is_empty()).then_some(polled)
    })
    .await;
    let opened = shop.open(polled["sets"][&new].as_str().unwrap()).await.expect("a token opens");
    assert_eq!(opened.place().unwrap().sequence, 6);
    gateway.post("/subscriptions/shop/dead-letters/redrive", &json!({})).await;
    eventually("what has expired comes back", async || {
        let polled = gateway.post("/subscriptions/shop/poll", &json!({ "maxEvents": 10 })).await;
        (polled["sets"].as_object()?.len() == 5).then_some(())
    })
    .await;
}
