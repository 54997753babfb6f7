//! What the way in costs per event: match, patch, gate and identity, against a plain parse.
//!
//! `cargo bench --bench inbound`. Each line gives nanoseconds and the ratio to `serde_json` reading
//! the same event into a tree, measured in the same run.
#![expect(clippy::print_stdout, reason = "a benchmark reports to a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark ends when its set-up is wrong")]
#![expect(clippy::indexing_slicing, reason = "a benchmark ends when its set-up is wrong")]

mod measuring;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use measuring::Rounds;
use sealway::contract::{Catalog, Gate, SchemaAddresses};
use sealway::enrich::Publications;
use sealway::event::json::{self, Limits};
use sealway::identify::{Naming, identify};
use sealway::route::StepAllowance;
use sealway::source::{ArchiveReplays, Envelope, Received};
use serde_json::{Value, json};

/// For how long each line is measured.
const ROUNDS: Rounds = Rounds { count: 15, length: Duration::from_millis(40) };

fn detail() -> Value {
    let line = |n: u32| json!({"sku": format!("SKU-{n:06}"), "quantity": n, "price": 1999.5});
    json!({
        "id": 101, "amount": 499.95, "currency": "EUR", "channel": "Ecom",
        "customer": {"id": "c-48213", "name": "A. Customer", "address": {
            "street": "Long Street 12", "zip": "10115", "city": "Berlin", "country": "DE"}},
        "lines": [line(1), line(2), line(3), line(4)],
        "internal": {"ledger": "L-2026-11-21-00017", "risk": 0.0271, "reviewer": "auto",
            "notes": "not for others", "trace": ["a1", "b2", "c3"]},
    })
}

fn received() -> Received {
    let envelope = Envelope {
        id: "7bf73129-1428-4cd3-a780-95db273d1602".into(),
        source: "order-service".into(),
        detail_type: "OrderCreated0".into(),
        time: "2026-11-21T20:17:00Z".parse().unwrap(),
        account: Some("123456789012".into()),
        region: Some("eu-west-1".into()),
        replay_name: None,
        resources: vec![],
        detail: detail(),
    };
    Received { envelope, repeatable: true, traceparent: None }
}

/// As many publications as asked for, of which one wants the event.
fn publications(count: usize) -> Publications {
    let mut text = String::from(
        "domain: orders\ncontract: asyncapi/orders.yaml\nsource: /orders\npublications:\n",
    );
    for n in 0..count {
        let _ = write!(
            text,
            "  - event: Order.Created{n}
    when: {{ source: [order-service], detail-type: [OrderCreated{n}] }}
    patch:
      - {{ op: copy, from: /detail/id, path: /data/orderId }}
      - {{ op: copy, from: /detail/amount, path: /data/amount }}
      - {{ op: copy, from: /detail/lines, path: /data/lines }}
      - {{ op: copy, from: /time, path: /data/createdAt }}
      - {{ op: add, path: /data/status, value: created }}
"
        );
    }
    Publications::load(&[("orders.yaml".to_owned(), text)].into()).unwrap()
}

fn gate(publications: &Publications) -> Gate {
    let payload = json!({
        "type": "object",
        "required": ["orderId", "amount", "lines", "createdAt", "status"],
        "properties": {
            "orderId": {"type": "integer", "minimum": 1},
            "amount": {"type": "number", "minimum": 0},
            "createdAt": {"type": "string", "format": "date-time"},
            "status": {"enum": ["created", "changed"]},
            "lines": {"type": "array", "maxItems": 100, "items": {
                "type": "object",
                "required": ["sku", "quantity", "price"],
                "properties": {
                    "sku": {"type": "string", "maxLength": 32},
                    "quantity": {"type": "integer", "minimum": 1},
                    "price": {"type": "number"},
                },
            }},
        },
    });
    let mut messages = json!({});
    let mut references = json!({});
    for publication in publications.iter() {
        let event = publication.event();
        messages[event] = json!({"name": event, "payload": {"$ref": "#/components/schemas/order"}});
        references[event] = json!({"$ref": format!("#/components/messages/{event}")});
    }
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Orders", "version": "1.0.0"},
        "channels": {"orders": {"address": "orders", "messages": references}},
        "operations": {"publish": {"action": "send", "channel": {"$ref": "#/channels/orders"}}},
        "components": {"messages": messages, "schemas": {"order": payload}},
    });
    let catalog = Catalog::load(&[("orders.yaml".to_owned(), document.to_string())].into());
    Gate::new(Arc::new(catalog), publications).unwrap()
}

fn main() {
    let received = Arc::new(received());
    let text = received.envelope.to_tree().to_string();
    let plain = ROUNDS.cost_of(|| serde_json::from_str::<Value>(&text).unwrap());
    let report = |what: &str, nanoseconds: f64| {
        println!("{what:<42} {nanoseconds:>9.0} ns   {:>5.2} × parse", nanoseconds / plain);
    };
    println!("one event of {} bytes", text.len());
    report("parse (serde_json, the measure)", plain);
    report(
        "read (event::json)",
        ROUNDS.cost_of(|| json::read_event(text.as_bytes(), Limits::default()).unwrap()),
    );
    for count in [1, 10, 100] {
        let publications = publications(count);
        let gate = gate(&publications);
        let base = "https://gw.example/schemas";
        let naming = Naming {
            schemas: SchemaAddresses::new(base, gate.catalog(), &publications),
            largest: Naming::DEFAULT_LARGEST,
            archive_replays: ArchiveReplays::Repeat,
        };
        let wanted =
            || publications.wanted_by(&received, StepAllowance::UNLIMITED).wanting.remove(0);
        let enriched = || publications.iter().next().unwrap().enrich(&received).unwrap();
        let checked = || gate.check(enriched()).unwrap();
        let named = || identify(checked(), &naming).unwrap();
        println!("\n{count} publications");
        let (patch, through_gate, through_names) =
            (ROUNDS.cost_of(enriched), ROUNDS.cost_of(checked), ROUNDS.cost_of(named));
        report("match", ROUNDS.cost_of(wanted));
        report("patch", patch);
        report("gate", through_gate - patch);
        report("identity", through_names - through_gate);
        let whole = || {
            let enriched = wanted().enrich(&received).unwrap();
            identify(gate.check(enriched).unwrap(), &naming).unwrap()
        };
        report("all four", ROUNDS.cost_of(whole));
    }
}
