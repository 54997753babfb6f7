//! A sink is asked until it has proved itself: across crashes and outages, with one nonce, at its pace.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::event::Timestamp;
use sealway::keys::OpeningKeyKind;

use crate::harness::{
    Posted, Process, Receiver, Said, Sink, SinkKey, TestGateway, eventually,
    let_operational_events_cross, never_within, order_created,
};

const VERIFY: &str = "/subscriptions/shop/verify";
/// What a nonce could be.
const GUESSED: &str = "AAAAAAAAAAAAAAAAAAAAAA";

fn refused(_: &Posted) -> Said {
    (503, None, String::new())
}

fn document(sink: &Sink, keys: &[&SinkKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
    json!({
        "id": "shop", "consumer": "shop", "sink": sink.at("/hook"),
        "config": { "keys": { "jwks": { "keys": keys } } },
    })
}

async fn shown(gateway: &TestGateway) -> Value {
    gateway.get("/subscriptions/shop").await
}

/// Waits until so many attempts were noted since someone asked for one.
async fn noted(gateway: &TestGateway, attempts: u64) -> Value {
    eventually(format!("{attempts} attempts are noted"), async || {
        let shown = shown(gateway).await;
        (shown["handshake"]["attempts"] == attempts).then_some(shown)
    })
    .await
}

/// Moves the clock to where the next attempt is due.
async fn next_is_due(gateway: &TestGateway, clock: &ManualClock) {
    let due = shown(gateway).await["handshake"]["due"].as_str().unwrap().parse().unwrap();
    clock.set(due);
}

async fn active(gateway: &TestGateway) -> Value {
    eventually("the subscription is active", async || {
        let shown = shown(gateway).await;
        (shown["state"] == "active").then_some(shown)
    })
    .await
}

/// A gateway whose clock stands still, and a key for its subscription.
async fn stage() -> (TestGateway, ManualClock, Arc<SinkKey>) {
    let second = SystemClock.now().unix_seconds();
    let clock = ManualClock::at(Timestamp::from_unix_seconds(second));
    let gateway = TestGateway::with(Some(clock.clone()), let_operational_events_cross).await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    (gateway, clock, key)
}

#[tokio::test]
async fn a_rotated_key_survives_a_kill_in_mid_challenge_and_a_sink_that_is_away() {
    let mut gateway = Process::prepare_with(", handshake: { retries: [200ms] }");
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let old = SinkKey::of_process(&gateway, OpeningKeyKind::X25519).await;
    let new = SinkKey::of_process(&gateway, OpeningKeyKind::P256).await;
    let opener = Arc::clone(&old);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    let before = document(&sink, &[&old]);
    let made = gateway.call_as(&admin, (Method::POST, "/subscriptions"), Some(&before)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let state = async |gateway: &Process| gateway.get(&admin, "/subscriptions/shop").await;
    let is =
        async |gateway: &Process, word: &str| (state(gateway).await["state"] == word).then_some(());
    eventually("it is active", async || is(&gateway, "active").await).await;
    let asked = sink.bodies("/hook").len();

    // The gateway dies while the sink thinks about the challenge.
    sink.hold();
    let after = document(&sink, &[&new, &old]);
    let path = (Method::PUT, "/subscriptions/shop");
    let put = gateway.call_as(&admin, path, Some(&after)).await;
    assert_eq!((put.status, &put.body["state"]), (200, &json!("pending")));
    let event = order_created("order-1", 1);
    gateway.publish(&admin, &event).await;
    sink.wait_for("/hook", asked + 1).await;
    gateway.kill();
    sink.behave(refused);
    sink.release();

    // Nobody asks for it: the handshake goes on, as long as the sink is away and until it is back.
    gateway.serve().await;
    sink.wait_for("/hook", asked + 5).await;
    let waiting = state(&gateway).await;
    assert_eq!(waiting["state"], "pending");
    assert!(waiting["reason"].as_str().unwrap().contains("status 503"), "{waiting}");
    let opener = Arc::clone(&new);
    sink.behave(move |posted| opener.answer(posted));
    eventually("it is active again", async || is(&gateway, "active").await).await;
    let proved = state(&gateway).await;
    assert!(proved.get("reason").is_none() && proved.get("handshake").is_none(), "{proved}");
    let delivered = async || {
        let types =
            |body: &String| new.open(body).is_some_and(|o| o.event()["type"] == "Order.Created");
        sink.bodies("/hook").iter().any(types).then_some(())
    };
    eventually("what has waited is delivered", delivered).await;

    // Every repeat carried the same nonce, which was written nowhere.
    let challenges: Vec<_> = sink.bodies("/hook")[asked..]
        .iter()
        .filter(|body| new.open(body).unwrap().event()["type"] != "Order.Created")
        .map(|body| new.challenge(body))
        .collect();
    assert!(challenges.len() > 5 && challenges.iter().all(|one| *one == challenges[0]));
    let (id, nonce) = &challenges[0];
    assert!(!gateway.log().contains(nonce) && !gateway.log().contains(id));
    for told in [&put.body, &waiting, &proved] {
        assert!(!told.to_string().contains(nonce), "{told}");
    }
    gateway.stop().await;
    let files = std::fs::read_dir(gateway.directory().join("data")).unwrap();
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(nonce.len()).any(|part| part == nonce.as_bytes()), "{file:?}");
    }
}

