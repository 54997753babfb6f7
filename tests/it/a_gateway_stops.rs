//! A gateway that is told to stop says so as long as it takes, and ends at once when it is told again.

use std::process::Command;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::SystemClock;

use crate::harness::{Process, Receiver, Reply, eventually, order_created};

/// A gateway with a sink that takes nothing yet, and one event on its way there.
async fn with_an_attempt_in_flight() -> (Process, String, Receiver) {
    let mut process = Process::prepare();
    let key = process.add_caller("tester", "operate publish:* consume:shop");
    process.serve().await;
    let receiver = Receiver::listening("shop", process.issuer(), Arc::new(SystemClock)).await;
    let document = receiver.document(json!({ "types": ["Order.Created"] }));
    let made = process.call_as(&key, (Method::POST, "/subscriptions"), Some(&document)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    eventually("the sink is proved", async || {
        (process.get(&key, "/subscriptions/shop").await["state"] == "active").then_some(())
    })
    .await;
    receiver.answer(Reply::Hang);
    process.publish(&key, &order_created("order-1", 1)).await;
    receiver.wait_for_arrivals(1).await;
    (process, key, receiver)
}

fn tell_to_stop(process: &Process, signal: &str) {
    let told = Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
    assert!(told.success());
}

#[tokio::test]
async fn while_it_drains_it_answers_that_it_is_not_ready_and_takes_nothing() {
    let (mut process, key, receiver) = with_an_attempt_in_flight().await;
    tell_to_stop(&process, "-TERM");

    let ready = format!("{}/health/ready", process.issuer());
    eventually("it is not ready", async || {
        let answer = reqwest::get(&ready).await.ok()?;
        (answer.status() == 503).then_some(())
    })
    .await;
    let live = reqwest::get(format!("{}/health/live", process.issuer())).await.unwrap();
    assert_eq!(live.status(), 200);
    let request = process.request(Method::POST, "/events").bearer_auth(&key);
    let request = request.header("content-type", "application/cloudevents+json");
    let event = order_created("order-2", 2).to_string();
    let refused = request.body(event).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["type"].as_str().unwrap().ends_with("/problems/not-ready"), "{problem}");

    receiver.answer(Reply::Status(204));
    let ended = eventually("it stops", async || process.ended()).await;
    assert!(ended.success(), "{ended}");
    let log = process.log();
    assert!(log.lines().last().unwrap().contains("Gateway has stopped"), "{log}");
}

#[tokio::test]
async fn told_twice_it_ends_at_once_and_loses_nothing() {
    let (mut process, _, receiver) = with_an_attempt_in_flight().await;
    tell_to_stop(&process, "-INT");
    eventually("it drains", async || process.log().contains("it drains").then_some(())).await;
    assert!(process.lives(), "an attempt is in flight");

    tell_to_stop(&process, "-INT");
    let ended = eventually("it ends", async || process.ended()).await;
    assert_eq!(ended.code(), Some(130), "{}", process.log());

    receiver.answer(Reply::Status(204));
    process.serve().await;
    receiver.wait_for_delivered(1).await;
}
