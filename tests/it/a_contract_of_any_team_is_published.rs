//! A team's contract works as it is: mistakes stop only what they touch, and any message can be
//! published under the name that crosses.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Process, TestGateway};

/// A contract with an Avro message beside two others, and a mistake around them.
const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Store, version: 1.0.0, description: null }
channels:
  store:
    address: store
    messages:
      paid: { name: Payment event, payload: { type: object, properties: { orderId: { type: integer } } } }
      moved: { payload: { schemaFormat: application/vnd.apache.avro;version=1.9.0, schema: { type: record } } }
      user/signedup: { payload: { type: object, properties: { orderId: { type: integer } } } }
";

const PUBLICATIONS: &str = "domain: store
contract: asyncapi/store.yaml
source: /store
publications:
  - event: Payment.Made
    message: Payment event
    when: { source: [order-service], detail-type: [OrderCreated] }
    patch: [{ op: copy, from: /detail/id, path: /data/orderId }]
  - event: User.SignedUp
    message: user/signedup
    when: { source: [order-service], detail-type: [OrderCreated] }
    patch: [{ op: copy, from: /detail/id, path: /data/orderId }]
";

fn order() -> Value {
    json!({
        "specversion": "1.0", "id": "o-1", "source": "order-service", "type": "OrderCreated",
        "data": { "id": 7, "amount": 100 },
    })
}

#[tokio::test]
async fn messages_of_any_name_cross_under_the_names_of_their_publications() {
    let gateway = TestGateway::with(None, |config| {
        fs::write(config.contracts.join("store.yaml"), CONTRACT).unwrap();
        fs::write(config.contracts.join("broken.yaml"), "asyncapi: [\n").unwrap();
        fs::write(config.publications.join("store.yaml"), PUBLICATIONS).unwrap();
    })
    .await;

    gateway.publish(&order()).await;

    let events = gateway.get("/events").await["events"].clone();
    let types: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert!(types.contains(&&json!("Payment.Made")), "{events}");
    assert!(types.contains(&&json!("User.SignedUp")), "{events}");
    let contracts = gateway.get("/contracts").await["contracts"].clone();
    let store = contracts.as_array().unwrap().iter().find(|one| one["path"] == "store.yaml");
    let messages = store.unwrap()["messages"].as_array().unwrap().clone();
    let told: Vec<_> = messages.iter().map(|one| (&one["name"], &one["publishable"])).collect();
    assert_eq!(
        told,
        [
            (&json!("Payment event"), &json!(true)),
            (&json!("moved"), &json!(false)),
            (&json!("user/signedup"), &json!(true))
        ]
    );
    assert_eq!(messages[0]["key"], "paid");
    assert!(messages[1]["schema"].is_null());
}

#[tokio::test]
async fn a_start_warns_of_what_stops_nothing_and_check_tells_it_all() {
    let mut gateway = Process::prepare();
    let contract = gateway.directory().join("asyncapi/store.yaml");
    let publications = gateway.directory().join("publications/store.yaml");
    fs::write(&contract, CONTRACT).unwrap();
    fs::write(gateway.directory().join("asyncapi/broken.yaml"), "asyncapi: [\n").unwrap();
    fs::write(&publications, PUBLICATIONS).unwrap();

    let checked = gateway.run(&["check"]);
    let said = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(said.contains(", 6 warnings"), "{said}");
    assert!(said.contains("warning: a payload in Avro cannot be checked"), "{said}");
    let checked = gateway.run(&["check", "--output", "json"]);
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(told.as_array().unwrap().iter().all(|one| one["severity"] == "warning"), "{told}");
    gateway.serve().await;
    assert!(gateway.log().contains("cannot be checked"), "{}", gateway.log());
    gateway.stop().await;

    fs::write(&publications, PUBLICATIONS.replace("message: Payment event", "message: moved"))
        .unwrap();
    let checked = gateway.run(&["check"]);
    let said = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("1 mistake, 4 warnings"), "{said}");
    let checked = gateway.run(&["check", "--output", "json"]);
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let errors = told.as_array().unwrap().iter().filter(|one| one["severity"] == "error");
    assert_eq!(errors.count(), 1, "{told}");
}
