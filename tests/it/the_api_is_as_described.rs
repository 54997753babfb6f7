//! What the gateway answers is what its OpenAPI description says, problems among it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Receiver, Reply, TestGateway, eventually, order_created};

/// The schema that a description has for the answers of an operation with a status.
fn schema(described: &Value, operation: &str, status: u16) -> Value {
    let (method, path) = operation.split_once(' ').unwrap();
    let responses = &described["paths"][path][method.to_lowercase()]["responses"];
    let class = format!("{}XX", status / 100);
    let response = responses.get(status.to_string()).or_else(|| responses.get(&class));
    let response = response.unwrap_or_else(|| panic!("{operation} does not describe {status}"));
    let content = response["content"].as_object().unwrap();
    content.values().next().unwrap()["schema"].clone()
}

/// Follows a reference within the description.
fn resolved<'a>(described: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => described.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Holds an answer against its description: types, members that must be there, and no other ones.
fn compare(described: &Value, operation: &str, answer: &Answer) {
    let schema = schema(described, operation, answer.status);
    let document = json!({ "allOf": [schema], "components": described["components"] });
    let rules = jsonschema::validator_for(&document).unwrap();
    let wrong: Vec<_> = rules.iter_errors(&answer.body).map(|one| one.to_string()).collect();
    assert!(wrong.is_empty(), "{operation} {}: {wrong:?}: {}", answer.status, answer.body);
    let members = &resolved(described, &schema)["properties"];
    for member in answer.body.as_object().into_iter().flatten().map(|(name, _)| name) {
        assert!(members.get(member).is_some(), "{operation} does not describe `{member}`");
    }
}

