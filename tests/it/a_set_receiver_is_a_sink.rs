//! A sink that knows RFC 8935 alone, or structured CloudEvents, is served in its own form.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{Opened, Opening, open};
use sealway::subscriptions::CHALLENGE_TYPE;

use crate::harness::{Posted, Said, Sink, TestGateway, eventually, order_created};

/// A consumer that serves its keys beside its sink, and can turn them.
struct Consumer {
    keys: Mutex<(Value, OpeningKeys)>,
    issuer: String,
    issuer_keys: VerifyingKeys,
    clock: ManualClock,
    /// Refusals for the next deliveries.
    refusals: Mutex<Vec<(u16, Value)>>,
}

fn new_keys() -> (Value, OpeningKeys) {
    let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
    let private = key.private_jwk().expose().to_owned();
    let public = key.public_jwk().unwrap().clone();
    (json!({ "keys": [public] }), OpeningKeys::from_json(private.as_bytes()).unwrap())
}

impl Consumer {
    async fn of(gateway: &TestGateway, clock: &ManualClock) -> Arc<Self> {
        let jwks = gateway.get("/.well-known/jwks.json").await.to_string();
        Arc::new(Self {
            keys: Mutex::new(new_keys()),
            issuer: gateway.issuer(),
            issuer_keys: VerifyingKeys::from_json(jwks.as_bytes()).unwrap(),
            clock: clock.clone(),
            refusals: Mutex::default(),
        })
    }

    fn open(&self, token: &str) -> Option<Opened> {
        let keys = self.keys.lock().unwrap();
        let now = self.clock.now();
        open(token, &Opening::new(&keys.1, &self.issuer_keys, &self.issuer, "sets", now)).ok()
    }

    /// The token in a body of either form.
    fn token(posted: &Posted) -> String {
        match posted.header("content-type") {
            Some("application/cloudevents+json") => {
                let event: Value = serde_json::from_str(&posted.body).unwrap();
                event["data"].as_str().unwrap().to_owned()
            }
            _ => posted.body.clone(),
        }
    }

    fn answer(&self, posted: &Posted) -> Said {
        let json = |status, body: Value| {
            (status, Some(("content-type", "application/json".to_owned())), body.to_string())
        };
        if posted.path == "/jwks.json" {
            return json(200, self.keys.lock().unwrap().0.clone());
        }
        if posted.method != http::Method::POST {
            return (405, None, String::new());
        }
        let Some(opened) = self.open(&Self::token(posted)) else {
            return json(400, json!({ "err": "invalid_key", "description": "no such key here" }));
        };
        if opened.event()["type"] == CHALLENGE_TYPE {
            return json(200, json!({ "challenge": opened.event()["data"]["challenge"] }));
        }
        let refusal = self.refusals.lock().unwrap().pop();
        refusal.map_or((202, None, String::new()), |(status, body)| json(status, body))
    }
}

async fn subscribe(gateway: &TestGateway, sink: &Sink, config: Value) {
    let mut document = json!({
        "id": "sets", "consumer": "sets", "sink": format!("{}/sets", sink.at("")),
        "config": { "keys": { "jwksUri": format!("{}/jwks.json", sink.at("")) } },
    });
    document["config"].as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    gateway.post("/subscriptions", &document).await;
    eventually("the subscription becomes active", async || {
        let shown = gateway.get("/subscriptions/sets").await;
        assert!(shown.get("reason").is_none(), "{shown}");
        (shown["state"] == "active").then_some(())
    })
    .await;
}

/// The deliveries of an event, as they were posted.
fn deliveries(sink: &Sink, id: &str) -> Vec<Posted> {
    let all = sink.arrived().into_iter();
    all.filter(|posted| posted.header("webhook-id") == Some(id)).collect()
}

