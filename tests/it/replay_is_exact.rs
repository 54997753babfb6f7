//! A range of the log is sent again: the same events, marked, paced, and durable as a job.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};

use crate::harness::{Arrival, Receiver, Reply, TestGateway, eventually, never_within};

/// A gateway with `count` orders delivered to one receiver, and their ids.
async fn delivered(count: u64) -> (TestGateway, Receiver, Vec<String>) {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let ids = gateway.orders(1..=count).await;
    receiver.wait_for_delivered(ids.len()).await;
    (gateway, receiver, ids)
}

async fn replay(gateway: &TestGateway, wish: &Value) -> String {
    let started = gateway.post("/subscriptions/shop/replays", wish).await;
    started["id"].as_str().unwrap().to_owned()
}

/// Waits until a replay has ended in a state.
async fn ended(gateway: &TestGateway, id: &str, state: &str) -> Value {
    let path = format!("/replays/{id}");
    eventually(format!("replay {id} is {state}"), async || {
        let shown = gateway.get(&path).await;
        (shown["state"] == state).then_some(shown)
    })
    .await
}

fn replayed(receiver: &Receiver) -> Vec<Arrival> {
    receiver.arrivals().into_iter().filter(|arrival| arrival.opened.replay().is_some()).collect()
}

fn sorted_ids(arrivals: &[Arrival]) -> Vec<String> {
    let mut ids: Vec<_> = arrivals.iter().map(|arrival| arrival.id().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn both_ends_of_the_range_belong_to_it_and_nothing_else_does() {
    let (gateway, receiver, ids) = delivered(10).await;

    let id = replay(&gateway, &json!({ "from": ids[2], "to": ids[6] })).await;
    let shown = ended(&gateway, &id, "completed").await;

    let again = replayed(&receiver);
    assert_eq!(sorted_ids(&again), ids[2..=6]);
    let counts = json!({ "matched": 5, "delivered": 5, "retrying": 0, "givenUp": 0 });
    assert_eq!(shown["counts"], counts);
    let live = receiver.arrivals();
    for arrival in &again {
        let first = live.iter().find(|first| first.id() == arrival.id()).unwrap();
        assert_eq!(arrival.opened.event(), first.opened.event());
        assert_eq!(arrival.header("idempotency-key"), first.header("idempotency-key"));
        assert_eq!(arrival.opened.replay(), Some(id.as_str()));
        assert_eq!(arrival.header("sealway-replay"), Some(id.as_str()));
        assert_eq!(arrival.opened.place(), None);
        assert_eq!(arrival.header("ce-sequence"), None);
        assert_ne!(arrival.token, first.token);
    }
}

#[tokio::test]
async fn bounds_need_not_be_events_and_an_empty_range_is_complete() {
    let (gateway, receiver, ids) = delivered(3).await;
    let (least, most) = ("0".repeat(26), format!("7{}", "Z".repeat(25)));

    let all = replay(&gateway, &json!({ "from": least, "to": most })).await;
    ended(&gateway, &all, "completed").await;
    let open = replay(&gateway, &json!({ "from": ids[1] })).await;
    ended(&gateway, &open, "completed").await;
    let none = replay(&gateway, &json!({ "from": most })).await;
    let none = ended(&gateway, &none, "completed").await;
    let path = "/subscriptions/shop/replays";
    let backwards = json!({ "from": ids[1], "to": ids[0] });
    let backwards = gateway.call(Method::POST, path, Some(&backwards)).await;
    let unreadable = gateway.call(Method::POST, path, Some(&json!({ "from": "yesterday" }))).await;

    assert_eq!(none["counts"]["matched"], 0);
    assert_eq!(replayed(&receiver).len(), 3 + 2);
    assert_eq!((backwards.status, backwards.code()), (422, "invalid"));
    assert_eq!((unreadable.status, unreadable.code()), (422, "invalid"));
}

#[tokio::test]
async fn a_dry_run_counts_exactly_and_sends_nothing() {
    let (gateway, receiver, ids) = delivered(6).await;

    let path = "/subscriptions/shop/replays";
    let wish = json!({ "from": ids[1], "to": ids[4], "dryRun": true });
    let counted = gateway.post(path, &wish).await;

    assert_eq!(counted["matched"], 4);
    assert_eq!(gateway.get(path).await["replays"], json!([]));
    let more = async || receiver.arrivals().get(6).cloned();
    never_within(Duration::from_millis(200), "a dry run sends nothing", more).await;
}

#[tokio::test]
async fn only_types_that_were_asked_for_are_sent() {
    let (gateway, receiver, _) = delivered(2).await;
    let completed = json!({
        "specversion": "1.0", "id": "c-1", "source": "order-service", "type": "OrderCompleted",
        "data": { "id": 1, "amount": 5 },
    });
    let completed = gateway.publish(&completed).await;
    receiver.wait_for_delivered(3).await;

    let wish = json!({ "from": "0".repeat(26), "types": ["Order.Completed"] });
    let id = replay(&gateway, &wish).await;
    ended(&gateway, &id, "completed").await;

    assert_eq!(sorted_ids(&replayed(&receiver)), completed);
}

#[tokio::test]
async fn a_replay_keeps_its_rate() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let ids = gateway.orders(1..=5).await;
    receiver.wait_for_delivered(5).await;

    replay(&gateway, &json!({ "from": ids[0], "rate": 1 })).await;

    for sent in 1..=5 {
        receiver.wait_for_arrivals(5 + sent).await;
        clock.advance(Duration::from_millis(400));
        let more = async || receiver.arrivals().get(5 + sent).cloned();
        never_within(Duration::from_millis(50), "faster than one a second", more).await;
        clock.advance(Duration::from_millis(600));
    }
}

#[tokio::test]
async fn a_replay_survives_a_restart_in_the_middle() {
    let (mut gateway, receiver, ids) = delivered(60).await;
    let id = replay(&gateway, &json!({ "from": ids[0], "rate": 40 })).await;
    eventually("it is in flight", async || (replayed(&receiver).len() >= 5).then_some(())).await;

    gateway.restart().await;
    assert!(replayed(&receiver).len() < 60, "it was meant to be in the middle");
    let shown = ended(&gateway, &id, "completed").await;

    let again = replayed(&receiver);
    assert_eq!(sorted_ids(&again), ids);
    assert_eq!(shown["counts"]["delivered"], 60);
}

#[tokio::test]
async fn a_replay_keeps_the_filter_that_it_was_asked_for_with() {
    let (mut gateway, receiver, ids) = delivered(60).await;
    let id = replay(&gateway, &json!({ "from": ids[0], "rate": 40 })).await;
    eventually("it is in flight", async || (replayed(&receiver).len() >= 5).then_some(())).await;
    let mut document = gateway.get("/subscriptions/shop").await;
    for shown in ["state", "created", "reason", "progress", "subDigest", "asked"] {
        document.as_object_mut().unwrap().remove(shown);
    }
    document["types"] = json!(["Nothing.*"]);

    let key = gateway.add_caller("steer", &["operate"]).await;
    let put = gateway.request(Method::PUT, "/subscriptions/shop").bearer_auth(key);
    let put = put.header("if-match", "*").json(&document).send().await.unwrap();
    assert_eq!(put.status(), 200);
    gateway.restart().await;

    assert_eq!(ended(&gateway, &id, "completed").await["counts"]["delivered"], 60);
    assert_eq!(sorted_ids(&replayed(&receiver)), ids);
}

#[tokio::test]
async fn a_cancelled_replay_stops_and_stays_stopped() {
    let (mut gateway, receiver, ids) = delivered(60).await;
    let id = replay(&gateway, &json!({ "from": ids[0], "rate": 40 })).await;
    eventually("it is in flight", async || (replayed(&receiver).len() >= 5).then_some(())).await;
    let path = format!("/replays/{id}");

    assert_eq!(gateway.call(Method::DELETE, &path, None).await.status, 202);
    let shown = ended(&gateway, &id, "cancelled").await;
    let again = gateway.call(Method::DELETE, &path, None).await;
    let sent = replayed(&receiver).len();
    gateway.restart().await;

    assert!(sent < 60);
    assert_eq!(shown["attempted"].as_u64(), Some(sent as u64));
    assert_eq!((again.status, again.code()), (409, "wrong-state"));
    let more = async || replayed(&receiver).get(sent).cloned();
    never_within(Duration::from_millis(200), "it is cancelled", more).await;
}

#[tokio::test]
async fn live_traffic_goes_on_with_its_own_numbers() {
    let (gateway, receiver, ids) = delivered(30).await;

    let id = replay(&gateway, &json!({ "from": ids[0], "rate": 30 })).await;
    gateway.orders(31..=50).await;

    ended(&gateway, &id, "completed").await;
    receiver.wait_for_arrivals(80).await;
    assert_eq!(receiver.chain().0, 50);
    // What was published after the replay was asked for is not part of it.
    assert_eq!(sorted_ids(&replayed(&receiver)), ids);
}

#[tokio::test]
async fn a_replay_waits_while_its_subscription_is_paused() {
    let (gateway, receiver, ids) = delivered(5).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;

    let id = replay(&gateway, &json!({ "from": ids[0] })).await;
    let more = async || replayed(&receiver).pop();
    never_within(Duration::from_millis(200), "it is paused", more).await;
    gateway.post("/subscriptions/shop/resume", &json!({})).await;

    ended(&gateway, &id, "completed").await;
    assert_eq!(sorted_ids(&replayed(&receiver)), ids);
}

#[tokio::test]
async fn a_replayed_event_that_fails_is_tried_again_or_given_up_like_a_live_one() {
    let (mut gateway, receiver, ids) = delivered(3).await;
    receiver.answer_next([Reply::Status(500)]);

    let id = replay(&gateway, &json!({ "from": ids[1], "to": ids[1] })).await;
    let shown = ended(&gateway, &id, "completed").await;
    assert_eq!(shown["counts"]["retrying"], 1);
    gateway.restart().await;

    let again =
        eventually("the second attempt", async || replayed(&receiver).get(1).cloned()).await;
    assert_eq!(again.header("sealway-attempt"), Some("2"));
    assert_eq!((again.id(), again.opened.replay()), (ids[1].as_str(), Some(id.as_str())));
}

#[tokio::test]
async fn a_replay_is_not_complete_before_what_came_of_its_events_is_kept() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    let id = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    receiver.answer(Reply::Status(422));

    // The ledger writes a few times a second, and here the time stands still.
    let replay = replay(&gateway, &json!({ "from": id })).await;
    let shown = ended(&gateway, &replay, "completed").await;

    assert_eq!(shown["counts"]["givenUp"], 1);
    let letters = gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].clone();
    assert_eq!((&letters[0]["event"], &letters[0]["replay"]), (&json!(id), &json!(replay)));
}

