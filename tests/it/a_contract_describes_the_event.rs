//! A contract that describes the CloudEvent itself gives it its type and its attributes, which travel
//! in the token, and outside of it only where the publication says so.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use sealway::config::Config;

use crate::harness::{Arrival, Process, Receiver, Reply, TestGateway, eventually};

/// A team's contract: it fixes the type, wants a UUID as id, and requires an attribute.
const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Payments, version: 1.0.0 }
channels:
  payments:
    messages:
      Payment.Authorised:
        payload:
          type: object
          required: [id, type, correlationid, data]
          properties:
            id: { type: string, format: uuid }
            type: { const: com.x.v1 }
            source: { const: /x/payments }
            correlationid: { type: string, pattern: '^c-[0-9]+$' }
            tries: { type: integer }
            data:
              type: object
              required: [amount]
              properties: { amount: { type: integer } }
";

const PUBLICATION: &str = "domain: x
contract: asyncapi/x.yaml
context: { region: eu }
publications:
  - event: Payment.Authorised
    when: { source: [payment-service], detail-type: [PaymentSucceeded] }
    subject: /detail/customer
    attributes:
      correlationid: /detail/correlationId
      region: /context/region
      tries: { from: /detail/tries, optional: true }
    patch:
      - { op: copy, from: /detail/amount, path: /data/amount }
";

fn write_x(contracts: &Path, publications: &Path, item: &str) {
    fs::write(contracts.join("x.yaml"), CONTRACT).unwrap();
    fs::write(publications.join("payments.yaml"), format!("{PUBLICATION}{item}")).unwrap();
}

fn publish_x(config: &Config, item: &str) {
    write_x(&config.contracts, &config.publications, item);
}

async fn gateway(item: &str) -> TestGateway {
    TestGateway::with(None, |config| publish_x(config, item)).await
}

fn payment(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "payment-service", "type": "PaymentSucceeded",
        "data": { "amount": 7, "customer": "customer-4711", "correlationId": "c-815", "tries": 3 },
    })
}

fn assert_is_whole(arrival: &Arrival) {
    let event = arrival.opened.event();
    assert_eq!((&event["type"], &event["source"]), (&json!("com.x.v1"), &json!("/x/payments")));
    assert_eq!((&event["correlationid"], &event["region"]), (&json!("c-815"), &json!("eu")));
    assert_eq!((&event["tries"], &event["subject"]), (&json!(3), &json!("customer-4711")));
    assert_eq!(event["data"], json!({ "amount": 7 }));
    assert_eq!(arrival.header("ce-type"), Some("com.x.v1"));
}

fn assert_is_hidden(arrival: &Arrival) {
    let headers = format!("{:?}", arrival.headers);
    for text in
        ["customer-4711", "c-815", "ce-correlationid", "ce-region", "ce-tries", "ce-subject"]
    {
        assert!(!headers.contains(text), "{text}: {headers}");
    }
}

#[tokio::test]
async fn the_token_has_the_attributes_and_the_headers_have_none_of_the_events_own() {
    let gateway = gateway("").await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    let id = gateway.publish(&payment("p-1")).await.remove(0);

    let arrival = receiver.wait_for_delivered(1).await.remove(0);
    assert_is_whole(&arrival);
    assert_is_hidden(&arrival);
    let kept = gateway.get(&format!("/events/{id}")).await;
    assert_eq!(&kept["event"], arrival.opened.event());
}

#[tokio::test]
async fn what_is_clear_stands_in_headers_and_nothing_else_does() {
    let gateway = gateway("    clear: [correlationid, subject, tries]\n").await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    gateway.publish(&payment("p-1")).await;

    let arrival = receiver.wait_for_delivered(1).await.remove(0);
    assert_is_whole(&arrival);
    assert_eq!(arrival.header("ce-correlationid"), Some("c-815"));
    assert_eq!(arrival.header("ce-subject"), Some("customer-4711"));
    assert_eq!(arrival.header("ce-tries"), Some("3"));
    assert_eq!(arrival.header("ce-region"), None);
}

