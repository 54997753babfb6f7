//! Lets a batch of messages in: offered to the log, and deleted after its yes.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Clock;
use crate::event::QueueArn;
use crate::source::queue::differing::{differs, set_apart};
use crate::source::queue::outcome::{LeftBecause, QueueOutcome};
use crate::source::queue::reading::{QueueReading, read};
use crate::source::queue::settings::QueueSource;
use crate::source::queue::sqs::{BATCH, BatchFailures, HandedOut, SqsError, SqsQueue};
use crate::source::{Admit, Config, Received, ResponseMode, Unparsed};
use crate::telemetry::{Metric, Metrics, error_chain};

/// How long a message may stay invisible in all, from its receipt on.
const MOST_INVISIBLE: Duration = Duration::from_hours(12);
/// After how long a message that was left is visible again: after the first time, and at the most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(15));
/// How often a deletion is tried; a message that is not deleted comes again and is recognized.
const DELETIONS: u32 = 3;
/// Between two tries.
const BETWEEN_DELETIONS: Duration = Duration::from_millis(200);

/// The way from a queue to the log.
pub(super) struct QueueIntake {
    /// The queue whose settings hold.
    pub source: QueueSource,
    /// The queue that is read: this one, or its dead-letter queue.
    pub queue: QueueArn,
    /// The limits of every way in.
    pub config: Config,
    /// The log.
    pub admit: Arc<dyn Admit>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl QueueIntake {
    /// Lets the messages of one call in, deletes those that are settled, and gives what became of each.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe; what is cut off becomes visible again and is recognized.
    pub(super) async fn take(&self, sqs: &SqsQueue, batch: &[HandedOut]) -> Vec<QueueOutcome> {
        self.note(batch);
        let outcomes = tokio::select! {
            outcomes = self.settle(batch) => outcomes,
            never = self.keep_invisible(sqs, batch) => match never {},
        };
        if outcomes.contains(&QueueOutcome::Own) {
            self.tell_of_own();
        }
        for outcome in &outcomes {
            self.count(Metric::QueueOutcomes, outcome.text()).increment();
        }
        let settled = || batch.iter().zip(&outcomes);
        let done = settled().filter(|(_, outcome)| outcome.is_done());
        self.delete(sqs, done.map(|(message, _)| message.handle.as_str()).collect()).await;
        let left = settled().filter(|(_, outcome)| !outcome.is_done());
        let left = left.map(|(message, _)| (&*message.handle, backoff(message.receives))).collect();
        self.let_appear(sqs, left).await;
        outcomes
    }

    /// Makes messages visible again at once, of which nothing was taken.
    pub(super) async fn give_back(&self, sqs: &SqsQueue, batch: &[HandedOut]) {
        let all = batch.iter().map(|message| (message.handle.as_str(), Duration::ZERO)).collect();
        self.let_appear(sqs, all).await;
    }

    /// Counts a call that failed, by what it was to do.
    pub(super) fn failed(&self, call: &'static str, error: &SqsError) {
        let labels = [self.queue.as_str(), call, &error.code];
        self.metrics.counter(Metric::QueueFailures, &labels).increment();
    }

    fn note(&self, batch: &[HandedOut]) {
        let now = self.clock.now();
        let queue = [self.queue.as_str()];
        self.metrics.counter(Metric::QueueReceived, &queue).add(batch.len() as u64);
        let age = self.metrics.histogram(Metric::QueueAgeSeconds, &queue);
        for sent in batch.iter().filter_map(|message| message.message.sent) {
            age.observe(now.since(sent).as_secs_f64());
        }
    }

    fn count(&self, metric: Metric, outcome: &str) -> crate::telemetry::Counter {
        self.metrics.counter(metric, &[self.queue.as_str(), outcome])
    }

    /// Offers each message to the log or to the quarantine.
    async fn settle(&self, batch: &[HandedOut]) -> Vec<QueueOutcome> {
        let mut outcomes = vec![QueueOutcome::Left(LeftBecause::Behind); batch.len()];
        let mut blocked: HashSet<&str> = HashSet::new();
        for wave in waves(batch) {
            let free = wave.into_iter().filter(|(_, message)| {
                message.message.group.as_deref().is_none_or(|group| !blocked.contains(group))
            });
            let free: Vec<_> = free.collect();
            for (at, outcome) in self.offer(&free).await {
                let group = batch.get(at).and_then(|message| message.message.group.as_deref());
                blocked.extend(group.filter(|_| !outcome.is_done()));
                if let Some(place) = outcomes.get_mut(at) {
                    *place = outcome;
                }
            }
        }
        outcomes
    }

    /// Offers messages of which none waits for another one.
    async fn offer(&self, messages: &[(usize, &HandedOut)]) -> Vec<(usize, QueueOutcome)> {
        let now = self.clock.now();
        let mut outcomes = Vec::with_capacity(messages.len());
        let (mut events, mut bytes) =
            (Vec::<(usize, Received)>::new(), Vec::<(usize, Unparsed)>::new());
        for (at, message) in messages {
            match read(&message.message, &self.source, &self.config, now) {
                QueueReading::Event(received, warnings) => {
                    for warning in warnings {
                        let rule = [warning.kind.text()];
                        self.metrics.counter(Metric::EventsWarned, &rule).increment();
                    }
                    events.push((*at, *received));
                }
                QueueReading::Own => outcomes.push((*at, QueueOutcome::Own)),
                QueueReading::Unreadable(unparsed) => bytes.push((*at, *unparsed)),
            }
        }
        let (places, events): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        if !events.is_empty() {
            let answers = self.admit.admit(events, ResponseMode::Asynchronous).await;
            for (at, answer) in places.into_iter().zip(answers) {
                let message = messages.iter().find(|(place, _)| *place == at);
                match message.filter(|_| differs(&answer)) {
                    Some((_, other)) => bytes.push((at, set_apart(&other.message, &self.source))),
                    None => outcomes.push((at, QueueOutcome::of_event(answer))),
                }
            }
        }
        let (places, bytes): (Vec<_>, Vec<_>) = bytes.into_iter().unzip();
        if !bytes.is_empty() {
            let answers = self.admit.set_aside(bytes).await;
            outcomes
                .extend(places.into_iter().zip(answers.into_iter().map(QueueOutcome::of_bytes)));
        }
        outcomes
    }

    /// Warns of a loop the first time.
    fn tell_of_own(&self) {
        if self.count(Metric::QueueOutcomes, QueueOutcome::Own.text()).value() == 0 {
            tracing::warn!(
                queue = %self.queue,
                "Queue {} brings events back that this gateway has put on a bus; they are deleted. \
                 Have its rule leave out the source `sealway`",
                self.queue,
            );
        }
    }

    /// Extends the visibility timeout of a batch each time that a third of it is over, as long as it is
    /// polled.
    async fn keep_invisible(&self, sqs: &SqsQueue, batch: &[HandedOut]) -> Infallible {
        let (received, timeout) = (self.clock.now(), self.source.visibility_timeout.0);
        loop {
            self.clock.sleep(timeout / 3).await;
            let rest = MOST_INVISIBLE.saturating_sub(self.clock.now().since(received));
            if rest.is_zero() {
                // SQS refuses more, and the messages come again.
                std::future::pending::<()>().await;
            }
            let longer = timeout.min(rest);
            let all: Vec<_> = batch.iter().map(|message| (&*message.handle, longer)).collect();
            match sqs.hide(&all).await {
                Ok(failures) => {
                    let extended = all.len().saturating_sub(failures.codes.len());
                    let queue = [self.queue.as_str()];
                    self.metrics.counter(Metric::QueueExtended, &queue).add(extended as u64);
                    self.count_failures("extend", &failures);
                }
                Err(error) => self.failed("extend", &error),
            }
        }
    }

    /// Deletes what is settled, and tries again what fails for a reason of AWS's.
    async fn delete(&self, sqs: &SqsQueue, mut handles: Vec<&str>) {
        for attempt in 1..=DELETIONS {
            if handles.is_empty() {
                return;
            }
            if attempt > 1 {
                self.clock.sleep(BETWEEN_DELETIONS).await;
            }
            match sqs.delete(&handles).await {
                Ok(failures) => {
                    let deleted = handles.len().saturating_sub(failures.codes.len());
                    let queue = [self.queue.as_str()];
                    self.metrics.counter(Metric::QueueDeleted, &queue).add(deleted as u64);
                    self.count_failures("delete", &failures);
                    let again = failures.later.iter().filter_map(|at| handles.get(*at).copied());
                    handles = again.collect();
                }
                Err(error) => self.failed("delete", &error),
            }
        }
        if !handles.is_empty() {
            let count = handles.len();
            tracing::warn!(
                queue = %self.queue,
                "{count} messages of queue {} could not be deleted; they come again as repeats",
                self.queue,
            );
        }
    }

    async fn let_appear(&self, sqs: &SqsQueue, messages: Vec<(&str, Duration)>) {
        if messages.is_empty() {
            return;
        }
        match sqs.hide(&messages).await {
            Ok(failures) => self.count_failures("return", &failures),
            // They become visible when their timeout is over.
            Err(error) => {
                self.failed("return", &error);
                tracing::debug!(error = %error_chain(&error), "Messages stay invisible for a while");
            }
        }
    }

    fn count_failures(&self, call: &'static str, failures: &BatchFailures) {
        for code in &failures.codes {
            let labels = [self.queue.as_str(), call, code];
            self.metrics.counter(Metric::QueueFailures, &labels).increment();
        }
    }
}

/// Messages that may be offered together, in the order in which they must be: the first of each group
/// of a FIFO queue, then the second of each. Those without a group are all in the first wave.
fn waves(batch: &[HandedOut]) -> Vec<Vec<(usize, &HandedOut)>> {
    let mut waves: Vec<Vec<(usize, &HandedOut)>> = Vec::with_capacity(1);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    debug_assert!(batch.len() <= BATCH, "SQS hands out ten messages at the most");
    for (at, message) in batch.iter().enumerate() {
        let wave = match message.message.group.as_deref() {
            None => 0,
            Some(group) => {
                let next = seen.entry(group).or_default();
                *next += 1;
                *next - 1
            }
        };
        match waves.get_mut(wave) {
            Some(members) => members.push((at, message)),
            None => waves.push(vec![(at, message)]),
        }
    }
    waves
}

/// After how long a message appears again that was handed out so often.
fn backoff(receives: u32) -> Duration {
    let (first, most) = BACKOFF;
    let factor = 2_u32.saturating_pow(receives.saturating_sub(1));
    first.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::queue::message::QueueMessage;

    fn handed_out(group: Option<&str>) -> HandedOut {
        let group = group.map(str::to_owned);
        let message = QueueMessage { group, ..QueueMessage::default() };
        HandedOut { message, handle: String::new(), receives: 1 }
    }

    #[test]
    fn a_group_is_offered_one_by_one_and_everything_else_at_once() {
        let places = |batch: &[HandedOut]| -> Vec<Vec<usize>> {
            waves(batch).iter().map(|wave| wave.iter().map(|(at, _)| *at).collect()).collect()
        };
        let loose = [handed_out(None), handed_out(None)];
        let groups = [Some("a"), Some("b"), Some("a"), Some("a"), Some("b")].map(handed_out);

        assert_eq!(places(&loose), [[0, 1]]);
        assert_eq!(places(&groups), [vec![0, 1], vec![2, 4], vec![3]]);
        assert!(places(&[]).is_empty());
    }

    #[test]
    fn what_is_left_appears_later_each_time_and_never_later_than_a_bound() {
        assert_eq!(backoff(0), Duration::from_secs(5));
        assert_eq!(backoff(1), Duration::from_secs(5));
        assert_eq!(backoff(3), Duration::from_secs(20));
        assert_eq!(backoff(u32::MAX), Duration::from_mins(15));
    }
}
