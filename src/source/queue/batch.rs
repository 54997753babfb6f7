//! Lets a batch of messages in: offered to the log, and deleted after its yes.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ambient::Clock;
use crate::event::QueueArn;
use crate::source::intake::Warning;
use crate::source::queue::differing::{differs, set_apart};
use crate::source::queue::outcome::{LeftBecause, QueueOutcome};
use crate::source::queue::reading::{QueueReading, read};
use crate::source::queue::settings::QueueSource;
use crate::source::queue::sqs::{BATCH, BatchFailures, HandedOut, SqsError, SqsQueue};
use crate::source::{Admit, Config, Received, ResponseMode, Unparsed};
use crate::telemetry::{Metric, Metrics, error_chain};

/// How long a message may stay invisible in all, from its receipt on.
const MOST_INVISIBLE: Duration = Duration::from_hours(12);
/// After how long a message that was left is visible again: after the first time, and at the most. It is
/// never longer than the queue's visibility timeout.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(15));
/// After how long a message that is held is offered again: after the first time, and at the most.
const HOLD: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// What the log says while it is full or slow. Messages are held then: each time that one is handed out
/// brings it nearer to its dead-letter queue.
const BUSY: QueueOutcome = QueueOutcome::Left(LeftBecause::Busy);
/// How often a deletion is tried; a message that is not deleted comes again and is recognized.
const DELETIONS: u32 = 3;
/// Between two tries.
const BETWEEN_DELETIONS: Duration = Duration::from_millis(200);

/// The handles of messages that are to stay invisible.
type HeldMessages<'a> = Mutex<Vec<&'a str>>;

