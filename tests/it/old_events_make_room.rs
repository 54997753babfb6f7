//! Events leave the log when they are old and settled, and whoever asks for them is told so.

use std::time::Duration;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, Size, SystemClock};

use crate::harness::{Arrival, Receiver, Reply, TestGateway, eventually, never_within};

const DAY: Duration = Duration::from_hours(24);

/// A gateway that keeps events for a day.
async fn keeping_a_day(clock: &ManualClock) -> TestGateway {
    TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = Some(HumanDuration(DAY));
    })
    .await
}

/// The ids of the events that the log shows.
async fn ids(gateway: &TestGateway) -> Vec<String> {
    let listed = gateway.get("/events?limit=1000").await;
    let events = listed["events"].as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// Lets time pass until the log shows so many events.
async fn wait_for_kept(gateway: &TestGateway, clock: &ManualClock, count: usize) {
    eventually(format!("{count} events are left"), async || {
        // Few events wait up to an hour for others that go with them.
        clock.advance(Duration::from_mins(5));
        (ids(gateway).await.len() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_old_and_settled_is_gone_and_everyone_is_told() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = keeping_a_day(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let old = gateway.orders(1..=5).await;
    receiver.wait_for_delivered(5).await;
    clock.advance(DAY);
    let new = gateway.orders(6..=7).await;
    receiver.wait_for_delivered(7).await;

    wait_for_kept(&gateway, &clock, 2).await;

    assert_eq!(ids(&gateway).await, new);
    let gone = gateway.call(Method::GET, &format!("/events/{}", old[0]), None).await;
    assert_eq!((gone.status, gone.code()), (404, "not-found"));
    let told = format!("those up to {} were dropped by retention", old[4]);
    assert!(gone.body["detail"].as_str().unwrap().contains(&told), "{}", gone.body);

    let wish = json!({ "from": old[1], "dryRun": true });
    let counted = gateway.post("/subscriptions/shop/replays", &wish).await;
    assert_eq!((&counted["matched"], &counted["droppedThrough"]), (&json!(2), &json!(old[4])));
    let started = gateway.post("/subscriptions/shop/replays", &json!({ "from": old[1] })).await;
    assert_eq!(started["droppedThrough"], json!(old[4]), "{started}");
    let wish = json!({ "from": new[0], "dryRun": true });
    let counted = gateway.post("/subscriptions/shop/replays", &wish).await;
    assert_eq!((&counted["matched"], &counted["droppedThrough"]), (&json!(2), &Value::Null));

    let late = Receiver::start(&gateway, "late").await;
    gateway.subscribe(&late, json!({ "config": { "start": old[0] } })).await;
    let mut arrivals = late.wait_for_delivered(2).await;
    arrivals.sort_by_key(Arrival::sequence);
    let seen: Vec<_> = arrivals.iter().map(|one| (one.sequence(), one.id())).collect();
    assert_eq!(seen, [(Some(1), &*new[0]), (Some(2), &*new[1])]);
}

#[tokio::test]
async fn what_a_subscription_has_not_settled_stays_whatever_its_age() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = keeping_a_day(&clock).await;
    let paused = Receiver::subscribed(&gateway, "paused").await;
    let failing = Receiver::subscribed(&gateway, "failing").await;
    gateway.post("/subscriptions/paused/pause", &json!({})).await;
    failing.answer_next([Reply::Status(503)]);
    let ids_before = gateway.orders(1..=3).await;
    failing.wait_for_delivered(2).await;

    clock.advance(3 * DAY);
    failing.wait_for_delivered(3).await;
    clock.advance(Duration::from_mins(1));
    gateway.restart().await;
    assert_eq!(ids(&gateway).await, ids_before);

    gateway.post("/subscriptions/paused/resume", &json!({})).await;
    paused.wait_for_delivered(3).await;
    wait_for_kept(&gateway, &clock, 0).await;

    gateway.restart().await;
    let next = gateway.order(4).await;
    assert!(next > ids_before[2], "{next} is after {}", ids_before[2]);
    assert_eq!(paused.wait_for_delivered(4).await.len(), 4);
}

#[tokio::test]
async fn a_log_that_is_too_large_loses_its_oldest_events() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = None;
        config.log.retention.size = Some(Size(0));
    })
    .await;
    gateway.orders(1..=3).await;

    wait_for_kept(&gateway, &clock, 0).await;

    let shown = gateway.call(Method::GET, "/metrics", None).await;
    let text = shown.body.as_str().unwrap();
    assert!(text.contains("sealway_log_floor_position 3"), "{text}");
    assert!(text.contains("sealway_events_dropped_total 3"), "{text}");
}

#[tokio::test]
async fn what_a_removal_left_that_a_crash_cut_short_keeps_nothing() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = keeping_a_day(&clock).await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    gateway.orders(1..=3).await;
    gateway.stop().await;
    // Killed after the registry has dropped the subscription, and before its cursor went.
    let database = Connection::open(gateway.path("data").join("sealway.db")).unwrap();
    let dropped = database.execute("DELETE FROM records WHERE kind = 'subscription'", []).unwrap();
    assert_eq!(dropped, 1);
    drop(database);

    clock.advance(2 * DAY);
    gateway.start_again().await;

    wait_for_kept(&gateway, &clock, 0).await;
}

