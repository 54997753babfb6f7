//! Takes messages from a queue, one after the other, as any service behind SQS does.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::ambient::Tasks;

/// What a service does with the body of a message.
pub type OnMessage = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Polls a queue until the demo stops.
pub fn poll(tasks: &Tasks, sqs: aws_sdk_sqs::Client, url: String, on_message: OnMessage) {
    let stopping = tasks.stopping().clone();
    tasks.spawn(async move {
        let _ = stopping.run_until_cancelled(take_all(&sqs, &url, &on_message)).await;
    });
}

async fn take_all(sqs: &aws_sdk_sqs::Client, url: &str, on_message: &OnMessage) {
    loop {
        let asked = sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let Ok(answer) = asked.wait_time_seconds(1).send().await else {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            continue;
        };
        for message in answer.messages() {
            let body = message.body().and_then(|body| serde_json::from_str(body).ok());
            if let Some(body) = body {
                on_message(body).await;
            }
            let receipt = message.receipt_handle().unwrap_or_default();
            // A message that is not deleted comes again, and is told as such.
            let _ = sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await;
        }
    }
}
