//! Unmodified AWS SDKs of every language put events on the embedded bus, signed, and they cross.

use std::io::Write as _;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::{Value, json};

use crate::harness::aws::{AwsEndpoint, AwsSdk, Put};
use crate::harness::{ACCESS_KEY, ACCESS_SECRET, TestGateway};

/// The order as a detail. Clients write what is not ASCII in different ways, and sign it.
fn order(number: u64) -> String {
    json!({ "id": number, "amount": 100, "customer": "Zo\u{eb} \"\u{1f980}\"" }).to_string()
}

/// Holds that the answer of PutEvents is true: the event has crossed, under the id that it gives.
async fn it_has_crossed(gateway: &TestGateway, answer: &Value, number: u64) {
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    let id = answer["Entries"][0]["EventId"].as_str().unwrap();
    let event = gateway.get(&format!("/events/{id}")).await;
    assert_eq!(event["event"]["data"]["orderId"], number, "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_any_sdk_puts_crosses_and_what_it_signs_wrongly_does_not() {
    let gateway = TestGateway::start().await;
    let url = gateway.issuer();
    let endpoint =
        AwsEndpoint { url: &url, bus: "default", access_key: ACCESS_KEY, secret: ACCESS_SECRET };

    let mut ran = 0;
    for (number, sdk) in (1..).zip(AwsSdk::ALL) {
        let order = order(number);
        let event = ["order-service", "OrderCreated", order.as_str()];
        match sdk.put(endpoint, event) {
            Put::Answered(answer) => it_has_crossed(&gateway, &answer, number).await,
            Put::Refused(words) => panic!("{sdk:?}: {words}"),
            Put::NotRun(reason) => {
                // Not by the macro, whose words are seen of failed tests alone.
                writeln!(std::io::stderr(), "NOT RUN: {sdk:?}: {reason}").unwrap();
                continue;
            }
        }
        ran += 1;
        let forged = AwsEndpoint { secret: "another secret", ..endpoint };
        let Put::Refused(words) = sdk.put(forged, event) else { panic!("{sdk:?} was believed") };
        assert!(words.contains("InvalidSignatureException"), "{sdk:?}: {words}");
    }

    assert!(ran >= 3, "boto3, the command line and JavaScript run everywhere");
    let events = gateway.get("/events").await;
    assert_eq!(events["events"].as_array().unwrap().len(), ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sdk_for_rust_puts_crosses() {
    let gateway = TestGateway::start().await;
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let entry = PutEventsRequestEntry::builder().source("order-service");
    let entry = entry.detail_type("OrderCreated").detail(order(7)).build();

    let put = client.put_events().entries(entry).send().await.unwrap();

    let entries = [json!({ "EventId": put.entries()[0].event_id() })];
    let answer = json!({ "FailedEntryCount": put.failed_entry_count(), "Entries": entries });
    it_has_crossed(&gateway, &answer, 7).await;
}
