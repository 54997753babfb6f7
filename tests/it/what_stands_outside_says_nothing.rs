//! What stands outside of tokens says nothing of what is in them, and stays the same for the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use md5::{Digest as _, Md5};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::event::IdempotencyKey;
use sealway::keys::OpeningKeyKind;

use crate::harness::{
    Posted, Process, Receiver, Reply, Said, Sink, SinkKey, TestGateway, eventually,
    order_by_number, order_created, program,
};

/// The content of an order, as its key is made of.
fn content(amount: u64, order: u64) -> String {
    format!(
        r#"{{"data":{{"amount":{amount},"orderId":{order}}},"source":"/orders","subject":"Order.Created","type":"Order.Created"}}"#
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What an eavesdropper that guesses at a content can make of it without a secret.
fn guesses(content: &str, known: &[&str]) -> Vec<String> {
    let md5: [u8; 16] = Md5::digest(content).into();
    let sha = digest::digest(&digest::SHA256, content.as_bytes());
    let mut guesses = vec![hex(&md5), hex(sha.as_ref())];
    for secret in known {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        for text in [content.as_bytes(), &md5, hex(&md5).as_bytes()] {
            guesses.push(hex(&hmac::sign(&secret, text).as_ref()[..16]));
        }
    }
    guesses
}

/// Everything of a request that whoever stands on the way can read.
fn outside(headers: &http::HeaderMap, body: &str) -> String {
    let lines =
        headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    lines.chain([body.to_owned()]).collect()
}

#[tokio::test]
async fn no_small_content_is_guessed_back_from_what_stands_outside() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.publish(&order_created("o-1", 7)).await;

    let arrival = receiver.wait_for_delivered(1).await.remove(0);
    let outside = outside(&arrival.headers, &arrival.token);
    let issuer = gateway.issuer();
    let known = ["", "shop", &issuer, arrival.id()];
    let all: Vec<(u64, u64)> =
        (0..=200).flat_map(|amount| (0..=100).map(move |order| (amount, order))).collect();

    let inner = arrival.opened.event()["idempotencykey"].as_str().unwrap();
    let guess_back = |shown: &str| {
        let says = |(amount, order): &&(u64, u64)| {
            guesses(&content(*amount, *order), &known).iter().any(|guess| shown.contains(guess))
        };
        all.iter().find(says).copied()
    };
    assert_eq!(guess_back(inner), Some((100, 7)), "the true key tells its content");
    assert_eq!(guess_back(&outside), None, "what stands outside tells none");
    let outer = arrival.header("idempotency-key").unwrap();
    assert_eq!(arrival.header("ce-idempotencykey"), Some(outer));
    assert!(outer != inner && outer.parse::<IdempotencyKey>().is_ok(), "{outer}");
}

/// Proves itself, and says this to every event.
fn saying(key: &Arc<SinkKey>, status: u16) -> impl Fn(&Posted) -> Said + Send + Sync + 'static {
    let key = Arc::clone(key);
    move |posted| {
        let opened = key.open(&posted.body);
        match opened.filter(|opened| opened.event()["data"]["challenge"].is_string()) {
            Some(_) => key.answer(posted),
            None => {
                (if posted.method == Method::OPTIONS { 405 } else { status }, None, String::new())
            }
        }
    }
}

/// The requests with this event that a sink was sent.
fn of_event(sink: &Sink, id: &str) -> Vec<Posted> {
    let is_it = |one: &Posted| one.header("webhook-id") == Some(id);
    sink.arrived().into_iter().filter(is_it).collect()
}

