//! When a grant ends nothing of it begins any more, also after a crash, and its consumer is told.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use sealway::ambient::{ManualClock, SystemClock};
use sealway::config::Config;
use sealway::event::Timestamp;

use crate::consumers_hear_what_they_are_granted::{
    close_payments, closed, fetched, grant, payment, pull,
};
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

/// A gateway whose payments are heard by grant only, and its time.
async fn closed_in_time() -> (ManualClock, TestGateway) {
    let clock = ManualClock::at("2026-11-29T11:08:36Z".parse().unwrap());
    let close = |config: &mut Config| close_payments(&config.publications);
    (clock.clone(), TestGateway::with(Some(clock), close).await)
}

/// The same of the shop, while time goes on.
async fn dead_letters_in_time(
    gateway: &TestGateway,
    clock: &ManualClock,
    count: usize,
) -> Vec<Value> {
    eventually(format!("{count} dead letters"), async || {
        clock.advance(Duration::from_millis(100));
        let path = "/subscriptions/shop/dead-letters";
        let letters = gateway.get(path).await["deadLetters"].as_array().unwrap().clone();
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

    let recalled = gateway
        .call(Method::DELETE, &format!("/grants/{}?reason=over", of.replace('/', "%2F")), None)
        .await
        .body;
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

    gateway.call(Method::DELETE, &format!("/grants/{}", of.replace('/', "%2F")), None).await;

    let token = gateway.get("/subscriptions/shop/checkpoint").await;
    let checkpoint = receiver.read_checkpoint(token.as_str().unwrap()).unwrap();
    assert!(checkpoint.closing && checkpoint.ended.len() == 1, "{checkpoint:?}");
}

#[tokio::test]
async fn a_sink_is_told_once_with_a_signed_checkpoint_that_is_no_event() {
    let mut gateway = closed().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;

    gateway
        .call(Method::DELETE, &format!("/grants/{}?reason=over", of.replace('/', "%2F")), None)
        .await;

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

    gateway.call(Method::DELETE, &format!("/grants/{}", of.replace('/', "%2F")), None).await;

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

    gateway.call(Method::DELETE, &format!("/grants/{}", of.replace('/', "%2F")), None).await;

    let text = bundle().await;
    assert!(text.contains(&format!("\"id\":\"{order}\"")) && !text.contains(&closed), "{text}");
    assert!(text.lines().last().unwrap().contains("\"kind\":\"closing\""), "it is whole");
}

#[tokio::test]
async fn a_grant_ends_at_its_moment_which_both_sides_are_told_before() {
    let (clock, gateway) = closed_in_time().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "until": "2026-11-29T12:08:36Z" })).await;
    payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;

    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["access"]["endsSoon"][0]["grant"], of.as_str());
    assert_eq!(gateway.get(&format!("/grants/{}", of.replace('/', "%2F"))).await["endsSoon"], true);
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
        let shown = gateway.get(&format!("/grants/{}", of.replace('/', "%2F"))).await;
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

#[tokio::test]
async fn a_sink_is_told_before_an_end_comes_and_again_when_it_is_there() {
    let (clock, mut gateway) = closed_in_time().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "until": "2026-11-29T12:08:36Z" })).await;

    let told = eventually("the sink is told before", async || receiver.statements().pop()).await;
    let checkpoint = receiver.read_checkpoint(&told).unwrap();
    assert!(checkpoint.ended.is_empty() && !checkpoint.closing, "{checkpoint:?}");
    let at: Timestamp = "2026-11-29T12:08:36Z".parse().unwrap();
    let coming = &checkpoint.ending[0];
    assert_eq!(
        (&*coming.publication, coming.at),
        ("payments/Payment.Succeeded", at.unix_seconds())
    );
    let is_noted = async || {
        let shown = gateway.get("/subscriptions/shop/checkpoint").await;
        receiver.read_checkpoint(shown.as_str().unwrap()).filter(|one| one.ending.len() == 1)
    };
    eventually("its checkpoint says so, too", is_noted).await;
    // Once, also over a restart; a further grant that never ends takes the end away.
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    gateway.restart().await;
    gateway.order(2).await;
    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.statements().len(), 1);

    clock.advance(Duration::from_hours(1));
    let told = eventually("the sink is told of the end", async || {
        let told = receiver.statements();
        (told.len() == 2).then(|| told[1].clone())
    })
    .await;
    let checkpoint = receiver.read_checkpoint(&told).unwrap();
    assert!(checkpoint.ending.is_empty(), "{checkpoint:?}");
    assert_eq!(
        (&*checkpoint.ended[0].reason, checkpoint.ended[0].at),
        ("expired", at.unix_seconds())
    );
    assert_eq!(
        gateway.get(&format!("/grants/{}", of.replace('/', "%2F"))).await["state"],
        "expired"
    );
}

