//! What was given up is kept with its reason, and delivered again when its consumer says so.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};

use crate::harness::{Receiver, Reply, TestGateway, eventually, never_within};

/// The dead letters of a subscription, once there are so many.
async fn dead_letters(gateway: &TestGateway, id: &str, count: usize) -> Vec<Value> {
    let path = format!("/subscriptions/{id}/dead-letters");
    eventually(format!("{count} dead letters of {id}"), async || {
        let listed = gateway.get(&path).await["deadLetters"].as_array().unwrap().clone();
        (listed.len() == count).then_some(listed)
    })
    .await
}

/// Waits until so many deliveries of the subscription wait for another attempt.
async fn retrying(gateway: &TestGateway, count: u64) {
    eventually(format!("{count} retries"), async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["progress"]["retrying"] == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn exhausted_attempts_leave_a_dead_letter_with_reason_status_and_words() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer_next([Reply::Status(500)]);

    let given_up = gateway.order(1).await;
    let next = gateway.order(2).await;

    let letter = dead_letters(&gateway, "shop", 1).await.remove(0);
    receiver.wait_for_delivered(1).await;
    assert_eq!(letter["event"], json!(given_up));
    assert_eq!(letter["type"], "Order.Created");
    assert_eq!(letter["reason"], "attempts-exhausted");
    assert_eq!(letter["status"], 500);
    assert_eq!(letter["attempts"], 1);
    assert_eq!(letter["sequence"], 1);
    assert_eq!(letter["detail"], "as the test says");
    assert_eq!(receiver.delivered_ids(), [next]);
}

#[tokio::test]
async fn a_consumer_redrives_one_and_gets_it_with_its_old_id_and_number() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    receiver.answer(Reply::Status(500));
    let ids = gateway.orders(1..=3).await;
    let letters = dead_letters(&gateway, "shop", 3).await;
    receiver.answer(Reply::Status(204));
    gateway.restart().await;
    let second = letters.iter().find(|letter| letter["event"] == json!(ids[1])).unwrap();

    let path = "/subscriptions/shop/dead-letters/redrive";
    let body = json!({ "ids": [second["id"]] });
    let answer = gateway.call_as(&key, (Method::POST, path), Some(&body)).await;

    assert_eq!((answer.status, &answer.body), (200, &json!({ "redriven": 1 })));
    let arrival = receiver.wait_for_delivered(1).await.remove(0);
    assert_eq!((arrival.id(), arrival.sequence()), (ids[1].as_str(), Some(2)));
    assert_eq!(arrival.header("sealway-attempt"), Some("1"));
    assert_eq!(dead_letters(&gateway, "shop", 2).await.len(), 2);
    assert_eq!(receiver.chain().0, 3);
}

#[tokio::test]
async fn all_are_redriven_at_once_and_only_for_a_reason_if_one_is_named() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let limits = json!({ "maximumRetryAttempts": 3, "giveUpAfterRefusals": 1 });
    gateway.subscribe(&receiver, json!({ "config": limits })).await;
    receiver.answer(Reply::Status(422));
    let mut ids = gateway.orders(1..=3).await;
    dead_letters(&gateway, "shop", 3).await;
    receiver.answer(Reply::Status(204));
    let path = "/subscriptions/shop/dead-letters/redrive";

    let none = gateway.post(path, &json!({ "reason": "attempts-exhausted" })).await;
    let unknown = gateway.call(Method::POST, path, Some(&json!({ "ids": [999] }))).await;
    let all = gateway.post(path, &json!({ "reason": "refused" })).await;

    assert_eq!(none["redriven"], 0);
    assert_eq!((unknown.status, unknown.code()), (404, "not-found"));
    assert_eq!(all["redriven"], 3);
    receiver.wait_for_delivered(3).await;
    let mut delivered = receiver.delivered_ids();
    delivered.sort();
    ids.sort();
    assert_eq!(delivered, ids);
    dead_letters(&gateway, "shop", 0).await;
}

#[tokio::test]
async fn a_redriven_event_that_fails_again_is_a_dead_letter_again() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(500));
    gateway.order(1).await;
    let first = dead_letters(&gateway, "shop", 1).await.remove(0);

    gateway.post("/subscriptions/shop/dead-letters/redrive", &json!({})).await;
    receiver.wait_for_arrivals(2).await;

    let again = eventually("a new dead letter", async || {
        let letters = gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].clone();
        letters.get(0).filter(|letter| letter["id"] != first["id"]).cloned()
    })
    .await;
    assert_eq!((&again["event"], &again["sequence"]), (&first["event"], &first["sequence"]));
}

