//! Only data that a publication moves into `data`, and that its contract allows, is ever delivered.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Receiver, TestGateway, order_created};

/// A publication that forgets to keep an internal member inside.
const CARELESS: &str = "domain: orders
contract: asyncapi/orders.yaml
source: /orders
publications:
  - event: Order.Created
    when: { source: [order-service], detail-type: [OrderCreated] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
      - { op: copy, from: /detail/customer, path: /data/customer }
";

/// Another publication of the same event, that keeps what it must.
const CAREFUL: &str = "domain: sales
contract: asyncapi/orders.yaml
source: /sales
publications:
  - event: Order.Created
    when: { source: [order-service], detail-type: [OrderCreated] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
";

async fn careless(mode: &str) -> TestGateway {
    let text = format!("{CARELESS}    mode: {mode}\n");
    TestGateway::with(None, |config| {
        fs::write(config.publications.join("orders.yaml"), text).unwrap();
    })
    .await
}

#[tokio::test]
async fn an_undeclared_property_is_refused_with_its_place_and_nothing_is_stored() {
    let gateway = careless("enforce").await;

    let answer = gateway.send(&order_created("o-1", 1)).await;

    assert_eq!(answer.status, 422);
    assert_eq!(answer.code(), "contract-violated");
    let violations = answer.body["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0]["pointer"], "/customer");
    assert_eq!(violations[0]["code"], "additional-property");
    assert!(!answer.body.to_string().contains("confidential-customer"));
    assert_eq!(gateway.get("/events").await["events"], json!([]));
}

#[tokio::test]
async fn data_of_the_wrong_type_is_refused() {
    let gateway = TestGateway::start().await;
    let mut event = order_created("o-1", 1);
    event["data"]["amount"] = json!("a hundred");

    let answer = gateway.send(&event).await;

    assert_eq!(answer.status, 422);
    assert_eq!(answer.body["violations"][0]["pointer"], "/amount");
    assert_eq!(gateway.get("/events").await["events"], json!([]));
}

#[tokio::test]
async fn a_refused_event_of_a_batch_leaves_the_others_alone() {
    let gateway = TestGateway::start().await;
    let mut bad = order_created("bad", 2);
    bad["data"]["amount"] = json!(-1);
    let batch = json!([order_created("first", 1), bad, order_created("last", 3)]);
    let answer = {
        let request = gateway.request(Method::POST, "/events");
        let key = gateway.add_caller("producer", &["publish:*"]).await;
        let request = request.header("content-type", "application/cloudevents-batch+json");
        request.bearer_auth(key).body(batch.to_string()).send().await.unwrap()
    };

    assert_eq!(answer.status().as_u16(), 422);
    let events = gateway.get("/events").await;
    let orders: Vec<_> = events["events"].as_array().unwrap().iter().collect();
    assert_eq!(orders.len(), 2);
    assert_eq!(
        (&orders[0]["data"]["orderId"], &orders[1]["data"]["orderId"]),
        (&json!(1), &json!(3))
    );
}

#[tokio::test]
async fn an_event_that_no_publication_wants_goes_no_further() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "curious").await;
    let mut unknown = order_created("o-1", 1);
    unknown["type"] = json!("OrderAudited");

    let ids = gateway.publish(&unknown).await;
    let known = gateway.order(2).await;

    receiver.wait_for_delivered(1).await;
    assert_eq!(ids, Vec::<String>::new());
    assert_eq!(receiver.delivered_ids(), [known]);
    assert_eq!(gateway.get("/events").await["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn internal_members_are_neither_in_the_log_nor_in_a_token_nor_in_a_header() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    let id = gateway.order(7).await;

    let arrival = receiver.wait_for_delivered(1).await.remove(0);
    assert_eq!(arrival.data(), &json!({ "orderId": 7, "amount": 100 }));
    let seen = format!("{}{:?}", arrival.opened.claims(), arrival.headers);
    let kept = gateway.get(&format!("/events/{id}")).await["event"].to_string();
    for text in [seen, kept] {
        assert!(!text.contains("confidential-customer"), "{text}");
        assert!(!text.contains("order-service"), "{text}");
    }
}

#[tokio::test]
async fn an_event_that_nobody_waits_for_is_set_aside_and_released_after_the_fix() {
    let mut gateway = careless("enforce").await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let path = "/events?manner=asynchronous";

    let event = order_created("o-1", 1).to_string();
    let answer = gateway.send_text(path, "application/cloudevents+json", event).await;

    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["events"][0]["quarantined"], 1);
    let quarantined = gateway.get("/quarantine").await["quarantined"].clone();
    let id = quarantined[0]["id"].as_u64().unwrap();
    assert_eq!(quarantined[0]["publication"], "orders/Order.Created");
    assert_eq!(quarantined[0]["violations"][0]["pointer"], "/customer");
    let early =
        gateway.call(Method::POST, &format!("/quarantine/{id}/release"), Some(&json!({}))).await;
    assert_eq!((early.status, early.code()), (422, "contract-violated"));
    assert_eq!(receiver.arrivals().len(), 0);

    let publications = gateway.path("publications/orders.yaml");
    let fixed = CARELESS.lines().filter(|line| !line.contains("customer")).collect::<Vec<_>>();
    fs::write(publications, fixed.join("\n")).unwrap();
    gateway.restart().await;
    let released = gateway.post(&format!("/quarantine/{id}/release"), &json!({})).await;

    let arrivals = receiver.wait_for_delivered(1).await;
    assert_eq!(released["events"], json!([arrivals[0].id()]));
    assert_eq!(arrivals[0].data(), &json!({ "orderId": 1, "amount": 100 }));
    assert_eq!(gateway.get("/quarantine").await["quarantined"], json!([]));
}

#[tokio::test]
async fn a_release_concerns_the_publication_that_set_the_event_aside_and_no_other() {
    let mut gateway = TestGateway::with(None, |config| {
        fs::write(config.publications.join("orders.yaml"), CARELESS).unwrap();
        fs::write(config.publications.join("sales.yaml"), CAREFUL).unwrap();
    })
    .await;
    let event = order_created("o-1", 1).to_string();
    let path = "/events?manner=asynchronous";
    let answer = gateway.send_text(path, "application/cloudevents+json", event).await;
    assert_eq!(answer.body["events"][0]["quarantined"], 1, "{}", answer.body);
    let taken = answer.body["events"][0]["eventIds"].clone();
    assert_eq!(taken.as_array().unwrap().len(), 1);
    let id = gateway.get("/quarantine").await["quarantined"][0]["id"].as_u64().unwrap();
    let release = format!("/quarantine/{id}/release");
    let fixed = CARELESS.lines().filter(|line| !line.contains("customer")).collect::<Vec<_>>();
    let fixed = fixed.join("\n");

    for other in [
        fixed.replace("domain: orders", "domain: purchases"),
        fixed.replace("[OrderCreated]", "[OrderAudited]"),
    ] {
        fs::write(gateway.path("publications/orders.yaml"), other).unwrap();
        gateway.restart().await;
        let refused = gateway.call(Method::POST, &release, Some(&json!({}))).await;
        assert_eq!((refused.status, refused.code()), (409, "wrong-state"), "{}", refused.body);
        let kept = gateway.get("/quarantine").await["quarantined"].clone();
        assert_eq!(kept[0]["id"], id);
    }
    assert_eq!(gateway.get("/events").await["events"].as_array().unwrap().len(), 1);

    fs::write(gateway.path("publications/orders.yaml"), fixed).unwrap();
    gateway.restart().await;
    let released = gateway.post(&release, &json!({})).await;

    assert_eq!(released["events"].as_array().unwrap().len(), 1);
    assert_ne!(released["events"], taken);
    let events = gateway.get("/events").await["events"].clone();
    let sources: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["source"]).collect();
    assert_eq!(sources, ["/sales", "/orders"]);
    assert_eq!(gateway.get("/quarantine").await["quarantined"], json!([]));
}

#[tokio::test]
async fn a_quarantine_of_large_events_is_listed_to_its_end() {
    let gateway = careless("enforce").await;
    for n in 1..=5 {
        let mut event = order_created(&format!("o-{n}"), n);
        event["data"]["padding"] = json!("x".repeat(240_000));
        let path = "/events?manner=asynchronous";
        let text = event.to_string();
        let answer = gateway.send_text(path, "application/cloudevents+json", text).await;
        assert_eq!(answer.body["events"][0]["quarantined"], 1, "{}", answer.body);
    }

    let (mut pages, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let page = gateway.get(&format!("/quarantine?after={after}")).await;
        pages.push(page["quarantined"].as_array().unwrap().len());
        after = page["next"].clone();
    }

    assert_eq!(pages.iter().sum::<usize>(), 5);
    assert!(pages.len() > 2, "one page would not hold them: {pages:?}");
}

#[tokio::test]
async fn a_publication_that_only_observes_lets_the_event_pass_counts_it_and_keeps_why() {
    let mut gateway = careless("observe").await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    let id = gateway.order(1).await;

    let arrival = receiver.wait_for_delivered(1).await.remove(0);
    assert_eq!(arrival.data()["customer"], "confidential-customer");
    let metrics = gateway.get("/metrics").await;
    let observed =
        metrics.as_str().unwrap().lines().find(|line| {
            line.contains("violations_observed") && line.contains("orders/Order.Created")
        });
    assert!(observed.is_some_and(|line| line.ends_with(" 1")), "{observed:?}");
    gateway.restart().await;
    let trace = gateway.get(&format!("/events/{id}/trace")).await;
    let (found, kept) = (&trace["received"]["violationsFound"], &trace["received"]["violations"]);
    assert_eq!(json!(kept.as_array().unwrap().len()), *found);
    let codes: Vec<_> = kept.as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert!(codes.contains(&&json!("additional-property")), "{kept}");
    assert!(!trace.to_string().contains("confidential-customer"));
}
