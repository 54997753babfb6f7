//! The same on emulators, whose envelopes and queues others have made.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, Target};
use serde_json::Value;

use crate::a_queue_is_a_source::scene::{events, numbers, reader};
use crate::harness::aws::Emulator;
use crate::harness::{Process, eventually};

/// A rule on a bus of an emulator fills a queue that a gateway reads: gives what crossed.
async fn cross(emulator: &Emulator) -> Vec<Value> {
    let config = emulator.sdk_config("AKIATEAM");
    let queue = make_queue(&config).await;
    let mut gateway: Process = reader(emulator.url(), &queue, "");
    let key = gateway.add_caller("operator", "admin");
    gateway.serve().await;
    let bus = aws_sdk_eventbridge::Client::new(&config);
    bus.create_event_bus().name("eda-demo").send().await.unwrap();
    let rule = bus.put_rule().name("gateway").event_bus_name("eda-demo");
    rule.event_pattern(r#"{"source":["order-service"]}"#).send().await.unwrap();
    let target = Target::builder().id("in").arn(&queue).build().unwrap();
    let targets = bus.put_targets().rule("gateway").event_bus_name("eda-demo");
    targets.targets(target).send().await.unwrap();
    for number in 1..=3 {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name("eda-demo")
            .source("order-service")
            .detail_type("OrderCreated")
            .detail(format!(r#"{{"id":{number},"amount":100}}"#));
        bus.put_events().entries(entry.build()).send().await.unwrap();
    }
    let crossed = async || Some(events(&gateway, &key).await).filter(|all| all.len() >= 3);
    let crossed = eventually("the events cross", crossed).await;
    let waiting = async || (waiting(&config).await == ["0", "0"]).then_some(());
    eventually("the queue is empty", waiting).await;
    assert!(gateway.stop().await.success());
    crossed
}

const QUEUE: &str = "gateway-in";

/// Makes the queue and gives its ARN.
async fn make_queue(config: &SdkConfig) -> String {
    let client = aws_sdk_sqs::Client::new(config);
    client.create_queue().queue_name(QUEUE).send().await.unwrap();
    attributes(config, aws_sdk_sqs::types::QueueAttributeName::QueueArn).await
}

/// How many messages are visible and how many are in flight.
async fn waiting(config: &SdkConfig) -> [String; 2] {
    use aws_sdk_sqs::types::QueueAttributeName as Name;
    [
        attributes(config, Name::ApproximateNumberOfMessages).await,
        attributes(config, Name::ApproximateNumberOfMessagesNotVisible).await,
    ]
}

async fn attributes(config: &SdkConfig, name: aws_sdk_sqs::types::QueueAttributeName) -> String {
    let client = aws_sdk_sqs::Client::new(config);
    let url = client.get_queue_url().queue_name(QUEUE).send().await.unwrap();
    let request = client.get_queue_attributes().queue_url(url.queue_url().unwrap());
    let answer = request.attribute_names(name.clone()).send().await.unwrap();
    answer.attributes.unwrap()[&name].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_ministack_fills_a_queue_that_the_gateway_reads() {
    let crossed = cross(&Emulator::ministack().await).await;

    let mut crossed = numbers(&crossed);
    crossed.sort_unstable();
    assert_eq!(crossed, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_of_moto_cross_without_an_account() {
    let crossed = cross(&Emulator::moto().await).await;

    let mut crossed = numbers(&crossed);
    crossed.sort_unstable();
    assert_eq!(crossed, [1, 2, 3]);
}
