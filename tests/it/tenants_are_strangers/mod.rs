//! A consumer can neither read nor touch nor guess at another's things.
//!
//! [`walk`] calls every route of the OpenAPI description; the rest is what a walk cannot see.

mod routes;
mod scene;
mod walk;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Receiver, Reply, TestGateway, eventually, order_created};

/// Two consumers; the second has a dead letter and a replay.
async fn two_consumers() -> (TestGateway, [Receiver; 2], [String; 2], String) {
    let gateway = TestGateway::start().await;
    let first = Receiver::start(&gateway, "first").await;
    let second = Receiver::start(&gateway, "second").await;
    gateway.subscribe(&first, json!({})).await;
    gateway.subscribe(&second, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    let keys = [
        gateway.add_caller("first", &["consume:first"]).await,
        gateway.add_caller("second", &["consume:second"]).await,
    ];
    second.answer_next([Reply::Status(500)]);
    let id = gateway.order(1).await;
    eventually("a dead letter of the second", async || {
        let letters = gateway.get("/subscriptions/second/dead-letters").await;
        letters["deadLetters"].get(0).map(|_| ())
    })
    .await;
    let started = gateway.post("/subscriptions/second/replays", &json!({ "from": id })).await;
    let replay = started["id"].as_str().unwrap().to_owned();
    (gateway, [first, second], keys, replay)
}

#[tokio::test]
async fn a_list_shows_what_is_ones_own() {
    let (gateway, _receivers, [first, _], _) = two_consumers().await;

    let listed = gateway.call_as(&first, (Method::GET, "/subscriptions"), None).await;

    let listed = listed.body["subscriptions"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], "first");
}

#[tokio::test]
async fn nobody_subscribes_for_another_or_gives_a_subscription_away() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "first").await;
    let key = gateway.add_caller("first", &["consume:first"]).await;
    let stranger = gateway.add_caller("stranger", &["consume:stranger"]).await;
    let publisher = gateway.add_caller("publisher", &["publish:*"]).await;
    let another = receiver.document(json!({ "id": "another" }));
    let post = || (Method::POST, "/subscriptions");

    for caller in [&stranger, &publisher] {
        let answer = gateway.call_as(caller, post(), Some(&another)).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"));
    }
    let given_away = receiver.document(json!({ "consumer": "stranger" }));
    let put = gateway.request(Method::PUT, "/subscriptions/first").bearer_auth(&key);
    let answer = put.header("if-match", "*").json(&given_away).send().await.unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    assert_eq!(gateway.get("/subscriptions/first").await["consumer"], "first");
}

#[tokio::test]
async fn the_name_of_anothers_subscription_is_free_and_takes_nothing_from_it() {
    let (gateway, receivers, [first, second], _) = two_consumers().await;
    let squatting = receivers[0].document(json!({ "id": "second" }));
    let own = (Method::GET, "/subscriptions/second");

    let answer = gateway.call_as(&first, (Method::POST, "/subscriptions"), Some(&squatting)).await;

    assert_eq!((answer.status, &answer.body["name"]), (201, &json!("second")));
    assert_ne!(answer.body["id"], "second");
    assert_eq!(gateway.get("/subscriptions/second").await["consumer"], "second");
    assert_eq!(gateway.call_as(&first, own.clone(), None).await.body["consumer"], "first");
    assert_eq!(gateway.call_as(&second, own, None).await.body["consumer"], "second");
}

#[tokio::test]
async fn consumers_and_producers_see_nothing_of_operators() {
    let gateway = TestGateway::start().await;
    let consumer = gateway.add_caller("consumer", &["consume:shop"]).await;
    let publisher = gateway.add_caller("publisher", &["publish:*"]).await;
    let id = gateway.order(1).await;

    for key in [&consumer, &publisher] {
        for path in ["/events", &format!("/events/{id}"), "/quarantine", "/metrics"] {
            let answer = gateway.call_as(key, (Method::GET, path), None).await;
            assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{path}");
        }
    }
    let event = order_created("o-9", 9);
    let published = gateway.call_as(&consumer, (Method::POST, "/events"), Some(&event)).await;
    assert_eq!(published.status, 403);
}

#[tokio::test]
async fn without_a_valid_key_every_door_is_shut_alike() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let mut altered = key.clone();
    let last = altered.pop();
    altered.push(if last == Some('A') { 'B' } else { 'A' });
    let (mut bared, mut answers) = (Vec::new(), Vec::new());
    for path in ["/subscriptions", "/subscriptions/shop", "/events", "/quarantine", "/metrics"] {
        let bare = gateway.request(Method::GET, path).send().await.unwrap();
        bared.push((bare.status().as_u16(), bare.json::<Value>().await.unwrap()));
        for wrong in ["", "sealway.nobody.AAAA", altered.as_str(), "sealway.shop."] {
            let answer = gateway.call_as(wrong, (Method::GET, path), None).await;
            answers.push((answer.status, answer.body));
        }
    }

    // Whoever has sent one is told that it is not valid, and never why.
    for answers in [bared, answers] {
        assert!(answers.iter().all(|answer| answer.0 == 401), "{answers:?}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}
