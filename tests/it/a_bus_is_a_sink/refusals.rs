//! Nobody borrows another's bus or role, and nothing is asked of a bus that it cannot do.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::a_bus_is_a_sink::domain::{BUS, Domain, OWN, ROLE};
use crate::harness::aws::AwsStub;
use crate::harness::never_within;

const OTHER: &str = "arn:aws:events:eu-west-1:777788889999:event-bus/other";

/// The words in which a document is refused.
async fn refused(domain: &Domain, document: &Value) -> String {
    let answer = domain.call(Method::POST, "/subscriptions", Some(document)).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.body);
    answer.body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_consumer_names_neither_a_foreign_bus_nor_anothers_role() {
    let stub = AwsStub::start().await;
    stub.bus(BUS);
    let others = format!("{{ consumer: ledger, bus: '{OTHER}', role: '{ROLE}' }}");
    let own = format!("{{ consumer: shop, bus: '{BUS}', role: '{ROLE}' }}");
    let domain = Domain::start_with(stub.url(), &format!("{own}, {others}")).await;
    let naming = |member: &str, value: Value| {
        let mut document = domain.document(json!({}));
        document[member] = value;
        document
    };

    let foreign = refused(&domain, &naming("sink", json!(OTHER))).await;
    assert!(foreign.contains("/sink") && foreign.contains("consumer `shop`"), "{foreign}");
    assert!(!foreign.contains("ledger"), "{foreign}");
    let unknown = OTHER.replace("other", "nowhere");
    assert_eq!(refused(&domain, &naming("sink", json!(unknown))).await, foreign);
    assert!(refused(&domain, &naming("sink", json!(ROLE))).await.contains("event-bus/NAME"));
    // Neither a role nor an address of AWS has a place in a document.
    for member in ["role", "endpointUrl", "externalId"] {
        let answer =
            domain.call(Method::POST, "/subscriptions", Some(&naming(member, json!("x")))).await;
        assert!(answer.status == 400 || answer.status == 422, "{member}: {}", answer.body);
    }
    assert!(stub.calls().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_bus_that_the_gateway_reads_is_listed_for_nobody() {
    let stub = AwsStub::start().await;
    let queue = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
    let listed = format!("{{ consumer: shop, bus: '{BUS}' }}");
    let process = Domain::prepare(stub.url(), &listed)
        .with_settings(&format!("source: {{ queues: [{{ arn: '{queue}', buses: ['{BUS}'] }}] }}"));

    let checked = process.run(&["check"]);

    let said = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("would come back to it"), "{said}");
}

#[tokio::test]
async fn a_file_that_names_a_foreign_bus_is_a_mistake_and_is_not_applied() {
    let stub = AwsStub::start().await;
    let domain = Domain::start(stub.url()).await;
    let mut document = domain.document(json!({}));
    document["sink"] = json!(OTHER);
    let folder = domain.process.directory().join("subscriptions");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("shop.json"), document.to_string()).unwrap();
    let words = "has not listed this bus for the consumer `shop`";

    let checked = domain.process.run(&["check", "--files-only"]);
    let applied = domain.operator(&["apply"]);

    for ended in [checked, applied] {
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn what_a_bus_cannot_do_is_refused_at_its_place() {
    let stub = AwsStub::start().await;
    let domain = Domain::start(stub.url()).await;
    let keys = json!({ "jwks": { "keys": [] } });
    for (pointer, config) in [
        ("/config/contentMode", json!({ "contentMode": "set" })),
        ("/config/receipts", json!({ "receipts": keys })),
    ] {
        let words = refused(&domain, &domain.document(config)).await;
        assert!(words.contains(pointer), "{words}");
    }
    let mut document = domain.document(json!({}));
    document["sinkcredential"] = json!({
        "credentialtype": "BASIC", "basic": { "username": "a", "password": "b" },
    });
    let words = refused(&domain, &document).await;
    assert!(words.contains("/sinkcredential"), "{words}");
    let structured = domain.document(json!({ "contentMode": "structured" }));
    let answer = domain.call(Method::POST, "/subscriptions", Some(&structured)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
async fn a_bus_that_is_taken_off_the_list_gets_nothing_more_and_its_events_are_kept() {
    let (mut domain, _stub, bus, _role) = Domain::subscribed(json!({})).await;
    domain.process.stop().await;
    let settings = domain.process.settings();
    let text = std::fs::read_to_string(&settings).unwrap();
    let (before, listed) = text.split_once("event-buses: [").unwrap();
    let (_, after) = listed.split_once(']').unwrap();
    let without = format!("{before}event-buses: []{after}");
    // It still waits for an attempt when the bus is back on the list.
    let without = without.replace("retries: [100ms, 100ms,", "retries: [2s, 2s, 2s,");
    assert!(without.contains("[2s"), "{without}");
    std::fs::write(&settings, without).unwrap();
    domain.process.serve().await;

    domain.orders([1]).await;

    let attempt = domain.attempts(1).await.pop().unwrap();
    let words = attempt["detail"].as_str().unwrap();
    assert!(words.starts_with("address-not-allowed: the operator of this gateway"), "{words}");
    never_within(Duration::from_millis(300), "an event on the bus", async || {
        (bus.entries().len() > 1).then_some(())
    })
    .await;

    std::fs::write(&settings, text).unwrap();
    domain.process.stop().await;
    domain.process.serve().await;
    bus.wait_for(2).await;
}

#[tokio::test]
async fn each_consumer_has_an_external_id_that_it_reads_and_no_other_reads() {
    let stub = AwsStub::start().await;
    let mut domain = Domain::start(stub.url()).await;
    let shop = domain.process.add_caller("shop", "consume:shop");
    let path = "/external-ids/shop";

    let id = domain.external_id("shop").await;

    let own = domain.call_as(&shop, (Method::GET, path), None).await;
    assert_eq!((own.status, &own.body["externalId"]), (200, &json!(id)));
    let others = domain.call_as(&shop, (Method::GET, "/external-ids/ledger"), None).await;
    assert_eq!((others.status, others.code()), (403, "forbidden"));
    assert_ne!(domain.external_id("ledger").await, id);
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");

    domain.process.stop().await;
    domain.process.serve().await;
    assert_eq!(domain.external_id("shop").await, id, "it outlives the process");
    let shown = domain.operator(&["aws", "external-id", "shop"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), id, "{shown:?}");
    assert!(shown.stderr.is_empty(), "{shown:?}");
    let typo = domain.operator(&["aws", "external-id", "shpo"]);
    let note = String::from_utf8_lossy(&typo.stderr);
    assert!(note.contains("no line of `delivery.event-buses` names the consumer `shpo`"), "{note}");
}

#[tokio::test]
async fn without_a_role_the_gateway_comes_as_itself() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(BUS).allowing(OWN);
    let domain =
        Domain::start_with(stub.url(), &format!("{{ consumer: shop, bus: '{BUS}' }}")).await;

    domain.subscribe(json!({})).await;

    let challenge = bus.wait_for(1).await.remove(0);
    assert_eq!(challenge.principal, OWN);
    domain.answer_challenge(&challenge.detail).await;
    domain.orders([1]).await;
    bus.wait_for(2).await;
    assert!(stub.calls_of("AssumeRole").is_empty());
}