#[tokio::test]
async fn a_stream_tells_an_end_between_its_events() {
    let (clock, gateway) = closed_in_time().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;
    let id = pull(&gateway, &receiver, "latest").await;
    let path = format!("/subscriptions/{id}/stream");
    let request = gateway.request(Method::GET, &path).bearer_auth(gateway.admin());
    let mut stream = request.send().await.unwrap();
    let mut text = String::new();
    let event = payment(&gateway, 1).await;
    while !text.contains("\ndata: ") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains(&event) && !text.contains("event: checkpoint"), "{text}");

    let path = format!("/grants/{}?reason=over", of.replace('/', "%2F"));
    gateway.call(Method::DELETE, &path, None).await;
    let is_told = |text: &str| {
        let told = text.split_once("event: checkpoint");
        told.is_some_and(|(_, rest)| rest.contains("\n\n"))
    };
    while !is_told(&text) {
        // It is told with the next beat of the stream at the latest.
        match tokio::time::timeout(Duration::from_millis(100), stream.chunk()).await {
            Ok(chunk) => text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap()),
            Err(_) => clock.advance(Duration::from_secs(16)),
        }
    }
    let order = gateway.order(2).await;
    while !text.contains(&order) {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }

    let told = text.split("\n\n").find(|block| block.contains("event: checkpoint")).unwrap();
    assert!(!told.contains("id:"), "a reader comes back to its last event: {told}");
    let token = told.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let checkpoint = receiver.read_checkpoint(token).unwrap();
    assert_eq!((&*checkpoint.ended[0].reason, &*checkpoint.ended[0].detail), ("recalled", "over"));
    assert_eq!(text.matches("event: checkpoint").count(), 1, "{text}");
}

#[tokio::test]
async fn a_stream_that_is_read_slowly_hands_out_nothing_that_was_sealed_before_an_end() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "history": "all" })).await;
    let id = pull(&gateway, &receiver, "latest").await;
    let events =
        [payment(&gateway, 1).await, payment(&gateway, 2).await, payment(&gateway, 3).await];
    fetched(&gateway, &id, 3).await;
    let request = Request::get(format!("/subscriptions/{id}/stream?after={}", "0".repeat(26)))
        .header("authorization", format!("Bearer {}", gateway.admin()))
        .body(Body::empty())
        .unwrap();
    // Nothing is made but what is asked for, as for a reader without room.
    let answer = gateway.routes().oneshot(request).await.unwrap();
    let mut stream = answer.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(&events[0]) {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }

    let path = format!("/grants/{}", of.replace('/', "%2F"));
    gateway.call(Method::DELETE, &path, None).await;
    let mut rest = String::new();
    while let Some(piece) = stream.next().await {
        rest.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }

    assert_eq!(rest.matches("event: checkpoint").count(), 1, "{rest}");
    assert!(!rest.contains(&events[1]) && !rest.contains(&events[2]), "{rest}");
}

#[tokio::test]
async fn with_order_by_subject_an_end_holds_up_no_subject_and_changes_no_order() {
    let clock = ManualClock::at("2026-11-29T11:08:36Z".parse().unwrap());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        close_payments(&config.publications);
        let file = config.publications.join("payments.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let subject = "    subject: /data/orderId\n    patch:\n";
        std::fs::write(&file, text.replace("    patch:\n", subject)).unwrap();
        crate::harness::order_by_number(&config.publications);
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "publication": "payments/*" })).await;
    let wish = json!({ "config": { "ordering": "subject", "onDeadLetter": "block" } });
    gateway.subscribe(&receiver, wish).await;
    receiver.answer(Reply::Status(503));
    let mut waiting = vec![payment(&gateway, 7).await];
    receiver.wait_for_arrivals(1).await;
    // Behind it, of the same subject.
    let order = gateway.order(7).await;
    waiting.push(failed_payment(&gateway, 7).await);
    let last = gateway.order(8).await;

    gateway.call(Method::DELETE, &format!("/grants/{}", of.replace('/', "%2F")), None).await;
    receiver.answer(Reply::Status(204));

    let letters = dead_letters_in_time(&gateway, &clock, 2).await;
    let mut given_up: Vec<_> = letters.iter().map(|one| one["event"].as_str().unwrap()).collect();
    given_up.sort_unstable();
    assert_eq!(given_up, waiting);
    assert!(letters.iter().all(|one| one["reason"] == "not-entitled"), "{letters:?}");
    let arrived = eventually("both orders arrive", async || {
        clock.advance(Duration::from_mins(1));
        let arrived = receiver.delivered();
        (arrived.len() == 2).then_some(arrived)
    })
    .await;
    let mut numbered: Vec<_> =
        arrived.iter().map(|one| (one.sequence().unwrap(), one.id().to_owned())).collect();
    numbered.sort_unstable();
    assert_eq!(numbered, [(2, order), (4, last)], "numbers that were given out stay");
    assert_eq!(gateway.get("/subscriptions/shop").await["progress"]["blocked"], 0);
}