#[tokio::test]
async fn a_sink_that_is_gone_closes_its_subscription_and_nothing_more_is_sent() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer_next([Reply::Status(410)]);
    gateway.order(1).await;

    let closed = eventually("the subscription is closed", async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["state"] == "closed").then_some(shown)
    })
    .await;

    assert_eq!(closed["reason"], "the sink answered 410 Gone");
    assert_eq!(dead_letters(&gateway, "shop", 1).await[0]["reason"], "sink-gone");
    gateway.restart().await;
    gateway.order(2).await;
    let arrived = async || receiver.arrivals().get(1).cloned();
    never_within(Duration::from_millis(300), "nothing more is sent", arrived).await;
    let path = "/subscriptions/shop/dead-letters/redrive";
    let redrive = gateway.call(Method::POST, path, Some(&json!({}))).await;
    assert_eq!((redrive.status, redrive.code()), (409, "wrong-state"));
}

#[tokio::test]
async fn dead_letters_are_read_page_by_page() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(500));
    gateway.orders(1..=5).await;
    let all = dead_letters(&gateway, "shop", 5).await;

    let (mut pages, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let path = format!("/subscriptions/shop/dead-letters?after={after}&limit=2");
        let page = gateway.get(&path).await;
        pages.extend(page["deadLetters"].as_array().unwrap().clone());
        after = page["next"].clone();
    }

    assert_eq!(pages, all);
    let path = "/subscriptions/shop/attempts?after=1";
    let attempts = gateway.call(Method::GET, path, None::<&Value>).await;
    assert_eq!(attempts.status, 400, "attempts have no `after` that could be ignored");
}

#[tokio::test]
async fn the_age_of_a_redriven_event_counts_from_the_redrive() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumEventAge": 60 } })).await;
    receiver.answer(Reply::Status(500));
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;
    retrying(&gateway, 1).await;
    clock.advance(Duration::from_mins(2));
    receiver.wait_for_arrivals(2).await;
    let letters = eventually("it is given up", async || {
        // The ledger writes a few times a second.
        clock.advance(Duration::from_millis(100));
        let listed = gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].clone();
        (listed.as_array().map(Vec::len) == Some(1)).then_some(listed)
    })
    .await;
    assert_eq!(letters[0]["reason"], "event-too-old");

    gateway.post("/subscriptions/shop/dead-letters/redrive", &json!({})).await;
    receiver.wait_for_arrivals(3).await;

    retrying(&gateway, 1).await;
    dead_letters(&gateway, "shop", 0).await;
    receiver.answer(Reply::Status(204));
    clock.advance(Duration::from_secs(10));
    receiver.wait_for_delivered(1).await;
}

#[tokio::test]
async fn a_consumer_counts_its_own_dead_letters_from_one() {
    let gateway = TestGateway::start().await;
    let limits = json!({ "config": { "maximumRetryAttempts": 0 } });
    for consumer in ["bank", "shop"] {
        let receiver = Receiver::start(&gateway, consumer).await;
        gateway.subscribe(&receiver, limits.clone()).await;
        receiver.answer(Reply::Status(500));
    }
    gateway.orders(1..=2).await;

    for consumer in ["bank", "shop"] {
        let letters = dead_letters(&gateway, consumer, 2).await;
        let ids: Vec<_> = letters.iter().map(|letter| &letter["id"]).collect();
        assert_eq!(ids, [1, 2]);
    }
}

/// The body of an answer that must be there.
async fn deleted(gateway: &TestGateway, path: &str) -> (u16, String) {
    let answer = gateway.call(Method::DELETE, path, None::<&Value>).await;
    (answer.status, answer.code().to_owned())
}

/// Waits until a redrive has ended in a state.
async fn ended(gateway: &TestGateway, id: &str, state: &str) -> Value {
    eventually(format!("redrive {id} is {state}"), async || {
        let shown = gateway.get(&format!("/redrives/{id}")).await;
        (shown["state"] == state).then_some(shown)
    })
    .await
}

/// A gateway with so many dead letters of one subscription, and the events' ids.
async fn given_up(count: u64) -> (TestGateway, Receiver, Vec<String>) {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    // A refusal is an answer, after which the sink is not left alone.
    receiver.answer(Reply::Status(422));
    let ids = gateway.orders(1..=count).await;
    dead_letters(&gateway, "shop", ids.len()).await;
    receiver.answer(Reply::Status(204));
    (gateway, receiver, ids)
}

