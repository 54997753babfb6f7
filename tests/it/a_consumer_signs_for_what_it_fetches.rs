//! A consumer that fetches signs with its acknowledgement, as a sink does with its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, SystemClock};
use sealway::event::TokenDigest;
use sealway::keys::{SigningAlgorithm, SigningKey, VerifyingKeys};
use sealway::proof::verify_bundle;
use sealway::seal::evidence::BundleTrust;
use sealway::seal::sign_receipt;

use crate::harness::{Answer, Process, Receiver, TestGateway, eventually, order_created, program};

/// A consumer that fetches, with its key for receipts.
struct Signer {
    receiver: Receiver,
    pen: SigningKey,
}

impl Signer {
    async fn subscribed(gateway: &TestGateway, required: bool) -> Self {
        let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        let receiver = Receiver::start(gateway, "shop").await;
        let receipts = json!({ "jwks": public(&pen), "required": required });
        let config = json!({ "receipts": receipts });
        let wish = json!({ "sink": null, "protocol": "PULL", "config": config });
        gateway.subscribe(&receiver, wish).await;
        Self { receiver, pen }
    }

    async fn receipt(&self, token: &str) -> String {
        let opened = self.receiver.open(token).await.unwrap();
        sign_receipt(token, &opened, (&self.pen, SystemClock.now())).unwrap()
    }

    /// A receipt with a claim written otherwise, or left out.
    async fn altered(&self, token: &str, (name, value): (&str, Value)) -> String {
        let opened = self.receiver.open(token).await.unwrap();
        let mut claims = json!({
            "iss": "shop", "aud": opened.claims()["iss"], "iat": opened.claims()["iat"],
            "jti": opened.id(), "sub_id": opened.claims()["sub_id"],
            "seq": opened.place().unwrap().sequence,
            "chain": opened.chain_after().unwrap().to_string(),
            "token_sha256": TokenDigest::of(token).to_string(),
        });
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        self.pen.sign("receipt+jwt", claims.to_string().as_bytes()).unwrap()
    }
}

fn public(key: &SigningKey) -> Value {
    json!({ "keys": [key.public_jwk().unwrap()] })
}

async fn poll(gateway: &TestGateway, body: Value) -> Answer {
    gateway.call(Method::POST, "/subscriptions/shop/poll", Some(&body)).await
}

/// The tokens that wait, by id, once there are so many.
async fn wait_for(gateway: &TestGateway, count: usize) -> Vec<(String, String)> {
    eventually(format!("{count} events wait"), async || {
        let answer = poll(gateway, json!({ "returnImmediately": true })).await;
        let sets = answer.body["sets"].as_object().unwrap().clone();
        let text = |(id, token): (String, Value)| (id, token.as_str().unwrap().to_owned());
        (sets.len() == count).then(|| sets.into_iter().map(text).collect())
    })
    .await
}

async fn kept(gateway: &TestGateway, count: usize) -> Vec<Value> {
    eventually(format!("{count} receipts are kept"), async || {
        let kept = gateway.get("/subscriptions/shop/receipts").await["receipts"].clone();
        Some(kept.as_array().unwrap().clone()).filter(|kept| kept.len() == count)
    })
    .await
}

