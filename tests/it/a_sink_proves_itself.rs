//! Nothing is delivered before a sink has shown that it is the consumer's and has the key.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::keys::OpeningKeyKind;
use sealway::seal::inspect;

use crate::harness::{Sink, SinkKey, TestGateway, eventually, never_within};

fn document(sink: &Sink, config: &Value) -> Value {
    json!({ "id": "shop", "consumer": "shop", "sink": sink.at("/hook"), "config": config })
}

/// Whether an event was posted.
fn has(sink: &Sink, key: &SinkKey, id: &str) -> bool {
    let opened = |body: &String| key.open(body).is_some_and(|opened| opened.id() == id);
    sink.bodies("/hook").iter().any(opened)
}

async fn doubt(gateway: &TestGateway) -> String {
    let shown = eventually("the subscription is doubted", async || {
        let shown = gateway.get("/subscriptions/shop").await;
        shown.get("reason").is_some().then_some(shown)
    })
    .await;
    assert_eq!(shown["state"], "pending");
    shown["reason"].as_str().unwrap().to_owned()
}

async fn active(gateway: &TestGateway) {
    let state = async || gateway.get("/subscriptions/shop").await["state"].clone();
    eventually("the subscription is active", async || (state().await == "active").then_some(()))
        .await;
}

#[tokio::test]
async fn a_sink_without_the_key_gets_a_challenge_and_no_event() {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let sink = Sink::start(|_| (200, None, "any word".to_owned())).await;
    let keys = json!({ "keys": { "jwks": { "keys": [key.public] } } });
    gateway.post("/subscriptions", &document(&sink, &keys)).await;
    let id = gateway.order(1).await;

    assert!(doubt(&gateway).await.contains("does not hold the nonce"));
    let event = async || has(&sink, &key, &id).then_some(());
    never_within(Duration::from_millis(200), "only challenges were sent", event).await;
    let verify = gateway.call(Method::POST, "/subscriptions/shop/verify", None).await;
    assert_eq!((verify.status, verify.code()), (422, "handshake-failed"));

    // With the key it is given what has waited.
    let opener = Arc::clone(&key);
    sink.behave(move |posted| opener.answer(posted));
    let verify = gateway.call(Method::POST, "/subscriptions/shop/verify", None).await;
    assert_eq!((verify.status, &verify.body["state"]), (200, &json!("active")));
    eventually("the event arrives", event).await;
}

#[tokio::test]
async fn a_sink_that_names_other_origins_has_not_consented() {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let keys = json!({ "keys": { "jwks": { "keys": [key.public] } } });
    let sink = Sink::start(move |posted| {
        if posted.method == Method::OPTIONS {
            let origin = ("webhook-allowed-origin", "events.other.example".to_owned());
            return (200, Some(origin), String::new());
        }
        key.answer(posted)
    })
    .await;

    gateway.post("/subscriptions", &document(&sink, &keys)).await;

    assert!(doubt(&gateway).await.contains("does not consent"));
    assert_eq!(sink.bodies("/hook"), Vec::<String>::new());
}

#[tokio::test]
async fn keys_may_be_served_at_an_address_of_the_consumer() {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::P256).await;
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| match posted.path.as_str() {
        "/jwks.json" => (200, None, json!({ "keys": [opener.public] }).to_string()),
        _ => opener.answer(posted),
    })
    .await;
    let keys = json!({ "keys": { "jwksUri": sink.at("/jwks.json") } });

    gateway.post("/subscriptions", &document(&sink, &keys)).await;
    active(&gateway).await;
    let id = gateway.order(1).await;

    let bodies = sink.wait_for("/hook", 2).await;
    assert_eq!(key.open(&bodies[1]).unwrap().id(), id);
}

#[tokio::test]
async fn a_shared_secret_is_shown_once_and_opens_what_is_sent() {
    let gateway = TestGateway::start().await;
    let sink = Sink::start(|_| (400, None, String::new())).await;
    let keys = json!({ "keys": { "sharedSecret": true } });

    let created = gateway.post("/subscriptions", &document(&sink, &keys)).await;
    let key = SinkKey::shared(&gateway, &created["sharedSecret"]);
    doubt(&gateway).await;
    let opener = Arc::clone(&key);
    sink.behave(move |posted| opener.answer(posted));
    gateway.call(Method::POST, "/subscriptions/shop/verify", None).await;
    let id = gateway.order(1).await;

    eventually("the event arrives", async || has(&sink, &key, &id).then_some(())).await;
    let newest = sink.bodies("/hook").pop().unwrap();
    assert_eq!(inspect(&newest).unwrap()["alg"], "A256KW");
    let shown = gateway.get("/subscriptions/shop").await;
    assert!(shown.get("sharedSecret").is_none(), "{shown}");
    let secret_key = created["sharedSecret"]["keys"][0]["k"].as_str().unwrap();
    assert!(!shown.to_string().contains(secret_key));
}

#[tokio::test]
async fn a_subscription_chooses_its_signature_its_encryption_and_its_headers() {
    let two = |config: &mut sealway::config::Config| {
        config.keys.algorithms = vec!["ES256".parse().unwrap(), "EdDSA".parse().unwrap()];
    };
    let gateway = TestGateway::with(None, two).await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::Rsa2048).await;
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    let config = json!({
        "keys": { "jwks": key.public }, "signature": "EdDSA", "encryption": "A128CBC-HS256",
        "compress": true, "attributes": "id",
    });

    gateway.post("/subscriptions", &document(&sink, &config)).await;
    active(&gateway).await;
    let id = gateway.order(1).await;

    let bodies = sink.wait_for("/hook", 2).await;
    let header = inspect(&bodies[1]).unwrap();
    assert_eq!((&header["alg"], &header["enc"]), (&json!("RSA-OAEP-256"), &json!("A128CBC-HS256")));
    assert_eq!(key.open(&bodies[1]).unwrap().id(), id);
}
