//! Queues: long polls, visibility, groups, dead letters, batches.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName as System, QueueAttributeName, SendMessageBatchRequestEntry,
};
use tokio::time::Instant;

use crate::harness::aws::{AwsFault, AwsStub, QueueCounts, StubMessage, StubQueue};
use crate::harness::{eventually, never_within};

const ARN: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
const FIFO: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in.fifo";
const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-dead";

/// A stub, one of its queues and a client.
struct Scene {
    stub: AwsStub,
    queue: StubQueue,
    client: Client,
}

impl Scene {
    async fn with(arn: &str) -> Self {
        let stub = AwsStub::start().await;
        let queue = stub.queue(arn);
        let client = Client::new(&stub.sdk_config("eu-west-1", "AKIATEAM"));
        Self { stub, queue, client }
    }

    /// Receives up to ten messages with everything that belongs to them.
    async fn receive(&self) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(self.queue.url());
        let request = request.max_number_of_messages(10).message_attribute_names("All");
        let answer = request.message_system_attribute_names(System::All).send().await;
        answer.unwrap().messages.unwrap_or_default()
    }

    /// Waits until a receipt gives something.
    async fn receive_some(&self) -> Vec<Message> {
        let some = async || Some(self.receive().await).filter(|all| !all.is_empty());
        eventually("messages are visible", some).await
    }

    async fn delete(&self, message: &Message) {
        let handle = message.receipt_handle().unwrap();
        let delete = self.client.delete_message().queue_url(self.queue.url());
        delete.receipt_handle(handle).send().await.unwrap();
    }
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

fn receives(message: &Message) -> &str {
    &message.attributes().unwrap()[&System::ApproximateReceiveCount]
}

#[tokio::test]
async fn a_long_poll_waits_for_a_message_and_no_longer_than_it_was_told() {
    let scene = Scene::with(ARN).await;
    let poll = |seconds| {
        let poll = scene.client.receive_message().queue_url(scene.queue.url());
        poll.wait_time_seconds(seconds).send()
    };

    let start = Instant::now();
    let nothing: ReceiveMessageOutput = poll(1).await.unwrap();
    assert_eq!(nothing.messages(), []);
    assert!(start.elapsed() >= Duration::from_secs(1));

    let sends = async {
        // Nothing but the open poll can be seen of a poll that waits: it has not been answered.
        tokio::task::yield_now().await;
        scene.queue.send("an order")
    };
    let (answer, id) = tokio::join!(poll(20), sends);
    let answer = answer.unwrap();
    let [message] = answer.messages() else { panic!("{answer:?}") };
    assert_eq!(message.message_id(), Some(id.as_str()));
    assert!(start.elapsed() < Duration::from_secs(20), "the poll ended with the message");
}

#[tokio::test]
async fn what_was_received_is_invisible_for_its_time_and_then_has_a_new_handle() {
    let scene = Scene::with(ARN).await;
    let visibility = Duration::from_secs(2);
    let queue = scene.queue.clone().with_visibility(visibility);
    queue.send("an order");

    let start = Instant::now();
    let first = scene.receive().await;
    let none = scene.receive().await;
    let second = scene.receive_some().await;

    assert_eq!(none, []);
    assert!(start.elapsed() >= visibility);
    assert_eq!(first[0].message_id(), second[0].message_id());
    assert_ne!(first[0].receipt_handle(), second[0].receipt_handle());
    assert_eq!((receives(&first[0]), receives(&second[0])), ("1", "2"));
    scene.delete(&first[0]).await;
    assert_eq!(queue.messages().len(), 1, "an old handle deletes nothing");
    scene.delete(&second[0]).await;
    queue.wait_until_empty().await;
}

