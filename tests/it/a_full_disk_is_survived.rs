//! A disk that fills up stops events at the border, not what is in flight, and one that has room
//! again takes events without a restart.

use reqwest::Method;

use sealway::ambient::{ManualDisk, Room};

use crate::harness::{Receiver, Reply, TestGateway, eventually, order_created};

fn used(percent: u64) -> Room {
    Room { free: (100 - percent) << 30, total: 100 << 30 }
}

async fn readiness(gateway: &TestGateway) -> (u16, String) {
    let answer = gateway.call(Method::GET, "/health/ready", None).await;
    (answer.status, answer.body.to_string())
}

#[tokio::test]
async fn events_are_refused_and_outcomes_are_written_until_there_is_room() {
    let disk = ManualDisk::with(used(50));
    let mut gateway = TestGateway::start().await;
    gateway.restart_on(&disk).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer(Reply::Status(410));
    assert_eq!(readiness(&gateway).await, (200, "\"ready\\n\"".to_owned()));

    disk.set(used(80));
    eventually("operators are warned", async || {
        readiness(&gateway).await.1.contains("filling up").then_some(())
    })
    .await;
    gateway.order(1).await;
    disk.set(used(92));
    let refused = eventually("events are refused", async || {
        let answer = gateway.send(&order_created("order-2", 2)).await;
        (answer.status == 503).then_some(answer)
    })
    .await;

    assert_eq!(refused.code(), "busy");
    let detail = refused.body["detail"].as_str().unwrap();
    // Where the log lies and how much room it has is not for producers.
    assert!(detail.contains("disk is full") && !detail.contains('/'), "{detail}");
    let response = gateway.request(Method::GET, "/health/ready").send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    assert!(metrics.as_str().unwrap().contains("sealway_disk_used_ratio 0.92"), "{metrics}");
    eventually("the outcome of the delivery is written", async || {
        let letters = gateway.get("/subscriptions/shop/dead-letters").await;
        // The second order may have come before the disk was asked again.
        (!letters["deadLetters"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;

    disk.set(used(50));
    eventually("events are taken again", async || {
        let answer = gateway.send(&order_created("order-3", 3)).await;
        (answer.status == 202).then_some(())
    })
    .await;
}