#[tokio::test]
async fn retry_after_is_followed_and_the_reason_says_what_the_sink_said_and_what_comes() {
    let (gateway, clock, key) = stage().await;
    let sink = Sink::start(|posted| {
        let later = ("retry-after", "600".to_owned());
        match posted.method {
            Method::OPTIONS => (405, None, String::new()),
            _ => (429, Some(later), r#"{"err":"access_denied","description":"no \n room"}"#.into()),
        }
    })
    .await;
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;

    let doubted = noted(&gateway, 1).await;
    let due = clock.now().after(Duration::from_mins(10)).to_string();
    assert_eq!(doubted["handshake"]["due"], due);
    let reason = doubted["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        format!(
            "the sink answered the challenge with status 429 instead of 200, access_denied: no \
             room; attempt 2 is due at {due}"
        )
    );
    clock.advance(Duration::from_secs(599));
    let second = async || sink.bodies("/hook").into_iter().nth(1);
    never_within(Duration::from_millis(200), "the sink is left alone", second).await;
    let opener = Arc::clone(&key);
    sink.behave(move |posted| opener.answer(posted));
    clock.advance(Duration::from_secs(1));
    active(&gateway).await;
    assert_eq!(sink.bodies("/hook").len(), 2);
}

#[tokio::test]
async fn the_same_nonce_is_sent_until_five_answers_were_wrong() {
    let (mut gateway, clock, key) = stage().await;
    let wrong = |_: &Posted| (200, None, json!({ "challenge": "A".repeat(22) }).to_string());
    let sink = Sink::start(|_| (200, None, "OK".to_owned())).await;
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;

    // Three answers without any nonce count for nothing; then come five wrong ones.
    for attempt in 1..=8 {
        noted(&gateway, attempt).await;
        if attempt == 3 {
            sink.behave(wrong);
            gateway.restart().await;
        }
        next_is_due(&gateway, &clock).await;
    }
    let bodies = sink.wait_for("/hook", 9).await;
    let challenges: Vec<_> = bodies.iter().map(|body| key.challenge(body)).collect();
    assert!(challenges[..8].iter().all(|one| *one == challenges[0]), "{challenges:?}");
    assert_ne!(challenges[8].1, challenges[0].1);

    // What is used up opens nothing, and other keys have a nonce of their own.
    noted(&gateway, 9).await;
    let old = json!({ "challenge": challenges[0].1 });
    let answer = gateway.call(Method::POST, VERIFY, Some(&old)).await;
    assert_eq!((answer.status, answer.code()), (422, "handshake-failed"));
    let other = SinkKey::generate(&gateway, OpeningKeyKind::P256).await;
    assert_eq!(gateway.put("/subscriptions/shop", &document(&sink, &[&other])).await.status, 200);
    // The address is left alone for a moment.
    clock.advance(Duration::from_secs(1));
    noted(&gateway, 1).await;
    let former = json!({ "challenge": challenges[8].1 });
    assert_eq!(gateway.call(Method::POST, VERIFY, Some(&former)).await.status, 422);
    assert_eq!(shown(&gateway).await["state"], "pending");
}