#[tokio::test]
async fn a_handle_still_deletes_what_became_visible_again_and_was_not_received_since() {
    let scene = Scene::with(ARN).await;
    let queue = scene.queue.clone().with_visibility(Duration::from_millis(1));
    queue.send("an order");
    let received = scene.receive().await;
    let visible = async || (queue.counts().visible == 1).then_some(());
    eventually("it is visible again", visible).await;

    scene.delete(&received[0]).await;

    assert_eq!(queue.counts(), QueueCounts::default());
}

#[tokio::test]
async fn visibility_can_be_extended_and_ended() {
    let scene = Scene::with(ARN).await;
    let queue = scene.queue.clone().with_visibility(Duration::from_secs(2));
    queue.send("an order");
    let received = scene.receive().await;
    let handle = received[0].receipt_handle().unwrap();
    let change = |seconds| {
        let change = scene.client.change_message_visibility().queue_url(queue.url());
        change.receipt_handle(handle).visibility_timeout(seconds).send()
    };

    change(60).await.unwrap();
    let look = async || Some(scene.receive().await).filter(|all| !all.is_empty());
    never_within(Duration::from_millis(2500), "it is visible too early", look).await;
    assert_eq!(queue.counts(), QueueCounts { in_flight: 1, ..QueueCounts::default() });
    let beyond = change(43_200).await.unwrap_err();
    change(0).await.unwrap();
    let not_in_flight = change(1).await.unwrap_err();
    let again = scene.receive().await;
    let stale = change(1).await.unwrap_err();

    assert_eq!(beyond.code(), Some("InvalidParameterValue"));
    assert_eq!(not_in_flight.code(), Some("AWS.SimpleQueueService.MessageNotInflight"));
    assert!(not_in_flight.into_service_error().is_message_not_inflight());
    assert_eq!(receives(&again[0]), "2");
    assert_eq!(stale.code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn a_group_waits_while_one_of_its_messages_is_in_flight() {
    let scene = Scene::with(FIFO).await;
    let queue = scene.queue.clone().with_visibility(Duration::from_secs(4));
    let in_group = |body, group| StubMessage::new(body).group(group);
    for (body, group) in [("a1", "a"), ("b1", "b")] {
        queue.send(in_group(body, group));
    }

    let first = scene.receive().await;
    queue.send(in_group("a2", "a"));
    queue.send(in_group("c1", "c"));
    let second = scene.receive().await;
    scene.delete(&first[0]).await;
    let third = scene.receive().await;

    assert_eq!(bodies(&first), ["a1", "b1"]);
    assert_eq!(bodies(&second), ["c1"]);
    assert_eq!(bodies(&third), ["a2"]);
    let attributes = third[0].attributes().unwrap();
    assert_eq!(attributes[&System::MessageGroupId], "a");
    assert_eq!(attributes[&System::SequenceNumber], format!("{:020}", 3));
    assert_eq!(attributes[&System::MessageDeduplicationId].len(), 64);
    let again = scene.receive_some().await;
    let delete = scene.client.delete_message().queue_url(queue.url());
    let late = delete.receipt_handle(first[1].receipt_handle().unwrap()).send().await;
    assert_eq!(bodies(&again)[0], "b1", "a group begins again with the message that came back");
    let late = late.unwrap_err();
    assert_eq!(late.code(), Some("InvalidParameterValue"));
    assert!(late.message().unwrap().ends_with("The receipt handle has expired."));
}

#[tokio::test]
async fn a_fifo_queue_takes_a_repeat_for_the_same_message() {
    let scene = Scene::with(FIFO).await;
    let send = |body: &str, id: Option<&str>| {
        let send = scene.client.send_message().queue_url(scene.queue.url()).message_body(body);
        send.message_group_id("a").set_message_deduplication_id(id.map(str::to_owned)).send()
    };

    let one = send("x", None).await.unwrap();
    let repeat = send("x", None).await.unwrap();
    let other = send("x", Some("own")).await.unwrap();
    let known = scene.queue.send(StubMessage::new("y").group("a").deduplicated_by("own"));

    assert_eq!(one.message_id(), repeat.message_id());
    assert_eq!(one.sequence_number(), repeat.sequence_number());
    assert_ne!(one.message_id(), other.message_id());
    assert_eq!(Some(known.as_str()), other.message_id());
    assert_eq!(scene.queue.messages().len(), 2);
    let ungrouped = scene.client.send_message().queue_url(scene.queue.url()).message_body("z");
    assert_eq!(ungrouped.send().await.unwrap_err().code(), Some("MissingParameter"));
}

#[tokio::test]
async fn what_was_received_too_often_goes_to_the_dead_letter_queue() {
    let scene = Scene::with(ARN).await;
    let dead = scene.stub.queue(DEAD);
    let queue =
        scene.queue.clone().with_redrive(&dead, 2).with_visibility(Duration::from_millis(1));
    let id = queue.send(StubMessage::new("poison").attribute("ERROR_CODE", "NO_PERMISSIONS"));

    assert_eq!(receives(&scene.receive_some().await[0]), "1");
    assert_eq!(receives(&scene.receive_some().await[0]), "2");
    let gone = async || {
        assert_eq!(scene.receive().await, [], "it is not received a third time");
        (dead.messages().len() == 1).then_some(())
    };
    let poll = scene.client.receive_message().queue_url(dead.url()).wait_time_seconds(20);
    let poll = poll.message_system_attribute_names(System::All).message_attribute_names("All");
    let gone = eventually("it is in the other queue", gone);
    let (answer, ()) = tokio::join!(poll.send(), gone);

    queue.wait_until_empty().await;
    let answer = answer.unwrap();
    let [message] = answer.messages() else { panic!("one dead letter: {answer:?}") };
    let attributes = message.attributes().unwrap();
    assert_eq!(message.message_id(), Some(id.as_str()));
    assert_eq!(attributes[&System::DeadLetterQueueSourceArn], ARN);
    let code = &message.message_attributes().unwrap()["ERROR_CODE"];
    assert_eq!((code.data_type(), code.string_value()), ("String", Some("NO_PERMISSIONS")));
}

#[tokio::test]
async fn attributes_are_given_to_who_names_them() {
    let scene = Scene::with(ARN).await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let visible = scene.queue.clone().with_visibility(Duration::ZERO);
    let message = StubMessage::new("\u{e9}").trace(trace);
    visible.send(
        message.attribute("RULE_ARN", "arn:x").attribute("OTHER", "y").attribute("RULES", "z"),
    );
    let receive = || scene.client.receive_message().queue_url(visible.url());

    let bare = receive().send().await.unwrap();
    let named = receive()
        .message_system_attribute_names(System::AwsTraceHeader)
        .message_system_attribute_names(System::SentTimestamp)
        .message_attribute_names("RULE_.*")
        .message_attribute_names("RULE*")
        .message_attribute_names("OTHER")
        .send()
        .await
        .unwrap();

    assert_eq!(bare.messages()[0].attributes(), None);
    assert_eq!(bare.messages()[0].message_attributes(), None);
    // `printf '\303\251' | md5sum`
    assert_eq!(bare.messages()[0].md5_of_body(), Some("66ddcd97cfdeabb2f6fb8a999b4bc76f"));
    let attributes = named.messages()[0].attributes().unwrap();
    assert_eq!(attributes.len(), 2);
    assert_eq!(attributes[&System::AwsTraceHeader], trace);
    assert!(attributes[&System::SentTimestamp].parse::<u64>().unwrap() > 1_700_000_000_000);
    let mut names: Vec<_> = named.messages()[0].message_attributes().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["OTHER", "RULE_ARN"]);
}

#[tokio::test]
async fn a_batch_tells_of_each_entry_and_has_its_limits() {
    let scene = Scene::with(ARN).await;
    let url = scene.queue.url();
    let entry = |n: usize| {
        let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
        entry.message_body(format!("{n}")).build().unwrap()
    };
    let send = |count| {
        let entries = (0..count).map(entry).collect();
        scene.client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send()
    };
    assert_eq!(send(10).await.unwrap().successful().len(), 10);
    let many = send(11).await.unwrap_err().into_service_error();
    assert!(many.is_too_many_entries_in_batch_request());

    let received = scene.receive().await;
    assert_eq!(received.len(), 10);
    let entries = received.iter().enumerate().map(|(place, message)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
        let handle = if place == 3 { "not a handle" } else { message.receipt_handle().unwrap() };
        entry.receipt_handle(handle).build().unwrap()
    });
    scene.stub.fail("DeleteMessageBatch", [AwsFault::entries([(7, "InternalError")])]);
    let delete = scene.client.delete_message_batch().queue_url(&url);
    let answer = delete.set_entries(Some(entries.collect())).send().await.unwrap();

    let failed: Vec<_> = answer.failed().iter().map(|it| (it.id(), it.code())).collect();
    assert_eq!(failed, [("3", "ReceiptHandleIsInvalid"), ("7", "InternalError")]);
    let senders: Vec<_> = answer.failed().iter().map(|it| it.sender_fault).collect();
    assert_eq!(senders, [true, false]);
    assert_eq!(answer.successful().len(), 8);
    let left: Vec<_> = scene.queue.messages().iter().map(|it| it.body.clone()).collect();
    assert_eq!(left, ["3", "7"]);
    let entries = [&received[3], &received[7]].map(|message| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().visibility_timeout(0);
        let handle = message.receipt_handle().unwrap();
        entry.id(message.body().unwrap()).receipt_handle(handle).build().unwrap()
    });
    let change = scene.client.change_message_visibility_batch().queue_url(&url);
    let answer = change.set_entries(Some(entries.to_vec())).send().await.unwrap();
    assert_eq!(answer.successful().len(), 2);
    assert_eq!(bodies(&scene.receive().await), ["3", "7"]);
}

