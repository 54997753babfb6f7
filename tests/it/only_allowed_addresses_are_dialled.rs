//! Only allowed addresses are dialed, decided on the address and not on its name.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::egress::EgressConfig;

use crate::harness::{Process, Receiver, TestGateway, answer, eventually, free_port};

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
    assert_eq!(refused["detail"], "connect-failed: name-resolution");
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
async fn a_name_that_leads_nowhere_and_one_that_leads_to_a_closed_range_are_told_in_one_word() {
    let gateway =
        TestGateway::with(None, |config| config.delivery.egress = loopback_closed()).await;
    let sink = Receiver::start(&gateway, "sink").await;
    let keys = Receiver::start(&gateway, "keys").await;
    let by_uri = json!({ "keys": { "jwks": null, "jwksUri": by_name(&keys) } });

    gateway.post("/subscriptions", &sink.document(json!({ "sink": by_name(&sink) }))).await;
    let document = keys.document(json!({ "sink": by_name(&keys), "config": by_uri }));
    gateway.post("/subscriptions", &document).await;
    let nowhere = |path: &str| format!("http://nowhere.invalid:{}{path}", free_port());
    let absent = json!({ "id": "absent-sink", "sink": nowhere("/") });
    gateway.post("/subscriptions", &sink.document(absent)).await;
    let uri = json!({ "keys": { "jwks": null, "jwksUri": nowhere("/jwks.json") } });
    let absent = json!({ "id": "absent-keys", "sink": by_name(&keys), "config": uri });
    gateway.post("/subscriptions", &keys.document(absent)).await;

    // What was asked when is no part of what is told.
    let told =
        async |id: &str| doubt(&gateway, id).await.split("; attempt").next().unwrap().to_owned();
    for id in ["sink", "absent-sink"] {
        let expected = "the sink did not answer the challenge: connect-failed: name-resolution";
        assert_eq!(told(id).await, expected, "{id}");
    }
    for id in ["keys", "absent-keys"] {
        let expected = "the challenge could not be sealed: the consumer's keys cannot be had: the key \
                        set cannot be fetched: name-resolution";
        assert_eq!(told(id).await, expected, "{id}");
    }
    let answer = gateway.call(Method::POST, "/subscriptions/absent-sink/verify", None).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.ends_with("connect-failed: name-resolution"), "{detail}");
}

#[tokio::test]
async fn a_consumer_is_told_of_the_network_in_one_word_and_the_operator_in_full() {
    let mut gateway = Process::prepare_with(", retries: [50ms]");
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let address = |path: &str| format!("{}{path}", gateway.issuer());
    let http = reqwest::Client::new();
    let closed = format!("http://127.0.0.1:{}/", free_port());
    for (id, sink, uri) in [
        ("refused", &*closed, "https://keys.invalid/"),
        ("nameless", "http://sink.invalid/", "https://keys.invalid/"),
    ] {
        let shared = json!({ "sharedSecret": true });
        let token = json!({ "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": {
            "endpoint": uri, "clientId": "shop", "clientSecret": "secret",
        }});
        for (name, credential) in [(id.to_owned(), Value::Null), (format!("{id}-token"), token)] {
            let document = json!({
                "id": name, "consumer": "shop", "sink": sink, "sinkcredential": credential,
                "config": { "keys": shared, "verify": "later" },
            });
            let made = http.post(address("/subscriptions")).bearer_auth(&admin).json(&document);
            let made = answer(made).await;
            assert_eq!(made.status, 201, "{}", made.body);
        }
    }
    let token = "authorization-failed: the token endpoint cannot be reached: name-resolution";
    for (name, word) in [
        ("refused", "connect-failed: refused"),
        ("nameless", "connect-failed: name-resolution"),
        ("refused-token", token),
        ("nameless-token", token),
    ] {
        let asked = http.post(address(&format!("/subscriptions/{name}/verify")));
        let asked = answer(asked.bearer_auth(&admin)).await;
        let expected = format!("the sink did not answer the challenge: {word}");
        assert_eq!(asked.body["detail"], json!(expected), "{name}");
    }
    let log = gateway.log();
    for whole in ["sink.invalid does not resolve", "keys.invalid does not resolve", "os error 111"]
    {
        assert!(log.contains(whole), "{whole}: {log}");
    }
}