#[tokio::test]
async fn dead_letters_are_chosen_counted_and_dismissed() {
    let (gateway, receiver, ids) = given_up(3).await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let path = "/subscriptions/shop/dead-letters";
    let listed = async |query: String| {
        let path = format!("{path}{query}");
        let body = gateway.call_as(&key, (Method::GET, &path), None::<&Value>).await.body;
        let letters = body["deadLetters"].as_array().cloned().unwrap_or_default();
        letters
            .iter()
            .map(|letter| letter["event"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };

    assert_eq!(listed(format!("?from={}", ids[1])).await, ids[1..]);
    assert_eq!(listed(format!("?to={}&type=Order.*", ids[1])).await, ids[..2]);
    assert_eq!(listed("?reason=sink-gone".to_owned()).await, [""; 0]);
    assert_eq!(listed("?type=Order".to_owned()).await, [""; 0]);
    let unknown = gateway.call(Method::GET, &format!("{path}?reason=bored"), None::<&Value>).await;
    assert_eq!((unknown.status, unknown.code()), (422, "invalid"));
    let expected = gateway.get(&format!("{path}/counts")).await;
    assert_eq!(expected["reasons"], json!({ "refused": 3 }));
    assert_eq!((&expected["total"], &expected["redriven"]), (&json!(3), &json!(0)));
    assert!(expected["bytes"].as_u64().is_some_and(|bytes| bytes > 3 * 768), "{expected}");
    let all = gateway.get("/dead-letters/counts").await;
    assert_eq!(all, json!({ "subscriptions": { "shop": expected } }));
    let others = gateway.call_as(&key, (Method::GET, "/dead-letters/counts"), None::<&Value>).await;
    assert_eq!(others.status, 403, "counts of all subscriptions are the operator's");

    let letters = dead_letters(&gateway, "shop", 3).await;
    let second = letters.iter().find(|letter| letter["event"] == json!(ids[1])).unwrap();
    let one = format!("{path}/{}", second["id"]);
    assert_eq!(deleted(&gateway, &one).await.0, 204);
    assert_eq!(deleted(&gateway, &one).await, (404, "not-found".to_owned()));
    gateway.post(&format!("{path}/redrive"), &json!({})).await;
    receiver.wait_for_delivered(2).await;
    let mut delivered = receiver.delivered_ids();
    delivered.sort();
    assert_eq!(delivered, [ids[0].clone(), ids[2].clone()]);
}

#[tokio::test]
async fn a_redrive_with_a_rate_is_a_job_that_survives_a_restart_and_brings_each_back_once() {
    let (mut gateway, receiver, mut ids) = given_up(12).await;
    let path = "/subscriptions/shop/dead-letters/redrive";

    let started = gateway.post(path, &json!({ "rate": 10 })).await;
    assert_eq!((&started["state"], &started["counts"]["matched"]), (&json!("running"), &json!(12)));
    let id = started["id"].as_str().unwrap().to_owned();
    receiver.wait_for_delivered(2).await;
    gateway.restart().await;
    let shown = ended(&gateway, &id, "completed").await;

    assert_eq!(shown["counts"], json!({ "matched": 12, "redriven": 12 }));
    receiver.wait_for_delivered(12).await;
    let mut delivered = receiver.delivered_ids();
    delivered.sort();
    ids.sort();
    assert_eq!(delivered, ids);
    dead_letters(&gateway, "shop", 0).await;
    let listed = gateway.get("/subscriptions/shop/dead-letters/redrives").await;
    assert_eq!(listed["redrives"][0]["id"], json!(id));
    let cancelled = deleted(&gateway, &format!("/redrives/{id}")).await;
    assert_eq!(cancelled, (409, "wrong-state".to_owned()));
}

#[tokio::test]
async fn a_redrive_is_cancelled_and_what_is_given_up_again_is_not_brought_back_twice() {
    let (gateway, receiver, _) = given_up(5).await;
    receiver.answer(Reply::Status(422));
    let path = "/subscriptions/shop/dead-letters/redrive";

    let all = gateway.post(path, &json!({ "rate": 1000 })).await;
    let shown = ended(&gateway, all["id"].as_str().unwrap(), "completed").await;
    assert_eq!(shown["counts"], json!({ "matched": 5, "redriven": 5 }));
    dead_letters(&gateway, "shop", 5).await;
    assert_eq!(receiver.arrivals().len(), 10);

    let slow = gateway.post(path, &json!({ "rate": 1 })).await;
    let id = slow["id"].as_str().unwrap();
    let (status, _) = deleted(&gateway, &format!("/redrives/{id}")).await;
    assert_eq!(status, 202);
    let shown = ended(&gateway, id, "cancelled").await;
    assert!(shown["counts"]["redriven"].as_u64().unwrap() < 5);
}

#[tokio::test]
async fn a_redrive_goes_on_when_its_subscription_is_fetched_from_instead() {
    let (gateway, receiver, ids) = given_up(3).await;
    let path = "/subscriptions/shop/dead-letters/redrive";
    let started = gateway.post(path, &json!({ "rate": 1 })).await;

    let document = receiver.document(json!({ "sink": null, "protocol": "PULL" }));
    let put = gateway.put("/subscriptions/shop", &document).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let shown = ended(&gateway, started["id"].as_str().unwrap(), "completed").await;

    assert_eq!(shown["counts"], json!({ "matched": 3, "redriven": 3 }));
    let polled = gateway.post("/subscriptions/shop/poll", &json!({ "maxEvents": 10 })).await;
    let mut given = receiver.delivered_ids();
    given.extend(polled["sets"].as_object().unwrap().keys().cloned());
    given.sort();
    given.dedup();
    assert_eq!(given, ids);
}

#[tokio::test]
async fn a_dead_letter_of_a_replay_is_not_lost_where_nobody_can_be_sent_it() {
    let (gateway, receiver, ids) = given_up(1).await;
    let path = "/subscriptions/shop/dead-letters/redrive";
    gateway.post(path, &json!({})).await;
    receiver.wait_for_delivered(1).await;
    receiver.answer(Reply::Status(422));
    gateway.post("/subscriptions/shop/replays", &json!({ "from": ids[0] })).await;
    let letter = dead_letters(&gateway, "shop", 1).await.remove(0);
    assert!(letter["replay"].is_string());

    let document = receiver.document(json!({ "sink": null, "protocol": "PULL" }));
    assert_eq!(gateway.put("/subscriptions/shop", &document).await.status, 200);
    let redriven = gateway.post(path, &json!({})).await;

    assert_eq!(redriven["redriven"], 0);
    assert_eq!(dead_letters(&gateway, "shop", 1).await, [letter]);
}

#[tokio::test]
async fn a_redrive_of_nothing_is_answered_at_once_and_not_kept() {
    let gateway = TestGateway::start().await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    let path = "/subscriptions/shop/dead-letters/redrive";

    let nothing = gateway.call(Method::POST, path, Some(&json!({ "rate": 5 }))).await;
    let too_fast = gateway.call(Method::POST, path, Some(&json!({ "rate": 1001 }))).await;

    assert_eq!((nothing.status, nothing.body), (200, json!({ "redriven": 0 })));
    assert_eq!(too_fast.status, 422);
    assert_eq!(gateway.get(&format!("{path}s")).await["redrives"], json!([]));
}

#[tokio::test]
async fn a_few_stay_dead_letters_while_their_subscription_is_paused() {
    let (gateway, receiver, _) = given_up(1).await;
    let letter = dead_letters(&gateway, "shop", 1).await.remove(0);
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let path = "/subscriptions/shop/dead-letters/redrive";

    let begun = gateway.call(Method::POST, path, Some(&json!({ "ids": [letter["id"]] }))).await;

    assert_eq!((begun.status, &begun.body["state"]), (201, &json!("running")), "{}", begun.body);
    assert_eq!(dead_letters(&gateway, "shop", 1).await, [letter]);
    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    ended(&gateway, begun.body["id"].as_str().unwrap(), "completed").await;
    receiver.wait_for_delivered(1).await;
}

#[tokio::test]
async fn no_more_come_back_at_once_than_may_wait_for_an_attempt() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let backlog = json!({ "backlog": { "maximumEvents": 1 } });
    let wish = json!({ "sink": null, "protocol": "PULL", "config": backlog });
    gateway.subscribe(&receiver, wish).await;
    let path = "/subscriptions/shop/dead-letters";
    gateway.orders(1..=560).await;
    let letters = eventually("all but one have expired", async || {
        clock.advance(Duration::from_secs(5));
        let listed = gateway.get(&format!("{path}?limit=1000")).await;
        listed["deadLetters"].as_array().filter(|letters| letters.len() == 559).cloned()
    })
    .await;
    let numbers: Vec<Value> = letters.iter().map(|letter| letter["id"].clone()).collect();
    let redrive = async |ids: &[Value]| {
        let wish = json!({ "ids": ids });
        gateway.call(Method::POST, &format!("{path}/redrive"), Some(&wish)).await.status
    };

    for (place, ids) in numbers[..500].chunks(100).enumerate() {
        assert_eq!(redrive(ids).await, 200);
        retrying(&gateway, 100 * (place as u64 + 1)).await;
    }

    assert_eq!(redrive(&numbers[500..501]).await, 201);
    assert_eq!(dead_letters(&gateway, "shop", 59).await.len(), 59);
}

#[tokio::test]
async fn jobs_do_not_pass_to_the_next_subscription_of_a_name() {
    let (gateway, receiver, ids) = given_up(1).await;
    let redrive = "/subscriptions/shop/dead-letters/redrive";
    let replays = "/subscriptions/shop/replays";
    let redriven = gateway.post(redrive, &json!({ "rate": 1 })).await["id"].clone();
    ended(&gateway, redriven.as_str().unwrap(), "completed").await;
    let replayed = gateway.post(replays, &json!({ "from": ids[0] })).await["id"].clone();
    let jobs = [("replays", replayed), ("redrives", redriven)]
        .map(|(kind, id)| format!("/{kind}/{}", id.as_str().unwrap()));
    for job in &jobs {
        assert_eq!(gateway.call(Method::GET, job, None::<&Value>).await.status, 200);
    }

    let removed = gateway.call(Method::DELETE, "/subscriptions/shop", None::<&Value>).await;
    assert_eq!(removed.status, 204);
    gateway.subscribe(&receiver, json!({})).await;

    for job in &jobs {
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(gateway.call(method, job, None::<&Value>).await.status, 404, "{job}");
        }
    }
    assert_eq!(gateway.get(replays).await["replays"], json!([]));
    assert_eq!(gateway.get(&format!("{redrive}s")).await["redrives"], json!([]));
}

