//! Each kind of body crosses or is kept, and what is kept can be released.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::a_queue_is_a_source::scene::{QUEUE, Scene, envelope, numbers};
use crate::harness::aws::StubMessage;
use crate::harness::never_within;

const RAW: &str = ", raw: { source: order-service, detail-type: OrderCreated }";

fn order(number: u64) -> Value {
    json!({ "id": number, "amount": 100 })
}

fn notification(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "sns-1", "Message": message.to_string(),
        "TopicArn": "arn:aws:sns:eu-west-1:111122223333:orders",
        "Timestamp": "2026-11-21T20:17:00.123Z",
    })
}

fn wrapped(data: &Value) -> Value {
    json!({ "Data": data, "Metadata": {}, "SystemMetadata": {
        "aws:EventId": "v2-1", "aws:DeliveryType": "LIVE", "ContentType": "application/json",
    } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_body_crosses_with_its_trace() {
    let scene = Scene::with(QUEUE, RAW).await;
    let mut without_account = envelope("e-2", 2);
    without_account.as_object_mut().unwrap().remove("account");
    let bodies = [
        envelope("e-1", 1),
        without_account,
        json!({ "source": "order-service", "detail-type": "OrderCreated", "detail": order(3) }),
        order(4),
        notification(&envelope("e-5", 5)),
        notification(&order(6)),
        wrapped(&envelope("e-7", 7)),
        wrapped(&order(8)),
        json!({
            "specversion": "1.0", "id": "c-9", "source": "order-service", "type": "OrderCreated",
            "data": order(9),
        }),
    ];
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    for body in &bodies {
        scene.queue.send(StubMessage::new(body.to_string()).trace(header));
    }
    scene.queue.wait_until_empty().await;

    let events = scene.events().await;
    let mut crossed = numbers(&events);
    crossed.sort_unstable();
    assert_eq!(crossed, (1..=9).collect::<Vec<_>>());
    for event in &events {
        let trace = event["traceparent"].as_str().unwrap();
        assert!(trace.contains("5759e988bd862e3fe1be46a994272793"), "{event}");
    }
    assert_eq!(scene.metric("messages_total", ",outcome=\"admitted\"").await, 9);
    assert_eq!(scene.metric("deleted_total", "").await, 9);
    assert_eq!(scene.metric("age_seconds_count", "").await, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_messages_with_one_poison_nine_cross_and_none_comes_again() {
    let scene = Scene::prepared(QUEUE, ", visibility-timeout: 1s").await;
    for number in 1..=9 {
        scene.queue.send(envelope(&format!("e-{number}"), number).to_string());
    }
    let poison = StubMessage::new("{\"id\": broken").attribute("tenant", "a");
    let id = scene.queue.send(poison);
    let mut scene = scene;
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    assert_eq!(scene.events().await.len(), 9);
    let entries = scene.wait_for_quarantine(1).await;
    assert_eq!(entries.len(), 1);
    let entry = scene.get(&format!("/quarantine/{}", entries[0]["id"])).await;
    assert_eq!(entry["producer"], json!({ "kind": "queue", "name": QUEUE }));
    assert_eq!(entry["bytes"]["body"], "{\"id\": broken", "{entry}");
    let headers = entry["bytes"]["headers"].to_string();
    assert!(headers.contains(&id) && headers.contains("sqs-attribute-tenant"), "{headers}");
    never_within(Duration::from_secs(2), "a message came again", async || {
        let receives = scene.stub.calls_of("ReceiveMessage");
        let handed = receives.iter().flat_map(|call| &call.asked.messages).count();
        (handed > 10).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_no_known_kind_or_source_is_released_once_the_settings_allow_it() {
    let mut scene = Scene::with(QUEUE, ", sources: ['payment-*']").await;
    scene.queue.send(order(1).to_string());
    scene.queue.send(envelope("e-2", 2).to_string());
    let entries = scene.wait_for_quarantine(2).await;
    scene.queue.wait_until_empty().await;
    let codes: Vec<_> = entries.iter().map(|entry| entry["violations"].to_string()).collect();
    assert!(codes.iter().any(|code| code.contains("invalid-event")), "{codes:?}");
    assert!(codes.iter().any(|code| code.contains("forbidden")), "{codes:?}");
    // An admin may decide otherwise.
    let operator = scene.gateway.add_caller("releaser", "operate");
    for entry in &entries {
        let path = format!("/quarantine/{}/release", entry["id"]);
        let refused = scene.gateway.call_as(&operator, (Method::POST, &path), None).await;
        assert!(["invalid", "wrong-state"].contains(&refused.code()), "{}", refused.body);
    }

    scene.gateway.stop().await;
    let settings = scene.gateway.settings_text();
    let wider = settings.replace(", sources: ['payment-*']", RAW);
    std::fs::write(scene.gateway.settings(), wider).unwrap();
    scene.gateway.serve().await;
    for entry in &entries {
        let path = format!("/quarantine/{}/release", entry["id"]);
        let released = scene.call(Method::POST, &path, None).await;
        assert_eq!(released.status, 200, "{}", released.body);
    }
    let mut crossed = numbers(&scene.events().await);
    crossed.sort_unstable();
    assert_eq!(crossed, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_has_put_on_a_bus_ends_there_and_what_others_send_in_its_name_is_kept() {
    let scene = Scene::with(QUEUE, "").await;
    let named = |id: &str, number: u64, source: &str, issuer: &str| {
        let mut event = envelope(id, number);
        event["source"] = json!(source);
        event["resources"] = json!([format!("{issuer}/subscriptions/01K00000000000000000000000")]);
        scene.queue.send(event.to_string());
    };
    for number in 0..3 {
        named(&format!("own-{number}"), number, "sealway", scene.gateway.issuer());
    }
    named("of-another", 4, "sealway", "https://another.example");
    named("of-a-producer", 5, "Sealway", scene.gateway.issuer());
    scene.queue.send(envelope("e-1", 1).to_string());
    scene.queue.wait_until_empty().await;

    assert_eq!(numbers(&scene.events().await), [1]);
    assert_eq!(scene.metric("messages_total", ",outcome=\"own\"").await, 3);
    let warnings = scene.gateway.log().matches("brings events back").count();
    assert_eq!(warnings, 1, "{}", scene.gateway.log());
    let entries = scene.wait_for_quarantine(2).await;
    assert_eq!(entries.len(), 2);
    for entry in &entries {
        assert!(entry["violations"].to_string().contains("forbidden"), "{entry}");
        let path = format!("/quarantine/{}/release", entry["id"]);
        let refused = scene.call(Method::POST, &path, None).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_event_under_the_same_source_and_id_is_kept_and_not_lost() {
    let mut scene = Scene::with(QUEUE, "").await;
    scene.queue.send(envelope("e-1", 1).to_string());
    scene.wait_for_events(1).await;
    let other = envelope("e-1", 2).to_string();
    scene.queue.send(other.clone());
    let entries = scene.wait_for_quarantine(1).await;
    scene.queue.wait_until_empty().await;

    assert_eq!(entries[0]["violations"][0]["code"], "differs", "{entries:?}");
    let entry = scene.get(&format!("/quarantine/{}", entries[0]["id"])).await;
    assert_eq!(entry["bytes"]["body"], other);
    assert_eq!(numbers(&scene.events().await), [1]);
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_breaks_its_contract_and_comes_again_has_one_entry() {
    let mut scene = Scene::with(QUEUE, "").await;
    let mut broken = envelope("e-1", 1);
    broken["detail"] = json!({});
    for _ in 0..3 {
        scene.queue.send(broken.to_string());
    }
    scene.queue.wait_until_empty().await;

    assert_eq!(scene.wait_for_quarantine(1).await.len(), 1);
    scene.gateway.stop().await;
}