/// The way from a queue to the log.
pub(super) struct QueueIntake {
    /// The queue whose settings hold.
    pub source: QueueSource,
    /// The queue that is read: this one, or its dead-letter queue.
    pub queue: QueueArn,
    /// The limits of every way in.
    pub config: Config,
    /// What the resources of all events begin with that this gateway puts on a bus.
    pub own_resources: Arc<str>,
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
    /// With `hold`, messages that the log has no room for are kept and offered again until it has, or until
    /// `hold` is cancelled: then what is left is visible again at once.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe; what is cut off becomes visible again and is recognized.
    pub(super) async fn take(
        &self,
        sqs: &SqsQueue,
        batch: &[HandedOut],
        hold: Option<&CancellationToken>,
    ) -> Vec<QueueOutcome> {
        self.note(batch);
        let held = Mutex::new(batch.iter().map(|message| message.handle.as_str()).collect());
        let outcomes = tokio::select! {
            outcomes = self.settle((sqs, &held), batch, hold) => outcomes,
            never = self.keep_invisible(sqs, &held) => match never {},
        };
        let is_stopped = hold.is_some_and(CancellationToken::is_cancelled);
        let left = batch.iter().zip(&outcomes).filter(|(_, outcome)| !outcome.is_done());
        let left = left.map(|(message, _)| {
            let wait = backoff(message.receives).min(self.source.visibility_timeout.0);
            (&*message.handle, if is_stopped { Duration::ZERO } else { wait })
        });
        self.let_appear(sqs, left.collect()).await;
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

    /// Offers messages to the log or to the quarantine, and deletes those that it took; as often as they
    /// are to be held.
    async fn settle(
        &self,
        (sqs, held): (&SqsQueue, &HeldMessages<'_>),
        batch: &[HandedOut],
        hold: Option<&CancellationToken>,
    ) -> Vec<QueueOutcome> {
        let received = self.clock.now();
        let mut outcomes = vec![None; batch.len()];
        let mut rounds = 0;
        loop {
            let done = self.offer_open(batch, &mut outcomes).await;
            held_now(held).retain(|handle| !done.contains(handle));
            self.delete(sqs, done).await;
            let is_over = self.clock.now().since(received) >= MOST_INVISIBLE;
            let is_held = outcomes.contains(&Some(BUSY)) && !is_over;
            let Some(stop) = hold.filter(|_| is_held) else { break };
            rounds += 1;
            tokio::select! {
                () = self.clock.sleep(doubled(HOLD, rounds)) => {}
                () = stop.cancelled() => break,
            }
        }
        let behind = QueueOutcome::Left(LeftBecause::Behind);
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(behind)).collect()
    }

    /// Offers what is not done yet, counts what is news, and gives the handles of what is done now.
    async fn offer_open<'a>(
        &self,
        batch: &'a [HandedOut],
        outcomes: &mut [Option<QueueOutcome>],
    ) -> Vec<&'a str> {
        let known = batch.iter().zip(outcomes.iter()).enumerate();
        let open = known.filter(|(_, (_, outcome))| !outcome.is_some_and(QueueOutcome::is_done));
        let open: Vec<_> = open.map(|(at, (message, _))| (at, message)).collect();
        let mut done = Vec::with_capacity(open.len());
        for (at, outcome) in self.offer_in_order(&open).await {
            let (Some(place), Some(message)) = (outcomes.get_mut(at), batch.get(at)) else {
                continue;
            };
            if place.replace(outcome) != Some(outcome) {
                self.tell(outcome);
            }
            if outcome.is_done() {
                done.push(message.handle.as_str());
            }
        }
        done
    }

    /// Offers messages, those of a group one after the other.
    async fn offer_in_order(&self, open: &[(usize, &HandedOut)]) -> Vec<(usize, QueueOutcome)> {
        let mut outcomes = Vec::with_capacity(open.len());
        let mut blocked: HashSet<&str> = HashSet::new();
        for wave in waves(open, &self.queue) {
            let (behind, free): (Vec<_>, Vec<_>) = wave.into_iter().partition(|(_, message)| {
                group_of(message, &self.queue).is_some_and(|group| blocked.contains(group))
            });
            let left = QueueOutcome::Left(LeftBecause::Behind);
            outcomes.extend(behind.into_iter().map(|(at, _)| (at, left)));
            let offered = self.offer(&free).await;
            for (at, _) in offered.iter().filter(|(_, outcome)| !outcome.is_done()) {
                let message = free.iter().find(|(place, _)| place == at);
                blocked.extend(message.and_then(|(_, message)| group_of(message, &self.queue)));
            }
            outcomes.extend(offered);
        }
        outcomes
    }

    /// Offers messages of which none waits for another one.
    async fn offer(&self, messages: &[(usize, &HandedOut)]) -> Vec<(usize, QueueOutcome)> {
        let (now, settings) = (self.clock.now(), (&self.config, &*self.own_resources));
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut events = Vec::<((usize, Vec<Warning>), Received)>::new();
        let mut bytes = Vec::<(usize, Unparsed)>::new();
        for (at, message) in messages {
            match read(&message.message, &self.source, settings, now) {
                QueueReading::Event(received, warnings) => {
                    events.push(((*at, warnings), *received));
                }
                QueueReading::Own => outcomes.push((*at, QueueOutcome::Own)),
                QueueReading::Unreadable(unparsed) => bytes.push((*at, *unparsed)),
            }
        }
        let (places, events): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        if !events.is_empty() {
            let producer = self.source.producer();
            let answers =
                self.admit.admit(events, Some(&producer), ResponseMode::Asynchronous).await;
            for ((at, warnings), answer) in places.into_iter().zip(answers) {
                let message = messages.iter().find(|(place, _)| *place == at);
                if let Some((_, other)) = message.filter(|_| differs(&answer)) {
                    bytes.push((at, set_apart(&other.message, &self.source)));
                    continue;
                }
                let outcome = QueueOutcome::of_event(answer);
                // What is held is offered again, and warned of once.
                self.warn(warnings.iter().filter(|_| outcome.is_done()));
                outcomes.push((at, outcome));
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

    fn warn<'a>(&self, warnings: impl Iterator<Item = &'a Warning>) {
        for warning in warnings {
            self.metrics.counter(Metric::EventsWarned, &[warning.kind.text()]).increment();
        }
    }

    /// Counts what became of a message; warns of a loop the first time.
    fn tell(&self, outcome: QueueOutcome) {
        let counter = self.count(Metric::QueueOutcomes, outcome.text());
        if outcome == QueueOutcome::Own && counter.value() == 0 {
            tracing::warn!(
                queue = %self.queue,
                "Queue {} brings events back that this gateway has put on a bus; they are deleted. \
                 Have its rule leave out the source `sealway`",
                self.queue,
            );
        }
        counter.increment();
    }

    /// Extends the visibility timeout of what is held each time that a third of it is over, as long as it
    /// is polled.
    async fn keep_invisible(&self, sqs: &SqsQueue, held: &HeldMessages<'_>) -> Infallible {
        let (received, timeout) = (self.clock.now(), self.source.visibility_timeout.0);
        loop {
            self.clock.sleep(timeout / 3).await;
            let rest = MOST_INVISIBLE.saturating_sub(self.clock.now().since(received));
            if rest.is_zero() {
                // SQS refuses more, and the messages come again.
                std::future::pending::<()>().await;
            }
            let longer = timeout.min(rest);
            let all: Vec<_> = held_now(held).iter().map(|handle| (*handle, longer)).collect();
            if all.is_empty() {
                continue;
            }
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

/// The group within which a message has its place. In a standard queue a group is there for fairness
/// between tenants, and orders nothing.
fn group_of<'a>(message: &'a HandedOut, queue: &QueueArn) -> Option<&'a str> {
    message.message.group.as_deref().filter(|_| queue.is_fifo())
}

/// Messages that may be offered together, in the order in which they must be: the first of each group
/// of a FIFO queue, then the second of each. Those without an order are all in the first wave.
fn waves<'a>(
    open: &[(usize, &'a HandedOut)],
    queue: &QueueArn,
) -> Vec<Vec<(usize, &'a HandedOut)>> {
    let mut waves: Vec<Vec<(usize, &HandedOut)>> = Vec::with_capacity(1);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    debug_assert!(open.len() <= BATCH, "SQS hands out ten messages at the most");
    for (at, message) in open.iter().copied() {
        let wave = match group_of(message, queue) {
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

fn held_now<'a, 'b>(held: &'a HeldMessages<'b>) -> MutexGuard<'a, Vec<&'b str>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After how long a message appears again that was handed out so often.
fn backoff(receives: u32) -> Duration {
    doubled(BACKOFF, receives)
}

/// A wait that doubles each time, up to the longest one.
fn doubled((first, most): (Duration, Duration), times: u32) -> Duration {
    let factor = 2_u32.saturating_pow(times.saturating_sub(1));
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
    fn a_group_of_a_fifo_queue_is_offered_one_by_one_and_everything_else_at_once() {
        let of_queue = |batch: &[HandedOut], name: &str| -> Vec<Vec<usize>> {
            let queue = format!("arn:aws:sqs:eu-west-1:111122223333:{name}").parse().unwrap();
            let open: Vec<_> = batch.iter().enumerate().collect();
            let waves = waves(&open, &queue);
            waves.iter().map(|wave| wave.iter().map(|(at, _)| *at).collect()).collect()
        };
        let places = |batch: &[HandedOut]| -> Vec<Vec<usize>> { of_queue(batch, "in.fifo") };
        let loose = [handed_out(None), handed_out(None)];
        let groups = [Some("a"), Some("b"), Some("a"), Some("a"), Some("b")].map(handed_out);

        assert_eq!(places(&loose), [[0, 1]]);
        assert_eq!(places(&groups), [vec![0, 1], vec![2, 4], vec![3]]);
        assert!(places(&[]).is_empty());
        assert_eq!(of_queue(&groups, "in"), [[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn what_is_left_appears_later_each_time_and_never_later_than_a_bound() {
        assert_eq!(backoff(0), Duration::from_secs(5));
        assert_eq!(backoff(1), Duration::from_secs(5));
        assert_eq!(backoff(3), Duration::from_secs(20));
        assert_eq!(backoff(u32::MAX), Duration::from_mins(15));
    }
}
