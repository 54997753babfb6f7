//! Polls a queue until the gateway stops.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ambient::Entropy;
use crate::aws::AwsClients;
use crate::source::queue::batch::QueueIntake;
use crate::source::queue::outcome::QueueOutcome;
use crate::source::queue::sqs::{HandedOut, LONG_POLL, SqsError, SqsQueue};
use crate::source::queue::status::{News, QueueState};
use crate::telemetry::{Metric, error_chain};

/// The wait after the first failure in a row, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// A queue that is empty is asked no more often, also where nobody waits for messages.
const BETWEEN_EMPTY_POLLS: Duration = Duration::from_secs(1);
/// How long an answer that is on its way is waited for when the gateway stops.
const LAST_ANSWER: Duration = Duration::from_millis(500);
/// How often it is asked how many messages wait.
const LOOK: Duration = Duration::from_mins(1);

/// What polls one queue.
pub(super) struct Poller {
    /// Where messages go.
    pub intake: QueueIntake,
    /// How AWS is spoken to.
    pub aws: Arc<AwsClients>,
    /// How the queue stands.
    pub state: QueueState,
    /// For waits that differ.
    pub entropy: Arc<dyn Entropy>,
}

impl Poller {
    /// The queue, as the identity that the settings name.
    pub(super) async fn open(&self) -> SqsQueue {
        SqsQueue::open(&self.aws, &self.intake.queue, &self.intake.source).await
    }

    /// Polls until `stop`; not while the log has no room. Then nothing is asked for any more, what is being
    /// taken is finished, and what was not taken is visible again.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut sqs = self.open().await;
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            let asked = self.intake.clock.now();
            let timeout = self.intake.source.visibility_timeout.0;
            let Some(answer) = self.answer(&sqs, timeout, stop).await else { break };
            let wait = match answer {
                Ok(batch) if batch.is_empty() => {
                    failures = 0;
                    self.answered(0);
                    let taken = self.intake.clock.now().since(asked);
                    Some(BETWEEN_EMPTY_POLLS.saturating_sub(taken)).filter(|wait| !wait.is_zero())
                }
                Ok(batch) if stop.is_cancelled() => {
                    self.intake.give_back(&sqs, &batch).await;
                    break;
                }
                Ok(batch) => {
                    self.answered(batch.len());
                    let outcomes = self.intake.take(&sqs, &batch, Some(stop)).await;
                    let is_pressed = outcomes.iter().copied().any(QueueOutcome::is_pressure);
                    failures = if is_pressed { failures.saturating_add(1) } else { 0 };
                    is_pressed.then(|| self.backoff(failures))
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.failed(&error);
                    self.renew_after(&error, &mut sqs).await;
                    Some(self.backoff(failures))
                }
            };
            if let Some(wait) = wait {
                tokio::select! {
                    () = self.intake.clock.sleep(wait) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// The answer of the queue; nothing: the gateway stops, and none came a moment later. What the queue
    /// has handed out by then is on its way, and would be invisible until its timeout.
    async fn answer(
        &self,
        sqs: &SqsQueue,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Option<Result<Vec<HandedOut>, SqsError>> {
        let receive = std::pin::pin!(sqs.receive(LONG_POLL, timeout));
        let stopped = async {
            stop.cancelled().await;
            self.intake.clock.sleep(LAST_ANSWER).await;
        };
        tokio::select! {
            biased;
            answer = receive => Some(answer),
            () = stopped => None,
        }
    }

    /// Asks now and then how many messages wait, until `stop`.
    pub(super) async fn watch(&self, stop: &CancellationToken) {
        let mut sqs = self.open().await;
        let queue = &self.intake.queue;
        let mut told = false;
        while !stop.is_cancelled() {
            let answer = tokio::select! {
                answer = sqs.waiting() => answer,
                () = stop.cancelled() => return,
            };
            match answer {
                Ok(messages) => {
                    told = false;
                    self.state.waits(messages);
                    let gauge = self.intake.metrics.gauge(Metric::QueueWaiting, &[queue.as_str()]);
                    gauge.set_count(messages);
                }
                Err(error) => {
                    self.intake.failed("look", &error);
                    self.renew_after(&error, &mut sqs).await;
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(
                            queue = %queue,
                            error = %error_chain(&error),
                            "How many messages wait in queue {queue} is not known",
                        );
                    }
                }
            }
            tokio::select! {
                () = self.intake.clock.sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Asks for other credentials if AWS has refused the ones that were given.
    async fn renew_after(&self, error: &SqsError, sqs: &mut SqsQueue) {
        if error.is_of_credentials() {
            let QueueIntake { queue, source, .. } = &self.intake;
            *sqs = sqs.renewed(&self.aws, queue, source).await;
        }
    }

    fn answered(&self, messages: usize) {
        if self.state.answered(self.intake.clock.now(), messages) == News::New {
            let queue = &self.intake.queue;
            tracing::info!(queue = %queue, "Queue {queue} can be read again");
        }
    }

    fn failed(&self, error: &SqsError) {
        self.intake.failed("receive", error);
        let reason = error_chain(error).to_string();
        if self.state.failed(self.intake.clock.now(), &reason) == News::New {
            let queue = &self.intake.queue;
            tracing::warn!(
                queue = %queue,
                error = %reason,
                "Queue {queue} cannot be read; `sealway aws doctor` says what to do",
            );
        }
    }

    /// A wait that grows with the failures in a row, with a quarter of jitter.
    fn backoff(&self, failures: u32) -> Duration {
        let (first, most) = BACKOFF;
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
        let wait = first.saturating_mul(factor).min(most);
        let percent = u32::try_from(75 + self.entropy.next_u64() % 26).unwrap_or(100);
        wait * percent / 100
    }
}
