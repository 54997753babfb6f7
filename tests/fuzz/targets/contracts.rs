//! What domains write: AsyncAPI contracts, publications, patches.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use sealway::contract::{Catalog, ContractDocument, Gate, SampleRequest};
use sealway::enrich::Publications;
use sealway::route::PatternConfig;
use sealway::source::Received;

use super::{halves, parties::NOW};

fn one_file(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("file.yaml".to_owned(), text.to_owned())])
}

/// A document is read whole or its mistakes are told; samples of its messages keep them, and served as
/// JSON Schema their schemas are JSON.
pub fn contract(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let catalog = Catalog::load(&one_file(text));
    for document in catalog.documents() {
        examine(document);
    }
}

fn examine(document: &ContractDocument) {
    let _ = (document.title(), document.version(), document.specification());
    for message in document.messages().take(3) {
        for data in [json!({}), json!({ "id": "1", "n": 1 }), json!([1.5, "a", null]), json!("x")] {
            let _ = message.check(&data);
        }
        let _ = (message.schema().to_string(), message.schema_json().to_string());
        let request = SampleRequest {
            count: 3,
            seed: 7,
            deviations: true,
            varied: true,
            fixed: BTreeMap::new(),
        };
        for sample in message.samples(&request).found {
            let broken = message.check(&sample.data);
            assert!(broken.is_empty(), "a sample breaks its message: {broken:?}");
        }
    }
}

/// A schema in the dialect that the first line names, in a contract around it, and data.
pub fn schema(input: &[u8]) {
    let (head, data) = halves(input);
    let Ok(head) = std::str::from_utf8(head) else { return };
    let Some((dialect, schema)) = head.split_once('\n') else { return };
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return };
    let payload = match dialect {
        "3.0.0" => schema,
        format => json!({ "schemaFormat": format, "schema": schema }),
    };
    let text = json!({
        "asyncapi": "3.0.0",
        "info": { "title": "A", "version": "1.0.0" },
        "channels": { "c": { "address": "c", "messages": { "m": { "payload": payload } } } },
        "operations": { "o": { "action": "send", "channel": { "$ref": "#/channels/c" } } },
    });
    let catalog = Catalog::load(&one_file(&text.to_string()));
    for document in catalog.documents() {
        examine(document);
        if let Ok(data) = serde_json::from_slice::<Value>(data) {
            for message in document.messages() {
                assert_eq!(message.check(&data), message.check(&data));
            }
        }
    }
}

/// Publications: what is read wants events, and makes of them what it says or tells why not.
pub fn publications(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (publications, mistakes) = Publications::read(&one_file(text));
    assert!(mistakes.is_empty() || Publications::load(&one_file(text)).is_err());
    let detail = json!({ "id": "1", "amount": 100.25, "items": [{ "sku": "a", "qty": 2 }, {}] });
    try_all(&publications, &detail);
    let gate = Gate::of_what_is_sound(Arc::new(Catalog::load(&BTreeMap::new())), &publications);
    let _ = gate.diagnostics();
}

fn try_all(publications: &Publications, detail: &Value) {
    let kept = json!({
        "envelope": {
            "id": "1", "source": "order-service", "detail-type": "OrderCreated",
            "time": NOW.to_string(), "resources": [], "detail": null,
        },
        "repeatable": true,
    });
    let mut received = Received::from_json(&kept.to_string()).unwrap();
    received.envelope.detail = detail.clone();
    let received = Arc::new(received);
    let _ = publications.wanted_by(&received, PatternConfig::default().at_once());
    for publication in publications.iter() {
        if let Ok(enriched) = publication.enrich(&received) {
            let again = publication.enrich(&received).unwrap();
            assert_eq!(enriched.data(), again.data());
        }
        let _ = publication.rehearsals(detail);
    }
}

/// A patch as JSON, and the detail of an event that it is applied to.
pub fn patch(input: &[u8]) {
    let (patch, detail) = halves(input);
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else { return };
    let detail = serde_json::from_slice(detail).unwrap_or_default();
    let file = json!({
        "domain": "orders", "contract": "asyncapi/orders.yaml", "source": "/orders",
        "publications": [
            { "event": "Order.Created", "when": { "source": ["order-service"] }, "patch": patch },
        ],
    });
    let (publications, _) = Publications::read(&one_file(&file.to_string()));
    try_all(&publications, &detail);
}
