//! What a consumer signs for is kept and shown, and nothing else passes for a receipt.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::event::TokenDigest;
use sealway::keys::{SigningAlgorithm, SigningKey, VerifyingKeys};
use sealway::seal::ReceiptReader;

use crate::consumer_in_rust::chain_after;
use crate::harness::{Arrival, Receiver, Reply, Sink, TestGateway, eventually};

/// Writes the body of an answer.
type Words = Box<dyn Fn(&Arrival) -> String + Send + Sync>;

/// A consumer's key for receipts.
#[derive(Clone)]
struct Pen {
    key: SigningKey,
    consumer: String,
    gateway: String,
}

impl Pen {
    fn of(consumer: &str, gateway: &TestGateway) -> Self {
        let key = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        Self { key, consumer: consumer.to_owned(), gateway: gateway.issuer() }
    }

    fn jwks(&self) -> Value {
        json!({ "keys": [self.key.public_jwk().unwrap()] })
    }

    fn claims(&self, arrival: &Arrival) -> Value {
        let mut claims = json!({
            "iss": self.consumer,
            "aud": self.gateway,
            "iat": arrival.opened.claims()["iat"],
            "jti": arrival.id(),
            "sub_id": arrival.opened.claims()["sub_id"],
            "token_sha256": TokenDigest::of(&arrival.token).to_string(),
        });
        if let Some(sequence) = arrival.sequence() {
            claims["seq"] = json!(sequence);
            claims["chain"] = json!(chain_after(&arrival.opened).unwrap().to_string());
        }
        claims
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign("receipt+jwt", claims.to_string().as_bytes()).unwrap()
    }

    fn receipt(&self, arrival: &Arrival) -> String {
        self.sign(&self.claims(arrival))
    }
}

/// Subscribes a receiver whose receipts are checked with the key of a pen.
async fn subscribe(gateway: &TestGateway, receiver: &Receiver, pen: &Pen, required: bool) {
    let receipts = json!({ "jwks": pen.jwks(), "required": required });
    gateway.subscribe(receiver, json!({ "config": { "receipts": receipts } })).await;
}

/// A receiver with a pen, whose receipts have to come or may.
async fn with_pen(gateway: &TestGateway, required: bool) -> (Receiver, Pen) {
    let (receiver, pen) = (Receiver::start(gateway, "shop").await, Pen::of("shop", gateway));
    subscribe(gateway, &receiver, &pen, required).await;
    (receiver, pen)
}

/// Has a receiver sign for everything with a pen.
fn sign_all(receiver: &Receiver, pen: &Pen) {
    let pen = pen.clone();
    receiver.say(move |arrival| pen.receipt(arrival));
    receiver.answer(Reply::Status(202));
}

async fn attempts(gateway: &TestGateway, id: &str, count: usize) -> Vec<Value> {
    let path = format!("/subscriptions/{id}/attempts");
    eventually(format!("{count} attempts of {id}"), async || {
        let listed = gateway.get(&path).await["attempts"].as_array().unwrap().clone();
        (listed.len() >= count).then_some(listed)
    })
    .await
}

/// As [`attempts`], on a clock that does not move by itself.
async fn attempts_by(clock: &ManualClock, gateway: &TestGateway, count: usize) -> Vec<Value> {
    eventually(format!("{count} attempts by a manual clock"), async || {
        // What was attempted is written after 50 ms.
        clock.advance(Duration::from_millis(60));
        let listed = gateway.get("/subscriptions/shop/attempts").await["attempts"].clone();
        Some(listed.as_array().unwrap().clone()).filter(|listed| listed.len() >= count)
    })
    .await
}

