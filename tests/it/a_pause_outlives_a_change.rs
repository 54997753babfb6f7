//! What is wanted and what is proved are two facts: a change during a pause is proved and stays paused.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::keys::OpeningKeyKind;

use crate::harness::{
    Answer, Posted, Process, Receiver, Reply, Said, Sink, SinkKey, TestGateway, eventually,
    never_within, order_created,
};

const SHOP: &str = "/subscriptions/shop";

fn document(sink: &Sink, path: &str, keys: &Value) -> Value {
    json!({
        "id": "shop", "consumer": "shop", "sink": sink.at(path), "config": { "keys": keys },
    })
}

fn jwks(keys: &[&SinkKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
    json!({ "jwks": { "keys": keys } })
}

fn refused(_: &Posted) -> Said {
    (503, None, String::new())
}

async fn shown(gateway: &TestGateway) -> Value {
    gateway.get(SHOP).await
}

/// Waits until the subscription stands there with nothing to prove.
async fn proved(gateway: &TestGateway, state: &str) -> Value {
    eventually(format!("it is {state} and proved"), async || {
        let shown = shown(gateway).await;
        (shown["state"] == state && shown.get("handshake").is_none()).then_some(shown)
    })
    .await
}

/// Waits until an attempt has not proved the sink.
async fn doubted(gateway: &TestGateway, state: &str) -> Value {
    eventually(format!("it is {state} and doubted"), async || {
        let shown = shown(gateway).await;
        let tried = shown["handshake"]["attempts"].as_u64().is_some_and(|attempts| attempts > 0);
        (shown["state"] == state && tried).then_some(shown)
    })
    .await
}

async fn change(gateway: &TestGateway, document: &Value) -> Value {
    let changed = gateway.put(SHOP, document).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    changed.body
}

async fn step(gateway: &TestGateway, verb: &str) -> Answer {
    gateway.call(Method::POST, &format!("{SHOP}/{verb}"), None).await
}

/// The numbers of the orders that a key opens among what a path was posted.
fn orders(sink: &Sink, path: &str, key: &SinkKey) -> Vec<Value> {
    let opened = sink.bodies(path).into_iter().filter_map(|body| key.open(&body));
    let orders = opened.filter(|opened| opened.event()["type"] == "Order.Created");
    orders.map(|opened| opened.event()["data"]["orderId"].clone()).collect()
}

/// A gateway with an active subscription, its sink and its key.
async fn stage() -> (TestGateway, Sink, Arc<SinkKey>) {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    gateway.post("/subscriptions", &document(&sink, "/hook", &jwks(&[&key]))).await;
    proved(&gateway, "active").await;
    (gateway, sink, key)
}

#[tokio::test]
async fn another_sink_is_proved_during_a_pause_and_gets_nothing_before_a_resume() {
    let (gateway, sink, key) = stage().await;
    assert_eq!(step(&gateway, "pause").await.body["state"], "paused");
    gateway.order(1).await;

    let changed = change(&gateway, &document(&sink, "/new", &jwks(&[&key]))).await;
    assert_eq!(changed["state"], "paused", "{changed}");
    assert!(changed["handshake"]["since"].is_string(), "{changed}");
    let still = proved(&gateway, "paused").await;
    assert!(still["reason"].as_str().unwrap().starts_with("by caller"), "{still}");
    let sent = async || (!orders(&sink, "/new", &key).is_empty()).then_some(());
    never_within(Duration::from_millis(200), "it is paused", sent).await;

    assert_eq!(step(&gateway, "resume").await.body["state"], "active");
    eventually("what has waited is delivered", sent).await;
    assert!(orders(&sink, "/hook", &key).is_empty());
}

#[tokio::test]
async fn a_resume_before_the_proof_waits_for_the_proof_and_a_pause_of_that_is_one() {
    let (gateway, sink, key) = stage().await;
    step(&gateway, "pause").await;
    let new = SinkKey::generate(&gateway, OpeningKeyKind::P256).await;
    sink.behave(refused);
    change(&gateway, &document(&sink, "/hook", &jwks(&[&new]))).await;
    let paused = doubted(&gateway, "paused").await;
    let doubt = paused["handshake"]["reason"].as_str().unwrap();
    assert!(doubt.contains("status 503"), "{paused}");
    assert!(paused["reason"].as_str().unwrap().starts_with("by caller"), "{paused}");
    gateway.order(1).await;

    // Resumed, it waits for what it has waited for all the time; and once more.
    let resumed = step(&gateway, "resume").await;
    assert_eq!((resumed.status, &resumed.body["state"]), (200, &json!("pending")));
    assert_eq!(resumed.body["reason"], doubt, "{}", resumed.body);
    let again = step(&gateway, "resume").await;
    assert_eq!((again.status, again.code()), (409, "wrong-state"), "{}", again.body);
    assert_eq!(step(&gateway, "pause").await.body["state"], "paused");
    assert_eq!(step(&gateway, "resume").await.body["state"], "pending");

    let opener = Arc::clone(&new);
    sink.behave(move |posted| opener.answer(posted));
    step(&gateway, "verify").await;
    proved(&gateway, "active").await;
    let sent = async || (orders(&sink, "/hook", &new) == [1]).then_some(());
    eventually("what has waited is delivered", sent).await;
    assert!(orders(&sink, "/hook", &key).is_empty());
}

#[tokio::test]
async fn the_consumer_tells_the_nonce_of_a_paused_subscription_and_it_stays_paused() {
    let (gateway, sink, key) = stage().await;
    step(&gateway, "pause").await;
    sink.behave(refused);
    change(&gateway, &document(&sink, "/new", &jwks(&[&key]))).await;
    doubted(&gateway, "paused").await;
    let (_, nonce) = key.challenge(&sink.bodies("/new")[0]);

    let told = gateway
        .call(Method::POST, &format!("{SHOP}/verify"), Some(&json!({ "challenge": nonce })))
        .await;

    assert_eq!((told.status, &told.body["state"]), (200, &json!("paused")), "{}", told.body);
    assert!(told.body.get("handshake").is_none(), "{}", told.body);
    let opener = Arc::clone(&key);
    sink.behave(move |posted| opener.answer(posted));
    assert_eq!(step(&gateway, "resume").await.body["state"], "active");
}

#[tokio::test]
async fn a_change_of_anything_else_during_a_pause_proves_nothing_and_stays_paused() {
    let (gateway, sink, key) = stage().await;
    step(&gateway, "pause").await;
    let asked = sink.arrived().len();
    let mut other = document(&sink, "/hook", &jwks(&[&key]));
    other["config"]["contentMode"] = json!("structured");
    other["sinkcredential"] =
        json!({ "credentialtype": "BASIC", "basic": { "username": "gw", "password": "pw" } });
    other["types"] = json!(["Order.*"]);

    let changed = change(&gateway, &other).await;

    assert_eq!(changed["state"], "paused", "{changed}");
    assert!(changed.get("handshake").is_none(), "{changed}");
    assert_eq!(sink.arrived().len(), asked);
    // A change of the same while it has something to prove has it asked at once, and no more than that.
    sink.behave(refused);
    other["sink"] = json!(sink.at("/new"));
    change(&gateway, &other).await;
    let tried = doubted(&gateway, "paused").await["handshake"]["attempts"].as_u64().unwrap();
    other["types"] = json!([]);
    assert_eq!(change(&gateway, &other).await["state"], "paused");
    eventually("it is asked again", async || {
        let tries = sink.bodies("/new").len();
        (u64::try_from(tries).unwrap() > tried).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_set_at_another_address_and_a_way_to_fetch_and_back_keep_a_pause() {
    let (gateway, sink, key) = stage().await;
    step(&gateway, "pause").await;
    let opener = Arc::clone(&key);
    sink.behave(move |posted| match posted.path.as_str() {
        "/jwks.json" => (200, None, json!({ "keys": [opener.public] }).to_string()),
        _ => opener.answer(posted),
    });
    let by_address = json!({ "jwksUri": sink.at("/jwks.json") });
    let changed = change(&gateway, &document(&sink, "/hook", &by_address)).await;
    assert!(changed["handshake"].is_object(), "{changed}");
    proved(&gateway, "paused").await;

    // Fetching has nothing to prove, and a sink again has.
    let mut fetched = document(&sink, "/hook", &by_address);
    fetched["protocol"] = json!("PULL");
    fetched.as_object_mut().unwrap().remove("sink");
    let changed = change(&gateway, &fetched).await;
    assert_eq!((&changed["state"], changed.get("handshake")), (&json!("paused"), None));
    fetched["config"]["keys"] = jwks(&[&key]);
    let changed = change(&gateway, &fetched).await;
    assert_eq!((&changed["state"], changed.get("handshake")), (&json!("paused"), None));
    let changed = change(&gateway, &document(&sink, "/other", &jwks(&[&key]))).await;
    assert_eq!(changed["state"], "paused");
    proved(&gateway, "paused").await;
    gateway.order(1).await;
    step(&gateway, "resume").await;
    let sent = async || (orders(&sink, "/other", &key) == [1]).then_some(());
    eventually("what has waited is delivered", sent).await;
}

#[tokio::test]
async fn a_sink_that_only_failed_is_replaced_while_its_pause_lasts() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer(Reply::Status(500));
    let began = clock.now();
    let mut number = 0;
    while clock.now() < began.after(Duration::from_hours(5 * 24)) {
        number += 1;
        gateway.fail_for_half_a_day((&clock, &receiver), number).await;
    }
    let paused = gateway.wait_for_pause(&clock).await;
    assert!(paused["reason"].is_string(), "{paused}");
    let other = Receiver::start(&gateway, "shop").await;

    let changed = change(&gateway, &other.document(json!({}))).await;

    assert_eq!((&changed["state"], &changed["reason"]), (&json!("paused"), &paused["reason"]));
    let still = proved(&gateway, "paused").await;
    assert_eq!(still["reason"], paused["reason"]);
    assert!(other.arrivals().is_empty());
    step(&gateway, "resume").await;
    eventually("what has waited is delivered", async || {
        clock.advance(Duration::from_hours(1));
        (other.delivered().len() >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_kill_between_handshake_and_proof_keeps_both_the_pause_and_the_handshake() {
    let mut gateway = Process::prepare_with(", handshake: { retries: [200ms] }");
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let key = SinkKey::of_process(&gateway, OpeningKeyKind::X25519).await;
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    let post = async |gateway: &Process, path: &str, body: &Value| {
        gateway.call_as(&admin, (Method::POST, path), Some(body)).await
    };
    let is = async |gateway: &Process, state: &str| {
        let shown = gateway.get(&admin, SHOP).await;
        (shown["state"] == state && shown.get("handshake").is_none()).then_some(shown)
    };
    let before = document(&sink, "/hook", &jwks(&[&key]));
    assert_eq!(post(&gateway, "/subscriptions", &before).await.status, 201);
    eventually("it is active", async || is(&gateway, "active").await).await;
    assert_eq!(post(&gateway, "/subscriptions/shop/pause", &json!({})).await.status, 200);
    gateway.publish(&admin, &order_created("order-1", 1)).await;

    // The gateway dies while the new sink thinks about the challenge.
    sink.hold();
    let after = document(&sink, "/new", &jwks(&[&key]));
    let put = gateway.call_as(&admin, (Method::PUT, SHOP), Some(&after)).await;
    assert_eq!((put.status, &put.body["state"]), (200, &json!("paused")), "{}", put.body);
    sink.wait_for("/new", 1).await;
    gateway.kill();
    sink.release();

    gateway.serve().await;
    eventually("it is proved and paused", async || is(&gateway, "paused").await).await;
    assert!(orders(&sink, "/new", &key).is_empty());
    let resumed = post(&gateway, "/subscriptions/shop/resume", &json!({})).await;
    assert_eq!(resumed.body["state"], "active", "{}", resumed.body);
    let sent = async || (orders(&sink, "/new", &key) == [1]).then_some(());
    eventually("what has waited is delivered", sent).await;
    gateway.stop().await;
}
