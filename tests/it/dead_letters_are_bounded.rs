//! Dead letters have a size of their own: a consumer whose sink refuses large events pushes no old event
//! out of the log, and has no more of them than it may.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, Size, SystemClock};
use sealway::config::Config;

use crate::harness::{Receiver, Reply, TestGateway, eventually, order_created};

const MIB: u64 = 1024 * 1024;
/// What the note of a large order takes.
const NOTE: usize = 200 * 1024;

/// Orders may have a note of any length.
fn let_notes_cross(config: &mut Config) {
    config.largest_event = Size(256 * 1024);
    let file = config.contracts.join("orders.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let bare = "      properties:\n        orderId:\n          $ref";
    let noted =
        "      properties:\n        note: { type: string }\n        orderId:\n          $ref";
    assert!(text.contains(bare));
    fs::write(file, text.replacen(bare, noted, 1)).unwrap();
    let file = config.publications.join("orders.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let copy =
        "    patch:\n      - { op: copy, from: /detail/note, path: /data/note, optional: true }\n";
    fs::write(file, text.replacen("    patch:\n", copy, 1)).unwrap();
}

/// Sends an order with a note of 200 KiB; gives its id.
async fn large_order(gateway: &TestGateway, number: u64) -> String {
    let mut order = order_created(&format!("large-{number}"), number);
    order["data"]["note"] = json!("x".repeat(NOTE));
    gateway.publish(&order).await.remove(0)
}

async fn ids(gateway: &TestGateway) -> Vec<String> {
    let listed = gateway.get("/events?limit=1000").await;
    let events = listed["events"].as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a subscription has so many dead letters.
async fn wait_for_letters(gateway: &TestGateway, clock: &ManualClock, (of, count): (&str, usize)) {
    eventually(format!("{of} has {count} dead letters"), async || {
        // Outcomes gather for a moment, and a sink that only refuses is left alone for a while.
        clock.advance(Duration::from_secs(2));
        let counts = gateway.get(&format!("/subscriptions/{of}/dead-letters/counts")).await;
        (counts["total"] == count).then_some(())
    })
    .await;
}

/// Has a consumer subscribe several times with a sink that refuses everything.
async fn refusing(gateway: &TestGateway, names: &[&str]) -> Receiver {
    let receiver = Receiver::start(gateway, "shop").await;
    receiver.answer(Reply::Status(422));
    for name in names {
        let config = json!({ "giveUpAfterRefusals": 1 });
        gateway.subscribe(&receiver, json!({ "id": name, "config": config })).await;
    }
    receiver
}

#[tokio::test]
async fn a_sink_that_refuses_large_events_pushes_no_old_one_out_of_the_log() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::with(Some(clock.clone()), |config| {
        let_notes_cross(config);
        config.log.retention.age = None;
        config.log.retention.size = Some(Size(4 * MIB));
    })
    .await;
    let names = ["shop-a", "shop-b", "shop-c", "shop-d"];
    let _refusing = refusing(&gateway, &names).await;
    let ledger = Receiver::subscribed(&gateway, "ledger").await;
    let mut kept = gateway.orders(1..=5).await;
    for number in 1..=12 {
        kept.push(large_order(&gateway, number).await);
    }
    ledger.wait_for_delivered(17).await;
    for name in names {
        wait_for_letters(&gateway, &clock, (name, 17)).await;
    }
    // Retention looks every ten seconds, and at once where the log is far too large.
    for _ in 0..30 {
        clock.advance(Duration::from_mins(2));
        assert_eq!(ids(&gateway).await, kept);
    }
    let counts = gateway.get("/subscriptions/shop-a/dead-letters/counts").await;
    let bytes = counts["bytes"].as_u64().unwrap();
    assert!((12 * NOTE as u64..4 * MIB).contains(&bytes), "{counts}");
    gateway.restart().await;
    clock.advance(Duration::from_hours(2));
    let again = gateway.get("/subscriptions/shop-a/dead-letters/counts").await;
    assert_eq!(again["bytes"], bytes);

    // What the other consumer got it gets again, from the first event on.
    let first = json!({ "from": kept[0] });
    gateway.post("/subscriptions/ledger/replays", &first).await;
    eventually("the replay is delivered", async || {
        clock.advance(Duration::from_secs(1));
        (ledger.delivered().len() == 34).then_some(())
    })
    .await;
    assert_eq!(ids(&gateway).await, kept);

    // Events of the log itself still make its oldest go.
    for number in 13..=24 {
        large_order(&gateway, number).await;
    }
    eventually("the oldest event is gone", async || {
        clock.advance(Duration::from_mins(2));
        let left = ids(&gateway).await;
        (!left.contains(&kept[0])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_dead_letters_that_take_too_much_the_oldest_go_and_are_told() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        let_notes_cross(config);
        config.log.retention.dead_letters_size = Some(Size(MIB));
    })
    .await;
    let _refusing = refusing(&gateway, &["shop-a", "shop-b"]).await;
    let other = Receiver::start(&gateway, "other").await;
    other.answer(Reply::Status(422));
    gateway.subscribe(&other, json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    for number in 1..=4 {
        large_order(&gateway, number).await;
    }
    wait_for_letters(&gateway, &clock, ("other", 4)).await;

    let counts = async |of: &str| {
        let counts = gateway.get(&format!("/subscriptions/{of}/dead-letters/counts")).await;
        (counts["total"].as_u64().unwrap(), counts["bytes"].as_u64().unwrap())
    };
    eventually("the consumer has no more than it may", async || {
        clock.advance(Duration::from_secs(20));
        let (a, b) = (counts("shop-a").await, counts("shop-b").await);
        (a.0 + b.0 == 4 && a.1 + b.1 <= MIB).then_some(())
    })
    .await;
    assert_eq!(counts("other").await.0, 4, "what one has too much of costs no other any");
    for name in ["shop-a", "shop-b"] {
        let listed = gateway.get(&format!("/subscriptions/{name}/dead-letters")).await;
        let listed = listed["deadLetters"].as_array().unwrap();
        let sequences: Vec<_> = listed.iter().map(|one| one["sequence"].as_u64()).collect();
        let newest: Vec<_> = (5 - listed.len() as u64..=4).map(Some).collect();
        assert_eq!(sequences, newest, "the oldest of {name} go first");
    }

    let all = gateway.get("/dead-letters/counts").await;
    let bytes: u64 = all["subscriptions"]
        .as_object()
        .unwrap()
        .values()
        .map(|of: &Value| of["bytes"].as_u64().unwrap())
        .sum();
    eventually("the metrics show it", async || {
        clock.advance(Duration::from_secs(20));
        let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
        let metrics = metrics.as_str().unwrap();
        let dropped: u64 = metrics
            .lines()
            .filter(|line| line.starts_with("sealway_dead_letters_dropped_total{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        let shown = format!("sealway_dead_letter_bytes {bytes}\n");
        (dropped == 4 && metrics.contains(&shown)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_brought_back_and_is_not_taken_is_bounded_too() {
    let gateway = TestGateway::with(None, |config: &mut Config| {
        config.log.retention.dead_letters_size = Some(Size(4096));
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let pulled = json!({ "sink": null, "protocol": "PULL" });
    gateway.subscribe(&receiver, pulled).await;
    gateway.orders(1..=8).await;
    let poll = async |body: Value| gateway.post("/subscriptions/shop/poll", &body).await;
    let sets = eventually("all orders are there", async || {
        let polled = poll(json!({ "returnImmediately": true })).await;
        polled["sets"].as_object().filter(|sets| sets.len() == 8).cloned()
    })
    .await;
    let refused: Value = sets.keys().map(|id| (id.clone(), json!({ "err": "x" }))).collect();
    poll(json!({ "returnImmediately": true, "maxEvents": 0, "setErrs": refused })).await;
    let path = "/subscriptions/shop/dead-letters/redrive";
    let redrive = async || gateway.call(Method::POST, path, Some(&json!({}))).await;
    assert_eq!(redrive().await.body["redriven"], 8, "there was room");

    let full = redrive().await;

    assert_eq!((full.status, full.code()), (429, "too-many"), "{}", full.body);
    assert!(full.body["detail"].as_str().unwrap().contains("dead-letters-size"));
    let ids: Vec<&String> = sets.keys().collect();
    poll(json!({ "returnImmediately": true, "maxEvents": 0, "ack": ids })).await;
    eventually("there is room again", async || (redrive().await.status == 200).then_some(())).await;
}