async fn receipts(gateway: &TestGateway, path: &str) -> Vec<Value> {
    gateway.get(path).await["receipts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_valid_receipt_is_kept_shown_and_counted_and_outlives_a_restart() {
    let mut gateway = TestGateway::start().await;
    let (receiver, pen) = with_pen(&gateway, true).await;
    sign_all(&receiver, &pen);

    let ids = gateway.orders(1..=3).await;
    let arrivals = receiver.wait_for_delivered(3).await;
    let listed = attempts(&gateway, "shop", 3).await;
    let metrics = gateway.get("/metrics").await;
    gateway.restart().await;

    assert!(listed.iter().all(|attempt| attempt["receipt"] == "valid"), "{listed:?}");
    let counted = r#"sealway_receipts_total{subscription="shop",result="valid"} 3"#;
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
    let kept = receipts(&gateway, "/subscriptions/shop/receipts").await;
    assert_eq!(kept.len(), 3);
    let keys = VerifyingKeys::from_json(pen.jwks().to_string().as_bytes()).unwrap();
    for receipt in &kept {
        let of = arrivals.iter().find(|arrival| receipt["event"] == arrival.id()).unwrap();
        assert_eq!(receipt["sequence"], json!(of.sequence()));
        assert_eq!(receipt["tokenSha256"], TokenDigest::of(&of.token).to_string());
        let reader = ReceiptReader {
            keys: &keys,
            issuer: "shop",
            audience: &gateway.issuer(),
            now: gateway.clock().now(),
            leeway: Duration::from_mins(1),
        };
        let read = reader.read(receipt["receipt"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(read.event.to_string(), of.id());
    }
    let one = format!("/subscriptions/shop/receipts?event={}", ids[1]);
    assert_eq!(receipts(&gateway, &one).await.len(), 1);
    let later = receipts(&gateway, "/subscriptions/shop/receipts?after=1&limit=1").await;
    assert_eq!(later[0]["id"], 2);
}

#[tokio::test]
async fn every_kind_of_wrong_receipt_has_its_word_and_is_not_kept() {
    let gateway = TestGateway::start().await;
    let (receiver, pen) = with_pen(&gateway, false).await;
    let stranger = Pen::of("shop", &gateway);
    receiver.answer(Reply::Status(200));
    let with = |member: &'static str, value: Value| {
        let pen = pen.clone();
        move |arrival: &Arrival| {
            let mut claims = pen.claims(arrival);
            claims[member] = value.clone();
            pen.sign(&claims)
        }
    };
    let forged = pen.clone();
    let wrong: Vec<(&str, Words)> = vec![
        ("missing", Box::new(|_| String::new())),
        ("missing", Box::new(|_| r#"{"status": "ok"}"#.to_owned())),
        ("invalid", Box::new(move |arrival| forged.receipt(arrival) + "AAAA")),
        ("invalid", Box::new(with("iss", json!("another")))),
        ("wrong-event", Box::new(with("jti", json!("01KAKR4ABCDEFGHJKMNPQRSTV1")))),
        ("wrong-event", Box::new(with("seq", json!(77)))),
        ("wrong-token", Box::new(with("token_sha256", json!(TokenDigest::of("").to_string())))),
        ("unknown-key", Box::new(move |arrival| stranger.receipt(arrival))),
    ];

    for (number, (word, words)) in (1..).zip(wrong) {
        receiver.say(words);
        let id = gateway.order(number).await;
        let path = format!("/subscriptions/shop/attempts?event={id}");
        let attempt = eventually(format!("the attempt that is {word}"), async || {
            gateway.get(&path).await["attempts"].as_array().unwrap().first().cloned()
        })
        .await;
        assert_eq!(attempt["receipt"], word);
        assert_eq!(attempt["verdict"], "delivered", "receipts are not required here");
    }
    assert_eq!(receipts(&gateway, "/subscriptions/shop/receipts").await, [] as [Value; 0]);
}

#[tokio::test]
async fn the_receipt_of_another_event_or_of_an_older_token_does_not_count() {
    let gateway = TestGateway::start().await;
    let (receiver, pen) = with_pen(&gateway, true).await;
    // It signs once, and sends the same receipt for everything that comes after.
    let (signs, first) = (pen.clone(), std::sync::OnceLock::<String>::new());
    receiver.say(move |arrival| first.get_or_init(|| signs.receipt(arrival)).clone());

    receiver.answer(Reply::Status(200));
    gateway.order(1).await;
    attempts(&gateway, "shop", 1).await;
    gateway.order(2).await;
    let listed = attempts(&gateway, "shop", 2).await;

    assert_eq!(
        (&listed[1]["receipt"], &listed[0]["receipt"]),
        (&json!("valid"), &json!("wrong-event"))
    );
    assert_eq!(listed[0]["verdict"], "retry");
}

#[tokio::test]
async fn where_it_is_required_an_answer_without_a_receipt_is_tried_again() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let (receiver, pen) = with_pen(&gateway, true).await;
    receiver.answer(Reply::Status(202));
    receiver.say(|_| "thank you".to_owned());

    gateway.order(1).await;
    let refused = attempts_by(&clock, &gateway, 1).await.remove(0);
    let signs = pen.clone();
    receiver.say(move |arrival| signs.receipt(arrival));
    clock.advance(Duration::from_secs(7));
    let listed = attempts_by(&clock, &gateway, 2).await;

    assert_eq!((&refused["verdict"], &refused["status"]), (&json!("retry"), &json!(202)));
    assert_eq!(refused["detail"], "no valid receipt: missing");
    assert_eq!(
        (&listed[0]["verdict"], &listed[0]["receipt"]),
        (&json!("delivered"), &json!("valid"))
    );
    let tokens: Vec<_> = receiver.arrivals().into_iter().map(|arrival| arrival.token).collect();
    assert_eq!(tokens[0], tokens[1], "the receipt is for the token that both attempts carried");
    assert_eq!(receipts(&gateway, "/subscriptions/shop/receipts").await.len(), 1);
}

#[tokio::test]
async fn a_replay_has_receipts_of_its_own_and_all_go_with_their_subscription() {
    let gateway = TestGateway::start().await;
    let (receiver, pen) = with_pen(&gateway, true).await;
    sign_all(&receiver, &pen);
    let id = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;

    gateway.post("/subscriptions/shop/replays", &json!({ "from": id })).await;
    receiver.wait_for_delivered(2).await;
    let path = "/subscriptions/shop/receipts";
    let kept = eventually("the receipt of the replay", async || {
        Some(receipts(&gateway, path).await).filter(|kept| kept.len() == 2)
    })
    .await;
    gateway.call(Method::DELETE, "/subscriptions/shop", None).await;
    subscribe(&gateway, &receiver, &pen, true).await;

    assert_eq!(kept[0]["replay"], Value::Null);
    assert!(kept[1]["replay"].is_string() && kept[1]["sequence"].is_null(), "{kept:?}");
    assert_eq!(receipts(&gateway, path).await, [] as [Value; 0]);
}

#[tokio::test]
async fn keys_for_receipts_may_lie_at_an_address_and_rotate() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let (old, new) = (Pen::of("shop", &gateway), Pen::of("shop", &gateway));
    let served = old.jwks().to_string();
    let keys = Sink::start(move |_| (200, None, served.clone())).await;
    let receipts = json!({ "jwksUri": keys.at("/receipts.json"), "required": true });
    gateway.subscribe(&receiver, json!({ "config": { "receipts": receipts } })).await;
    receiver.answer(Reply::Status(202));
    let signs = old.clone();
    receiver.say(move |arrival| signs.receipt(arrival));
    gateway.order(1).await;
    attempts_by(&clock, &gateway, 1).await;

    let served = new.jwks().to_string();
    keys.behave(move |_| (200, None, served.clone()));
    clock.advance(Duration::from_secs(40));
    receiver.say(move |arrival| new.receipt(arrival));
    gateway.order(2).await;
    let listed = attempts_by(&clock, &gateway, 2).await;

    assert!(listed.iter().all(|attempt| attempt["receipt"] == "valid"), "{listed:?}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_their_place() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let pen = Pen::of("shop", &gateway);
    let secret = json!({ "kty": "oct", "alg": "HS256", "kid": "m", "k": "A".repeat(43) });
    for (receipts, place) in [
        (json!({}), "/config/receipts"),
        (json!({ "jwks": pen.jwks(), "jwksUri": receiver.address() }), "/config/receipts"),
        (json!({ "jwks": secret }), "/config/receipts/jwks"),
        (json!({ "jwksUri": "https://169.254.169.254/keys" }), "/config/receipts/jwksUri"),
        (json!({ "jwksUri": "ftp://example.com" }), "/config/receipts/jwksUri"),
    ] {
        let document = receiver.document(json!({ "config": { "receipts": receipts } }));
        let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains(place), "{answer:?}");
    }
}
