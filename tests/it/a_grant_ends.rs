//! When a grant ends nothing of it begins any more, also after a crash, and its consumer is told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{ManualClock, SystemClock};
use sealway::event::Timestamp;

use crate::consumers_hear_what_they_are_granted::{close_payments, closed, grant, payment, pull};
use crate::harness::{Process, Receiver, Reply, TestGateway, answer, eventually, never_within};

/// Waits until a subscription has so many dead letters, and gives them.
async fn dead_letters(gateway: &TestGateway, id: &str, count: usize) -> Vec<Value> {
    let path = format!("/subscriptions/{id}/dead-letters");
    eventually(format!("{count} dead letters of {id}"), async || {
        let letters = gateway.get(&path).await["deadLetters"].as_array().unwrap().clone();
        (letters.len() >= count).then_some(letters)
    })
    .await
}

#[tokio::test]
async fn what_waits_for_another_attempt_becomes_a_dead_letter_that_nobody_brings_back() {
    let gateway = closed().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "history": "all" })).await;
    let heard = payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;
    receiver.answer(Reply::Status(503));
    let waits = payment(&gateway, 2).await;
    receiver.wait_for_arrivals(2).await;

    let recalled =
        gateway.call(Method::DELETE, &format!("/grants/{of}?reason=over"), None).await.body;
    receiver.answer(Reply::Status(204));
    let letters = dead_letters(&gateway, "shop", 1).await;
    assert_eq!(
        (&letters[0]["reason"], &letters[0]["event"]),
        (&json!("not-entitled"), &json!(waits))
    );
    assert_eq!((&letters[0]["sequence"], letters.len()), (&json!(2), 1));

    let number = letters[0]["id"].as_u64().unwrap();
    let redrive = "/subscriptions/shop/dead-letters/redrive";
    for wish in [json!({ "ids": [number] }), json!({ "reason": "not-entitled" })] {
        let refused = gateway.call(Method::POST, redrive, Some(&wish)).await;
        assert_eq!(refused.code(), "wrong-state", "{wish}");
    }
    assert_eq!(gateway.post(redrive, &json!({})).await["redriven"], 0);
    let unheard = payment(&gateway, 3).await;
    let order = gateway.order(4).await;
    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.delivered_ids(), [heard, order]);
    let last = receiver.delivered().pop().unwrap();
    assert_eq!(last.sequence(), Some(3), "what was not wanted any more has no number");
    assert!(!receiver.arrivals().iter().any(|one| one.id() == unheard));
    assert_eq!(dead_letters(&gateway, "shop", 1).await.len(), 1);

    let token = gateway.get("/subscriptions/shop/checkpoint").await;
    let checkpoint = receiver.read_checkpoint(token.as_str().unwrap()).unwrap();
    assert_eq!((checkpoint.sequence, checkpoint.closing, checkpoint.ended.len()), (3, false, 1));
    let told = &checkpoint.ended[0];
    assert_eq!(
        (&*told.publication, &*told.reason, &*told.detail),
        ("payments/Payment.Succeeded", "recalled", "over")
    );
    let at: Timestamp = serde_json::from_value(recalled["ended"]["at"].clone()).unwrap();
    assert_eq!(told.at, at.unix_seconds());
    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["access"]["ended"][0]["why"], "recalled", "{shown}");
}

#[tokio::test]
async fn with_the_last_grant_the_checkpoint_is_a_closing_one() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;
    gateway.subscribe(&receiver, json!({ "types": ["Payment.*"] })).await;

    gateway.call(Method::DELETE, &format!("/grants/{of}"), None).await;

    let token = gateway.get("/subscriptions/shop/checkpoint").await;
    let checkpoint = receiver.read_checkpoint(token.as_str().unwrap()).unwrap();
    assert!(checkpoint.closing && checkpoint.ended.len() == 1, "{checkpoint:?}");
}

#[tokio::test]
async fn a_sink_is_told_once_with_a_signed_checkpoint_that_is_no_event() {
    let mut gateway = closed().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;

    gateway.call(Method::DELETE, &format!("/grants/{of}?reason=over"), None).await;

    let told = eventually("the sink is told", async || receiver.statements().pop()).await;
    let checkpoint = receiver.read_checkpoint(&told).unwrap();
    assert_eq!((&*checkpoint.ended[0].reason, &*checkpoint.ended[0].detail), ("recalled", "over"));
    assert!(receiver.open(&told).await.is_none(), "nobody takes it for an event");
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    gateway.restart().await;
    gateway.order(2).await;
    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.statements().len(), 1);
}

#[tokio::test]
async fn what_was_not_fetched_is_handed_out_no_more_and_the_poll_says_why() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;
    let id = pull(&gateway, &receiver, "latest").await;
    let (closed, order) = (payment(&gateway, 1).await, gateway.order(2).await);
    let poll = format!("/subscriptions/{id}/poll");
    let first = gateway.post(&poll, &json!({ "maxEvents": 10 })).await;
    assert!(first.get("checkpoint").is_none());
    eventually("both are numbered", async || {
        let shown = gateway.get(&format!("/subscriptions/{id}")).await;
        (shown["progress"]["sequence"] == 2).then_some(())
    })
    .await;

    gateway.call(Method::DELETE, &format!("/grants/{of}"), None).await;

    let answer = gateway.post(&poll, &json!({ "returnImmediately": true })).await;
    let sets: Vec<_> = answer["sets"].as_object().unwrap().keys().collect();
    assert_eq!(sets, [&order]);
    let checkpoint = receiver.read_checkpoint(answer["checkpoint"].as_str().unwrap()).unwrap();
    assert_eq!(checkpoint.ended[0].reason, "recalled");
    let letters = dead_letters(&gateway, &id, 1).await;
    assert_eq!((&letters[0]["event"], &letters[0]["sequence"]), (&json!(closed), &json!(1)));
    let path = format!("/subscriptions/{id}/events?acknowledge=false&after={}", "0".repeat(26));
    let page = gateway.get(&path).await;
    let ids: Vec<_> = page["events"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(order)]);
    // The number that it had stays its own, and what comes after goes on behind it.
    let next = gateway.order(3).await;
    let last = eventually("the next order", async || {
        let page = gateway.get(&path).await;
        page["events"].as_array().unwrap().iter().find(|one| one["id"] == json!(next)).cloned()
    })
    .await;
    assert_eq!(last["sequence"], 3);
}

