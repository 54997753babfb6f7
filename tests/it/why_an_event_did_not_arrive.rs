//! One question tells where an event is and why, to whom it concerns and to nobody else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Receiver, Reply, TestGateway, eventually};

/// What the gateway says of an event and the subscription `shop`, once it is in a state.
async fn in_state(gateway: &TestGateway, event: &str, state: &str) -> Value {
    let path = format!("/events/{event}/trace?subscription=shop");
    eventually(format!("{event} is {state}"), async || {
        let delivery = gateway.get(&path).await["deliveries"][0].clone();
        (delivery["state"] == state).then_some(delivery)
    })
    .await
}

async fn subscribed(wish: Value) -> (TestGateway, Receiver) {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, wish).await;
    (gateway, receiver)
}

#[tokio::test]
async fn a_delivered_event_is_told_from_its_producer_to_its_consumer() {
    let (gateway, receiver) = subscribed(json!({})).await;
    let id = gateway.orders(1..=2).await.remove(1);
    receiver.wait_for_delivered(2).await;

    let delivery = in_state(&gateway, &id, "delivered").await;
    let trace = gateway.get(&format!("/events/{id}/trace")).await;

    let number = receiver.arrivals().iter().find(|one| one.id() == id).unwrap().sequence();
    assert_eq!(delivery["sequence"].as_u64(), number);
    assert_eq!(
        (&delivery["matched"], &delivery["attempts"][0]["status"]),
        (&json!(true), &json!(204))
    );
    assert_eq!((&trace["event"], &trace["type"]), (&json!(id), &json!("Order.Created")));
    let received = &trace["received"];
    assert_eq!(received["envelopeId"], "order-2");
    assert_eq!(received["publication"], "orders/Order.Created");
    assert_eq!(received["today"]["mode"], "enforce");
    let patch = received["today"]["patch"].as_array().unwrap();
    assert!(patch.iter().any(|operation| operation["path"].is_string()), "{patch:?}");
    assert!(patch.iter().all(|operation| operation.get("value").is_none()), "{patch:?}");
    assert!(!trace.to_string().contains("confidential-customer"));
}

#[tokio::test]
async fn an_event_that_does_not_match_is_told_with_the_field_that_failed() {
    let wish = json!({
        "types": ["Order.*"],
        "filters": [{ "pattern": { "data": { "amount": [{ "numeric": [">", 1000] }] } } }],
    });
    let (gateway, _receiver) = subscribed(wish).await;
    let id = gateway.order(1).await;

    let delivery = in_state(&gateway, &id, "unwanted").await;

    assert_eq!((&delivery["matched"], &delivery["sequence"]), (&json!(false), &Value::Null));
    assert_eq!(delivery["mismatches"][0]["path"], "data.amount");
    assert!(delivery["mismatches"][0]["reason"].is_string());
}

#[tokio::test]
async fn the_filter_of_that_time_explains_and_not_that_of_today() {
    let (gateway, receiver) = subscribed(json!({ "types": ["Payment.*"] })).await;
    let id = gateway.order(1).await;
    in_state(&gateway, &id, "unwanted").await;

    let document = receiver.document(json!({ "types": ["Order.*"] }));
    assert_eq!(gateway.put("/subscriptions/shop", &document).await.status, 200);
    let later = gateway.order(2).await;

    assert_eq!(in_state(&gateway, &id, "unwanted").await["mismatches"][0]["path"], "type");
    assert_eq!(in_state(&gateway, &later, "delivered").await["sequence"], 1);
}