#[tokio::test]
async fn a_queue_tells_its_address_its_counts_and_its_policy() {
    let scene = Scene::with(ARN).await;
    let queue = scene.queue.clone().with_redrive(&scene.stub.queue(DEAD), 5);
    queue.send("one");
    queue.send("two");
    let one = scene.client.receive_message().queue_url(queue.url()).send().await.unwrap();
    assert_eq!(one.messages().len(), 1);
    let delayed = scene.client.send_message().queue_url(queue.url()).message_body("three");
    delayed.delay_seconds(900).send().await.unwrap();

    let url = scene.client.get_queue_url().queue_name("gateway-in");
    let url = url.queue_owner_aws_account_id("111122223333").send().await.unwrap();
    let get = scene.client.get_queue_attributes().queue_url(queue.url());
    let told = get.attribute_names(QueueAttributeName::All).send().await.unwrap();

    assert_eq!(url.queue_url(), Some(queue.url().as_str()));
    let told = told.attributes.unwrap();
    for (name, value) in [
        (QueueAttributeName::ApproximateNumberOfMessages, "1"),
        (QueueAttributeName::ApproximateNumberOfMessagesNotVisible, "1"),
        (QueueAttributeName::ApproximateNumberOfMessagesDelayed, "1"),
        (QueueAttributeName::VisibilityTimeout, "30"),
        (QueueAttributeName::QueueArn, ARN),
    ] {
        assert_eq!(told[&name], value);
    }
    let policy = format!(r#"{{"deadLetterTargetArn":"{DEAD}","maxReceiveCount":5}}"#);
    assert_eq!(told[&QueueAttributeName::RedrivePolicy], policy);
    let elsewhere = Client::new(&scene.stub.sdk_config("eu-north-1", "AKIATEAM"));
    let missing = elsewhere.receive_message().queue_url(queue.url()).send().await.unwrap_err();
    assert_eq!(missing.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert!(missing.into_service_error().is_queue_does_not_exist());
}
