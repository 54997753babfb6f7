//! Whoever needs old events is listed, warned of, and bounded: nobody keeps the log for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};
use sealway::jobs;

use crate::harness::{
    Receiver, Reply, TestGateway, eventually, let_operational_events_cross, never_within,
};

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
    let mut gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.replay.patience = HumanDuration(Duration::from_hours(12));
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
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

    gateway.stop().await;
    clock.advance(7 * DAY);
    gateway.start_again().await;
    let cancelled = async || (gateway.get(&path).await["state"] == "cancelled").then_some(());
    never_within(Duration::from_millis(200), "a gateway that is down counts nothing", cancelled)
        .await;

    eventually("it is cancelled", async || {
        clock.advance(Duration::from_hours(1));
        cancelled().await
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

    let dry = json!({ "from": id, "dryRun": true });
    for (path, body) in [(replays, &wish), (replays, &dry), (redrives, &pace)] {
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

/// Asks for a replay that begins no sooner than the test lets it, and waits until that is asked for.
async fn asked_for_a_replay(
    gateway: &TestGateway,
    from: &str,
) -> JoinHandle<Result<jobs::Replay, jobs::JobError>> {
    let services = gateway.services();
    let subscription = services.subscription_service.get(&"shop".parse().unwrap()).await.unwrap();
    let request =
        jobs::NewReplay { from: from.parse().unwrap(), to: None, types: Vec::new(), rate: None };
    let job_service = Arc::clone(&services.replays);
    let asked =
        services.tasks.spawn(async move { job_service.start(&subscription, &request).await });
    eventually("the only job that may run is the one that was asked for", async || {
        let path = "/subscriptions/shop/dead-letters/redrive";
        let answer = gateway.call(Method::POST, path, Some(&json!({ "rate": 1 }))).await;
        (answer.status == 429).then_some(())
    })
    .await;
    asked
}

#[tokio::test]
async fn a_replay_whose_subscription_goes_while_it_begins_is_refused_and_keeps_nothing() {
    let gateway = TestGateway::with(None, |config| config.replay.running_per_consumer = 1).await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    let id = gateway.order(1).await;
    let beginnings = gateway.services().replays.hold_beginnings().await;
    let asked = asked_for_a_replay(&gateway, &id).await;
    let removed = gateway.call(Method::DELETE, "/subscriptions/shop", None).await;
    assert_eq!(removed.status, 204);

    drop(beginnings);

    let refused = asked.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("the subscription is closed"), "{refused}");
    assert_eq!(gateway.get("/log").await["holders"], json!([]));
}

/// A gateway with a paused subscription and a replay of it whose runner has failed.
async fn with_a_replay_that_nobody_runs(clock: &ManualClock) -> (TestGateway, String) {
    let mut gateway = TestGateway::at(clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let id = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let started = gateway.post("/subscriptions/shop/replays", &json!({ "from": id })).await;
    gateway.stop().await;
    let database = Connection::open(gateway.path("data").join("sealway.db")).unwrap();
    let spoiled = "UPDATE records SET body = json_set(body, '$.wish', json('[[],[{}]]'))
                   WHERE kind = 'replay'";
    assert_eq!(database.execute(spoiled, []).unwrap(), 1);
    drop(database);
    gateway.start_again().await;
    (gateway, format!("/replays/{}", started["id"].as_str().unwrap()))
}

#[tokio::test]
async fn a_replay_that_nobody_runs_is_cancelled_like_one_that_stands_still() {
    let clock = ManualClock::at(SystemClock.now());
    let (gateway, path) = with_a_replay_that_nobody_runs(&clock).await;
    clock.advance(13 * DAY);
    assert_eq!(gateway.get(&path).await["state"], "running");

    eventually("it is cancelled", async || {
        clock.advance(Duration::from_hours(1));
        (gateway.get(&path).await["state"] == "cancelled").then_some(())
    })
    .await;
    assert_eq!(gateway.get("/log").await["holders"], json!([]));
}

#[tokio::test]
async fn operators_end_a_replay_that_has_lost_its_subscription() {
    let clock = ManualClock::at(SystemClock.now());
    let (gateway, path) = with_a_replay_that_nobody_runs(&clock).await;
    let removed = gateway.call(Method::DELETE, "/subscriptions/shop", None).await;
    assert_eq!(removed.status, 204);
    assert_eq!(
        gateway.get("/log").await["holders"][0]["replay"],
        path.strip_prefix("/replays/").unwrap()
    );
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let refused = gateway.call_as(&consumer, (Method::DELETE, &path), None).await;
    assert_eq!(refused.status, 404);

    let ended = gateway.call(Method::DELETE, &path, None).await;

    assert_eq!(ended.status, 202, "{}", ended.body);
    assert_eq!(gateway.get("/log").await["holders"], json!([]));
    assert_eq!(gateway.call(Method::GET, &path, None).await.status, 404, "it is over");
}

/// A gateway with a paused subscription, an event that waits for it, and an operator's key.
async fn with_something_that_waits() -> (TestGateway, String) {
    let mut gateway = TestGateway::start().await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    gateway.order(1).await;
    let key = gateway.add_caller("operator", &["operate"]).await;
    // What was appended before this start is not in memory.
    gateway.restart().await;
    (gateway, key)
}

/// Asks without a socket, because a gateway whose log has failed stops to listen.
async fn ask(gateway: &TestGateway, key: &str, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header("authorization", format!("Bearer {key}"));
    let answer = gateway.routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn metrics_answer_also_when_the_log_does_not() {
    let (gateway, key) = with_something_that_waits().await;
    // The gateway remembers the caller from here on.
    assert_eq!(ask(&gateway, &key, "/subscriptions").await.0, StatusCode::OK);
    gateway.break_log().await;

    let (status, metrics) = ask(&gateway, &key, "/metrics").await;

    assert_eq!(status, StatusCode::OK, "{metrics}");
    assert!(metrics.contains("sealway_lag_events{subscription=\"shop\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("sealway_lag_seconds{"), "{metrics}");
}

#[tokio::test]
async fn the_log_is_asked_once_since_when_a_subscription_stands_still() {
    let (gateway, key) = with_something_that_waits().await;
    let age = "sealway_lag_seconds{subscription=\"shop\"} ";
    let (_, first) = ask(&gateway, &key, "/metrics").await;
    assert!(first.contains(age), "{first}");
    gateway.break_log().await;

    let (_, second) = ask(&gateway, &key, "/metrics").await;

    assert!(second.contains(age), "{second}");
}