#[tokio::test]
async fn what_waits_what_is_tried_again_and_what_was_given_up_is_told() {
    let (gateway, receiver) = subscribed(json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    receiver.answer_next([Reply::Status(500), Reply::Status(422)]);
    let failed = gateway.order(1).await;
    let delivery = in_state(&gateway, &failed, "retrying").await;
    assert_eq!((&delivery["detail"]["attempts"], &delivery["sequence"]), (&json!(1), &json!(1)));
    assert!(delivery["detail"]["nextAttempt"].is_string());
    assert_eq!(delivery["attempts"][0]["verdict"], "retry");

    let refused = gateway.order(2).await;
    let delivery = in_state(&gateway, &refused, "dead-letter").await;
    assert_eq!(
        (&delivery["detail"]["reason"], &delivery["sequence"]),
        (&json!("refused"), &json!(2))
    );
    let letter = format!("/subscriptions/shop/dead-letters/{}", delivery["detail"]["number"]);
    assert_eq!(gateway.call(Method::DELETE, &letter, None).await.status, 204);
    let dropped = in_state(&gateway, &refused, "dropped").await;
    assert_eq!(dropped["detail"]["reason"], "refused");

    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let waiting = gateway.order(3).await;
    let delivery = in_state(&gateway, &waiting, "waiting").await;
    assert_eq!((&delivery["matched"], &delivery["attempts"]), (&json!(true), &json!([])));
    assert_eq!(delivery["detail"], json!({ "because": "paused" }));
}

#[tokio::test]
async fn what_waits_behind_a_dead_letter_of_its_subject_names_it() {
    let config =
        json!({ "ordering": "subject", "onDeadLetter": "block", "maximumRetryAttempts": 0 });
    let (gateway, receiver) = subscribed(json!({ "config": config })).await;
    receiver.answer_next([Reply::Status(500)]);
    let given_up = gateway.order(1).await;
    let letter = in_state(&gateway, &given_up, "dead-letter").await;
    let behind = gateway.order(2).await;

    let blocked = in_state(&gateway, &behind, "blocked").await;

    assert_eq!(blocked["detail"]["deadLetter"], letter["detail"]["number"]);
}

#[tokio::test]
async fn what_waits_behind_an_earlier_event_of_its_subject_names_it() {
    let (gateway, receiver) = subscribed(json!({ "config": { "ordering": "subject" } })).await;
    receiver.answer(Reply::Status(500));
    let first = gateway.order(1).await;
    in_state(&gateway, &first, "retrying").await;
    let behind = gateway.order(2).await;

    let waits = in_state(&gateway, &behind, "waiting").await;
    let detail = json!({ "because": "subject", "behind": first, "behindSequence": 1 });
    assert_eq!((&waits["detail"], &waits["sequence"]), (&detail, &json!(2)));

    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let retrying = in_state(&gateway, &first, "retrying").await;
    assert_eq!(retrying["detail"]["because"], "paused");
    assert!(retrying["detail"]["nextAttempt"].is_string());
}

#[tokio::test]
async fn what_a_consumer_has_not_fetched_or_acknowledged_is_told() {
    let (gateway, _consumer) = subscribed(json!({ "sink": null, "protocol": "PULL" })).await;
    let ids = gateway.orders(1..=3).await;

    assert_eq!(in_state(&gateway, &ids[1], "to-fetch").await["sequence"], 2);
    let polled = json!({ "returnImmediately": true });
    gateway.post("/subscriptions/shop/poll", &polled).await;
    let acknowledged = json!({ "returnImmediately": true, "ack": [ids[1]] });
    gateway.post("/subscriptions/shop/poll", &acknowledged).await;

    in_state(&gateway, &ids[1], "acknowledged").await;
    in_state(&gateway, &ids[0], "to-fetch").await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let held = in_state(&gateway, &ids[0], "waiting").await;
    assert_eq!(held["detail"], json!({ "because": "paused" }));
    in_state(&gateway, &ids[1], "acknowledged").await;
}

#[tokio::test]
async fn an_event_from_before_the_start_is_told_and_so_is_its_replay() {
    let gateway = TestGateway::start().await;
    let id = gateway.order(1).await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    // What comes later lets the courier move on.
    let later = gateway.order(2).await;
    in_state(&gateway, &later, "delivered").await;
    in_state(&gateway, &id, "before-start").await;

    let wish = json!({ "from": id, "to": id });
    let replay = gateway.post("/subscriptions/shop/replays", &wish).await;
    let path = format!("/events/{id}/trace?subscription=shop");
    let delivery = eventually("the replay is told", async || {
        let delivery = gateway.get(&path).await["deliveries"][0].clone();
        (delivery["replays"] == json!([replay["id"]])).then_some(delivery)
    })
    .await;
    assert_eq!(delivery["attempts"][0]["verdict"], "delivered");
    assert_eq!((&delivery["state"], &delivery["sequence"]), (&json!("before-start"), &Value::Null));
}

#[tokio::test]
async fn a_consumer_learns_of_its_own_subscriptions_and_of_events_that_they_want() {
    let (gateway, receiver) = subscribed(json!({})).await;
    let bank = Receiver::start(&gateway, "bank").await;
    gateway.subscribe(&bank, json!({ "types": ["Payment.*"] })).await;
    let shop_key = gateway.add_caller("shop", &["consume:shop"]).await;
    let bank_key = gateway.add_caller("bank", &["consume:bank"]).await;
    let publisher = gateway.add_caller("publisher", &["publish:*"]).await;
    let id = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    in_state(&gateway, &id, "delivered").await;
    let ask = async |key: &str, path: String| {
        let answer = gateway.call_as(key, (Method::GET, &path), None).await;
        (answer.status, answer.body)
    };

    let (status, told) = ask(&shop_key, format!("/events/{id}/trace")).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&told["received"], told["deliveries"].as_array().unwrap().len()),
        (&Value::Null, 1)
    );
    assert_eq!(told["deliveries"][0]["subscription"], "shop");
    // An event that it does not want looks like one that is not there.
    let unwanted = ask(&bank_key, format!("/events/{id}/trace?subscription=bank")).await;
    let absent = ask(&bank_key, format!("/events/{}/trace", "7".repeat(26))).await;
    assert_eq!((unwanted.0, &unwanted), (404, &absent));
    assert_eq!(ask(&bank_key, format!("/events/{id}/trace")).await, absent);
    let theirs = ask(&bank_key, format!("/events/{id}/trace?subscription=shop")).await;
    assert_eq!(theirs.0, 404);
    assert_eq!(ask(&publisher, format!("/events/{id}/trace")).await.0, 403);
    assert_eq!(ask(&shop_key, "/events/yesterday/trace".to_owned()).await.0, 400);
    let all = gateway.get(&format!("/events/{id}/trace")).await;
    assert_eq!(all["deliveries"].as_array().unwrap().len(), 2, "operators are told of both");
}

#[tokio::test]
async fn an_event_that_never_arrived_is_found_in_quarantine_by_its_producers_id() {
    let gateway = TestGateway::start().await;
    let broken = json!({
        "specversion": "1.0", "id": "lost-1", "source": "order-service", "type": "OrderCreated",
        "data": { "id": "not a number", "amount": 100 },
    });
    let path = "/events?manner=asynchronous";
    let media_type = "application/cloudevents+json";
    let answer = gateway.send_text(path, media_type, broken.to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);

    let found = gateway.get("/quarantine?envelope=lost-1").await["quarantined"].clone();
    let other = gateway.get("/quarantine?envelope=lost-2").await["quarantined"].clone();
    let counts = gateway.get("/quarantine/counts").await;

    assert_eq!((&found[0]["envelope"], &other), (&json!("lost-1"), &json!([])));
    let code = found[0]["violations"][0]["code"].as_str().unwrap();
    let counted = &counts["publications"]["orders/Order.Created"];
    assert_eq!((&counted["total"], &counted["codes"][code]), (&json!(1), &json!(1)));
}
