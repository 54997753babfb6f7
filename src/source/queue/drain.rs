//! Drains a dead-letter queue into the log, by the rule that holds for its queue.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::source::queue::batch::QueueIntake;
use crate::source::queue::drained::{DrainError, Drained, FailedDelivery};
use crate::source::queue::message::QueueMessage;
use crate::source::queue::outcome::QueueOutcome;
use crate::source::queue::sqs::{BATCH, HandedOut, SqsError, SqsQueue};

/// The most messages of one run.
const MOST: u64 = 1000;
/// The longest that a run takes, about.
const TIME: Duration = Duration::from_secs(10);
/// How long a run waits until it takes the queue for empty.
const WAIT: Duration = Duration::from_secs(2);
/// How long messages stay invisible while they are only counted: longer than a run.
const COUNTED: Duration = Duration::from_secs(30);

/// Lets the messages of a dead-letter queue in, as many as one run may.
///
/// # Errors
///
/// Later or the operator's turn: the queue cannot be read at all.
pub(super) async fn drain(intake: &QueueIntake, sqs: &SqsQueue) -> Result<Drained, DrainError> {
    let mut tally = DrainTally::new(intake);
    let until = intake.clock.now().after(TIME);
    while tally.drained.received < MOST && intake.clock.now() < until {
        let batch = match sqs.receive(WAIT, intake.source.visibility_timeout.0).await {
            Ok(batch) => batch,
            Err(error) => return tally.broken_off(intake, &error),
        };
        if batch.is_empty() {
            tally.drained.is_empty = true;
            break;
        }
        tally.note(&batch);
        let outcomes = intake.take(sqs, &batch, None).await;
        tally.settle(&outcomes);
        // What was left would soon come again.
        if tally.drained.left > 0 {
            break;
        }
    }
    Ok(tally.done())
}

/// Counts the messages of a dead-letter queue, as many as one run may, and leaves them there.
///
/// # Errors
///
/// As [`drain`].
pub(super) async fn count(intake: &QueueIntake, sqs: &SqsQueue) -> Result<Drained, DrainError> {
    let mut tally = DrainTally::new(intake);
    let until = intake.clock.now().after(TIME);
    let mut held: Vec<HandedOut> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    let mut broken = None;
    while tally.drained.received < MOST && intake.clock.now() < until {
        match sqs.receive(WAIT, COUNTED).await {
            Ok(batch) if batch.is_empty() => {
                tally.drained.is_empty = true;
                break;
            }
            Ok(mut batch) => {
                batch.retain(|message| seen.insert(message.message.id.clone()));
                tally.note(&batch);
                held.extend(batch);
            }
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    for batch in held.chunks(BATCH) {
        intake.give_back(sqs, batch).await;
    }
    tally.drained.left = tally.drained.received;
    match broken {
        Some(error) => tally.broken_off(intake, &error),
        None => Ok(tally.done()),
    }
}

/// What tells one reason from another.
type DrainReason = [Option<String>; 4];

/// What was counted so far.
struct DrainTally {
    drained: Drained,
    failures: BTreeMap<DrainReason, (u64, Option<String>)>,
}

impl DrainTally {
    fn new(intake: &QueueIntake) -> Self {
        let drained = Drained {
            queue: intake.queue.clone(),
            received: 0,
            admitted: 0,
            repeated: 0,
            quarantined: 0,
            unwanted: 0,
            left: 0,
            is_empty: false,
            failures: Vec::new(),
        };
        Self { drained, failures: BTreeMap::new() }
    }

    fn note(&mut self, batch: &[HandedOut]) {
        self.drained.received += batch.len() as u64;
        for HandedOut { message, .. } in batch {
            let attribute = |name: &str| message.attribute(name).map(str::to_owned);
            let (count, words) = self.failures.entry(reason_of(message)).or_default();
            *count += 1;
            *words = words.take().or_else(|| attribute("ERROR_MESSAGE"));
        }
    }

    fn settle(&mut self, outcomes: &[QueueOutcome]) {
        for outcome in outcomes {
            let place = match outcome {
                QueueOutcome::Admitted => &mut self.drained.admitted,
                QueueOutcome::Repeated => &mut self.drained.repeated,
                QueueOutcome::Quarantined => &mut self.drained.quarantined,
                QueueOutcome::Unwanted | QueueOutcome::Own => &mut self.drained.unwanted,
                QueueOutcome::Left(_) => &mut self.drained.left,
            };
            *place += 1;
        }
    }

    /// What was done before the queue could not be read any more counts.
    fn broken_off(self, intake: &QueueIntake, error: &SqsError) -> Result<Drained, DrainError> {
        intake.failed("receive", error);
        if self.drained.received == 0 {
            return Err(DrainError::Aws(error.to_string()));
        }
        Ok(self.done())
    }

    fn done(mut self) -> Drained {
        let shown = |(reason, (count, message)): (DrainReason, (u64, Option<String>))| {
            let [code, rule, target, condition] = reason;
            FailedDelivery { count, code, message, rule, target, condition }
        };
        self.drained.failures = self.failures.into_iter().map(shown).collect();
        self.drained.failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        self.drained
    }
}

fn reason_of(message: &QueueMessage) -> DrainReason {
    ["ERROR_CODE", "RULE_ARN", "TARGET_ARN", "EXHAUSTED_RETRY_CONDITION"]
        .map(|name| message.attribute(name).map(str::to_owned))
}
