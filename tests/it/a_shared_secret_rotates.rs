//! A shared secret is replaced without an event lost, whichever of the two secrets its consumer has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::keys::OpeningKeyKind;
use sealway::seal::inspect;

use crate::harness::{Process, Sink, SinkKey, TestGateway, answer, eventually, program};

const SHOP: &str = "/subscriptions/shop";
const DAY: Duration = Duration::from_hours(24);

fn document(sink: &Sink) -> Value {
    json!({
        "id": "shop", "consumer": "shop", "sink": sink.at("/hook"),
        "config": { "keys": { "sharedSecret": true } },
    })
}

/// A shared secret that a gateway has shown.
#[derive(Clone)]
struct Secret {
    key: Arc<SinkKey>,
    kids: Vec<Value>,
}

impl Secret {
    fn shown(gateway: &TestGateway, answer: &Value) -> Self {
        let jwks = &answer["sharedSecret"];
        let keys = jwks["keys"].as_array().unwrap();
        let kids = keys.iter().map(|key| key["kid"].clone()).collect();
        Self { key: SinkKey::shared(gateway, jwks), kids }
    }

    /// Whether a token was made with it.
    fn made(&self, token: &str) -> bool {
        self.kids.contains(&inspect(token).unwrap()["kid"])
    }
}

/// A sink that has some secrets and refuses what it cannot open.
struct Holder {
    sink: Sink,
    keys: Arc<Mutex<Vec<Arc<SinkKey>>>>,
}

impl Holder {
    async fn start() -> Self {
        let keys: Arc<Mutex<Vec<Arc<SinkKey>>>> = Arc::default();
        let held = Arc::clone(&keys);
        let sink = Sink::start(move |posted| {
            let held = held.lock().unwrap().clone();
            let opens = held.iter().find(|key| key.open(&posted.body).is_some());
            opens.map_or((400, None, String::new()), |key| key.answer(posted))
        })
        .await;
        Self { sink, keys }
    }

    fn has(&self, secrets: &[&Secret]) {
        let keys = secrets.iter().map(|secret| Arc::clone(&secret.key));
        *self.keys.lock().unwrap() = keys.collect();
    }

    /// The ids of the events that were posted under a secret, each time.
    fn offered(&self, secret: &Secret) -> Vec<String> {
        let events =
            self.sink.arrived().into_iter().filter(|one| one.header("sealway-attempt").is_some());
        let under = events.filter(|one| secret.made(&one.body));
        under.map(|one| one.header("ce-id").unwrap().to_owned()).collect()
    }

    /// Waits until an event was offered under a secret.
    async fn wait_for(&self, secret: &Secret, id: &String) {
        let there = async || self.offered(secret).contains(id).then_some(());
        eventually(format!("event {id} under this secret"), there).await;
    }
}

async fn rotate(gateway: &TestGateway, overlap: u32) -> Secret {
    let made = gateway.post(&format!("{SHOP}/secret"), &json!({ "overlap": overlap })).await;
    Secret::shown(gateway, &made)
}

async fn active(gateway: &TestGateway) {
    eventually("the subscription is active", async || {
        (gateway.get(SHOP).await["state"] == "active").then_some(())
    })
    .await;
}

/// Waits until an order counts as delivered, and says in how many attempts.
async fn delivered(gateway: &TestGateway, clock: &ManualClock, id: &str) -> usize {
    let path = format!("{SHOP}/attempts?event={id}");
    eventually(format!("{id} is delivered"), async || {
        clock.advance(Duration::from_millis(50));
        let attempts = gateway.get(&path).await["attempts"].as_array().unwrap().clone();
        let is_done = attempts.first().is_some_and(|newest| newest["verdict"] == "delivered");
        is_done.then_some(attempts.len())
    })
    .await
}

/// A gateway whose clock stands still, an active subscription, and its secret.
async fn stage() -> (TestGateway, ManualClock, Holder, Secret) {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let holder = Holder::start().await;
    let made = gateway.post("/subscriptions", &document(&holder.sink)).await;
    let key = Secret::shown(&gateway, &made);
    holder.has(&[&key]);
    gateway.post(&format!("{SHOP}/verify"), &json!({})).await;
    active(&gateway).await;
    (gateway, clock, holder, key)
}

