//! With `ordering: subject` the events of a subject arrive in the order of the log, whatever fails.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::HumanDuration;

use crate::harness::{
    Arrival, Receiver, Reply, TestGateway, eventually, never_within, order_by_number,
};

/// A gateway whose orders have their number as subject, and which tries again soon.
async fn gateway() -> TestGateway {
    TestGateway::with(None, |config| {
        order_by_number(&config.publications);
        config.delivery.retries = vec![HumanDuration(Duration::from_millis(50)); 20];
        config.delivery.breaker.failures = 1000;
        config.delivery.breaker.share = 100;
    })
    .await
}

/// Publishes the `step`-th event of a subject.
async fn publish(gateway: &TestGateway, subject: u64, step: u64) {
    let event = json!({
        "specversion": "1.0", "id": format!("{subject}-{step}"), "source": "order-service",
        "type": "OrderCreated",
        "data": { "id": subject, "amount": step, "customer": "confidential" },
    });
    gateway.publish(&event).await;
}

/// The steps of each subject as they came.
fn steps(arrivals: &[Arrival]) -> BTreeMap<u64, Vec<u64>> {
    let mut steps: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for arrival in arrivals {
        let data = arrival.data();
        let subject = data["orderId"].as_u64().unwrap();
        steps.entry(subject).or_default().push(data["amount"].as_u64().unwrap());
    }
    steps
}

async fn progress(gateway: &TestGateway) -> Value {
    gateway.get("/subscriptions/shop").await["progress"].clone()
}

#[tokio::test]
async fn retries_restarts_and_other_subjects_change_no_order() {
    let mut gateway = gateway().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "ordering": "subject" } })).await;
    // Every third attempt fails, whatever it is for.
    let replies = [Reply::Status(204), Reply::Status(500), Reply::Status(204)];
    receiver.answer_next(replies.into_iter().cycle().take(90));

    for step in 1..=10 {
        for subject in 1..=6 {
            publish(&gateway, subject, step).await;
        }
        if step == 5 {
            gateway.restart().await;
        }
    }
    let arrivals = receiver.wait_for_delivered(60).await;

    for (subject, came) in steps(&arrivals) {
        assert_eq!(came, (1..=10).collect::<Vec<_>>(), "subject {subject}");
    }
    // What failed came again before anything that follows it.
    for (subject, came) in steps(&receiver.arrivals()) {
        assert!(came.is_sorted(), "subject {subject}: {came:?}");
    }
    assert_eq!(receiver.chain().0, 60);
}

#[tokio::test]
async fn a_dead_letter_holds_its_subject_up_until_it_is_redriven_or_dismissed() {
    let mut gateway = gateway().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let config =
        json!({ "ordering": "subject", "onDeadLetter": "block", "maximumRetryAttempts": 0 });
    gateway.subscribe(&receiver, json!({ "config": config })).await;
    receiver.answer_next([Reply::Status(500), Reply::Status(500)]);
    for (subject, step) in [(1, 1), (2, 1)] {
        publish(&gateway, subject, step).await;
    }
    eventually("both are blocked", async || {
        (progress(&gateway).await["blocked"] == 2).then_some(())
    })
    .await;
    for (subject, step) in [(1, 2), (2, 2), (3, 1), (1, 3)] {
        publish(&gateway, subject, step).await;
    }
    receiver.wait_for_delivered(1).await;
    gateway.restart().await;
    let more = async || receiver.arrivals().get(3).cloned();
    never_within(Duration::from_millis(300), "two subjects are blocked", more).await;
    assert_eq!(progress(&gateway).await["blocked"], 2);

    let letters = gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].clone();
    let letter = |sequence: u64| {
        let mut all = letters.as_array().unwrap().iter();
        all.find(|letter| letter["sequence"] == sequence).unwrap()["id"].clone()
    };
    let redrive = json!({ "ids": [letter(1)] });
    gateway.post("/subscriptions/shop/dead-letters/redrive", &redrive).await;
    receiver.wait_for_delivered(4).await;
    assert_eq!(steps(&receiver.delivered())[&1], [1, 2, 3]);

    let path = format!("/subscriptions/shop/dead-letters/{}", letter(2));
    let answer = gateway.call(Method::DELETE, &path, None).await;
    assert!(answer.status < 300, "{answer:?}");
    receiver.wait_for_delivered(5).await;
    assert_eq!(steps(&receiver.delivered())[&2], [2]);
    eventually("nothing is blocked", async || {
        (progress(&gateway).await["blocked"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_subject_goes_on_without_its_dead_letter_where_that_is_asked_for() {
    let gateway = gateway().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let config =
        json!({ "ordering": "subject", "onDeadLetter": "skip", "maximumRetryAttempts": 0 });
    gateway.subscribe(&receiver, json!({ "config": config })).await;
    receiver.answer_next([Reply::Status(500)]);
    for step in 1..=3 {
        publish(&gateway, 1, step).await;
    }

    receiver.wait_for_delivered(2).await;
    assert_eq!(steps(&receiver.delivered())[&1], [2, 3]);

    let lonely = receiver.document(json!({ "id": "other", "config": { "onDeadLetter": "skip" } }));
    let answer = gateway.call(Method::POST, "/subscriptions", Some(&lonely)).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.body);
}
