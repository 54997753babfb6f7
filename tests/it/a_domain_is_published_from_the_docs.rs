//! The domain that docs/contracts.md and docs/publications.md build from nothing crosses as they say.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::config::Config;

use crate::harness::{Receiver, TestGateway, answer};

/// The first block in this language after some words of a document.
fn block(document: &str, after: &str, language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document);
    let text = fs::read_to_string(path).unwrap();
    let rest = text.split_once(after).unwrap_or_else(|| panic!("{after} in {document}")).1;
    let block = rest.split_once(&format!("```{language}\n")).unwrap().1;
    block.split_once("```").unwrap().0.to_owned()
}

fn sales(config: &mut Config) {
    let contract = block("contracts.md", "It writes `asyncapi/sales.yaml`", "yaml");
    fs::write(config.contracts.join("sales.yaml"), contract).unwrap();
    let publications = block("publications.md", "`config/publications/sales.yaml`:", "yaml");
    fs::write(config.publications.join("sales.yaml"), publications).unwrap();
}

fn event() -> Value {
    serde_json::from_str(&block("publications.md", "Save it as `sale.json`", "json")).unwrap()
}

async fn post(gateway: &TestGateway, event: &Value) -> (u16, Value) {
    let body = event.to_string().into_bytes();
    let answer = gateway.send_text("/events", "application/json", body).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn the_sale_of_the_docs_crosses_with_its_lines_and_without_what_stays_inside() {
    let gateway = TestGateway::with(None, sales).await;
    let give = block("publications.md", "one that\npublishes as `till-service`", "sh");
    let (caller, grant) = ("--scope publish:till-service", "grants give shop 'sales/*'");
    assert!(give.contains(caller) && give.contains(grant), "{give}");
    let till = gateway.add_caller("till-service", &["publish:till-service"]).await;
    gateway.post("/grants", &json!({ "consumer": "shop", "publication": "sales/*" })).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    let sent = gateway.request(Method::POST, "/events").bearer_auth(&till).json(&event());
    let sent = answer(sent).await;
    assert_eq!(sent.status, 202, "{}", sent.body);

    let said = block("publications.md", "sealway events try --event sale.json", "sh");
    assert!(said.contains("callers add till-service"), "{said}");
    let arrived = receiver.wait_for_delivered(1).await.remove(0);
    assert_eq!(
        arrived.data(),
        &json!({
            "saleId": "S-1001", "status": "paid", "payment": {"kind": "card", "scheme": "visa"},
            "lines": [{"sku": "A1", "quantity": 2, "note": "gift"}, {"sku": "B7", "quantity": 1}],
        })
    );
}

#[tokio::test]
async fn what_the_docs_say_of_changed_events_holds() {
    let gateway = TestGateway::with(None, sales).await;
    let mut plain = event();
    plain["id"] = json!("plain");
    plain["detail"]["lines"][0].as_object_mut().unwrap().remove("note");
    let mut unmapped = event();
    unmapped["id"] = json!("unmapped");
    unmapped["detail"]["state"] = json!("X");
    let mut cash = event();
    cash["id"] = json!("cash");
    cash["detail"]["payment"]["method"] = json!("cash");

    assert_eq!(post(&gateway, &plain).await.0, 202);
    for (event, code) in [(unmapped, "value-not-mapped"), (cash, "required")] {
        let (status, answer) = post(&gateway, &event).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(code), "{answer}");
    }
}
