//! Says what became of an event for one subscription, and why.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::oneshot;

use crate::ambient::Clock;
use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError, WorkerHandle};
use crate::deliver::explain::{BlockedBy, DeliveryStatus, FilterMatching};
use crate::deliver::limits::BreakerPhase;
use crate::deliver::worker::{
    SequenceReadError, SubjectTurn, SubscriptionView, TurnQuestion, WorkerCommand,
};
use crate::event::{EventId, Timestamp};
use crate::eventlog::{Attempt, DeliveryKey, Entry, KeptReceipt, Page, Position, ReceiptId};
use crate::subscriptions::{Subscription, SubscriptionState};

/// Attempts and receipts that are shown of one event and subscription.
const MOST: usize = 1000;
/// How long couriers are waited for, all together.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long each is waited for, however late it has become: one that is well answers sooner.
const LEAST: Duration = Duration::from_millis(20);
/// Subscriptions that are looked at together.
const TOGETHER: usize = 32;

/// What became of an event for one subscription.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Whether it was wanted.
    pub matching: FilterMatching,
    /// The sequence number of its delivery, as far as it is known.
    pub sequence: Option<u64>,
    /// Where its delivery stands.
    pub delivery_status: DeliveryStatus,
    /// Every attempt on record, replays included, oldest first.
    pub attempts: Vec<Attempt>,
    /// What the consumer has signed for.
    pub receipts: Vec<KeptReceipt>,
}

impl Explanation {
    /// Whether nothing of a delivery is on record because that may not be written yet. What has no
    /// number lies where nothing is in flight any more.
    fn may_be_unwritten(&self) -> bool {
        self.delivery_status == DeliveryStatus::Settled && self.sequence.is_some()
    }
}

/// What is asked of every subscription.
#[derive(Clone, Copy)]
struct ExplainRequest<'a> {
    event: EventId,
    entry: Option<&'a Entry>,
    patience: Patience<'a>,
}

/// One time limit for all couriers that are asked.
#[derive(Clone, Copy)]
struct Patience<'a> {
    clock: &'a dyn Clock,
    until: Timestamp,
}

impl<'a> Patience<'a> {
    fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, until: clock.now().after(PATIENCE) }
    }

    /// Waits for an answer. A courier that does not give it in time has other things to do, such as
    /// to wait for a full disk.
    async fn wait_for(self, answer: oneshot::Receiver<SubjectTurn>) -> SubjectTurn {
        let left = self.until.since(self.clock.now()).max(LEAST);
        tokio::select! {
            biased;
            told = answer => told.unwrap_or(SubjectTurn::None),
            () = self.clock.sleep(left) => SubjectTurn::None,
        }
    }
}