#[tokio::test]
async fn answers_have_the_form_that_the_description_gives_them() {
    let gateway = TestGateway::start().await;
    let described = gateway.get("/openapi.json").await;
    let (shop, puller) =
        (Receiver::start(&gateway, "shop").await, Receiver::start(&gateway, "puller").await);
    gateway.subscribe(&shop, json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    gateway.subscribe(&puller, json!({ "sink": null, "protocol": "PULL" })).await;
    let event = gateway.order(1).await;
    shop.wait_for_delivered(1).await;
    shop.answer(Reply::Status(400));
    gateway.order(2).await;
    eventually("a dead letter", async || {
        let counts = gateway.get("/subscriptions/shop/dead-letters/counts").await;
        (counts["total"] == 1).then_some(())
    })
    .await;
    let replay = gateway.post("/subscriptions/shop/replays", &json!({ "from": event })).await;
    let replay = replay["id"].as_str().unwrap();

    let new = shop.document(json!({ "id": "new" }));
    let dry = json!({ "from": event, "dryRun": true });
    let wrong = json!({ "from": "x" });
    let at_once = json!({ "returnImmediately": true });
    let (nothing, list) = (json!({}), json!([]));
    for (operation, path, body, status) in [
        ("POST /subscriptions", "/subscriptions", Some(&new), 201),
        ("POST /subscriptions", "/subscriptions", Some(&new), 409),
        ("POST /subscriptions", "/subscriptions", Some(&list), 422),
        ("GET /subscriptions", "/subscriptions", None, 200),
        ("GET /subscriptions/{id}", "/subscriptions/shop", None, 200),
        ("GET /subscriptions/{id}", "/subscriptions/puller", None, 200),
        ("GET /subscriptions/{id}", "/subscriptions/nobody", None, 404),
        ("POST /subscriptions/{id}/pause", "/subscriptions/puller/pause", None, 200),
        ("POST /subscriptions/{id}/pause", "/subscriptions/puller/pause", None, 409),
        ("POST /subscriptions/{id}/resume", "/subscriptions/puller/resume", None, 200),
        ("PUT /subscriptions/{id}", "/subscriptions/shop", Some(&new), 428),
        ("GET /subscriptions/{id}/events", "/subscriptions/puller/events?limit=1", None, 200),
        ("GET /subscriptions/{id}/events", "/subscriptions/puller/events?limt=1", None, 400),
        ("POST /subscriptions/{id}/poll", "/subscriptions/puller/poll", Some(&at_once), 200),
        ("POST /subscriptions/{id}/poll", "/subscriptions/puller/poll", Some(&list), 400),
        ("GET /subscriptions/{id}/attempts", "/subscriptions/shop/attempts", None, 200),
        ("GET /subscriptions/{id}/receipts", "/subscriptions/shop/receipts", None, 200),
        ("GET /subscriptions/{id}/dead-letters", "/subscriptions/shop/dead-letters", None, 200),
        (
            "GET /subscriptions/{id}/dead-letters/counts",
            "/subscriptions/shop/dead-letters/counts",
            None,
            200,
        ),
        ("GET /dead-letters/counts", "/dead-letters/counts", None, 200),
        ("POST /subscriptions/{id}/replays", "/subscriptions/shop/replays", Some(&dry), 200),
        ("POST /subscriptions/{id}/replays", "/subscriptions/shop/replays", Some(&wrong), 422),
        ("GET /subscriptions/{id}/replays", "/subscriptions/shop/replays", None, 200),
        ("GET /replays/{id}", &format!("/replays/{replay}"), None, 200),
        (
            "POST /subscriptions/{id}/dead-letters/redrive",
            "/subscriptions/shop/dead-letters/redrive",
            Some(&nothing),
            200,
        ),
        (
            "GET /subscriptions/{id}/dead-letters/redrives",
            "/subscriptions/shop/dead-letters/redrives",
            None,
            200,
        ),
        ("GET /events", "/events?limit=1", None, 200),
        ("GET /events", "/events?limit=0", None, 422),
        ("GET /events/{id}", &format!("/events/{event}"), None, 200),
        ("GET /events/{id}/trace", &format!("/events/{event}/trace"), None, 200),
        ("GET /quarantine", "/quarantine", None, 200),
        ("GET /quarantine/counts", "/quarantine/counts", None, 200),
        ("GET /quarantine/{id}", "/quarantine/7", None, 404),
        ("GET /quarantine/{id}", "/quarantine/seven", None, 400),
        ("GET /contracts", "/contracts", None, 200),
    ] {
        let method: Method = operation.split(' ').next().unwrap().parse().unwrap();
        let answer = gateway.call(method, path, body).await;
        assert_eq!(answer.status, status, "{operation}: {}", answer.body);
        compare(&described, operation, &answer);
    }
}

#[tokio::test]
async fn a_token_and_its_refusal_have_the_form_that_the_description_gives_them() {
    let gateway = TestGateway::start().await;
    let described = gateway.get("/openapi.json").await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let client =
        json!({ "grant_type": "client_credentials", "client_id": "bus", "client_secret": key });

    for (body, status) in [(client, 200), (json!({}), 400)] {
        let answer = gateway.call(Method::POST, "/oauth/token", Some(&body)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        compare(&described, "POST /oauth/token", &answer);
    }
}

#[tokio::test]
async fn what_is_told_of_an_event_by_its_envelope_or_before_it_is_sent_is_described() {
    let gateway = TestGateway::start().await;
    let described = gateway.get("/openapi.json").await;
    gateway.order(1).await;
    let mut other = order_created("order-1", 1);
    other["type"] = json!("OrderCompleted");
    let envelope = json!({
        "id": "tried", "source": "order-service", "detail-type": "OrderCreated",
        "detail": { "id": 7, "amount": 7 },
    });
    // The same source and id, and another publication.
    gateway.publish(&other).await;

    for (operation, path, body, status) in [
        ("GET /events", "/events?envelope=order-1", None, 200),
        ("GET /events/{id}", "/events/nowhere", None, 404),
        ("GET /events/{id}", "/events/order-1", None, 409),
        ("GET /events/{id}/trace", "/events/order-1/trace", None, 409),
        ("POST /events", "/events?dryRun=true", Some(&envelope), 200),
    ] {
        let method: Method = operation.split(' ').next().unwrap().parse().unwrap();
        let answer = gateway.call(method, path, body).await;
        assert_eq!(answer.status, status, "{operation}: {}", answer.body);
        compare(&described, operation, &answer);
    }
}