#[tokio::test]
async fn what_is_signed_for_is_acknowledged_kept_shown_counted_and_in_the_evidence() {
    let gateway = TestGateway::start().await;
    let signer = Signer::subscribed(&gateway, true).await;
    gateway.orders(1..=3).await;
    let waiting = wait_for(&gateway, 3).await;
    let (mut ids, mut receipts) = (Vec::new(), json!({}));
    // In another order than they have, and not all of them.
    for (id, token) in [&waiting[2], &waiting[0]] {
        ids.push(id.clone());
        receipts[id] = json!(signer.receipt(token).await);
    }

    let body = json!({ "ack": ids, "receipts": receipts, "returnImmediately": true });
    let answer = poll(&gateway, body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let left: Vec<&String> = answer.body["sets"].as_object().unwrap().keys().collect();
    assert_eq!((left, answer.body.get("receiptErrs")), (vec![&waiting[1].0], None));

    let listed = kept(&gateway, 2).await;
    for receipt in &listed {
        let of = waiting.iter().find(|(id, _)| receipt["event"] == **id).unwrap();
        assert_eq!(receipt["tokenSha256"], TokenDigest::of(&of.1).to_string());
        assert_eq!(receipt["receipt"], receipts[&of.0]);
    }
    // Said again, nothing is kept twice.
    assert_eq!(poll(&gateway, body).await.status, 200);
    let metrics = gateway.get("/metrics").await;
    let counted = r#"sealway_receipts_total{subscription="shop",result="valid"} 2"#;
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");

    let bundle = gateway.get("/subscriptions/shop/evidence").await;
    let keys = VerifyingKeys::from_json(public(&signer.pen).to_string().as_bytes()).unwrap();
    let trust = BundleTrust { receipt_keys: Some(&keys), ..BundleTrust::none(SystemClock.now()) };
    let found = verify_bundle(&mut bundle.as_str().unwrap().as_bytes(), trust).unwrap();
    let told = &found.examined;
    assert_eq!((told.receipts, told.events_without_receipt, told.flaws.len()), (2, 1, 0));
}

#[tokio::test]
async fn what_is_not_signed_for_is_not_acknowledged_and_the_problem_names_it() {
    let gateway = TestGateway::start().await;
    let signer = Signer::subscribed(&gateway, true).await;
    let stranger = Signer {
        pen: SigningKey::generate(SigningAlgorithm::ES256).unwrap(),
        receiver: Receiver::start(&gateway, "stranger").await,
    };
    gateway.orders(1..=7).await;
    let waiting = wait_for(&gateway, 7).await;
    let token = |at: usize| waiting[at].1.as_str();
    let id = |at: usize| waiting[at].0.as_str();
    let opened = signer.receiver.open(token(4)).await.unwrap();
    let foreign = sign_receipt(token(4), &opened, (&stranger.pen, SystemClock.now())).unwrap();
    let receipts = json!({
        id(0): signer.receipt(token(0)).await,
        id(2): signer.receipt(token(1)).await,
        id(3): "no receipt",
        id(4): foreign,
        id(5): signer.altered(token(5), ("chain", Value::Null)).await,
        id(6): signer.altered(token(6), ("iss", json!("another"))).await,
    });
    let all: Vec<&str> = (0..7).map(id).collect();

    let answer = poll(&gateway, json!({ "ack": all, "receipts": receipts })).await;

    assert_eq!((answer.status, answer.code()), (422, "receipt-refused"), "{}", answer.body);
    let told: Vec<_> = answer.body["violations"].as_array().unwrap().iter().collect();
    let words = [
        (1, "missing"),
        (2, "wrong-event"),
        (3, "missing"),
        (4, "unknown-key"),
        (5, "invalid"),
        (6, "invalid"),
    ];
    assert_eq!(told.len(), words.len(), "{}", answer.body);
    for (violation, (at, word)) in told.iter().zip(words) {
        assert_eq!(violation["pointer"], format!("/receipts/{}", id(at)));
        assert_eq!(violation["code"], word, "{violation}");
    }
    // What was signed for is acknowledged all the same, and the rest comes again.
    let again: Vec<String> = wait_for(&gateway, 6).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(again, all[1..]);
    kept(&gateway, 1).await;
}

#[tokio::test]
async fn receipts_that_may_come_are_judged_and_hold_nothing_up() {
    let gateway = TestGateway::start().await;
    let signer = Signer::subscribed(&gateway, false).await;
    gateway.orders(1..=3).await;
    let waiting = wait_for(&gateway, 3).await;
    let ids: Vec<&String> = waiting.iter().map(|(id, _)| id).collect();
    let receipts = json!({
        waiting[0].0.as_str(): signer.receipt(&waiting[0].1).await,
        waiting[1].0.as_str(): signer.receipt(&waiting[0].1).await,
    });

    let body = json!({ "ack": ids, "receipts": receipts, "returnImmediately": true });
    let answer = poll(&gateway, body).await;

    assert_eq!((answer.status, &answer.body["sets"]), (200, &json!({})), "{}", answer.body);
    assert_eq!(answer.body["receiptErrs"], json!({ waiting[1].0.as_str(): "wrong-event" }));
    kept(&gateway, 1).await;
    let metrics = gateway.get("/metrics").await;
    for word in ["valid", "wrong-event", "missing"] {
        let counted = format!(r#"sealway_receipts_total{{subscription="shop",result="{word}"}} 1"#);
        assert!(metrics.as_str().unwrap().contains(&counted), "{counted}: {metrics}");
    }
}

#[tokio::test]
async fn a_page_acknowledges_nothing_that_must_be_signed_for() {
    let gateway = TestGateway::start().await;
    let signer = Signer::subscribed(&gateway, true).await;
    gateway.orders(1..=2).await;
    let waiting = wait_for(&gateway, 2).await;
    let page = async |query: &str| {
        gateway.call(Method::GET, &format!("/subscriptions/shop/events{query}"), None).await
    };
    let last = &waiting[1].0;

    let refused = page(&format!("?after={last}")).await;
    assert_eq!((refused.status, refused.code()), (409, "wrong-state"), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("/poll"), "{}", refused.body);
    assert_eq!(page(&format!("?after={last}&acknowledge=false")).await.status, 200);

    let mut receipts = json!({});
    for (id, token) in &waiting {
        receipts[id] = json!(signer.receipt(token).await);
    }
    let ids: Vec<&String> = waiting.iter().map(|(id, _)| id).collect();
    let body = json!({ "maxEvents": 0, "ack": ids, "receipts": receipts });
    assert_eq!(poll(&gateway, body).await.status, 200);
    assert_eq!(page(&format!("?after={last}")).await.status, 200, "it was signed for");
}

#[tokio::test]
async fn a_receipt_that_comes_without_its_acknowledgement_is_refused_with_its_place() {
    let gateway = TestGateway::start().await;
    Signer::subscribed(&gateway, false).await;
    for (body, words) in [
        (json!({ "receipts": { "x": "y" } }), "/receipts/x: "),
        (
            json!({ "receipts": { "01M80161XDFMCHG7JG9T1VM8Z1": "y" } }),
            "/receipts/01M80161XDFMCHG7JG9T1VM8Z1: it is not in /ack",
        ),
        (json!({ "receipts": [] }), "/receipts: expected "),
    ] {
        let refused = poll(&gateway, body).await;
        assert_eq!((refused.status, refused.code()), (400, "bad-request"));
        assert!(refused.body["detail"].as_str().unwrap().starts_with(words), "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_signs_for_what_it_has_written() {
    let gateway = TestGateway::start().await;
    let made = gateway.path("pen.jwk");
    let ended = program().args(["consumer-key", "--receipts"]).arg(&made).output().unwrap();
    let jwks: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(!String::from_utf8_lossy(&ended.stdout).contains(r#""d""#));
    let receiver = Receiver::start(&gateway, "shop").await;
    let config = json!({ "receipts": { "jwks": jwks, "required": true } });
    gateway
        .subscribe(&receiver, json!({ "sink": null, "protocol": "PULL", "config": config }))
        .await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    gateway.orders(1..=5).await;
    wait_for(&gateway, 5).await;
    let own = gateway.path("own.jwk");
    fs::write(&own, receiver.private_key()).unwrap();
    let issuer = gateway.issuer();
    let jwks = format!("{issuer}/.well-known/jwks.json");
    let pull = |more: &[&str]| {
        let ended = program()
            .args(["--gateway", &issuer, "subscriptions", "pull", "shop", "--receipt-key"])
            .arg(&made)
            .arg("--key")
            .arg(&own)
            .args(["--jwks", &jwks, "--issuer", &issuer, "--audience", "shop"])
            .args(more)
            .env("SEALWAY_CALLER_KEY", &key)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{said}");
        String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };

    assert_eq!(pull(&["--limit", "2"]).len(), 2);
    kept(&gateway, 2).await;
    let rest = pull(&["--output", "json"]);
    let numbers = rest.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let numbers: Vec<Value> = numbers.map(|line| line["sequence"].clone()).collect();
    assert_eq!(numbers, [3, 4, 5]);
    kept(&gateway, 5).await;
    assert_eq!(pull(&[]), [] as [String; 0]);
}

#[tokio::test]
async fn an_event_is_signed_for_before_or_after_a_kill_and_never_acknowledged_without_its_receipt()
{
    let mut process = Process::prepare();
    let key = process.add_caller("admin", "admin");
    process.serve().await;
    let clock = Arc::new(SystemClock);
    let receiver = Receiver::listening("shop", process.issuer(), clock).await;
    let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let signer = Signer { receiver, pen };
    let receipts = json!({ "jwks": public(&signer.pen), "required": true });
    let wish = json!({ "sink": null, "protocol": "PULL", "config": { "receipts": receipts } });
    let document = signer.receiver.document(wish);
    let made = process.call_as(&key, (Method::POST, "/subscriptions"), Some(&document)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let mut sent = BTreeSet::new();
    for number in 1..=12 {
        let event = order_created(&format!("order-{number}"), number);
        sent.insert(process.publish(&key, &event).await);
    }

    let path = (Method::POST, "/subscriptions/shop/poll");
    let mut signed = BTreeMap::<String, Vec<String>>::new();
    for life in 0..4 {
        let poll = json!({ "maxEvents": 3, "returnImmediately": true });
        let sets = eventually("events wait", async || {
            let answer = process.call_as(&key, path.clone(), Some(&poll)).await;
            let sets = answer.body["sets"].as_object().unwrap().clone();
            (!sets.is_empty()).then_some(sets)
        })
        .await;
        let mut receipts = json!({});
        for (id, token) in &sets {
            let receipt = signer.receipt(token.as_str().unwrap()).await;
            signed.entry(id.clone()).or_default().push(receipt.clone());
            receipts[id] = json!(receipt);
        }
        let ids: Vec<&String> = sets.keys().collect();
        let word = json!({ "maxEvents": 0, "ack": ids, "receipts": receipts });
        assert_eq!(process.call_as(&key, path.clone(), Some(&word)).await.status, 200);
        // The answer has come, and what it says may be written or not.
        if life < 3 {
            process.kill();
            process.serve().await;
        }
    }
    let poll = json!({ "returnImmediately": true });
    let waiting = process.call_as(&key, path, Some(&poll)).await.body["sets"].clone();
    let waiting: BTreeSet<String> = waiting.as_object().unwrap().keys().cloned().collect();
    let settled: BTreeSet<String> = sent.difference(&waiting).cloned().collect();

    let kept = eventually("each settled event has its receipt", async || {
        let path = "/subscriptions/shop/receipts?limit=1000";
        let kept = process.get(&key, path).await["receipts"].as_array().unwrap().clone();
        let events: BTreeSet<String> =
            kept.iter().map(|one| one["event"].as_str().unwrap().to_owned()).collect();
        settled.is_subset(&events).then_some(kept)
    })
    .await;
    assert!(!settled.is_empty());
    for receipt in kept {
        let signed = &signed[receipt["event"].as_str().unwrap()];
        assert!(signed.iter().any(|one| receipt["receipt"] == **one), "{receipt}");
    }
    process.stop().await;
}
