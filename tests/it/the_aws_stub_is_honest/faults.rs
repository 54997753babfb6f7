//! Faults of the script, and the record of calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use tokio::time::Instant;

use crate::harness::aws::{AwsCall, AwsFault, AwsRequest, AwsStub};

const ARN: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";

fn statuses(calls: &[Arc<AwsCall>]) -> Vec<u16> {
    calls.iter().map(|call| call.status).collect()
}

fn client(stub: &AwsStub) -> Client {
    Client::new(&stub.sdk_config("eu-west-1", "AKIATEAM"))
}

#[tokio::test]
async fn the_script_is_followed_call_by_call_and_then_all_is_well() {
    let stub = AwsStub::start().await;
    stub.queue(ARN);
    stub.fail("GetQueueUrl", [AwsFault::throttled(), AwsFault::unavailable()]);
    stub.fail("GetQueueUrl", [AwsFault::internal_failure(), AwsFault::expired_token()]);
    stub.fail("GetQueueUrl", [AwsFault::access_denied(), AwsFault::not_found()]);

    let mut seen = Vec::new();
    for _ in 0..6 {
        let refused = client(&stub).get_queue_url().queue_name("gateway-in").send().await;
        let refused = refused.unwrap_err();
        let status = refused.raw_response().unwrap().status().as_u16();
        seen.push((status, refused.code().unwrap().to_owned()));
    }
    client(&stub).get_queue_url().queue_name("gateway-in").send().await.unwrap();

    let seen: Vec<_> = seen.iter().map(|(status, code)| (*status, code.as_str())).collect();
    let expected = [
        (400, "ThrottlingException"),
        (503, "ServiceUnavailable"),
        (500, "InternalFailure"),
        (400, "ExpiredTokenException"),
        (400, "AccessDeniedException"),
        (400, "ResourceNotFoundException"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(statuses(&stub.calls()), [400, 503, 500, 400, 400, 400, 200]);
}

#[tokio::test]
async fn the_sdk_repeats_what_was_throttled_or_lost() {
    let stub = AwsStub::start().await;
    let queue = stub.queue(ARN);
    let settings = aws_sdk_sqs::config::Builder::from(&stub.sdk_config("eu-west-1", "AKIATEAM"));
    let retry = RetryConfig::standard().with_max_attempts(4);
    let retry = retry.with_initial_backoff(Duration::from_millis(1));
    let client = Client::from_conf(settings.retry_config(retry).build());
    stub.fail("SendMessage", [AwsFault::throttled(), AwsFault::RequestLost, AwsFault::AnswerLost]);

    let send = client.send_message().queue_url(queue.url()).message_body("an order");
    send.send().await.unwrap();

    let calls = stub.wait_for_calls("SendMessage", 4).await;
    assert_eq!(calls.len(), 4);
    assert_eq!(queue.messages().len(), 2, "the call whose answer was lost took effect");
    assert_eq!(statuses(&calls), [400, 0, 200, 200]);
}

#[tokio::test]
async fn a_slow_answer_comes_late() {
    let stub = AwsStub::start().await;
    stub.queue(ARN);
    let slow = Duration::from_millis(200);
    stub.fail("GetQueueUrl", [AwsFault::Slow(slow)]);

    let start = Instant::now();
    client(&stub).get_queue_url().queue_name("gateway-in").send().await.unwrap();

    assert!(start.elapsed() >= slow);
}

#[tokio::test]
async fn a_look_at_a_request_comes_before_its_effect_and_may_forbid_it() {
    let stub = AwsStub::start().await;
    let queue = stub.queue(ARN);
    let ids = [queue.send("one"), queue.send("two")];
    let (seen, there) = (Arc::new(Mutex::new(Vec::new())), queue.clone());
    let sees = Arc::clone(&seen);
    stub.behave(move |request: &AwsRequest| {
        if request.operation != "DeleteMessageBatch" {
            return None;
        }
        let bodies: Vec<_> = request.messages.iter().map(|it| it.body.clone()).collect();
        sees.lock().unwrap().push((bodies, there.messages().len()));
        Some(AwsFault::entries([(1, "InternalError")]))
    });
    let receive = client(&stub).receive_message().queue_url(queue.url());
    let received = receive.max_number_of_messages(10).send().await.unwrap();
    let entries = received.messages().iter().map(|message| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(message.body().unwrap());
        entry.receipt_handle(message.receipt_handle().unwrap()).build().unwrap()
    });
    let delete = client(&stub).delete_message_batch().queue_url(queue.url());
    delete.set_entries(Some(entries.collect())).send().await.unwrap();

    let looked = (vec!["one".to_owned(), "two".to_owned()], 2);
    assert_eq!(*seen.lock().unwrap(), [looked]);
    assert_eq!(queue.messages().len(), 1);
    let calls = stub.calls();
    let order: Vec<_> = calls.iter().map(|call| call.asked.operation.as_str()).collect();
    assert_eq!(order, ["ReceiveMessage", "DeleteMessageBatch"]);
    for call in &calls {
        let about: Vec<_> = call.asked.messages.iter().map(|it| it.id.clone()).collect();
        assert_eq!(about, ids);
        assert_eq!((call.asked.service, call.asked.region.as_str()), ("sqs", "eu-west-1"));
    }
    assert_eq!(calls[1].answer["Failed"][0]["Code"], "InternalError");
}

#[tokio::test]
async fn what_nobody_signed_or_no_service_knows_is_refused() {
    let stub = AwsStub::start().await;
    let post = |target: &'static str| {
        let post = reqwest::Client::new().post(stub.url()).header("x-amz-target", target);
        post.header("authorization", "AWS4-HMAC-SHA256 Credential=AKIATEAM/1/eu-west-1/x")
            .body("{}")
    };

    let unsigned = reqwest::Client::new().post(stub.url()).header("x-amz-target", "AWSEvents.X");
    let unsigned = unsigned.body("{}").send().await.unwrap();
    let unknown = post("AWSEvents.PutRule").send().await.unwrap();
    let foreign = post("DynamoDB.GetItem").send().await.unwrap();

    assert_eq!(unsigned.status(), 400);
    assert!(unsigned.text().await.unwrap().contains("MissingAuthenticationTokenException"));
    assert!(unknown.text().await.unwrap().contains("UnknownOperationException"));
    assert!(foreign.text().await.unwrap().contains("UnknownOperationException"));
}
