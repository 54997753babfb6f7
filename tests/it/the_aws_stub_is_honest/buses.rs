//! Buses: entries, limits, who may put what.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_eventbridge::types::builders::PutEventsRequestEntryBuilder;
use serde_json::json;

use crate::harness::aws::{AwsFault, AwsStub, StubBus, StubEntry};

const ARN: &str = "arn:aws:events:eu-west-1:444455556666:event-bus/partner";
const PARTNER: &str = "arn:aws:iam::444455556666:user/ledger";

fn client(stub: &AwsStub) -> Client {
    stub.user("AKIALEDGER", PARTNER);
    Client::new(&stub.sdk_config("eu-west-1", "AKIALEDGER"))
}

fn entry(detail: &str) -> PutEventsRequestEntryBuilder {
    let entry = PutEventsRequestEntry::builder().event_bus_name(ARN);
    entry.source("sealway").detail_type("OrderCreated").detail(detail)
}

/// What was put on a bus, and was all of it put by the partner?
fn all_by_partner(bus: &StubBus) -> Vec<StubEntry> {
    let entries = bus.entries();
    assert!(entries.iter().all(|entry| entry.principal == PARTNER), "{entries:?}");
    entries
}

#[tokio::test]
async fn a_bus_keeps_what_is_put_and_tells_of_each_entry() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(ARN);
    stub.fail("PutEvents", [AwsFault::entries([(1, "ThrottlingException")])]);
    let whole = entry("{\"n\":1}").resources("arn:x").trace_header("Root=1-x");
    let whole = whole.time(DateTime::from_secs_and_nanos(1_704_164_645, 500_000_000));

    let put = client(&stub).put_events().entries(whole.event_bus_name("partner").build());
    let put = put.entries(entry("{}").build()).entries(entry("[]").build());
    let put = put.entries(entry("{}").source("aws.s3").build());
    let put = put.entries(PutEventsRequestEntry::builder().event_bus_name(ARN).build());
    let answer = put.entries(entry("{\"n\":2}").build()).send().await.unwrap();

    let codes: Vec<_> = answer.entries().iter().map(|entry| entry.error_code()).collect();
    let foreign = Some("NotAuthorizedForSourceException");
    let (throttled, malformed) = (Some("ThrottlingException"), Some("MalformedDetail"));
    assert_eq!(codes, [None, throttled, malformed, foreign, Some("InvalidArgument"), None]);
    assert_eq!(answer.failed_entry_count(), 4);
    let kept = bus.wait_for(2).await;
    assert_eq!(kept.len(), 2);
    assert_eq!(Some(kept[0].event_id.as_str()), answer.entries()[0].event_id());
    assert_eq!(
        (kept[0].source.as_str(), kept[0].detail_type.as_str()),
        ("sealway", "OrderCreated")
    );
    assert_eq!((&kept[0].detail, &kept[1].detail), (&json!({"n": 1}), &json!({"n": 2})));
    assert_eq!(kept[0].resources, ["arn:x"]);
    assert_eq!(kept[0].time, Some(1_704_164_645.5));
    assert_eq!(kept[0].trace_header.as_deref(), Some("Root=1-x"));
    assert_eq!(all_by_partner(&bus).len(), 2);
}

#[tokio::test]
async fn what_is_for_an_unknown_bus_is_accepted_and_dropped() {
    let stub = AwsStub::start().await;

    let answer = client(&stub).put_events().entries(entry("{}").build()).send().await.unwrap();

    assert_eq!(answer.failed_entry_count(), 0);
    assert!(answer.entries()[0].event_id().is_some());
    let describe = client(&stub).describe_event_bus().name(ARN).send().await.unwrap_err();
    assert_eq!(describe.code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn entries_are_counted_as_aws_counts_them() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(ARN);
    // Two bytes for the resource, 14 for the time, two for `é`; the name of the bus is not counted.
    let fixed = "sealway".len() + "OrderCreated".len() + "{\"\":\"\u{e9}\"}".len() + 2 + 14;
    let put = |more: usize| {
        let detail = format!("{{\"\":\"\u{e9}{}\"}}", "x".repeat(1024 * 1024 - fixed + more));
        let entry = entry(&detail).resources("ab").time(DateTime::from_secs(1_704_164_645));
        client(&stub).put_events().entries(entry.build()).send()
    };

    put(0).await.unwrap();
    let over = put(1).await.unwrap_err();
    let eleven = vec![entry("{}").build(); 11];
    let eleven = client(&stub).put_events().set_entries(Some(eleven)).send().await.unwrap_err();

    assert_eq!(over.code(), Some("ValidationException"));
    let words = "Total size of the entries in the request is over the limit.";
    assert_eq!(over.message(), Some(words));
    assert_eq!(eleven.code(), Some("ValidationException"));
    assert_eq!(bus.entries().len(), 1);
}

#[tokio::test]
async fn who_belongs_to_another_account_needs_a_policy() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(ARN);
    let foreign = Client::new(&stub.sdk_config("eu-west-1", "AKIATEAM"));
    let put = || foreign.put_events().entries(entry("{}").build()).send();

    let refused = put().await.unwrap_err();
    let bus = bus.allowing("arn:aws:iam::111122223333:user/AKIATEAM");
    put().await.unwrap();

    assert_eq!(refused.code(), Some("AccessDeniedException"));
    assert!(refused.message().unwrap().contains("no resource-based policy allows"));
    assert_eq!(bus.entries().len(), 1);
    let described = foreign.describe_event_bus().name(ARN).send().await.unwrap();
    assert_eq!((described.name(), described.arn()), (Some("partner"), Some(ARN)));
    assert!(described.policy().unwrap().contains("user/AKIATEAM"));
}