#[tokio::test]
async fn refusals_of_the_rfc_are_understood_and_another_key_is_taken() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let consumer = Consumer::of(&gateway, &clock).await;
    let of_sink = Arc::clone(&consumer);
    let sink = Sink::start(move |posted| of_sink.answer(posted)).await;
    subscribe(&gateway, &sink, json!({ "contentMode": "set", "giveUpAfterRefusals": 2 })).await;

    let first = gateway.order(1).await;
    gateway.attempts(&clock, "sets", 1).await;
    let posted = deliveries(&sink, &first).remove(0);
    assert_eq!(posted.header("content-type"), Some("application/secevent+jwt"));
    assert_eq!(posted.header("accept"), Some("application/json"));
    assert!(posted.headers.keys().all(|name| !name.as_str().starts_with("ce-")));
    assert_eq!(consumer.open(&posted.body).unwrap().id(), first);

    // The consumer turns its keys: the next token is sealed for the new one, and it is no refusal.
    clock.advance(Duration::from_mins(1));
    *consumer.keys.lock().unwrap() = new_keys();
    let second = gateway.order(2).await;
    let failed = gateway.attempts(&clock, "sets", 2).await.remove(0);
    assert_eq!(failed["detail"], "invalid_key: no such key here");
    eventually("the second attempt is taken", async || {
        clock.advance(Duration::from_secs(6));
        let posted = deliveries(&sink, &second);
        (posted.len() == 2 && consumer.open(&posted[1].body).is_some()).then_some(())
    })
    .await;

    let refusal = json!({ "err": "invalid_audience", "description": "not me" });
    *consumer.refusals.lock().unwrap() = vec![(400, refusal.clone()), (400, refusal)];
    gateway.order(3).await;
    let letter = eventually("it is refused for good", async || {
        clock.advance(Duration::from_secs(6));
        let letters = gateway.get("/subscriptions/sets/dead-letters").await;
        letters["deadLetters"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&letter["reason"], &letter["attempts"]), (&json!("refused"), &json!(2)));
    assert_eq!(letter["detail"], "invalid_audience: not me");
}

#[tokio::test]
async fn a_structured_event_shows_its_attributes_and_hides_its_data() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let consumer = Consumer::of(&gateway, &clock).await;
    let of_sink = Arc::clone(&consumer);
    let sink = Sink::start(move |posted| of_sink.answer(posted)).await;
    subscribe(&gateway, &sink, json!({ "contentMode": "structured" })).await;

    let id = gateway.publish(&order_created("o-1", 4711)).await.remove(0);
    gateway.attempts(&clock, "sets", 1).await;
    let posted = deliveries(&sink, &id).remove(0);
    let mut shown: Value = serde_json::from_str(&posted.body).unwrap();
    let opened = consumer.open(&Consumer::token(&posted)).unwrap();
    let mut event = opened.event().clone();
    assert_eq!(posted.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(
        (&shown["sequence"], &shown["datacontenttype"]),
        (&json!("1"), &json!("application/jwt"))
    );
    assert!(shown["idempotencykey"].is_string(), "{shown}");
    assert_ne!(shown["idempotencykey"], event["idempotencykey"], "the outer key is another");
    for object in [&mut shown, &mut event] {
        for own in ["data", "datacontenttype", "idempotencykey", "sequence", "traceparent"] {
            object.as_object_mut().unwrap().remove(own);
        }
    }
    assert_eq!(shown, event);
    assert!(!posted.body.contains("4711"));
}

#[tokio::test]
async fn a_structured_event_shows_extension_attributes_and_a_subject_only_if_they_are_clear() {
    let clock = ManualClock::at(SystemClock.now());
    let attributes = "    subject: /detail/customer\n    clear: [tenant]\n    attributes:\n      \
                      tenant: /detail/customer\n      order: /data/orderId\n";
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        let file = config.publications.join("orders.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replacen("    patch:\n", &format!("{attributes}    patch:\n"), 1);
        std::fs::write(&file, text).unwrap();
    })
    .await;
    let consumer = Consumer::of(&gateway, &clock).await;
    let of_sink = Arc::clone(&consumer);
    let sink = Sink::start(move |posted| of_sink.answer(posted)).await;
    subscribe(&gateway, &sink, json!({ "contentMode": "structured" })).await;

    let id = gateway.publish(&order_created("o-1", 4711)).await.remove(0);
    gateway.attempts(&clock, "sets", 1).await;

    let posted = deliveries(&sink, &id).remove(0);
    let shown: Value = serde_json::from_str(&posted.body).unwrap();
    let opened = consumer.open(&Consumer::token(&posted)).unwrap();
    assert_eq!(opened.event()["subject"], "confidential-customer");
    assert_eq!(
        (&opened.event()["tenant"], &opened.event()["order"]),
        (&json!("confidential-customer"), &json!("4711"))
    );
    assert_eq!(shown["tenant"], "confidential-customer");
    assert_eq!((shown.get("subject"), shown.get("order")), (None, None));
}