#[tokio::test]
async fn a_subscription_that_starts_at_an_event_that_waits_elsewhere_begins_after_the_hole() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = keeping_a_day(&clock).await;
    let failing = Receiver::subscribed(&gateway, "failing").await;
    failing.answer_next([Reply::Status(503)]);
    let old = vec![gateway.order(1).await];
    eventually("it was refused", async || (failing.arrivals().len() == 1).then_some(())).await;
    gateway.orders(2..=3).await;
    failing.wait_for_delivered(2).await;
    failing.answer_next([Reply::Status(503); 200]);
    clock.advance(DAY + Duration::from_secs(1));
    wait_for_kept(&gateway, &clock, 1).await;
    assert_eq!(ids(&gateway).await, old, "it waits for another attempt");

    let wish = json!({ "sink": null, "protocol": "PULL", "config": { "start": old[0] } });
    let puller = Receiver::start(&gateway, "puller").await;
    gateway.subscribe(&puller, wish).await;
    let new = gateway.order(4).await;

    eventually("the new event is handed out", async || {
        let page = gateway.call(Method::GET, "/subscriptions/puller/events", None).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let events = page.body["events"].as_array().unwrap();
        events.first().map(|event| assert_eq!((&event["id"], events.len()), (&json!(new), 1)))
    })
    .await;
}

#[tokio::test]
async fn few_events_wait_for_others_and_what_stays_can_still_be_fetched() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = keeping_a_day(&clock).await;
    let puller = Receiver::start(&gateway, "puller").await;
    gateway.subscribe(&puller, json!({ "sink": null, "protocol": "PULL" })).await;
    let mut sent = gateway.orders(1..=3).await;
    clock.advance(Duration::from_mins(10));
    sent.extend(gateway.orders(4..=6).await);
    clock.advance(Duration::from_mins(110));
    sent.extend(gateway.orders(7..=8).await);
    let fetch = async |query: String| {
        let path = format!("/subscriptions/puller/events?{query}");
        gateway.call(Method::GET, &path, None).await
    };
    eventually("everything is acknowledged", async || {
        let page = fetch(format!("limit=0&after={}", sent[7])).await;
        (page.status == 200).then_some(())
    })
    .await;
    let tick = async |left: usize| {
        clock.advance(Duration::from_secs(10));
        (ids(&gateway).await.len() == left).then_some(())
    };
    clock.advance(Duration::from_hours(22));
    eventually("the first three go", async || tick(5).await).await;

    clock.advance(Duration::from_mins(15));
    never_within(Duration::from_millis(300), "three more go", async || tick(2).await).await;
    clock.advance(Duration::from_mins(30));
    eventually("three more go after an hour", async || tick(2).await).await;

    let page = fetch(format!("after={}", sent[5])).await;
    let events = page.body["events"].as_array().unwrap();
    let names: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!((page.status, names), (200, vec![&*sent[6], &*sent[7]]));
    assert_eq!(fetch(format!("after={}", sent[2])).await.status, 410);
}
