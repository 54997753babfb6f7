//! One SQS queue, as the SDK's client speaks to it.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName as SystemAttribute, QueueAttributeName,
};

use crate::aws::{AwsClients, AwsFailure, AwsRefusal, AwsRole, ClientConfig};
use crate::event::QueueArn;
use crate::source::queue::message::{QueueMessage, sent_at};
use crate::source::queue::settings::QueueSource;
use crate::telemetry::error_chain;

/// The most messages of one call.
pub(super) const BATCH: usize = 10;
/// How long an attempt may take beyond what it waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the SDK tries a call that does not wait for messages: a slow one must not use up the time
/// that messages stay invisible, and those that matter are tried again by the gateway.
const ATTEMPTS: u32 = 2;
/// The longest wait that SQS knows.
pub(super) const LONG_POLL: Duration = Duration::from_secs(20);

/// A queue, and the identity under which it is asked.
pub(super) struct SqsQueue {
    /// For calls that wait for messages.
    waiting: Client,
    /// For all others.
    prompt: Client,
    url: String,
    /// Which credentials it has.
    generation: u64,
}

/// A message that was handed out, until its visibility timeout is over.
pub(super) struct HandedOut {
    /// The message.
    pub message: QueueMessage,
    /// By which it is deleted or made visible.
    pub handle: String,
    /// How often it was handed out.
    pub receives: u32,
}

impl SqsError {
    /// Whether other credentials may help.
    pub(super) const fn is_of_credentials(&self) -> bool {
        self.is_of_credentials
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct SqsError {
    /// The code that AWS gives, or a word for why there was no answer.
    pub code: String,
    reason: String,
    is_of_credentials: bool,
}

/// The places, in what was given, of which a batch call failed, and why.
pub(super) struct BatchFailures {
    /// Those that may succeed if they are asked for again.
    pub later: Vec<usize>,
    /// The codes of all.
    pub codes: Vec<String>,
}

impl SqsQueue {
    /// Speaks to a queue as the settings of a source say, which may also be its dead-letter queue.
    pub(super) async fn open(aws: &AwsClients, queue: &QueueArn, source: &QueueSource) -> Self {
        Self::new(queue, &aws.client_config(queue.region(), role_of(source).as_ref()).await)
    }

    /// The same with credentials that are asked for anew.
    pub(super) async fn renewed(
        &self,
        aws: &AwsClients,
        queue: &QueueArn,
        source: &QueueSource,
    ) -> Self {
        let (region, role) = (queue.region(), role_of(source));
        Self::new(queue, &aws.renewed(region, role.as_ref(), self.generation).await)
    }

    fn new(queue: &QueueArn, ClientConfig { sdk: config, generation }: &ClientConfig) -> Self {
        let within = |attempt: Duration| {
            let patience = TimeoutConfig::builder().operation_attempt_timeout(attempt).build();
            aws_sdk_sqs::config::Builder::from(config).timeout_config(patience)
        };
        let tries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        Self {
            waiting: Client::from_conf(within(LONG_POLL + PATIENCE).build()),
            prompt: Client::from_conf(within(PATIENCE).retry_config(tries).build()),
            url: url_of(queue, config.endpoint_url()),
            generation: *generation,
        }
    }

    /// Asks for up to ten messages; waits so long if there are none.
    ///
    /// # Errors
    ///
    /// Later or the operator's turn: AWS refused, or cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Messages that were handed out to a dropped future become visible after their timeout.
    pub(super) async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<HandedOut>, SqsError> {
        let request = self.waiting.receive_message().queue_url(&self.url);
        let request = request
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(i32::MAX))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(SystemAttribute::All)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(|error| failure(&error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(handed_out).collect())
    }

    /// Deletes up to ten messages.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), if the whole call failed.
    pub(super) async fn delete(&self, handles: &[&str]) -> Result<BatchFailures, SqsError> {
        let mut request = self.prompt.delete_message_batch().queue_url(&self.url);
        for (at, handle) in handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
            request = request.entries(entry.receipt_handle(*handle).build().map_err(unbuilt)?);
        }
        let answer = request.send().await.map_err(|error| failure(&error))?;
        Ok(failures(&answer.failed))
    }

    /// Lets up to ten messages stay invisible so long from now on; zero makes them visible.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), if the whole call failed.
    pub(super) async fn hide(
        &self,
        handles: &[(&str, Duration)],
    ) -> Result<BatchFailures, SqsError> {
        let mut request = self.prompt.change_message_visibility_batch().queue_url(&self.url);
        for (at, (handle, visibility)) in handles.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
            let entry = entry.receipt_handle(*handle).visibility_timeout(seconds(*visibility));
            request = request.entries(entry.build().map_err(unbuilt)?);
        }
        let answer = request.send().await.map_err(|error| failure(&error))?;
        Ok(failures(&answer.failed))
    }