#[tokio::test]
async fn a_consumer_answers_in_the_place_of_its_sink() {
    let (gateway, _clock, key) = stage().await;
    let sink = Sink::start(|_| (202, None, String::new())).await;
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;
    noted(&gateway, 1).await;
    let (_, nonce) = key.challenge(&sink.bodies("/hook")[0]);
    let say = async |nonce: &str| {
        gateway.call(Method::POST, VERIFY, Some(&json!({ "challenge": nonce }))).await
    };

    for no_nonce in [json!(""), json!("null"), json!(null)] {
        let body = json!({ "challenge": no_nonce });
        let refused = gateway.call(Method::POST, VERIFY, Some(&body)).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{refused:?}");
    }
    let wrong = say(GUESSED).await;
    assert_eq!((wrong.status, wrong.code()), (422, "handshake-failed"));
    assert!(
        wrong.body["detail"].as_str().unwrap().contains("After 4 more wrong answers"),
        "{wrong:?}"
    );
    let stranger = gateway.add_caller("stranger", &["consume:other"]).await;
    let body = json!({ "challenge": nonce });
    let foreign = gateway.call_as(&stranger, (Method::POST, VERIFY), Some(&body)).await;
    assert_eq!(foreign.status, 404);
    let owner = gateway.add_caller("owner", &["consume:shop"]).await;
    let right = gateway.call_as(&owner, (Method::POST, VERIFY), Some(&body)).await;
    assert_eq!((right.status, &right.body["state"]), (200, &json!("active")));

    // It is of use once.
    let again = say(&nonce).await;
    assert_eq!((again.status, again.code()), (409, "wrong-state"));
    for told in [&wrong, &right, &again] {
        assert!(!told.body.to_string().contains(&nonce), "{told:?}");
    }
}

#[tokio::test]
async fn guessing_uses_a_nonce_up() {
    let (gateway, clock, key) = stage().await;
    let sink = Sink::start(|_| (202, None, String::new())).await;
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;
    noted(&gateway, 1).await;
    let (_, first) = key.challenge(&sink.bodies("/hook")[0]);
    let say = async |nonce: &str| {
        gateway.call(Method::POST, VERIFY, Some(&json!({ "challenge": nonce }))).await
    };

    for _ in 0..5 {
        assert_eq!(say(GUESSED).await.status, 422);
    }
    assert_eq!(say(&first).await.status, 422);
    next_is_due(&gateway, &clock).await;
    let (_, second) = key.challenge(&sink.wait_for("/hook", 2).await[1]);
    assert_ne!(first, second);
    assert_eq!(say(&second).await.body["state"], "active");
}