#[tokio::test]
async fn events_arrive_before_during_and_after_the_consumer_takes_the_new_secret() {
    let (mut gateway, clock, holder, old) = stage().await;
    let before = gateway.get(SHOP).await;
    assert!(before.get("formerSecretUntil").is_none());

    let made = gateway.post(&format!("{SHOP}/secret"), &json!({ "overlap": 3600 })).await;

    let new = Secret::shown(&gateway, &made);
    assert_eq!(made["state"], "active", "nothing has to be proved again");
    let until = clock.now().after(Duration::from_hours(1));
    assert!(made["formerSecretUntil"].as_str().unwrap() <= &*until.to_string(), "{made}");
    let secret_key = made["sharedSecret"]["keys"][0]["k"].as_str().unwrap();
    let shown = gateway.get(SHOP).await;
    assert!(!shown.to_string().contains(secret_key) && shown["formerSecretUntil"].is_string());
    // The consumer has not read it yet.
    let first = gateway.order(1).await;
    assert_eq!(delivered(&gateway, &clock, &first).await, 1);
    assert_eq!((holder.offered(&old), holder.offered(&new)), (vec![first.clone()], vec![]));
    gateway.restart().await;

    // It has the new secret and has thrown the old one away: it is offered both, in one attempt.
    holder.has(&[&new]);
    let second = gateway.order(2).await;
    assert_eq!(delivered(&gateway, &clock, &second).await, 1);
    let both = || (holder.offered(&old), holder.offered(&new));
    assert_eq!(both(), (vec![first.clone(), second.clone()], vec![second.clone()]));
    // From then on nothing is asked twice.
    let third = gateway.order(3).await;
    assert_eq!(delivered(&gateway, &clock, &third).await, 1);
    assert_eq!(both(), (vec![first.clone(), second.clone()], vec![second.clone(), third]));
    // A second instance of it has the old one only: the overlap is not over.
    holder.has(&[&old]);
    let fourth = gateway.order(4).await;
    assert_eq!(delivered(&gateway, &clock, &fourth).await, 1);
    let under_old = [first, second, fourth];
    assert_eq!(holder.offered(&old), under_old);

    clock.advance(Duration::from_hours(2));
    assert!(gateway.get(SHOP).await.get("formerSecretUntil").is_none());
    eventually("the former secret is dropped", async || {
        clock.advance(Duration::from_mins(1));
        let records = gateway.services().store.registry.list("subscription").await.unwrap();
        (!records[0].body.contains("formerSecrets")).then_some(())
    })
    .await;
    let fifth = gateway.order(5).await;
    holder.wait_for(&new, &fifth).await;
    assert_eq!(holder.offered(&old), under_old, "the former secret is good no more");
}

#[tokio::test]
async fn a_fourth_secret_beside_three_former_ones_and_a_wrong_overlap_are_refused() {
    let (gateway, ..) = stage().await;
    let path = format!("{SHOP}/secret");
    let refused = async |wrong: Value| {
        let refused = gateway.call(Method::POST, &path, Some(&wrong)).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    };
    for wrong in [json!({ "overlap": 604_801 }), json!({ "overlap": -1 }), json!({ "until": 1 })] {
        refused(wrong).await;
    }
    for _ in 0..3 {
        rotate(&gateway, 3600).await;
    }

    refused(json!({ "overlap": 1 })).await;
}

#[tokio::test]
async fn without_an_overlap_every_former_secret_ends_at_once() {
    let (gateway, _, holder, old) = stage().await;
    let first = rotate(&gateway, 3600).await;

    let newest = rotate(&gateway, 0).await;

    assert!(gateway.get(SHOP).await.get("formerSecretUntil").is_none());
    holder.has(&[&old, &first, &newest]);
    let id = gateway.order(1).await;
    holder.wait_for(&newest, &id).await;
    assert!(holder.offered(&old).is_empty() && holder.offered(&first).is_empty());
}

#[tokio::test]
async fn a_request_that_comes_again_is_answered_with_the_same_secret() {
    let (gateway, ..) = stage().await;
    let ask = async || {
        let request = gateway.request(Method::POST, &format!("{SHOP}/secret"));
        let request = request.bearer_auth(gateway.admin()).header("idempotency-key", "rotate-1");
        answer(request.json(&json!({}))).await
    };

    let (first, again) = (ask().await, ask().await);

    assert_eq!((first.status, again.status), (200, 200), "{}", again.body);
    assert!(first.body["sharedSecret"]["keys"][0]["k"].is_string());
    assert_eq!(first.body["sharedSecret"], again.body["sharedSecret"]);
    let shown = gateway.get(SHOP).await;
    assert!(shown["formerSecretUntil"].is_string(), "{shown}");
    assert_eq!(shown["formerSecretUntil"], first.body["formerSecretUntil"]);
}

#[tokio::test]
async fn a_sink_that_has_proved_nothing_is_challenged_under_the_new_secret_alone() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let holder = Holder::start().await;
    let made = gateway.post("/subscriptions", &document(&holder.sink)).await;
    let lost = Secret::shown(&gateway, &made);

    let made = gateway.post(&format!("{SHOP}/secret"), &json!({})).await;

    assert_eq!(made["state"], "pending", "{made}");
    assert!(made.get("formerSecretUntil").is_none(), "nobody has used it");
    let new = Secret::shown(&gateway, &made);
    holder.has(&[&new]);
    // Not before its consumer can have read the answer.
    assert!(holder.sink.bodies("/hook").is_empty());
    clock.advance(Duration::from_secs(6));
    active(&gateway).await;
    assert!(holder.sink.bodies("/hook").iter().all(|body| new.made(body) && !lost.made(body)));
}