    /// How many messages wait to be received, about.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub(super) async fn waiting(&self) -> Result<u64, SqsError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.prompt.get_queue_attributes().queue_url(&self.url);
        let answer =
            request.attribute_names(name.clone()).send().await.map_err(|error| failure(&error))?;
        let number = answer.attributes.and_then(|found| found.get(&name)?.parse().ok());
        Ok(number.unwrap_or_default())
    }
}

fn role_of(source: &QueueSource) -> Option<AwsRole> {
    source.role.clone().map(|arn| AwsRole { arn, external_id: None })
}

/// The address that SQS knows a queue by. It is made and not asked for, which would take one more
/// permission.
fn url_of(queue: &QueueArn, endpoint: Option<&str>) -> String {
    let (account, name) = (queue.account(), queue.name());
    if let Some(endpoint) = endpoint {
        return format!("{}/{account}/{name}", endpoint.trim_end_matches('/'));
    }
    let domain = if queue.as_str().starts_with("arn:aws-cn:") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://sqs.{}.{domain}/{account}/{name}", queue.region())
}

/// Whole seconds, no fewer than asked for.
fn seconds(span: Duration) -> i32 {
    let whole = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn handed_out(message: Message) -> HandedOut {
    let mut system = message.attributes.unwrap_or_default();
    let mut take = |name: SystemAttribute| system.remove(&name);
    let receives = take(SystemAttribute::ApproximateReceiveCount);
    let mut attributes: Vec<(String, String)> = message
        .message_attributes
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.string_value?)))
        .collect();
    attributes.sort_unstable();
    let read = QueueMessage {
        id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        group: take(SystemAttribute::MessageGroupId),
        deduplication: take(SystemAttribute::MessageDeduplicationId),
        sent: take(SystemAttribute::SentTimestamp).and_then(|sent| sent_at(&sent)),
        trace: take(SystemAttribute::AwsTraceHeader),
        attributes,
    };
    HandedOut {
        message: read,
        handle: message.receipt_handle.unwrap_or_default(),
        receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
    }
}

fn failures(failed: &[aws_sdk_sqs::types::BatchResultErrorEntry]) -> BatchFailures {
    let later = failed.iter().filter(|entry| !entry.sender_fault);
    BatchFailures {
        later: later.filter_map(|entry| entry.id.parse().ok()).collect(),
        codes: failed.iter().map(|entry| entry.code.clone()).collect(),
    }
}

fn failure<E>(error: &SdkError<E>) -> SqsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let failure = AwsFailure::of(error);
    let is_of_credentials = failure.wants_other_credentials();
    let code = match failure {
        AwsFailure::Refused(AwsRefusal { code, message, .. }) if !code.is_empty() => {
            let message = if message.is_empty() { "AWS gives no reason" } else { &message };
            return SqsError { reason: format!("{code}: {message}"), code, is_of_credentials };
        }
        AwsFailure::Refused(_) => "unknown",
        AwsFailure::Timeout => "timed-out",
        AwsFailure::Unreachable(..) => "unreachable",
        // There are no credentials, or the egress guard refuses.
        AwsFailure::Guard(_)
        | AwsFailure::Role(_)
        | AwsFailure::NoCredentials(_)
        | AwsFailure::Broken(_) => "not-sent",
    };
    let reason = error_chain(error).to_string();
    SqsError { code: code.to_owned(), reason, is_of_credentials }
}

fn unbuilt(error: impl Error + 'static) -> SqsError {
    let (code, reason) = ("not-sent".to_owned(), error_chain(&error).to_string());
    SqsError { code, reason, is_of_credentials: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_the_address_of_its_region_or_of_the_endpoint() {
        let queue: QueueArn = "arn:aws:sqs:eu-west-1:111122223333:in.fifo".parse().unwrap();
        let of_china: QueueArn = "arn:aws-cn:sqs:cn-north-1:111122223333:in".parse().unwrap();

        assert_eq!(
            url_of(&queue, None),
            "https://sqs.eu-west-1.amazonaws.com/111122223333/in.fifo"
        );
        assert_eq!(
            url_of(&of_china, None),
            "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/in"
        );
        assert_eq!(
            url_of(&queue, Some("http://127.0.0.1:4566/")),
            "http://127.0.0.1:4566/111122223333/in.fifo"
        );
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_mins(1)), 60);
    }
}
