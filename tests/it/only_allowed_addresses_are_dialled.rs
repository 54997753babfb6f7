//! Only allowed addresses are dialed, decided on the address and not on its name.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::egress::EgressConfig;

use crate::harness::{Receiver, TestGateway, eventually};

/// The loopback is not opened, so that only the look at an address tells what `localhost` is.
fn loopback_closed() -> EgressConfig {
    EgressConfig { allow: Vec::new(), ..EgressConfig::loopback() }
}

/// The address of a receiver, by name.
fn by_name(receiver: &Receiver) -> String {
    receiver.address().replace("127.0.0.1", "localhost")
}

/// The newest attempt of a subscription, once there is one.
async fn attempt(gateway: &TestGateway, clock: &ManualClock, id: &str) -> Value {
    let path = format!("/subscriptions/{id}/attempts");
    eventually("an attempt", async || {
        // Outcomes are written a few times a second.
        clock.advance(Duration::from_millis(100));
        gateway.get(&path).await["attempts"].get(0).cloned()
    })
    .await
}

/// Why a subscription is still pending, once it says so.
async fn doubt(gateway: &TestGateway, id: &str) -> String {
    let path = format!("/subscriptions/{id}");
    eventually("a reason", async || {
        let shown = gateway.get(&path).await;
        assert_eq!(shown["state"], "pending");
        shown["reason"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn a_special_address_is_refused_when_a_subscription_is_made() {
    let gateway =
        TestGateway::with(None, |config| config.delivery.egress = EgressConfig::default()).await;
    let receiver = Receiver::start(&gateway, "shop").await;

    for (sink, reason) in [
        ("https://127.0.0.1:6379/", "loopback"),
        ("https://2130706433/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:169.254.169.254]/", "IPv4-mapped"),
        ("https://10.0.0.7/", "private"),
        ("https://[fd12::7]/", "private"),
        ("https://169.254.169.254/latest/meta-data/", "metadata"),
        ("https://168.63.129.16/", "metadata"),
        ("https://100.64.0.1/", "shared"),
        ("https://[64:ff9b::a00:1]/", "translated"),
        ("http://sink.example/", "plain http"),
        ("http://1.1.1.1/", "plain http"),
    ] {
        let uri = json!({ "keys": { "jwks": null, "jwksUri": sink } });
        for (wish, pointer) in [
            (json!({ "sink": sink }), "/sink"),
            (json!({ "sink": "https://sink.example/", "config": uri }), "/config/keys/jwksUri"),
        ] {
            let document = receiver.document(wish);
            let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;

            assert_eq!(answer.status, 422, "{sink}");
            assert_eq!(answer.body["type"], "/problems/invalid");
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("{pointer}: ")) && detail.contains(reason),
                "{detail}"
            );
        }
    }
    assert_eq!(gateway.get("/subscriptions").await["subscriptions"], json!([]));
}

#[tokio::test]
async fn a_special_address_is_refused_when_a_subscription_is_changed() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let document = receiver.document(json!({ "sink": "https://10.0.0.7/" }));

    let key = gateway.add_caller("operator", &["admin"]).await;
    let put = gateway.request(Method::PUT, "/subscriptions/shop").bearer_auth(&key);
    let answer = put.header("if-match", "*").json(&document).send().await.unwrap();

    assert_eq!(answer.status(), 422);
    assert_eq!(gateway.get("/subscriptions/shop").await["sink"], json!(receiver.address()));
}

#[tokio::test]
async fn a_name_that_resolves_to_a_closed_range_is_not_dialed_until_it_is_opened() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "sink": by_name(&receiver) })).await;

    gateway.restart_with(|config| config.delivery.egress = loopback_closed()).await;
    let id = gateway.order(1).await;
    let refused = attempt(&gateway, &clock, "shop").await;

    assert_eq!(refused["event"], json!(id));
    assert_eq!(refused["verdict"], "retry");
    assert_eq!(refused["status"], Value::Null);
    let detail = "address-not-allowed: this gateway sends nothing to the addresses of that name";
    assert_eq!(refused["detail"], detail);
    assert!(receiver.arrivals().is_empty());

    gateway.restart_with(|config| config.delivery.egress = EgressConfig::loopback()).await;
    eventually("the event arrives", async || {
        clock.advance(Duration::from_secs(5));
        (receiver.delivered_ids() == [id.as_str()]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_literal_address_is_judged_at_each_attempt_too() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    gateway.restart_with(|config| config.delivery.egress = EgressConfig::default()).await;
    gateway.order(1).await;
    let refused = attempt(&gateway, &clock, "shop").await;

    assert!(refused["detail"].as_str().unwrap().starts_with("address-not-allowed"), "{refused}");
    assert!(receiver.arrivals().is_empty());
}

#[tokio::test]
async fn a_sink_and_a_key_set_behind_a_closed_name_prove_nothing_and_say_why() {
    let gateway =
        TestGateway::with(None, |config| config.delivery.egress = loopback_closed()).await;
    let sink = Receiver::start(&gateway, "sink").await;
    let keys = Receiver::start(&gateway, "keys").await;
    let by_uri = json!({ "keys": { "jwks": null, "jwksUri": by_name(&keys) } });

    gateway.post("/subscriptions", &sink.document(json!({ "sink": by_name(&sink) }))).await;
    let document = keys.document(json!({ "sink": by_name(&keys), "config": by_uri }));
    gateway.post("/subscriptions", &document).await;

    let reason = "this gateway sends nothing to the addresses of that name";
    let of_sink = doubt(&gateway, "sink").await;
    assert!(of_sink.contains("address-not-allowed") && of_sink.contains(reason), "{of_sink}");
    let of_keys = doubt(&gateway, "keys").await;
    assert!(of_keys.contains("could not be sealed") && of_keys.contains(reason), "{of_keys}");
}