impl SubscriptionService {
    /// Says what became of an event for each of some subscriptions, in their order.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn explain(
        &self,
        subscriptions: &[Arc<Subscription>],
        (event, entry): (EventId, Option<&Entry>),
    ) -> Result<Vec<Explanation>, SubscriptionServiceError> {
        let asked = ExplainRequest { event, entry, patience: Patience::new(&*self.clock) };
        let mut traces = self.looks(subscriptions, asked).await?;
        let unsure = |(_, trace): &(&Arc<Subscription>, &Explanation)| trace.may_be_unwritten();
        let again: Vec<_> = subscriptions
            .iter()
            .zip(&traces)
            .filter(unsure)
            .map(|(one, _)| Arc::clone(one))
            .collect();
        if again.is_empty() {
            return Ok(traces);
        }
        // Once for all, because each writing is a sync. Where it cannot be written, there is
        // nothing more to be told.
        let _ = self.dispatch.write_outcomes().await;
        let sure = self.looks(&again, asked).await?;
        let unsure = traces.iter_mut().filter(|trace| trace.may_be_unwritten());
        unsure.zip(sure).for_each(|(trace, sure)| *trace = sure);
        Ok(traces)
    }

    /// Looks at some together, so that one courier that does not answer does not keep all others.
    async fn looks(
        &self,
        subscriptions: &[Arc<Subscription>],
        asked: ExplainRequest<'_>,
    ) -> Result<Vec<Explanation>, SubscriptionServiceError> {
        let looks: Vec<_> = subscriptions.iter().map(|one| self.look(one, asked)).collect();
        stream::iter(looks).buffered(TOGETHER).try_collect().await
    }

    async fn look(
        &self,
        subscription: &Arc<Subscription>,
        asked: ExplainRequest<'_>,
    ) -> Result<Explanation, SubscriptionServiceError> {
        let ExplainRequest { event, entry, .. } = asked;
        // Where the courier stands comes before its filters, see `WorkerHandle::look`.
        let worker = self.dispatch.worker(&subscription.id);
        let view = worker.as_ref().map(WorkerHandle::look);
        let latest = view.as_ref().map_or(subscription, |view| &view.subscription);
        let subscription = Arc::clone(latest);
        let scanned = view.as_ref().map(|view| view.standing.scanned);
        let matching = match entry {
            Some(entry) => self.matching(&subscription, entry, scanned).await,
            None => FilterMatching::Unknown,
        };
        let id = subscription.id.clone();
        let page = Page { items: MOST, ..Page::default() };
        let key = DeliveryKey { subscription: id.clone(), replay: None, event };
        // Before the attempts: what is written with one of them is then never shown without it.
        let aside = self.set_aside(&key).await?;
        let mut attempts = self.store.attempts.attempts(Some(&id), Some(event), page).await?;
        attempts.reverse();
        let receipts = self.store.receipts.receipts(&id, Some(event), ReceiptId(0), page).await?;
        let place = match (&matching, entry, &view) {
            (FilterMatching::Matched | FilterMatching::Undecided, Some(entry), Some(view)) => {
                self.place(view, entry.position).await?
            }
            _ => ExplainedPlace::Unknown,
        };
        let (delivery_status, sequence) = match aside {
            Some((delivery_status, sequence)) => (Some(delivery_status), sequence),
            None => (tried(&attempts, place), None),
        };
        let sequence = sequence.or(place.number());
        let delivery_status = match (delivery_status, &worker, &view) {
            (Some(DeliveryStatus::Retrying { .. }), _, Some(view)) if subscription.is_pulled() => {
                // What was brought back comes with the next poll.
                self.to_fetch(view)
            }
            (Some(DeliveryStatus::Retrying { attempts, due, redriven, .. }), _, Some(view)) => {
                let because = self.kept_back(view, sequence, asked).await;
                DeliveryStatus::Retrying { attempts, due, redriven, because }
            }
            (Some(delivery_status), ..) => delivery_status,
            (None, ..) if matches!(matching, FilterMatching::Missed(_)) => DeliveryStatus::Unwanted,
            (None, Some(worker), Some(view)) => {
                match self.unattempted((worker, view), place, asked).await? {
                    DeliveryStatus::Waiting { because: BlockedBy::Turn }
                        if matching == FilterMatching::Undecided =>
                    {
                        DeliveryStatus::Waiting { because: BlockedBy::Undecided }
                    }
                    known => known,
                }
            }
            (None, ..) => DeliveryStatus::Closed,
        };
        Ok(Explanation { matching, sequence, delivery_status, attempts, receipts })
    }

    /// What has left the straight line of a live delivery, and the number that it had there.
    async fn set_aside(
        &self,
        key: &DeliveryKey,
    ) -> Result<Option<(DeliveryStatus, Option<u64>)>, SubscriptionServiceError> {
        let number = |link: Option<(u64, _)>| link.map(|(sequence, _)| sequence);
        if let Some(retry) = self.store.state.retry(key).await? {
            let (attempts, due, redriven) = (retry.attempts, retry.due, retry.redriven);
            return Ok(Some((
                DeliveryStatus::Retrying { attempts, due, redriven, because: None },
                number(retry.link),
            )));
        }
        let letter =
            self.store.dead_letters.dead_letter(key).await?.filter(|letter| !letter.redriven);
        Ok(letter.map(|letter| {
            let (number_of, reason, at) = (letter.id, letter.reason, letter.at);
            (DeliveryStatus::DeadLetter { number: number_of, reason, at }, number(letter.link))
        }))
    }

    fn blocked_by(&self, view: &SubscriptionView) -> BlockedBy {
        match (view.subscription.state, self.flow(&view.subscription.id)) {
            (SubscriptionState::Pending, _) => BlockedBy::Pending,
            (SubscriptionState::Paused, _) => BlockedBy::Paused,
            (_, Some(flow)) if flow.phase != BreakerPhase::Closed || flow.held_until.is_some() => {
                BlockedBy::SinkLeftAlone(flow.held_until.max(flow.phase.until()))
            }
            _ => BlockedBy::Turn,
        }
    }

    /// What keeps a delivery from an attempt that is due.
    async fn kept_back(
        &self,
        view: &SubscriptionView,
        sequence: Option<u64>,
        asked: ExplainRequest<'_>,
    ) -> Option<BlockedBy> {
        let blocked_by = self.blocked_by(view);
        if matches!(blocked_by, BlockedBy::Pending | BlockedBy::Paused) {
            return Some(blocked_by);
        }
        let turn = match sequence {
            Some(sequence) => self.turn(view, sequence, asked).await,
            None => SubjectTurn::None,
        };
        match turn {
            SubjectTurn::After { event, sequence } => Some(BlockedBy::Subject { event, sequence }),
            _ => Some(blocked_by).filter(|blocked_by| *blocked_by != BlockedBy::Turn),
        }
    }

    fn to_fetch(&self, view: &SubscriptionView) -> DeliveryStatus {
        match self.blocked_by(view) {
            because @ (BlockedBy::Pending | BlockedBy::Paused) => {
                DeliveryStatus::Waiting { because }
            }
            _ => DeliveryStatus::ToFetch,
        }
    }

    /// Where a delivery stands of which neither a retry, a dead letter nor an attempt is kept.
    async fn unattempted(
        &self,
        (worker, view): (&WorkerHandle, &SubscriptionView),
        place: ExplainedPlace,
        asked: ExplainRequest<'_>,
    ) -> Result<DeliveryStatus, SubscriptionServiceError> {
        let sequence = match place {
            ExplainedPlace::Numbered(sequence) => sequence,
            ExplainedPlace::BeforeStart => return Ok(DeliveryStatus::BeforeStart),
            ExplainedPlace::Ahead => {
                return Ok(DeliveryStatus::Waiting { because: self.blocked_by(view) });
            }
            // Only what is settled leaves the log.
            ExplainedPlace::Unknown => return Ok(DeliveryStatus::Settled),
        };
        if let Some(ack_state) = &worker.ack_state {
            return Ok(if ack_state.has(sequence) {
                DeliveryStatus::Acknowledged
            } else {
                self.to_fetch(view)
            });
        }
        match self.turn(view, sequence, asked).await {
            SubjectTurn::Past => Ok(DeliveryStatus::Settled),
            SubjectTurn::None => Ok(DeliveryStatus::UnderWay),
            SubjectTurn::Next => Ok(DeliveryStatus::Waiting { because: self.blocked_by(view) }),
            SubjectTurn::After { event, sequence } => {
                let subscription = view.subscription.id.clone();
                let ahead = DeliveryKey { subscription, replay: None, event };
                let letter = self.store.dead_letters.dead_letter(&ahead).await?;
                Ok(match letter.filter(|letter| !letter.redriven) {
                    Some(letter) => DeliveryStatus::Blocked { by: letter.id },
                    None => {
                        DeliveryStatus::Waiting { because: BlockedBy::Subject { event, sequence } }
                    }
                })
            }
        }
    }

    /// Asks the courier whether a match waits for its turn.
    async fn turn(
        &self,
        view: &SubscriptionView,
        sequence: u64,
        asked: ExplainRequest<'_>,
    ) -> SubjectTurn {
        let (Some(worker), Some(entry)) =
            (self.dispatch.worker(&view.subscription.id), asked.entry)
        else {
            return SubjectTurn::None;
        };
        let (answer, told) = oneshot::channel();
        let subject = entry.event.subject.clone();
        let question = TurnQuestion { sequence, subject, answer };
        if !worker.try_command(WorkerCommand::Turn(Box::new(question))) {
            return SubjectTurn::None;
        }
        asked.patience.wait_for(told).await
    }

    /// Where a match lies on the way of a subscription.
    async fn place(
        &self,
        view: &SubscriptionView,
        position: Position,
    ) -> Result<ExplainedPlace, SubscriptionServiceError> {
        if position > view.standing.scanned {
            return Ok(ExplainedPlace::Ahead);
        }
        let before = Position(position.0.saturating_sub(1));
        match self.reader().place(view, before).await {
            Ok(start) if start.position >= position => Ok(ExplainedPlace::BeforeStart),
            Ok(before) => Ok(ExplainedPlace::Numbered(before.sequence + 1)),
            Err(SequenceReadError::Gone { .. } | SequenceReadError::NotDecided(_)) => {
                Ok(ExplainedPlace::Unknown)
            }
            Err(SequenceReadError::Log(error)) => Err(error.into()),
        }
    }
}