#[tokio::test]
async fn types_match_the_name_and_filters_the_attributes() {
    let gateway = gateway("").await;
    let wanting = async |name: &str, wish: Value| {
        let receiver = Receiver::start(&gateway, name).await;
        gateway.subscribe(&receiver, wish).await;
        receiver
    };
    let exact = |attributes: Value| json!({ "filters": [{ "exact": attributes }] });
    let receivers = [
        wanting("by-name", json!({ "types": ["Payment.Authorised"] })).await,
        wanting("below", json!({ "types": ["Payment.*"] })).await,
        wanting("by-type", exact(json!({ "type": "com.x.v1" }))).await,
        wanting("by-attribute", exact(json!({ "correlationid": "c-815", "tries": "3" }))).await,
        wanting("by-pattern", json!({ "filters": [{ "pattern": { "region": ["eu"] } }] })).await,
    ];
    let strangers = [
        wanting("other-name", json!({ "types": ["com.x.v1"] })).await,
        wanting("other-value", exact(json!({ "correlationid": "c-816" }))).await,
    ];

    gateway.publish(&payment("p-1")).await;

    for receiver in &receivers {
        assert_is_whole(&receiver.wait_for_delivered(1).await[0]);
    }
    for stranger in &strangers {
        assert_eq!(stranger.delivered_ids(), Vec::<String>::new(), "{}", stranger.name());
    }
    let count = async |query: &str| {
        gateway.get(&format!("/events?type={query}")).await["events"].as_array().unwrap().len()
    };
    assert_eq!((count("com.x.v1").await, count("Payment.*").await, count("y").await), (1, 1, 0));
}

#[tokio::test]
async fn a_restart_a_dead_letter_and_a_replay_keep_what_was_decided() {
    let mut gateway = gateway("    clear: [tries]\n").await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(500));
    let id = gateway.publish(&payment("p-1")).await.remove(0);
    let path = "/subscriptions/shop/dead-letters?type=Payment.Authorised";
    eventually("a dead letter".to_owned(), async || {
        let listed = gateway.get(path).await["deadLetters"].as_array().unwrap().clone();
        (listed.len() == 1 && listed[0]["type"] == "com.x.v1").then_some(())
    })
    .await;
    receiver.take_arrivals();
    receiver.answer(Reply::Status(204));
    // The publication decides for what comes, not for what has come.
    gateway
        .restart_with(|config| publish_x(config, "    clear: [subject, correlationid, region]\n"))
        .await;

    let redriven = json!({ "type": "Payment.*" });
    gateway.post("/subscriptions/shop/dead-letters/redrive", &redriven).await;
    receiver.wait_for_delivered(1).await;
    gateway.post("/subscriptions/shop/replays", &json!({ "from": id, "to": id })).await;

    for arrival in receiver.wait_for_delivered(2).await {
        assert_is_whole(&arrival);
        assert_eq!(arrival.header("ce-tries"), Some("3"));
        for name in ["ce-subject", "ce-correlationid", "ce-region"] {
            assert_eq!(arrival.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn an_event_without_its_attribute_or_with_another_value_is_refused_without_the_value() {
    let gateway = gateway("").await;
    let mut event = payment("p-1");
    event["data"]["correlationId"] = json!("secret");
    let wrong = gateway.send(&event).await;
    event["data"].as_object_mut().unwrap().remove("correlationId");
    let missing = gateway.send(&event).await;

    for (answer, code) in [(&wrong, "attribute"), (&missing, "attribute-missing")] {
        assert_eq!(answer.status, 422);
        assert_eq!(answer.body["violations"][0]["code"], code);
        let text = answer.body.to_string();
        assert!(text.contains("correlationid") && !text.contains("secret"), "{text}");
    }
    assert_eq!(gateway.get("/events").await["events"], json!([]));
}

#[tokio::test]
async fn a_kill_after_the_answer_keeps_what_was_decided() {
    let mut gateway = Process::prepare();
    let folder = |name: &str| gateway.directory().join(name);
    write_x(&folder("asyncapi"), &folder("publications"), "");
    let producer = gateway.add_caller("producer", "publish:*");
    let operator = gateway.add_caller("operator", "operate read-data");
    gateway.serve().await;
    let client = reqwest::Client::new();
    let events = format!("{}/events", gateway.issuer());
    let sent = client
        .post(&events)
        .bearer_auth(&producer)
        .header("content-type", "application/cloudevents+json")
        .body(payment("p-1").to_string())
        .send()
        .await
        .unwrap();
    assert!(sent.status().is_success(), "{}", sent.status());

    gateway.kill();
    gateway.serve().await;

    let listed = client.get(format!("{events}?type=Payment.Authorised")).bearer_auth(&operator);
    let listed: Value = listed.send().await.unwrap().text().await.unwrap().parse().unwrap();
    let event = &listed["events"][0];
    assert_eq!((&event["type"], &event["tries"]), (&json!("com.x.v1"), &json!(3)));
    assert_eq!((&event["correlationid"], &event["region"]), (&json!("c-815"), &json!("eu")));
}
