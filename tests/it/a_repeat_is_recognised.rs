//! A redelivery is swallowed, equal facts stay two facts with one key, and a conflict is reported.

use std::fs;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use sealway::ambient::Tasks;

use crate::harness::{ACCESS_SECRET, Receiver, Reply, TestGateway, eventually, order_created};

#[tokio::test]
async fn the_same_bus_event_twice_is_one_event() {
    let gateway = TestGateway::start().await;

    let first = gateway.send(&order_created("o-1", 1)).await.body["events"][0].clone();
    let again = gateway.send(&order_created("o-1", 1)).await.body["events"][0].clone();

    assert_eq!(first["eventIds"], again["eventIds"]);
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(true)));
    assert_eq!(gateway.get("/events").await["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeat_is_recognised_after_a_restart() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let first = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;

    gateway.restart().await;
    let again = gateway.order(1).await;
    let next = gateway.order(2).await;

    receiver.wait_for_delivered(2).await;
    assert_eq!(again, first);
    assert_eq!(receiver.delivered_ids(), [first, next]);
}

/// Passes connections on to the gateway, but loses the answer of the first one.
async fn lossy_line(gateway: &TestGateway, tasks: &Tasks) -> String {
    let (listener, issuer) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), gateway.issuer());
    let address = format!("http://{}", listener.local_addr().unwrap());
    let inner = tasks.clone();
    tasks.spawn(async move {
        for loses in std::iter::once(true).chain(std::iter::repeat(false)) {
            let (mut near, _) = listener.accept().await.unwrap();
            let far = issuer.strip_prefix("http://").unwrap();
            let mut far = TcpStream::connect(far).await.unwrap();
            inner.spawn(async move {
                let (mut from_near, mut to_near) = near.split();
                let (mut from_far, mut to_far) = far.split();
                let there = tokio::io::copy(&mut from_near, &mut to_far);
                let back = async {
                    if loses {
                        from_far.read_u8().await.map(u64::from)
                    } else {
                        tokio::io::copy(&mut from_far, &mut to_near).await
                    }
                };
                // Whoever ends first ends both.
                tokio::select! { _ = there => {}, _ = back => {} }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_sdk_whose_answer_was_lost_asks_again_and_its_event_is_one_event() {
    let gateway = TestGateway::start().await;
    let tasks = Tasks::new();
    let line = lossy_line(&gateway, &tasks).await;
    let client = TestGateway::sdk_through(&line, ACCESS_SECRET);
    let entry = PutEventsRequestEntry::builder()
        .source("order-service")
        .detail_type("OrderCreated")
        .detail(json!({ "id": 1, "amount": 5 }).to_string())
        .build();

    let first = client.put_events().entries(entry.clone()).send().await.unwrap();
    let second = client.put_events().entries(entry).send().await.unwrap();

    assert_eq!((first.failed_entry_count(), second.failed_entry_count()), (0, 0));
    assert_ne!(first.entries()[0].event_id(), second.entries()[0].event_id());
    let events = gateway.get("/events").await["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), 2, "one for each invocation, though three requests were taken");
}

#[tokio::test]
async fn equal_facts_are_two_events_with_one_key_that_travels_with_them() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    let first = gateway.publish(&order_created("o-1", 1)).await;
    let second = gateway.publish(&order_created("o-2", 1)).await;

    assert_ne!(first, second);
    // MD5 of {"data":{"amount":100,"orderId":1},"source":"/orders","subject":"Order.Created","type":"Order.Created"}
    let key = "603098c2485753d102c55bc211eea2cd";
    let arrivals = receiver.wait_for_delivered(2).await;
    let outer = arrivals[0].header("idempotency-key").unwrap();
    assert_ne!(outer, key, "the key itself stands in the token only");
    for arrival in &arrivals {
        assert_eq!(arrival.opened.event()["idempotencykey"], json!(key));
        assert_eq!(arrival.header("idempotency-key"), Some(outer));
        assert_eq!(arrival.header("ce-idempotencykey"), Some(outer));
        assert_eq!(arrival.header("webhook-id"), Some(arrival.id()));
    }
}

#[tokio::test]
async fn one_key_with_two_contents_is_a_conflict_that_is_kept_and_reported() {
    let gateway = TestGateway::with(None, |config| {
        let file = config.publications.join("orders.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let keyed = text.replacen("    patch:", "    key: [/data/orderId]\n    patch:", 1);
        fs::write(file, keyed).unwrap();
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let mut other = order_created("o-2", 1);
    other["data"]["amount"] = json!(999);

    let first = gateway.publish(&order_created("o-1", 1)).await.remove(0);
    let second = gateway.publish(&other).await.remove(0);

    assert_eq!(gateway.get(&format!("/events/{second}")).await["conflict"], json!(first));
    assert_eq!(gateway.get(&format!("/events/{first}")).await.get("conflict"), None);
    let arrivals = receiver.wait_for_delivered(2).await;
    assert_eq!(arrivals[1].data()["amount"], 999);
    let metrics = gateway.get("/metrics").await;
    let is_counted = |line: &str| line.contains("conflicts") && line.ends_with(" 1");
    assert!(metrics.as_str().unwrap().lines().any(is_counted));
}

#[tokio::test]
async fn a_publication_may_swallow_equal_content_for_a_while() {
    let gateway = TestGateway::with(None, |config| {
        let file = config.publications.join("orders.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replacen("    patch:", "    deduplicate: 5m\n    patch:", 1)).unwrap();
    })
    .await;

    let first = gateway.publish(&order_created("o-1", 1)).await;
    let again = gateway.publish(&order_created("o-2", 1)).await;
    let other = gateway.publish(&order_created("o-3", 2)).await;

    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test]
async fn a_repeated_delivery_has_the_id_and_the_number_of_the_first() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer_next([Reply::Status(503)]);
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;

    gateway.restart().await;
    let arrivals = receiver.wait_for_delivered(1).await;

    let all = receiver.arrivals();
    assert_eq!(arrivals[0].id(), all[0].id());
    assert_eq!(arrivals[0].sequence(), all[0].sequence());
    assert_eq!(arrivals[0].header("sealway-attempt"), Some("2"));
    let attempts: Value = eventually("both attempts are listed", async || {
        let listed = gateway.call(Method::GET, "/subscriptions/shop/attempts", None).await.body;
        (listed["attempts"].as_array().unwrap().len() == 2).then_some(listed)
    })
    .await;
    assert_eq!(attempts["attempts"][0]["verdict"], "delivered");
    assert_eq!(attempts["attempts"][1]["verdict"], "retry");
    assert_eq!(attempts["attempts"][1]["status"], 503);
}

#[tokio::test]
async fn other_data_under_an_old_id_is_left_out_and_told() {
    let gateway = TestGateway::start().await;
    let first = gateway.order(1).await;
    let mut other = order_created("order-1", 1);
    let again = gateway.send(&other).await;
    other["data"]["amount"] = json!(99);

    let differing = gateway.send(&other).await;

    let [again, differing] = [again, differing].map(|answer| answer.body["events"][0].clone());
    assert_eq!((&again["outcome"], &again["eventIds"][0]), (&json!("repeated"), &json!(first)));
    assert!(again.get("differs").is_none(), "{again}");
    assert_eq!((&differing["outcome"], &differing["differs"]), (&json!("repeated"), &json!(true)));
    let metrics = gateway.get("/metrics").await;
    let line = r#"sealway_repeats_that_differ_total{publication="orders/Order.Created"} 1"#;
    assert!(metrics.as_str().unwrap().contains(line), "{metrics}");
}

#[tokio::test]
async fn an_event_in_quarantine_whose_id_another_one_has_taken_stays_there() {
    let mut gateway = TestGateway::start().await;
    let mut broken = order_created("order-1", 1);
    broken["data"]["amount"] = json!("none");
    let path = "/events?manner=asynchronous";
    let media_type = "application/cloudevents+json";
    let body = broken.to_string().into_bytes();
    let kept = gateway.send_text(path, media_type, body).await;
    assert_eq!(kept.body["events"][0]["outcome"], "quarantined", "{}", kept.body);
    gateway.order(1).await;
    let contract = gateway.path("asyncapi/orders.yaml");
    let text = fs::read_to_string(&contract).unwrap();
    let open = text.replace("amount: { type: number", "amount: { type: [number, string]");
    let open = open.replace("type: number", "type: [number, string]");
    // What a schema lets pass is another thing from another version on.
    fs::write(&contract, open.replace("version: 1.0.0", "version: 1.1.0")).unwrap();
    gateway.stop().await;
    gateway.start_again().await;

    let entry = gateway.get("/quarantine").await["quarantined"][0]["id"].to_string();
    let path = format!("/quarantine/{entry}/release");
    let released = gateway.call(Method::POST, &path, None).await;

    assert_eq!((released.status, released.code()), (409, "wrong-state"), "{}", released.body);
    assert_eq!(gateway.get("/quarantine").await["quarantined"].as_array().unwrap().len(), 1);
}