#[tokio::test]
async fn an_evidence_bundle_of_what_has_ended_does_not_begin() {
    let gateway = closed().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;
    let (order, closed) = (gateway.order(1).await, payment(&gateway, 2).await);
    gateway.order(3).await;
    receiver.wait_for_delivered(3).await;
    let bundle = async || {
        let request = gateway.request(Method::GET, "/subscriptions/shop/evidence");
        let key = gateway.add_caller("auditor", &["admin"]).await;
        let text = request.bearer_auth(key).send().await.unwrap().text().await.unwrap();
        gateway.remove_caller("auditor").await;
        text
    };
    assert!(bundle().await.contains(&closed));

    gateway.call(Method::DELETE, &format!("/grants/{of}"), None).await;

    let text = bundle().await;
    assert!(text.contains(&format!("\"id\":\"{order}\"")) && !text.contains(&closed), "{text}");
    assert!(text.lines().last().unwrap().contains("\"kind\":\"closing\""), "it is whole");
}

#[tokio::test]
async fn a_grant_ends_at_its_moment_which_both_sides_are_told_before() {
    let clock = ManualClock::at("2026-11-29T11:08:36Z".parse().unwrap());
    let gateway =
        TestGateway::with(Some(clock.clone()), |config| close_payments(&config.publications)).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "until": "2026-11-29T12:08:36Z" })).await;
    payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;

    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["access"]["endsSoon"][0]["grant"], of.as_str());
    assert_eq!(gateway.get(&format!("/grants/{of}")).await["endsSoon"], true);
    eventually("the metric tells it", async || {
        let text = gateway.get("/metrics").await.to_string();
        text.contains("sealway_grants_ending_soon 1").then_some(())
    })
    .await;

    clock.advance(Duration::from_hours(1));
    let unheard = payment(&gateway, 2).await;
    let order = gateway.order(3).await;
    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.delivered_ids()[1], order);
    assert!(!receiver.arrivals().iter().any(|one| one.id() == unheard));
    assert_eq!(receiver.delivered()[1].sequence(), Some(2));
    let state = eventually("it is ended", async || {
        let shown = gateway.get(&format!("/grants/{of}")).await;
        shown.get("ended").is_some().then(|| shown["state"].clone())
    })
    .await;
    assert_eq!(state, "expired");
}

#[tokio::test]
async fn after_a_crash_around_its_end_no_attempt_of_it_begins() {
    let mut process = Process::prepare_with(", retries: [100ms, 100ms, 100ms, 10m]");
    close_payments(&process.directory().join("publications"));
    let key = process.add_caller("admin", "admin");
    process.serve().await;
    let clock = std::sync::Arc::new(SystemClock);
    let receiver = Receiver::listening("shop", process.issuer(), clock).await;
    let http = reqwest::Client::new();
    let call = async |method: Method, path: &str, body: Value| {
        let url = format!("{}{path}", process.issuer());
        answer(http.request(method, url).bearer_auth(&key).json(&body)).await
    };
    let grant = json!({ "id": "g", "consumer": "shop", "publication": "payments/*" });
    assert_eq!(call(Method::POST, "/grants", grant).await.status, 201);
    let document = receiver.document(json!({}));
    assert_eq!(call(Method::POST, "/subscriptions", document).await.status, 201);
    eventually("the sink has proved itself", async || {
        let shown = call(Method::GET, "/subscriptions/shop", json!({})).await;
        (shown.body["state"] == "active").then_some(())
    })
    .await;
    receiver.answer(Reply::Status(503));
    for number in 1..=20 {
        let event = json!({
            "specversion": "1.0", "id": format!("p-{number}"), "source": "payment-service",
            "type": "PaymentSucceeded", "data": { "id": number },
        });
        let request = http.post(format!("{}/events", process.issuer())).bearer_auth(&key);
        let request = request.header("content-type", "application/cloudevents+json");
        let sent = answer(request.body(event.to_string())).await;
        assert_eq!(sent.status, 202, "{sent:?}");
    }
    receiver.wait_for_arrivals(5).await;

    let recalled = call(Method::DELETE, "/grants/g", json!({})).await;
    assert_eq!(recalled.status, 200, "{recalled:?}");
    process.kill();
    // What had begun before the answer may still arrive.
    receiver.hear_out().await;
    let before = receiver.arrivals().len();
    receiver.answer(Reply::Status(204));
    process.serve().await;

    let letters = eventually("all are dead letters", async || {
        let http = reqwest::Client::new();
        let url = format!("{}/subscriptions/shop/dead-letters?limit=100", process.issuer());
        let answer = answer(http.get(url).bearer_auth(&key)).await;
        let letters = answer.body["deadLetters"].as_array().unwrap().clone();
        (letters.len() == 20).then_some(letters)
    })
    .await;
    assert!(letters.iter().all(|one| one["reason"] == "not-entitled"), "{letters:?}");
    let mut numbers: Vec<_> = letters.iter().map(|one| one["sequence"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    never_within(Duration::from_millis(500), "an attempt begins", async || {
        (receiver.arrivals().len() > before).then_some(())
    })
    .await;
}