/// Where a match lies on the way of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExplainedPlace {
    /// Before the first event that it wants.
    BeforeStart,
    /// It has this number.
    Numbered(u64),
    /// The courier has not come so far.
    Ahead,
    /// It cannot be told any more.
    Unknown,
}

impl ExplainedPlace {
    const fn number(self) -> Option<u64> {
        match self {
            Self::Numbered(sequence) => Some(sequence),
            Self::BeforeStart | Self::Ahead | Self::Unknown => None,
        }
    }
}

/// What the newest attempt at a live delivery says of it.
fn tried(attempts: &[Attempt], place: ExplainedPlace) -> Option<DeliveryStatus> {
    let newest = attempts.iter().rev().find(|attempt| attempt.key.replay.is_none());
    let delivery_status = newest.map(|attempt| match &*attempt.verdict {
        "delivered" => DeliveryStatus::Delivered { at: attempt.at },
        "retry" => DeliveryStatus::UnderWay,
        _ => DeliveryStatus::Dropped { reason: Arc::clone(&attempt.verdict) },
    });
    // What lies before the start may have been delivered by a replay only.
    delivery_status.filter(|_| place != ExplainedPlace::BeforeStart)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::ambient::ManualClock;

    #[tokio::test]
    async fn couriers_that_do_not_answer_share_one_time_limit() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let patience = Patience::new(&clock);
        let silent = || {
            let (answer, told) = oneshot::channel();
            (answer, patience.wait_for(told))
        };
        let (_silent, waits): (Vec<_>, Vec<_>) = (0..100).map(|_| silent()).unzip();
        let mut waits = std::pin::pin!(join_all(waits));
        assert!(futures_util::poll!(&mut waits).is_pending());
        clock.advance(PATIENCE);
        assert_eq!(waits.await, [SubjectTurn::None; 100]);

        let (_silent, late) = silent();
        let mut late = std::pin::pin!(late);
        assert!(futures_util::poll!(&mut late).is_pending());
        clock.advance(LEAST);
        assert_eq!(late.await, SubjectTurn::None);
        let (answer, late) = silent();
        answer.send(SubjectTurn::Next).unwrap();
        assert_eq!(
            late.await,
            SubjectTurn::Next,
            "one that answers at once is heard, however late it is"
        );
    }

    #[test]
    fn only_what_is_settled_at_a_known_place_may_be_written_later() {
        let trace = |delivery_status, sequence| Explanation {
            matching: FilterMatching::Unknown,
            sequence,
            delivery_status,
            attempts: Vec::new(),
            receipts: Vec::new(),
        };

        assert!(trace(DeliveryStatus::Settled, Some(7)).may_be_unwritten());
        assert!(!trace(DeliveryStatus::Settled, None).may_be_unwritten());
        assert!(!trace(DeliveryStatus::UnderWay, Some(7)).may_be_unwritten());
    }
}