#[tokio::test]
async fn a_sink_that_is_new_is_asked_under_the_newest_secret_and_then_under_the_former() {
    for has_newest in [true, false] {
        let (gateway, clock, _, old) = stage().await;
        let new = rotate(&gateway, 3600).await;
        let next = Holder::start().await;
        next.has(&[if has_newest { &new } else { &old }]);

        assert_eq!(gateway.put(SHOP, &document(&next.sink)).await.status, 200);

        eventually("it is active", async || {
            let is_active = gateway.get(SHOP).await["state"] == "active";
            if !is_active && !has_newest {
                clock.advance(Duration::from_millis(500));
            }
            is_active.then_some(())
        })
        .await;
        let asked: Vec<_> = next.sink.bodies("/hook").iter().map(|body| new.made(body)).collect();
        assert_eq!(asked, if has_newest { vec![true] } else { vec![true, false] });
    }
}

#[tokio::test]
async fn what_is_fetched_is_sealed_under_the_former_secret_until_the_overlap_ends() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let fetched = json!({
        "id": "shop", "consumer": "shop", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    let made = gateway.post("/subscriptions", &fetched).await;
    let old = Secret::shown(&gateway, &made);
    let new = rotate(&gateway, 3600).await;
    gateway.order(1).await;
    let path = format!("{SHOP}/events?acknowledge=false&after={}", "0".repeat(26));
    let token = async || {
        eventually("an event to fetch", async || {
            let page = gateway.get(&path).await;
            page["events"][0]["token"].as_str().map(str::to_owned)
        })
        .await
    };

    assert!(old.key.open(&token().await).is_some());
    clock.advance(Duration::from_hours(1));
    let later = token().await;
    assert!(old.key.open(&later).is_none() && new.key.open(&later).is_some());
}

#[tokio::test]
async fn keys_of_the_consumers_own_have_no_secret_to_replace_and_end_an_overlap() {
    let (gateway, clock, holder, _) = stage().await;
    rotate(&gateway, 3600).await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let own = Secret { key, kids: Vec::new() };
    holder.has(&[&own]);
    let mut theirs = document(&holder.sink);
    theirs["config"]["keys"] = json!({ "jwks": { "keys": [own.key.public] } });
    assert_eq!(gateway.put(SHOP, &theirs).await.status, 200);
    active(&gateway).await;

    let refused = gateway.call(Method::POST, &format!("{SHOP}/secret"), None).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    let back = gateway.put(SHOP, &document(&holder.sink)).await;
    let newest = Secret::shown(&gateway, &back.body);
    assert!(back.body.get("formerSecretUntil").is_none(), "{}", back.body);
    holder.has(&[&newest]);
    clock.advance(Duration::from_secs(6));
    active(&gateway).await;
    gateway.call(Method::DELETE, SHOP, None).await;
    let gone = gateway.call(Method::POST, &format!("{SHOP}/secret"), None).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_shows_the_new_secret_once() {
    let (gateway, clock, _, _) = stage().await;
    let run = |arguments: &[&str]| {
        let ended = program()
            .args(["--output", "json", "--gateway", &gateway.issuer(), "subscriptions"])
            .args(arguments)
            .env("SEALWAY_CALLER_KEY", gateway.admin())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        serde_json::from_slice::<Value>(&ended.stdout).unwrap()
    };

    let made = run(&["secret", "shop", "--overlap", "2h"]);

    assert_eq!(made["sharedSecret"]["keys"].as_array().unwrap().len(), 2, "{made}");
    assert!(run(&["get", "shop"]).get("sharedSecret").is_none());
    clock.advance(Duration::from_hours(1));
    assert!(gateway.get(SHOP).await["formerSecretUntil"].is_string());
    clock.advance(DAY);
    assert!(gateway.get(SHOP).await.get("formerSecretUntil").is_none());
}

#[tokio::test]
async fn a_kill_after_the_answer_forgets_neither_secret() {
    let mut gateway = Process::prepare();
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let fetched = json!({
        "id": "shop", "consumer": "shop", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    let made = gateway.call_as(&admin, (Method::POST, "/subscriptions"), Some(&fetched)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("{SHOP}/secret");
    let made = gateway.call_as(&admin, (Method::POST, &path), Some(&json!({}))).await;
    gateway.kill();
    gateway.serve().await;

    let shown = gateway.get(&admin, SHOP).await;

    assert!(made.body["formerSecretUntil"].is_string(), "{}", made.body);
    assert_eq!(shown["formerSecretUntil"], made.body["formerSecretUntil"], "{shown}");
    gateway.stop().await;
    let kept = std::fs::read_dir(gateway.directory().join("data")).unwrap();
    let secret_key = made.body["sharedSecret"]["keys"][0]["k"].as_str().unwrap().as_bytes();
    for file in kept.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let shows = bytes.windows(secret_key.len()).any(|part| part == secret_key);
        assert!(!shows, "{}", file.display());
    }
}
