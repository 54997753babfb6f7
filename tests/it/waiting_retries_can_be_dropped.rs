//! Whoever wants no further attempt of what waits gets a dead letter for each, and can bring it back.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};

use crate::consumers_hear_what_they_are_granted::payment;
use crate::harness::{
    Arrival, Receiver, Reply, TestGateway, eventually, never_within, order_by_number,
    order_created, program,
};

const SHOP: &str = "/subscriptions/shop";
const DROP: &str = "/subscriptions/shop/retries/drop";

async fn retrying(gateway: &TestGateway, count: u64) {
    eventually(format!("{count} retries"), async || {
        (gateway.get(SHOP).await["progress"]["retrying"] == count).then_some(())
    })
    .await;
}

async fn dead_letters(gateway: &TestGateway) -> Vec<Value> {
    gateway.get(&format!("{SHOP}/dead-letters")).await["deadLetters"].as_array().unwrap().clone()
}

async fn dropped(gateway: &TestGateway, wish: &Value) -> Value {
    gateway.post(DROP, wish).await["dropped"].clone()
}

/// A gateway whose clock stands still and that tries again after an hour, and a consumer that refuses.
async fn stage(wish: Value) -> (TestGateway, ManualClock, Receiver) {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.delivery.retries = vec![HumanDuration(Duration::from_hours(1)); 5];
        config.delivery.breaker.failures = 1000;
        config.delivery.breaker.share = 100;
        order_by_number(&config.publications);
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, wish).await;
    receiver.answer(Reply::Status(500));
    (gateway, clock, receiver)
}

#[tokio::test]
async fn what_is_dropped_is_a_dead_letter_that_a_redrive_brings_back_with_its_number() {
    let (mut gateway, clock, receiver) = stage(json!({})).await;
    let ids = gateway.orders(1..=3).await;
    retrying(&gateway, 3).await;

    assert_eq!(dropped(&gateway, &json!({})).await, 3);

    let letters = dead_letters(&gateway).await;
    assert_eq!(letters.len(), 3);
    for (letter, id) in letters.iter().zip(&ids) {
        assert_eq!((&letter["event"], &letter["reason"]), (&json!(id), &json!("dropped")));
        assert_eq!(letter["attempts"], 1, "{letter}");
    }
    let counts = gateway.get(&format!("{SHOP}/dead-letters/counts")).await;
    assert_eq!(counts["reasons"], json!({ "dropped": 3 }), "{counts}");
    assert_eq!(dropped(&gateway, &json!({})).await, 0, "nothing waits any more");
    // Nothing is tried again, also after a restart.
    gateway.restart().await;
    retrying(&gateway, 0).await;
    receiver.answer(Reply::Status(204));
    let made = receiver.arrivals().len();
    clock.advance(Duration::from_hours(2));
    let more = async || receiver.arrivals().get(made).cloned();
    never_within(Duration::from_millis(200), "it was dropped", more).await;

    let wish = json!({ "reason": "dropped" });
    let answer = gateway.post(&format!("{SHOP}/dead-letters/redrive"), &wish).await;
    assert_eq!(answer, json!({ "redriven": 3 }));
    let mut arrived = receiver.wait_for_delivered(3).await;
    arrived.sort_by_key(Arrival::sequence);
    assert_eq!(arrived.iter().map(Arrival::id).collect::<Vec<_>>(), ids);
    assert_eq!(receiver.chain().0, 3);
}

#[tokio::test]
async fn only_those_of_the_types_are_dropped_also_during_a_pause() {
    let (gateway, _, receiver) = stage(json!({})).await;
    gateway.orders(1..=2).await;
    payment(&gateway, 3).await;
    retrying(&gateway, 3).await;
    gateway.post(&format!("{SHOP}/pause"), &json!({})).await;

    assert_eq!(
        dropped(&gateway, &json!({ "types": ["Other.Type", "Paymen.*", "Order"] })).await,
        0
    );
    assert_eq!(dropped(&gateway, &json!({ "types": ["Order.*"] })).await, 2);

    let letters = dead_letters(&gateway).await;
    let types: Vec<_> = letters.iter().map(|letter| &letter["type"]).collect();
    assert_eq!(types, ["Order.Created"; 2], "{letters:?}");
    retrying(&gateway, 1).await;
    // Nothing is dropped by mistake.
    for wrong in [json!({ "type": "Order.*" }), json!({ "types": vec!["A"; 101] }), json!([])] {
        let refused = gateway.call(Method::POST, DROP, Some(&wrong)).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    }
    retrying(&gateway, 1).await;
    assert!(receiver.delivered().is_empty());
}

#[tokio::test]
async fn the_later_events_of_a_subject_go_on() {
    let ordered = json!({ "config": { "ordering": "subject", "onDeadLetter": "block" } });
    let (gateway, _, receiver) = stage(ordered).await;
    let first = gateway.order(1).await;
    retrying(&gateway, 1).await;
    receiver.answer(Reply::Status(204));
    let mut event = order_created("order-1-again", 1);
    event["data"]["amount"] = json!(101);
    let second = gateway.publish(&event).await;
    let come = async || receiver.delivered_ids().first().cloned();
    never_within(Duration::from_millis(200), "it waits behind the first", come).await;

    assert_eq!(dropped(&gateway, &json!({})).await, 1);

    receiver.wait_for_delivered(1).await;
    assert_eq!(receiver.delivered_ids(), second);
    let shown = gateway.get(SHOP).await;
    assert_eq!(shown["progress"]["blocked"], 0, "someone has decided: {shown}");
    let letters = dead_letters(&gateway).await;
    assert_eq!(letters[0]["event"], json!(first));
}

#[tokio::test]
async fn who_fetches_has_nothing_that_waits_for_an_attempt() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let mut document = receiver.document(json!({ "protocol": "PULL" }));
    document.as_object_mut().unwrap().remove("sink");
    gateway.post("/subscriptions", &document).await;
    gateway.order(1).await;

    assert_eq!(dropped(&gateway, &json!({})).await, 0);
    assert_eq!(dead_letters(&gateway).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_drops_by_type_and_says_how_many() {
    let (gateway, ..) = stage(json!({})).await;
    gateway.orders(1..=2).await;
    retrying(&gateway, 2).await;
    let run = |more: &[&str]| {
        let ended = program()
            .args(["--gateway", &gateway.issuer(), "subscriptions", "drop-retries", "shop"])
            .args(more)
            .env("SEALWAY_CALLER_KEY", gateway.admin())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    };

    assert!(run(&["--type", "Payment.*"]).starts_with("0 deliveries of subscription `shop`"));
    assert!(run(&["--type", "Order.Created", "--type", "Payment.*"]).starts_with("2 deliveries"));
    let acted = gateway.get("/actions").await;
    let kinds: Vec<_> =
        acted["actions"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "drop-retries").count(), 2, "{acted}");
}