#[tokio::test]
async fn a_subscription_is_removed_though_its_replay_waits_for_the_sink() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let ids = gateway.orders(1..=20).await;
    receiver.wait_for_delivered(20).await;
    receiver.answer(Reply::Later(3600));

    replay(&gateway, &json!({ "from": ids[0] })).await;
    eventually("the sink asks to be left alone", async || {
        clock.advance(Duration::from_millis(10));
        let shown = gateway.get("/subscriptions/shop").await;
        shown["progress"]["retrying"].as_u64().filter(|retrying| *retrying > 0)
    })
    .await;
    let removed = gateway.call(Method::DELETE, "/subscriptions/shop", None).await;

    assert_eq!(removed.status, 204, "{}", removed.body);
}

#[tokio::test]
async fn there_is_no_replay_where_events_are_fetched() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "protocol": "PULL", "sink": null })).await;
    let id = gateway.order(1).await;
    let path = "/subscriptions/shop/replays";

    let refused = gateway.call(Method::POST, path, Some(&json!({ "from": id }))).await;

    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("fetch old events with `after`"));
    assert_eq!(gateway.get(path).await["replays"], json!([]));
}

#[tokio::test]
async fn a_request_that_is_refused_leaves_no_replay_behind() {
    let (gateway, _receiver, ids) = delivered(1).await;
    let path = "/subscriptions/shop/replays";
    let wish = json!({ "from": ids[0], "types": ["Order.*.Created"] });

    let refused = gateway.call(Method::POST, path, Some(&wish)).await;

    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    assert_eq!(gateway.get(path).await["replays"], json!([]));
}
