//! The emulators that tests of the AWS edges run against do what those tests need of them.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, Target};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use serde_json::{Value, json};

use crate::harness::aws::{AwsStub, Emulator};
use crate::harness::eventually;

const KEY: &str = "AKIATEST";
const ROLE: &str = "arn:aws:iam::444455556666:role/deliver";

/// Puts an event on a bus whose rule fills a queue, all in the account of `config`; gives the body
/// of the message in the queue.
async fn through_a_rule(config: &SdkConfig) -> Value {
    let queues = aws_sdk_sqs::Client::new(config);
    let events = aws_sdk_eventbridge::Client::new(config);
    let queue = queues.create_queue().queue_name("in").send().await.unwrap();
    let url = queue.queue_url().unwrap();
    let arn = queues.get_queue_attributes().queue_url(url);
    let arn = arn.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    let arn = arn.attributes().unwrap()[&QueueAttributeName::QueueArn].clone();
    events.create_event_bus().name("eda-demo").send().await.unwrap();
    let rule = events.put_rule().name("gateway").event_bus_name("eda-demo");
    let pattern = json!({ "source": ["order-service"], "detail-type": ["OrderCreated"] });
    rule.event_pattern(pattern.to_string()).send().await.unwrap();
    let target = Target::builder().id("gateway-in").arn(arn).build().unwrap();
    let put = events.put_targets().rule("gateway").event_bus_name("eda-demo").targets(target);
    put.send().await.unwrap();

    let entry = |detail_type: &str| {
        let entry = PutEventsRequestEntry::builder().event_bus_name("eda-demo");
        entry.source("order-service").detail_type(detail_type).detail(r#"{"id":101}"#).build()
    };
    let put = events.put_events().entries(entry("Other")).entries(entry("OrderCreated"));
    assert_eq!(put.send().await.unwrap().failed_entry_count(), 0);
    let receive = || queues.receive_message().queue_url(url).wait_time_seconds(1).send();
    eventually("the rule fills the queue", async || {
        let answer = receive().await.unwrap();
        let body = answer.messages().first()?.body()?.to_owned();
        Some(serde_json::from_str(&body).unwrap())
    })
    .await
}

#[tokio::test]
async fn ministack_fills_a_queue_by_a_rule_also_in_the_account_of_a_role() {
    let emulator = Emulator::ministack().await;
    let config = emulator.sdk_config(KEY);
    let taken = emulator.sdk_config_of(&config, ROLE, "x").await;

    let own = through_a_rule(&config).await;
    let others = through_a_rule(&taken).await;

    assert_eq!(
        (&own["detail-type"], &own["detail"]),
        (&json!("OrderCreated"), &json!({"id": 101}))
    );
    assert_eq!(own["account"], "000000000000");
    assert_eq!(others["account"], "444455556666");
}

#[tokio::test]
async fn moto_fills_a_queue_by_a_rule_and_fails_entries_alone() {
    let emulator = Emulator::moto().await;
    let config = emulator.sdk_config(KEY);

    let own = through_a_rule(&config).await;
    let events = aws_sdk_eventbridge::Client::new(&config);
    let bad = PutEventsRequestEntry::builder().source("order-service").detail_type("T");
    let good = bad.clone().detail("{}").build();
    let put = events.put_events().entries(bad.build()).entries(good).send().await.unwrap();

    assert_eq!(
        (&own["detail-type"], &own["detail"]),
        (&json!("OrderCreated"), &json!({"id": 101}))
    );
    let codes: Vec<_> = put.entries().iter().map(|entry| entry.error_code()).collect();
    assert_eq!(codes, [Some("InvalidArgument"), None]);
}

#[tokio::test]
async fn moto_and_the_stub_digest_a_message_alike() {
    let (emulator, stub) = (Emulator::moto().await, AwsStub::start().await);
    let configs = [emulator.sdk_config(KEY), stub.sdk_config("eu-west-1", KEY)];
    let clients = configs.each_ref().map(aws_sdk_sqs::Client::new);
    let made = clients[0].create_queue().queue_name("in").send().await.unwrap();
    let own = stub.queue("arn:aws:sqs:eu-west-1:111122223333:in").url();
    let value = |kind| MessageAttributeValue::builder().data_type(kind);
    let text = value("String").string_value("NO_PERMISSIONS").build().unwrap();
    let bytes = value("Binary.raw").binary_value(Blob::new([0, 255])).build().unwrap();

    let mut digests = Vec::new();
    for (client, url) in clients.iter().zip([made.queue_url().unwrap(), own.as_str()]) {
        let send = client.send_message().queue_url(url).message_body("\u{e9}");
        let send = send.message_attributes("ERROR_CODE", text.clone());
        let sent = send.message_attributes("BYTES", bytes.clone()).send().await.unwrap();
        let attributes = sent.md5_of_message_attributes().unwrap().to_owned();
        digests.push((sent.md5_of_message_body().unwrap().to_owned(), attributes));
    }

    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn an_emulator_that_is_dropped_is_gone() {
    let emulator = Emulator::moto().await;
    let url = emulator.url().to_owned();

    drop(emulator);

    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    assert!(client.get(url).send().await.unwrap_err().is_connect());
}
