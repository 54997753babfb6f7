//! Whoever asks for an event finds it by what its producer was given.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ACCESS_SECRET, Receiver, TestGateway, order_created, program};

/// A second publication of what orders become.
const SECOND: &str = "domain: audit
contract: asyncapi/orders.yaml
source: /audit
publications:
  - event: Order.Created
    when: { detail-type: [OrderCreated] }
    deduplicate: 5m
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
";

async fn with_audit() -> TestGateway {
    TestGateway::with(None, |config| {
        fs::write(config.publications.join("audit.yaml"), SECOND).unwrap();
    })
    .await
}

async fn ids_of(gateway: &TestGateway, envelope: &str) -> Vec<String> {
    let answer = gateway.get(&format!("/events?envelope={envelope}")).await;
    let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    answer["events"].as_array().unwrap().iter().map(id).collect()
}

/// How a command of an operator ended: its code and both outputs.
fn sealway(gateway: &TestGateway, key: &str, arguments: &[&str]) -> (i32, String, String) {
    let ended = program()
        .args(["--gateway", &gateway.issuer()])
        .env("SEALWAY_CALLER_KEY", key)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_found_by_its_ulid_by_its_cloudevents_id_and_by_the_event_id_of_the_bus() {
    let gateway = TestGateway::start().await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let ulid = gateway.publish(&order_created("shop/order #1", 1)).await.remove(0);
    let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
        .source("order-service")
        .detail_type("OrderCreated")
        .detail(json!({ "id": 2, "amount": 100 }).to_string());
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let put = client.put_events().entries(entry.build()).send().await.unwrap();
    let event_id = put.entries()[0].event_id().unwrap();

    for given in [ulid.as_str(), &ulid.to_lowercase(), "shop/order #1"] {
        let (code, told, remarks) = sealway(&gateway, &operator, &["events", "get", given]);
        assert_eq!(code, 0, "{given}: {remarks}");
        assert!(told.contains(&ulid), "{given}: {told}");
        let (code, told, remarks) = sealway(&gateway, &operator, &["events", "trace", given]);
        assert_eq!(code, 0, "{given}: {remarks}");
        assert!(told.starts_with(&format!("event {ulid}, Order.Created")), "{given}: {told}");
    }
    let theirs = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let ours = gateway.publish(&order_created(theirs, 3)).await.remove(0);
    let found = gateway.get(&format!("/events/{theirs}")).await;
    assert_eq!(found["event"]["id"], json!(ours), "a producer may use ULIDs too");
    let found = gateway.get(&format!("/events/{event_id}")).await;
    assert_eq!(
        (&found["envelopeId"], &found["event"]["data"]["orderId"]),
        (&json!(event_id), &json!(2))
    );
    let trace = gateway.get(&format!("/events/{event_id}/trace")).await;
    assert_eq!(trace["event"], found["event"]["id"]);
    let (code, told, _) =
        sealway(&gateway, &operator, &["events", "list", "--envelope", "shop/order #1"]);
    assert_eq!((code, told.contains(&ulid), told.lines().count()), (0, true, 2), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_events_of_one_id_are_listed_to_choose_from() {
    let gateway = with_audit().await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let mut ids = gateway.publish(&order_created("same", 1)).await;
    assert_eq!(ids.len(), 2, "one for each publication");
    let mut other = order_created("same", 2);
    other["source"] = json!("other-service");
    ids.extend(gateway.publish(&other).await);
    ids.sort();

    assert_eq!(ids_of(&gateway, "same").await, ids);
    assert_eq!(ids_of(&gateway, &format!("same&from={}", ids[1])).await, ids[1..]);
    let answer = gateway.get("/events?envelope=same&limit=2").await;
    assert_eq!(answer["next"], json!(ids[2]));
    for path in ["/events/same", "/events/same/trace"] {
        let answer = gateway.call(Method::GET, path, None).await;
        assert_eq!((answer.status, answer.code()), (409, "ambiguous"), "{}", answer.body);
        let choices = answer.body["choices"].as_array().unwrap();
        assert_eq!(
            choices.iter().map(|one| &one["id"]).collect::<Vec<_>>(),
            ids.iter().collect::<Vec<_>>()
        );
        assert!(choices[0]["publication"].is_string() && choices[0]["accepted"].is_string());
    }
    let (code, _, remarks) = sealway(&gateway, &operator, &["events", "get", "same"]);
    assert_eq!(code, 2);
    assert!(ids.iter().all(|id| remarks.contains(id)), "{remarks}");
    assert!(remarks.contains("of audit/Order.Created"), "{remarks}");
}

#[tokio::test]
async fn a_repeat_leads_to_the_event_that_was_there() {
    let gateway = with_audit().await;
    let ids = gateway.publish(&order_created("first", 1)).await;
    assert_eq!(gateway.publish(&order_created("first", 1)).await, ids);
    assert_eq!(ids_of(&gateway, "first").await.len(), 2, "sent again it is no other event");

    // `audit` swallows equal content, `orders` does not.
    let again = gateway.publish(&order_created("second", 1)).await;

    let found = ids_of(&gateway, "second").await;
    assert_eq!(found.len(), 2);
    assert!(again.iter().all(|id| found.contains(id)), "{found:?} {again:?}");
    assert_eq!(found.iter().filter(|id| ids.contains(id)).count(), 1, "{found:?} {ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_aside_or_was_not_wanted_is_told_where_to_look() {
    let gateway = TestGateway::start().await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let mut broken = order_created("lost-1", 1);
    broken["data"]["id"] = json!("not a number");
    let path = "/events?manner=asynchronous";
    let answer = gateway.send_text(path, "application/cloudevents+json", broken.to_string()).await;
    assert_eq!(answer.status, 202);

    for command in ["get", "trace"] {
        let (code, _, remarks) = sealway(&gateway, &operator, &["events", command, "lost-1"]);
        assert_eq!(code, 2);
        assert!(remarks.contains("sealway quarantine list --envelope"), "{remarks}");
        let (code, _, remarks) = sealway(&gateway, &operator, &["events", command, "lost-2"]);
        assert_eq!(code, 2);
        assert!(remarks.contains("sealway events try"), "{remarks}");
    }
    let list = ["events", "list", "--envelope", "lost-1"];
    let (code, _, remarks) = sealway(&gateway, &operator, &list);
    assert_eq!((code, remarks.contains("quarantine list --envelope 'lost-1'")), (0, true));
}

#[tokio::test]
async fn a_domain_finds_its_own_events_with_where_they_stand_and_nothing_of_others() {
    let gateway = with_audit().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "types": ["Order.*"] })).await;
    gateway.publish(&order_created("order-1", 1)).await;
    receiver.wait_for_delivered(2).await;
    let orders = gateway.add_caller("orders-team", &["domain:orders"]).await;
    let reader = gateway.add_caller("orders-reader", &["domain:orders", "read-data"]).await;
    let audit = gateway.add_caller("audit-team", &["domain:audit"]).await;
    let ask = async |key: &str, path: &str| {
        let answer = gateway.call_as(key, (Method::GET, path), None).await;
        (answer.status, answer.body)
    };

    // The envelope became an event of each of two domains: each finds its own, and one only.
    let (status, found) = ask(&orders, "/events/order-1").await;
    assert_eq!((status, &found["publication"]), (200, &json!("orders/Order.Created")), "{found}");
    assert_eq!(found["event"].get("data"), None, "{found}");
    assert_eq!(found["withheld"]["scope"], "read-data", "{found}");
    assert_eq!(ask(&reader, "/events/order-1").await.1["event"]["data"]["orderId"], 1);
    let own = found["event"]["id"].as_str().unwrap();
    assert_eq!((found.get("position"), ask(&orders, "/events").await.0), (None, 403));
    let other = ask(&audit, "/events/order-1").await.1["event"]["id"].as_str().unwrap().to_owned();
    assert_ne!(other, own);

    let (status, trace) = ask(&orders, "/events/order-1/trace").await;
    assert_eq!((status, &trace["states"]), (200, &json!({ "delivered": 1 })), "{trace}");
    assert_eq!(trace["received"]["envelopeId"], "order-1");
    assert!(!trace.to_string().contains("shop"), "whose they are is not told: {trace}");
    assert_eq!(trace["received"].get("idempotencyKey"), None, "{trace}");

    // Another domain's is as if it were not there.
    let nowhere = "0".repeat(26);
    for below in ["", "/trace"] {
        let there = ask(&orders, &format!("/events/{other}{below}")).await;
        let absent = ask(&orders, &format!("/events/{nowhere}{below}")).await;
        assert_eq!(there.0, 404);
        assert_eq!(there.1.to_string().replace(&other, &nowhere), absent.1.to_string());
    }
}

#[tokio::test]
async fn an_envelope_is_for_operators_and_its_domain_alone() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({})).await;
    let ulid = gateway.publish(&order_created("order-1", 1)).await.remove(0);
    receiver.wait_for_delivered(1).await;
    let consumer = gateway.add_caller("consumer", &["consume:shop"]).await;
    let publisher = gateway.add_caller("publisher", &["publish:*"]).await;
    let ask = async |key: &str, path: &str| gateway.call_as(key, (Method::GET, path), None).await;

    assert_eq!(ask(&consumer, &format!("/events/{ulid}/trace")).await.status, 200);
    let there = ask(&consumer, "/events/order-1/trace").await;
    let absent = ask(&consumer, "/events/order-2/trace").await;
    assert_eq!((there.status, absent.status), (400, 400));
    assert_eq!(there.body.to_string().replace("order-1", "order-2"), absent.body.to_string());
    for path in ["/events/order-1", "/events?envelope=order-1"] {
        assert_eq!(ask(&consumer, path).await.status, 403);
        assert_eq!(ask(&publisher, path).await.status, 403);
    }
    assert_eq!(ask(&publisher, "/events/order-1/trace").await.status, 403);
}