/// The outer key of this event, once so many requests with it have come; of all the same.
async fn outer_key(sink: &Sink, clock: &ManualClock, id: &str, count: usize) -> String {
    let posted = eventually(format!("{count} requests with {id}"), async || {
        clock.advance(Duration::from_secs(1));
        Some(of_event(sink, id)).filter(|posted| posted.len() >= count)
    })
    .await;
    let keys: BTreeSet<&str> =
        posted.iter().map(|one| one.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let key = (*keys.first().unwrap()).to_owned();
    assert!(posted.iter().all(|one| one.header("ce-idempotencykey") == Some(&key)));
    key
}

fn sealway(arguments: &[&str]) {
    let output = program().args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A gateway whose clock stands still, and the sink of the subscription `shop`.
async fn with_sink(config: Value) -> (TestGateway, ManualClock, Sink, Arc<SinkKey>) {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let sink = Sink::start(saying(&key, 204)).await;
    subscribe(&gateway, (&sink, &key), "shop", config).await;
    (gateway, clock, sink, key)
}

/// Subscribes a sink's path of this name to everything.
async fn subscribe(
    gateway: &TestGateway,
    (sink, key): (&Sink, &SinkKey),
    name: &str,
    config: Value,
) {
    let mut document = json!({
        "id": name, "consumer": "shop", "sink": sink.at(&format!("/{name}")),
        "config": { "keys": { "jwks": { "keys": [key.public] } } },
    });
    document["config"].as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    gateway.post("/subscriptions", &document).await;
    eventually("the subscription is active", async || {
        let shown = gateway.get(&format!("/subscriptions/{name}")).await;
        (shown["state"] == "active").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_content_keeps_one_key_outside_whatever_happens_to_the_gateway() {
    let (mut gateway, clock, sink, key) = Box::pin(with_sink(json!({}))).await;
    let equal = async |gateway: &TestGateway, name: &str| {
        gateway.publish(&order_created(name, 7)).await.remove(0)
    };
    sink.behave(saying(&key, 503));
    let first = equal(&gateway, "first").await;
    let expected = outer_key(&sink, &clock, &first, 2).await;
    sink.behave(saying(&key, 204));
    outer_key(&sink, &clock, &first, 3).await;
    let again = async |gateway: &TestGateway, what: &str| {
        let id = equal(gateway, what).await;
        assert_eq!(outer_key(&sink, &clock, &id, 1).await, expected, "{what}");
    };

    again(&gateway, "a repeat").await;
    let other = gateway.publish(&order_created("other", 8)).await.remove(0);
    assert_ne!(outer_key(&sink, &clock, &other, 1).await, expected, "another content");
    gateway.restart().await;
    again(&gateway, "after a restart").await;
    gateway.post("/subscriptions/shop/replays", &json!({ "from": first, "to": first })).await;
    assert_eq!(outer_key(&sink, &clock, &first, 4).await, expected, "in a replay");

    let mut document = gateway.get("/subscriptions/shop").await;
    let written = ["id", "consumer", "types", "sink", "protocol", "config"];
    document.as_object_mut().unwrap().retain(|name, _| written.contains(&name.as_str()));
    document["types"] = json!(["Order.*"]);
    let put = gateway.put("/subscriptions/shop", &document).await;
    assert_eq!(put.status, 200, "{}", put.body);
    again(&gateway, "after a changed PUT").await;

    gateway.stop().await;
    let [data, copy, restored] =
        ["data", "copy.db", "restored"].map(|name| gateway.path(name).display().to_string());
    sealway(&["log", "backup", &copy, "--data-dir", &data]);
    sealway(&["log", "restore", &copy, "--data-dir", &restored]);
    sealway(&["log", "restored", "--data-dir", &restored]);
    gateway.change(|config| config.data_dir = restored.into());
    gateway.start_again().await;
    again(&gateway, "on a restored log").await;

    // The same place under another name.
    let moved = gateway.issuer().replace("127.0.0.1", "localhost");
    gateway
        .restart_with(|config| {
            config.issuer_aliases = vec![config.issuer.clone()];
            config.issuer = moved.parse().unwrap();
        })
        .await;
    again(&gateway, "under another issuer").await;
}

#[tokio::test]
async fn equal_content_has_another_key_outside_for_each_subscription() {
    let (gateway, clock, sink, key) = Box::pin(with_sink(json!({}))).await;
    for name in ["second", "third"] {
        subscribe(&gateway, (&sink, &key), name, json!({})).await;
    }
    let id = gateway.order(7).await;
    let posted = eventually("each has the event", async || {
        clock.advance(Duration::from_millis(100));
        Some(of_event(&sink, &id)).filter(|posted| posted.len() >= 3)
    })
    .await;

    let keys: BTreeSet<_> =
        posted.iter().map(|one| one.header("idempotency-key").unwrap().to_owned()).collect();

    assert_eq!(keys.len(), 3, "{keys:?}");
    let text = gateway.get("/subscriptions").await.to_string();
    assert!(!text.contains("outer"), "no secret is shown: {text}");
}

/// The names of the headers and of the members of a CloudEvent in JSON that an event has, without
/// those that every HTTP request has.
fn names(posted: &Posted) -> (Vec<String>, Vec<String>) {
    let of_http =
        ["host", "user-agent", "content-length", "content-type", "accept", "accept-encoding"];
    let names = posted.headers.keys().map(ToString::to_string);
    let mut headers: Vec<_> = names.filter(|name| !of_http.contains(&&**name)).collect();
    headers.sort();
    let event: Value = serde_json::from_str(&posted.body).unwrap_or_default();
    let mut members: Vec<_> =
        event.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    members.sort();
    (headers, members.into_iter().cloned().collect())
}

#[tokio::test]
async fn each_mode_shows_its_attributes_or_the_id_and_never_a_subject_that_is_not_clear() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        order_by_number(&config.publications);
    })
    .await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    // A structured challenge is answered by its consumer.
    let opener = Arc::clone(&key);
    let sink = Sink::start(move |posted| {
        let event: Value = serde_json::from_str(&posted.body).unwrap_or_default();
        let body = event["data"].as_str().unwrap_or(&posted.body).to_owned();
        saying(&opener, 204)(&Posted { body, ..posted.clone() })
    })
    .await;
    let always = ["sealway-attempt", "webhook-id", "webhook-timestamp"];
    let clear =
        ["dataschema", "id", "idempotencykey", "sequence", "source", "specversion", "time", "type"];
    let headers = |ce: &[&str], more: &[&str]| {
        let ce = ce.iter().map(|name| format!("ce-{name}"));
        let mut all: Vec<_> =
            ce.chain(always.iter().chain(more).map(|name| (*name).to_owned())).collect();
        all.sort();
        all
    };
    let members = |names: &[&str]| {
        let mut all: Vec<_> = names.iter().chain(&["data", "datacontenttype"]).copied().collect();
        all.sort_unstable();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let id_only = ["id", "source", "specversion", "type"];
    let expected = [
        ("binary", "all", headers(&clear, &["idempotency-key"]), vec![]),
        ("binary", "id", headers(&["id", "specversion"], &[]), vec![]),
        ("structured", "all", headers(&[], &[]), members(&clear)),
        ("structured", "id", headers(&[], &[]), members(&id_only)),
        ("set", "all", headers(&[], &[]), vec![]),
        ("set", "id", headers(&[], &[]), vec![]),
    ];
    for (mode, attributes, ..) in &expected {
        let config = json!({ "contentMode": mode, "attributes": attributes });
        subscribe(&gateway, (&sink, &key), &format!("{mode}-{attributes}"), config).await;
    }

    let id = gateway.order(777_777).await;

    let posted = eventually("each has the event", async || {
        clock.advance(Duration::from_millis(100));
        Some(of_event(&sink, &id)).filter(|posted| posted.len() >= expected.len())
    })
    .await;
    let mut keys = BTreeSet::new();
    for (mode, attributes, headers, members) in expected {
        let path = format!("/{mode}-{attributes}");
        let one = posted.iter().find(|one| one.path == path).unwrap();
        assert_eq!(names(one), (headers, members), "{path}");
        let mut event: Value = serde_json::from_str(&one.body).unwrap_or_default();
        if attributes == "id" && mode == "structured" {
            assert_eq!(event["source"], json!(gateway.issuer()));
            assert_eq!((&event["type"], &event["id"]), (&json!("sealway.sealed"), &json!(id)));
        }
        let token = event["data"].as_str().unwrap_or(&one.body).to_owned();
        event["data"] = Value::Null;
        let body = if members_of(&event) { event.to_string() } else { String::new() };
        let shown = outside(&one.headers, &body);
        let opened = key.open(&token).unwrap();
        assert_eq!(opened.event()["subject"], "777777");
        assert!(!shown.contains("777777"), "{path}: {shown}");
        let inner = opened.event()["idempotencykey"].as_str().unwrap().to_owned();
        assert!(!shown.contains(&inner), "{path}: {shown}");
        let outer = event["idempotencykey"].as_str().or_else(|| one.header("ce-idempotencykey"));
        keys.extend(outer.map(str::to_owned));
    }
    assert_eq!(keys.len(), 2, "of two subscriptions that show one: {keys:?}");
}

/// Whether a body was a CloudEvent in JSON.
fn members_of(event: &Value) -> bool {
    event["specversion"].is_string()
}

/// Takes the secrets of outer keys away, as a gateway left its subscriptions that knew none.
fn as_before(data: &Path) {
    let database = Connection::open(data.join("sealway.db")).unwrap();
    let change = "UPDATE records SET body = json_remove(body, '$.outerKeySecret')
                  WHERE kind = 'subscription' AND json_extract(body, '$.outerKeySecret') IS NOT NULL";
    assert_eq!(database.execute(change, []).unwrap(), 1);
}

/// The secret that is kept, encrypted.
fn kept_secret(data: &Path) -> Option<String> {
    let database = Connection::open(data.join("sealway.db")).unwrap();
    let query = "SELECT json_extract(body, '$.outerKeySecret') FROM records
                 WHERE kind = 'subscription'";
    database.query_row(query, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_subscription_of_before_gets_its_secret_once_and_its_key_changes_this_once() {
    let (mut gateway, clock, sink, _key) = Box::pin(with_sink(json!({}))).await;
    let id = gateway.order(7).await;
    let before = outer_key(&sink, &clock, &id, 1).await;
    let mut after = BTreeSet::new();
    gateway.stop().await;
    as_before(&gateway.path("data"));

    for name in ["one", "two", "three"] {
        gateway.start_again().await;
        let id = gateway.publish(&order_created(name, 7)).await.remove(0);
        after.insert(outer_key(&sink, &clock, &id, 1).await);
        gateway.stop().await;
    }

    let [inner] = [hex(&Md5::digest(content(100, 7)))];
    assert_eq!(after.len(), 1, "{after:?}");
    assert!(!after.contains(&before) && !after.contains(&inner), "{after:?}");
    assert!(kept_secret(&gateway.path("data")).is_some_and(|sealed| !sealed.contains(&before)));
}

#[tokio::test]
async fn nothing_leaves_before_the_new_secret_is_durable_whenever_the_gateway_is_killed() {
    let delivery = format!(", retries: [{}]", ["50ms"; 40].join(", "));
    let mut gateway = Process::prepare_with(&delivery);
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let key = SinkKey::of_process(&gateway, OpeningKeyKind::X25519).await;
    let sink = Sink::start(saying(&key, 503)).await;
    let document = json!({
        "id": "shop", "consumer": "shop", "sink": sink.at("/shop"),
        "config": { "keys": { "jwks": { "keys": [key.public] } } },
    });
    let made = gateway.call_as(&admin, (Method::POST, "/subscriptions"), Some(&document)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = gateway.publish(&admin, &order_created("order-1", 7)).await;
    let outer = |sink: &Sink| -> Vec<String> {
        let posted = of_event(sink, &id);
        posted.iter().map(|one| one.header("idempotency-key").unwrap().to_owned()).collect()
    };
    let before = eventually("the first attempt", async || outer(&sink).first().cloned()).await;
    gateway.kill();
    let data = gateway.directory().join("data");
    as_before(&data);
    let seen = outer(&sink).len();

    // Each start is killed a little later than the one before, from before the upgrade to after it.
    for step in 0_u64.. {
        let mut serve = gateway.command(&["serve"]);
        let mut child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(10 * step)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let arrived = outer(&sink).len() - seen;
        assert!(arrived == 0 || kept_secret(&data).is_some(), "an event left without a secret");
        if arrived >= 3 {
            break;
        }
    }

    let after: BTreeSet<String> = outer(&sink).split_off(seen).into_iter().collect();
    assert_eq!(after.len(), 1, "one key, whatever was killed: {after:?}");
    assert!(!after.contains(&before));
    assert!(!after.contains(&hex(&Md5::digest(content(100, 7)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_data_key_is_told_and_adopting_another_makes_another_secret() {
    let mut gateway = Process::prepare();
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let pull = json!({
        "id": "quiet", "consumer": "quiet", "protocol": "PULL",
        "config": { "keys": { "jwksUri": "https://shop.example/jwks.json" } },
    });
    let made = gateway.call_as(&admin, (Method::POST, "/subscriptions"), Some(&pull)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(gateway.stop().await.success());
    let data = gateway.directory().join("data");
    let before = kept_secret(&data).unwrap();
    fs::remove_dir_all(gateway.directory().join("keys")).unwrap();
    assert!(!gateway.try_to_serve().await, "no key is made in the place of a lost one");
    assert_eq!(kept_secret(&data).as_ref(), Some(&before));

    let adopted = gateway.run(&["--output", "json", "keys", "adopt"]);

    assert!(adopted.status.success(), "{}", String::from_utf8_lossy(&adopted.stderr));
    let report: Value = serde_json::from_slice(&adopted.stdout).unwrap();
    assert_eq!((&report["outerKeysChanged"], &report["unopened"]), (&json!(["quiet"]), &json!([])));
    assert_ne!(kept_secret(&data), Some(before));
    gateway.serve().await;
}

#[tokio::test]
async fn an_outer_key_is_no_secret_of_a_subscription_that_was_made_again() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.publish(&order_created("o-1", 7)).await;
    let first = receiver.wait_for_delivered(1).await.remove(0);
    let removed = gateway.request(Method::DELETE, "/subscriptions/shop");
    let operator = gateway.add_caller("operator", &["admin"]).await;
    let removed = removed.bearer_auth(operator).header("if-match", "*").send().await.unwrap();
    assert!(removed.status().is_success(), "{removed:?}");

    gateway.subscribe(&receiver, json!({})).await;
    receiver.answer(Reply::Status(204));
    gateway.publish(&order_created("o-2", 7)).await;

    let second = receiver.wait_for_delivered(2).await.remove(1);
    assert_ne!(first.header("idempotency-key"), second.header("idempotency-key"));
    let keys = [&first, &second].map(|one| one.opened.event()["idempotencykey"].clone());
    assert_eq!(keys[0], keys[1]);
}