#[tokio::test]
async fn a_redrive_that_cannot_be_is_refused() {
    let (gateway, _receiver, ids) = given_up(1).await;
    let path = "/subscriptions/shop/dead-letters/redrive";

    for (body, status, code) in [
        (json!({ "rate": 0 }), 422, "invalid"),
        (json!({ "rate": 1001 }), 422, "invalid"),
        (json!({ "reason": "bored" }), 422, "invalid"),
        (json!({ "from": "yesterday" }), 422, "invalid"),
        (json!({ "ids": [1], "type": "Order.*" }), 422, "invalid"),
        (json!({ "ids": [1, 2] }), 404, "not-found"),
    ] {
        let answer = gateway.call(Method::POST, path, Some(&body)).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}");
    }
    assert_eq!(dead_letters(&gateway, "shop", 1).await[0]["event"], json!(ids[0]));
    let started = gateway.post(path, &json!({ "rate": 1 })).await;
    let stranger = gateway.add_caller("bank", &["consume:bank"]).await;
    let theirs = format!("/redrives/{}", started["id"].as_str().unwrap());
    let peeked = gateway.call_as(&stranger, (Method::GET, &theirs), None::<&Value>).await;
    assert_eq!((peeked.status, peeked.code()), (404, "not-found"));
}

#[tokio::test]
async fn dead_letters_go_when_they_are_too_old() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.dead_letters = Some(HumanDuration(Duration::from_hours(24)));
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(500));
    gateway.order(1).await;
    let total = async || {
        // The ledger and the sweeper wait for the time.
        clock.advance(Duration::from_secs(1));
        gateway.get("/subscriptions/shop/dead-letters/counts").await["total"].clone()
    };
    eventually("it is given up", async || (total().await == 1).then_some(())).await;

    clock.advance(Duration::from_hours(23));
    assert_eq!(total().await, 1);
    clock.advance(Duration::from_hours(2));

    eventually("it is gone", async || {
        clock.advance(Duration::from_mins(1));
        (total().await == 0).then_some(())
    })
    .await;
    let metrics = gateway.get("/metrics").await;
    let counted =
        r#"sealway_dead_letters_expired_total{subscription="shop",reason="attempts-exhausted"} 1"#;
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
}
