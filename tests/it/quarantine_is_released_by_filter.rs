//! What is in quarantine is let in by filter after a fix: bounded, counted, and tried without effect first.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestGateway, answer, order_created, program};

/// Publications of orders that copy more than the contract declares, from two sources.
const CARELESS: &str = "domain: orders
contract: asyncapi/orders.yaml
source: /orders
publications:
  - event: Order.Created
    when: { source: [order-service, till], detail-type: [OrderCreated] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
      - { op: copy, from: /detail/customer, path: /data/customer }
";

/// The same after the fix.
fn careful() -> String {
    CARELESS.split_inclusive('\n').filter(|line| !line.contains("customer")).collect()
}

async fn push(gateway: &TestGateway, key: &str, body: String) -> Answer {
    let request = gateway.request(Method::POST, "/events?manner=asynchronous").bearer_auth(key);
    let request = request.header("content-type", "application/cloudevents+json");
    answer(request.body(body)).await
}

async fn release(gateway: &TestGateway, filter: Value) -> Value {
    gateway.post("/quarantine/release", &filter).await
}

async fn kept(gateway: &TestGateway) -> usize {
    gateway.get("/quarantine").await["quarantined"].as_array().unwrap().len()
}

/// A gateway with six orders in quarantine, four of `order-service` and two of `till`, and one body that
/// cannot be read.
async fn full() -> TestGateway {
    let gateway = TestGateway::with(None, |config| {
        fs::write(config.publications.join("orders.yaml"), CARELESS).unwrap();
    })
    .await;
    let shop = gateway.add_caller("shop", &["publish:*"]).await;
    let till = gateway.add_caller("till", &["publish:*"]).await;
    for number in 1..=6 {
        let mut event = order_created(&format!("order-{number}"), number);
        let is_till = number > 4;
        if is_till {
            event["source"] = json!("till");
        }
        let key = if is_till { &till } else { &shop };
        let answered = push(&gateway, key, event.to_string()).await;
        assert_eq!(answered.body["events"][0]["quarantined"], 1, "{}", answered.body);
    }
    push(&gateway, &shop, "{ oops".to_owned()).await;
    assert_eq!(kept(&gateway).await, 7);
    gateway
}

#[tokio::test]
async fn a_filter_chooses_and_a_dry_run_changes_nothing() {
    let gateway = full().await;
    for (filter, matched) in [
        (json!({ "all": true }), 7),
        (json!({ "publication": "orders/Order.Created" }), 6),
        (json!({ "publication": "orders/Order.Paid" }), 0),
        (json!({ "code": "additional-property" }), 6),
        (json!({ "code": "additional" }), 0),
        (json!({ "producer": "till" }), 2),
        (json!({ "kind": "unreadable" }), 1),
        (json!({ "source": "order-service" }), 4),
        (json!({ "source": "till", "type": "OrderCreated" }), 2),
        (json!({ "type": "OrderPaid" }), 0),
        (json!({ "from": "2020-01-01T00:00:00Z" }), 7),
        (json!({ "to": "2020-01-01T00:00:00Z" }), 0),
        (json!({ "source": "till", "kind": "unreadable" }), 0),
    ] {
        let mut wanted = filter.clone();
        wanted["dryRun"] = json!(true);
        let told = release(&gateway, wanted).await;
        assert_eq!((&told["matched"], &told["released"]), (&json!(matched), &json!(0)), "{filter}");
        assert_eq!(told["dryRun"], true);
    }
    assert_eq!(kept(&gateway).await, 7);
    let actions = gateway.get("/actions?kind=release-quarantined").await;
    assert_eq!(actions["actions"], json!([]), "nothing was changed");
    for (wrong, told) in [
        (json!({}), (422, "invalid")),
        (json!({ "dryRun": true }), (422, "invalid")),
        (json!({ "all": true, "limit": 0 }), (422, "invalid")),
        (json!({ "all": true, "limit": 1001 }), (422, "invalid")),
        (json!({ "kind": "other" }), (422, "invalid")),
        (json!({ "from": "yesterday" }), (422, "invalid")),
        (json!({ "all": true, "rate": 1 }), (422, "invalid")),
    ] {
        let refused = gateway.call(Method::POST, "/quarantine/release", Some(&wrong)).await;
        assert_eq!((refused.status, refused.code()), told, "{wrong}: {}", refused.body);
    }
}

#[tokio::test]
async fn what_still_breaks_its_contract_stays_and_is_counted_and_the_rest_goes_on() {
    let mut gateway = full().await;
    let told = release(&gateway, json!({ "source": "till" })).await;
    assert_eq!((&told["matched"], &told["released"]), (&json!(2), &json!(0)), "{told}");
    assert_eq!(told["stayed"], json!({ "contract-violated": 2 }), "{told}");
    assert_eq!(told["refused"].as_array().unwrap().len(), 2);
    assert!(!told.to_string().contains("confidential-customer"), "{told}");

    fs::write(gateway.path("publications/orders.yaml"), careful()).unwrap();
    gateway.restart().await;
    let mut filter = json!({ "all": true, "limit": 3 });
    let first = release(&gateway, filter.clone()).await;
    assert_eq!((&first["released"], &first["events"]), (&json!(3), &json!(3)), "{first}");
    assert!(first["next"].is_u64(), "{first}");
    filter["after"] = first["next"].clone();
    filter["limit"] = json!(100);
    let rest = release(&gateway, filter).await;
    assert_eq!(
        (&rest["matched"], &rest["released"], &rest["next"]),
        (&json!(4), &json!(3), &Value::Null),
        "{rest}"
    );
    assert_eq!(rest["publications"], json!({ "": 1, "orders/Order.Created": 3 }));
    assert_eq!(kept(&gateway).await, 1, "what cannot be read");
    assert_eq!(gateway.get("/events").await["events"].as_array().unwrap().len(), 6);
    let actions = gateway.get("/actions?kind=release-quarantined").await;
    assert_eq!(actions["actions"].as_array().unwrap().len(), 3, "{actions}");
    assert_eq!(actions["actions"][0]["target"], "quarantine");
}

#[tokio::test]
async fn a_domain_releases_its_own_and_who_only_looks_releases_nothing() {
    let gateway = full().await;
    let path = (Method::POST, "/quarantine/release");
    let all = json!({ "all": true, "dryRun": true });
    for (scopes, matched) in [("domain:orders", 6), ("domain:payments", 0)] {
        let key = gateway.add_caller(&scopes.replace(':', "-"), &[scopes]).await;
        let told = gateway.call_as(&key, path.clone(), Some(&all)).await;
        assert_eq!((told.status, &told.body["matched"]), (200, &json!(matched)), "{scopes}");
    }
    for scope in ["audit", "consume:shop", "publish:*"] {
        let key = gateway.add_caller(&scope.replace([':', '*'], "-"), &[scope]).await;
        let refused = gateway.call_as(&key, path.clone(), Some(&all)).await;
        assert_eq!(refused.status, 403, "{scope}: {}", refused.body);
    }
}

// The command blocks, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_goes_on_to_the_end_and_says_how_many() {
    let mut gateway = full().await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let run = |gateway: &TestGateway, arguments: &[&str]| {
        let mut command = program();
        command.args(["--gateway", &gateway.issuer(), "quarantine", "release"]);
        let ended = command.args(arguments).env("SEALWAY_CALLER_KEY", &operator).output().unwrap();
        let text = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        (ended.status.code().unwrap(), text)
    };
    let (code, told) = run(&gateway, &["--source", "order-service", "--dry-run"]);
    assert_eq!((code, told.trim()), (0, "4 entries would be tried; nothing was released"));
    let (code, told) = run(&gateway, &["--source", "order-service"]);
    assert!(code == 1 && told.contains("4 entries stayed: contract-violated"), "{told}");
    assert!(told.starts_with("0 entries released, as 0 events"), "{told}");
    assert_eq!(run(&gateway, &[]).0, 2, "nothing is chosen");
    assert_eq!(run(&gateway, &["7", "--all"]).0, 2);

    fs::write(gateway.path("publications/orders.yaml"), careful()).unwrap();
    gateway.restart().await;
    let (code, told) = run(&gateway, &["--code", "additional-property", "--limit", "5"]);
    assert_eq!((code, told.trim()), (0, "5 entries released, as 5 events"));
    assert_eq!(kept(&gateway).await, 2);
    let (_, told) = run(&gateway, &["--code", "additional-property"]);
    assert_eq!(told.trim(), "1 entry released, as 1 event");
}