/// Publishes that a payment failed.
async fn failed_payment(gateway: &TestGateway, number: u64) -> String {
    let event = json!({
        "specversion": "1.0", "id": format!("failed-{number}"), "source": "payment-service",
        "type": "PaymentFailed", "data": { "id": number },
    });
    gateway.publish(&event).await.remove(0)
}

#[tokio::test]
async fn an_end_that_passes_while_the_gateway_is_down_holds_from_its_moment_on() {
    let (clock, mut gateway) = closed_in_time().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({ "until": "2026-11-29T12:08:36Z" })).await;
    let heard = payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;
    receiver.answer(Reply::Status(503));
    let waits = payment(&gateway, 2).await;
    let order = gateway.order(3).await;
    receiver.wait_for_arrivals(3).await;
    gateway.stop().await;
    let begun = receiver.arrivals().len();
    clock.advance(Duration::from_hours(2));
    receiver.answer(Reply::Status(204));

    gateway.start_again().await;

    let late = payment(&gateway, 4).await;
    let last = gateway.order(5).await;
    let delivered = receiver.wait_for_delivered(3).await;
    let numbers: std::collections::BTreeMap<_, _> =
        delivered.iter().map(|one| (one.sequence().unwrap(), one.id().to_owned())).collect();
    let expected = [(1, heard), (3, order), (4, last)];
    assert_eq!(
        numbers,
        expected.into_iter().collect(),
        "the same numbers, and none for what came late"
    );
    let since: Vec<_> = receiver.arrivals().into_iter().skip(begun).collect();
    assert!(!since.iter().any(|one| [&*waits, &*late].contains(&one.id())));
    let letters = dead_letters_in_time(&gateway, &clock, 1).await;
    assert_eq!(
        (&letters[0]["event"], &letters[0]["reason"], &letters[0]["sequence"]),
        (&json!(waits), &json!("not-entitled"), &json!(2))
    );
    let shown = gateway.get(&format!("/grants/{}", of.replace('/', "%2F"))).await;
    assert_eq!(shown["ended"]["at"], "2026-11-29T12:08:36Z", "{shown}");
    let token = gateway.get("/subscriptions/shop/checkpoint").await;
    let checkpoint = receiver.read_checkpoint(token.as_str().unwrap()).unwrap();
    let at: Timestamp = "2026-11-29T12:08:36Z".parse().unwrap();
    assert_eq!(
        (&*checkpoint.ended[0].reason, checkpoint.ended[0].at),
        ("expired", at.unix_seconds())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_verifies_a_chain_reads_what_has_ended() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let of = grant(&gateway, "shop", json!({})).await;
    gateway.subscribe(&receiver, json!({ "types": ["Payment.*"] })).await;
    payment(&gateway, 1).await;
    let token = receiver.wait_for_delivered(1).await.remove(0).token;
    let path = format!("/grants/{}?reason=the%20contract%20is%20over", of.replace('/', "%2F"));
    gateway.call(Method::DELETE, &path, None).await;
    let checkpoint = gateway.get("/subscriptions/shop/checkpoint").await;
    let store = |name: &str, text: &str| {
        std::fs::write(gateway.path(name), text).unwrap();
        gateway.path(name).to_str().unwrap().to_owned()
    };
    let files = [
        store("held", &token),
        store("key", receiver.private_key()),
        store("checkpoint", checkpoint.as_str().unwrap()),
    ];
    let jwks = format!("{}/.well-known/jwks.json", gateway.issuer());
    let verify = |output: &str| {
        let mut command = crate::harness::program();
        command.args(["--output", output, "verify-chain", &files[0], "--key", &files[1]]);
        command.args(["--jwks", &jwks, "--issuer", &gateway.issuer(), "--audience", "shop"]);
        command.args(["--subscription", "shop", "--checkpoint", &files[2]]);
        let done = command.output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };

    let told: Value = serde_json::from_str(&verify("json")).unwrap();
    let ended = &told["checkpoint"]["ended"][0];
    assert_eq!(
        (&ended["publication"], &ended["reason"]),
        (&json!("payments/Payment.Succeeded"), &json!("recalled"))
    );
    assert_eq!(
        (&ended["detail"], &told["checkpoint"]["closing"]),
        (&json!("the contract is over"), &json!(true))
    );
    let text = verify("human");
    assert!(text.contains("ended: payments/Payment.Succeeded, recalled at 20"), "{text}");
    assert!(text.contains(": the contract is over\nclosing: "), "{text}");
}