#[tokio::test]
async fn many_subscriptions_with_one_address_ask_it_one_after_the_other() {
    let (gateway, clock, key) = stage().await;
    let sink = Sink::start(refused).await;
    for number in 0..20 {
        let mut one = document(&sink, &[&key]);
        one["id"] = json!(format!("shop-{number}"));
        one["sink"] = json!(sink.at(&format!("/{number}")));
        gateway.post("/subscriptions", &one).await;
    }
    let challenged = || sink.arrived().iter().filter(|one| one.method == Method::POST).count();

    for second in 1..=4 {
        let first = async || (challenged() >= second).then_some(());
        eventually(format!("the sink is asked in second {second}"), first).await;
        let more = async || (challenged() > second).then_some(());
        never_within(Duration::from_millis(100), "no more than once a second", more).await;
        clock.advance(Duration::from_secs(1));
    }

    // A sink that proves itself need not be spared.
    let opener = Arc::clone(&key);
    sink.behave(move |posted| opener.answer(posted));
    eventually("all are active", async || {
        clock.advance(Duration::from_secs(1));
        let all = gateway.get("/subscriptions").await;
        let all = all["subscriptions"].as_array().unwrap().clone();
        all.iter().all(|one| one["state"] == "active").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_sink_is_asked_once_at_a_time_whoever_asks() {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    sink.hold();
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;
    sink.wait_for("/hook", 1).await;

    let verify = || gateway.call(Method::POST, VERIFY, None);
    let (one, other, ()) = tokio::join!(verify(), verify(), async {
        let second = async || sink.bodies("/hook").into_iter().nth(1);
        never_within(Duration::from_millis(200), "it is asked once", second).await;
        sink.release();
    });

    for asked in [one, other] {
        assert_eq!((asked.status, &asked.body["state"]), (200, &json!("active")));
    }
}

#[tokio::test]
async fn a_sink_that_thinks_holds_up_no_shutdown_and_is_asked_again_after_it() {
    let mut gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    sink.hold();
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;
    sink.wait_for("/hook", 1).await;

    // Attempts in flight have 20 s to end.
    tokio::time::timeout(Duration::from_secs(10), gateway.stop()).await.unwrap();
    sink.release();
    gateway.start_again().await;

    active(&gateway).await;
}

#[tokio::test]
async fn a_shared_secret_is_given_before_the_first_handshake() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let sink = Sink::start(refused).await;
    let wish = |verify: Value| {
        let mut wish = document(&sink, &[]);
        wish["config"] = json!({ "keys": { "sharedSecret": true } });
        wish["config"].as_object_mut().unwrap().extend(verify.as_object().unwrap().clone());
        wish
    };
    let asked = async || sink.arrived().into_iter().next();

    let created = gateway.post("/subscriptions", &wish(json!({}))).await;
    let key = SinkKey::shared(&gateway, &created["sharedSecret"]);
    sink.behave(move |posted| key.answer(posted));
    never_within(Duration::from_millis(200), "its consumer has to know the secret", asked).await;
    clock.advance(Duration::from_secs(5));
    active(&gateway).await;
    let removed = gateway.call(Method::DELETE, "/subscriptions/shop", None).await;
    assert_eq!(removed.status, 204);

    let created = gateway.post("/subscriptions", &wish(json!({ "verify": "later" }))).await;
    let key = SinkKey::shared(&gateway, &created["sharedSecret"]);
    sink.behave(move |posted| key.answer(posted));
    let before = sink.arrived().len();
    clock.advance(Duration::from_hours(24));
    let asked = async || sink.arrived().into_iter().nth(before);
    never_within(Duration::from_millis(200), "nobody has asked for it", asked).await;
    let waiting = shown(&gateway).await;
    assert_eq!(
        (&waiting["state"], &waiting["config"]["verify"]),
        (&json!("pending"), &json!("later"))
    );
    assert!(waiting["reason"].as_str().unwrap().contains("verify"), "{waiting}");
    let verified = gateway.call(Method::POST, VERIFY, None).await;
    assert_eq!((verified.status, &verified.body["state"]), (200, &json!("active")));
}

#[tokio::test]
async fn whoever_watches_is_told_of_an_active_subscription_that_is_pending_and_of_no_other() {
    let (mut gateway, clock, key) = stage().await;
    let operator = Receiver::start(&gateway, "operator").await;
    gateway.subscribe(&operator, json!({ "types": ["Subscription.Pending"] })).await;
    let sink = Sink::start(refused).await;
    let told = || operator.delivered().len();
    gateway.post("/subscriptions", &document(&sink, &[&key])).await;
    noted(&gateway, 1).await;
    let opener = Arc::clone(&key);
    sink.behave(move |posted| opener.answer(posted));
    next_is_due(&gateway, &clock).await;
    active(&gateway).await;
    assert_eq!(told(), 0);

    sink.behave(refused);
    let other = SinkKey::generate(&gateway, OpeningKeyKind::P256).await;
    let since = clock.now().to_string();
    gateway.put("/subscriptions/shop", &document(&sink, &[&other, &key])).await;
    noted(&gateway, 1).await;
    let event = eventually("the operator is told", async || {
        clock.advance(Duration::from_millis(100));
        operator.delivered().pop()
    })
    .await;
    let data = event.data();
    assert_eq!((&data["subscription"], &data["consumer"]), (&json!("shop"), &json!("shop")));
    assert_eq!(data["since"], since);
    assert!(data["reason"].as_str().unwrap().contains("status 503"), "{data}");
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    for counted in [
        "sealway_subscriptions_pending_total{subscription=\"shop\"} 1",
        "sealway_handshakes_total{subscription=\"shop\",outcome=\"proved\"} 1",
        "sealway_handshakes_total{subscription=\"shop\",outcome=\"failed\"} 2",
    ] {
        assert!(metrics.as_str().unwrap().contains(counted), "{counted} in {metrics}");
    }

    // After a restart it is said again, as the same event. Given up, it is pending until someone asks.
    gateway.restart().await;
    while shown(&gateway).await["handshake"]["due"].is_string() {
        let attempts = shown(&gateway).await["handshake"]["attempts"].as_u64().unwrap();
        next_is_due(&gateway, &clock).await;
        noted(&gateway, attempts + 1).await;
    }
    let given_up = shown(&gateway).await;
    assert!(given_up["reason"].as_str().unwrap().contains("given up after"), "{given_up}");
    assert_eq!(told(), 1);
    let opener = Arc::clone(&other);
    sink.behave(move |posted| opener.answer(posted));
    clock.advance(Duration::from_hours(24));
    let verified = gateway.call(Method::POST, VERIFY, None).await;
    assert_eq!((verified.status, &verified.body["state"]), (200, &json!("active")), "{verified:?}");
}
