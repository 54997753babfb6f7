//! Gathers what became of deliveries and writes it together, a few times a second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::ambient::{Clock, guarded};
use crate::deliver::outcome::pending_changes::PendingChanges;
use crate::deliver::outcome::{AttemptOutcome, Delivery, Ownership, Verdict};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{
    CommitError, Cursor, DeadLetter, DeliveryKey, DeliveryState, FencingEpoch, KeptReceipt,
    LogError, ReceiptKey, Retry, SequenceCheckpoint,
};
use crate::telemetry::{Histogram, Metric, Metrics};

/// How long an outcome waits for others before it is handed to the log.
const COLLECTING: Duration = Duration::from_millis(30);
/// How many changes are written without waiting any longer.
const PLENTY: usize = 1024;
/// How long to wait for room on a full disk before writing is tried again.
const ROOM: Duration = Duration::from_secs(1);

/// The outcomes that are not written yet.
///
/// Nothing is synced for one delivery: outcomes ride together, and a crash before they are written
/// repeats these deliveries and drops none: delivery is at-least-once.
pub struct Ledger {
    state: Arc<dyn DeliveryState>,
    clock: Arc<dyn Clock>,
    pending: Mutex<PendingChanges>,
    /// There is something to write.
    noted: Notify,
    plenty: Notify,
    /// Held while writing, so that a newer cursor is never overtaken by an older one.
    writing: tokio::sync::Mutex<Option<Writing>>,
    written: watch::Sender<WrittenOutcomes>,
    /// How long the oldest outcome of each batch waited.
    waited: Histogram,
    ownership: Ownership,
}

/// What is being written. Whoever writes next ends what its asker has left.
struct Writing {
    /// The number of the batch.
    batch: u64,
    /// When the oldest of it was noted.
    since: Option<Timestamp>,
    commit: BoxFuture<'static, Result<(), CommitError>>,
}

/// How far the ledger has come.
#[derive(Clone, Copy)]
struct WrittenOutcomes {
    /// So many batches are written.
    batches: u64,
    state: State,
}

/// What became of the last batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is written.
    Going,
    /// It found no room and waits.
    Full,
    /// It is lost, and no further one is written.
    Failed,
    /// Another owner writes.
    Fenced,
}

impl Ledger {
    /// Starts with nothing to write.
    pub fn new(
        state: Arc<dyn DeliveryState>,
        ownership: Ownership,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            ownership,
            state,
            clock,
            pending: Mutex::default(),
            noted: Notify::new(),
            plenty: Notify::new(),
            writing: tokio::sync::Mutex::default(),
            waited: metrics.histogram(Metric::OutcomeSeconds, &[]),
            written: watch::Sender::new(WrittenOutcomes { batches: 0, state: State::Going }),
        }
    }

    fn pending(&self) -> MutexGuard<'_, PendingChanges> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something, unless its subscription is removed or another owner notes it: an attempt of
    /// a replay or a poll may end after that, and would leave what nobody drops.
    fn change(&self, of: &SubscriptionId, change: impl FnOnce(&mut PendingChanges)) {
        let mut pending = self.pending();
        if pending.fenced || pending.is_removed(of) {
            return;
        }
        change(&mut pending);
        if pending.since.is_none() {
            pending.since = Some(self.clock.now());
            self.noted.notify_one();
        }
        if pending.len() >= PLENTY {
            self.plenty.notify_one();
        }
    }

    /// Notes how far a subscription has come.
    ///
    /// Called after the outcomes that let it come so far: what is written together is noted in
    /// this order, so that no cursor is ever kept without the retries that it has passed.
    pub fn cursor(&self, subscription: &SubscriptionId, cursor: &Cursor) {
        self.change(subscription, |pending| {
            pending.cursors.insert(subscription.clone(), cursor.clone());
        });
    }

    /// Notes deliveries that were given up before they were offered, with the cursor that passes
    /// them.
    pub fn expire(&self, id: &SubscriptionId, letters: Vec<DeadLetter>, cursor: &Cursor) {
        self.change(id, |pending| {
            pending.dead_letters.extend(letters);
            pending.cursors.insert(id.clone(), cursor.clone());
        });
    }

    /// Notes a place from which the matches of a subscription can be numbered.
    pub fn sequence_checkpoint(&self, subscription: &SubscriptionId, place: SequenceCheckpoint) {
        self.change(subscription, |pending| {
            pending.sequence_checkpoints.push((subscription.clone(), place));
        });
    }

    /// Notes a receipt that came with an acknowledgement, and the key that has signed it, before the cursor that
    /// passes its event.
    pub fn receipt(&self, receipt: KeptReceipt, signer: ReceiptKey) {
        let of = receipt.key.subscription.clone();
        self.change(&of, |pending| {
            pending.receipts.push(receipt);
            pending.receipt_keys.insert(signer);
        });
    }

    /// Notes an attempt and what follows from it.
    pub fn record(&self, delivery: &Delivery, outcome: &AttemptOutcome) {
        let key = delivery.key();
        let (attempt, receipt) = (outcome.attempt(delivery), outcome.signed_receipt(delivery));
        let signer = outcome.receipt_signer().cloned();
        self.change(&key.subscription, |pending| {
            pending.attempts.push(attempt);
            pending.receipts.extend(receipt);
            pending.receipt_keys.extend(signer);
            match outcome.verdict {
                // A first attempt that succeeds has left nothing to drop, unless there was one
                // before a crash that kept a dead letter and no cursor that has passed it.
                Verdict::Delivered
                    if delivery.first_attempt.is_none()
                        && delivery.entry.position > self.ownership.before => {}
                Verdict::Delivered => {
                    pending.retries.insert(key.clone(), None);
                }
                Verdict::Retry { due } => {
                    let first_attempt = delivery.first_attempt.unwrap_or(outcome.began);
                    let retry = delivery.to_retry(first_attempt, due);
                    pending.retries.insert(key.clone(), Some(retry));
                }
                Verdict::GiveUp(reason) => {
                    pending.retries.insert(key.clone(), None);
                    pending.dead_letters.push(outcome.dead_letter(delivery, reason));
                }
            }
        });
    }

    /// Notes a delivery that was given up without an attempt, and that it no longer waits.
    ///
    /// Both are written together: what waited may have been a dead letter before, and whoever
    /// settles it later would take the new one for that.
    pub fn give_up(&self, letter: DeadLetter) {
        let of = letter.key.subscription.clone();
        self.change(&of, |pending| {
            pending.retries.insert(letter.key.clone(), None);
            pending.dead_letters.push(letter);
        });
    }

    /// Notes that a delivery no longer waits.
    pub fn settle(&self, key: DeliveryKey) {
        let of = key.subscription.clone();
        self.change(&of, |pending| {
            pending.retries.insert(key, None);
        });
    }

    /// Notes that a delivery waits for its next attempt.
    pub fn retry(&self, retry: Retry) {
        let of = retry.key.subscription.clone();
        self.change(&of, |pending| {
            pending.retries.insert(retry.key.clone(), Some(retry));
        });
    }

    /// Forgets what is not written yet of a subscription that is being removed, once what is being
    /// written is, and takes no more of it until it is [`opened`](Self::open) anew.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn forget(&self, subscription: &SubscriptionId) -> Result<(), LogError> {
        let mut writing = self.writing.lock().await;
        let written = self.end(&mut writing).await;
        self.pending().remove(subscription);
        // What found no room is kept no longer than everything else.
        written.or_else(|error| matches!(error, LogError::Full { .. }).then_some(()).ok_or(error))
    }

    /// Takes notes of a subscription; one of the same name may have been removed before.
    pub fn open(&self, subscription: &SubscriptionId) {
        self.pending().open(subscription);
    }

    /// Writes everything that was noted, and waits for room where the disk is full.
    ///
    /// # Errors
    ///
    /// Ours: the log failed; what was noted is lost, so its deliveries are repeated after a
    /// restart.
    pub async fn flush(&self) -> Result<(), LogError> {
        loop {
            match self.try_flush().await {
                Err(LogError::Full { .. }) => self.clock.sleep(ROOM).await,
                other => return other,
            }
        }
    }

    /// Writes everything that was noted, if the disk has room.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is being written is ended by the next who writes.
    ///
    /// # Errors
    ///
    /// Later: the disk is full; what was noted waits. Ours: as for [`flush`](Self::flush).
    pub async fn try_flush(&self) -> Result<(), LogError> {
        let mut writing = self.writing.lock().await;
        self.end(&mut writing).await?;
        if self.is_fenced() {
            return Err(LogError::Fenced);
        }
        let pending = self.pending().take();
        let (batch, since) = (pending.batch, pending.since);
        if pending.len() == 0 {
            self.tell(State::Going, batch + 1);
            return Ok(());
        }
        let (state, changes) = (Arc::clone(&self.state), pending.into_changes(self.epoch()));
        // A store that panics has failed: what it was given is lost, and must not be asked for again.
        let commit = Box::pin(async move {
            let committed = guarded(state.commit(changes)).await;
            committed.unwrap_or(Err(CommitError::Failed(LogError::Broken)))
        });
        *writing = Some(Writing { batch, since, commit });
        self.end(&mut writing).await
    }

    /// Waits for what is being written, and takes it back if there was no room.
    async fn end(&self, writing: &mut Option<Writing>) -> Result<(), LogError> {
        let Some(in_flight) = writing else { return Ok(()) };
        let (batch, since) = (in_flight.batch, in_flight.since);
        let written = (&mut in_flight.commit).await;
        *writing = None;
        match written {
            Ok(()) => {
                if let Some(since) = since {
                    self.waited.observe_duration(self.clock.now().since(since));
                }
                self.tell(State::Going, batch + 1);
                Ok(())
            }
            Err(CommitError::NoRoom { error, changes }) => {
                self.pending().put_back(*changes, since);
                // Whoever writes may have found nothing noted meanwhile, and waits for a note.
                self.noted.notify_one();
                self.tell(State::Full, 0);
                Err(error)
            }
            Err(CommitError::Fenced) => {
                self.give_way();
                Err(LogError::Fenced)
            }
            Err(CommitError::Failed(error)) => {
                self.tell(State::Failed, 0);
                Err(error)
            }
        }
    }

    /// Drops everything and stops whoever would note more: another owner has taken over.
    fn give_way(&self) {
        tracing::error!("Another gateway has taken over delivery; what was not written is dropped");
        let mut pending = self.pending();
        pending.fenced = true;
        pending.take();
        drop(pending);
        self.ownership.stopping.cancel();
        self.tell(State::Fenced, 0);
        self.noted.notify_one();
    }

    fn is_fenced(&self) -> bool {
        self.pending().fenced
    }

    /// The epoch in which outcomes are written.
    pub const fn epoch(&self) -> FencingEpoch {
        self.ownership.epoch
    }

    /// Says how far it has come. What is lost stays lost: a batch after it says nothing of it.
    fn tell(&self, state: State, batches: u64) {
        self.written.send_if_modified(|written| {
            let tells = !matches!(written.state, State::Failed | State::Fenced);
            if tells {
                *written = WrittenOutcomes { state, batches: written.batches.max(batches) };
            }
            tells
        });
    }

    /// Waits until everything that was noted before is written, with what is written next anyway:
    /// nothing is synced for whoever waits, unless the disk is full.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As for [`try_flush`](Self::try_flush).
    pub async fn written(&self) -> Result<(), LogError> {
        let wanted = {
            let pending = self.pending();
            pending.batch + u64::from(pending.len() > 0)
        };
        let mut watched = self.written.subscribe();
        let ended =
            |written: &WrittenOutcomes| written.batches >= wanted || written.state != State::Going;
        let written = watched.wait_for(ended).await.map(|written| *written);
        match written {
            Ok(WrittenOutcomes { batches, .. }) if batches >= wanted => Ok(()),
            Ok(WrittenOutcomes { state: State::Full, .. }) => self.try_flush().await,
            Ok(WrittenOutcomes { state: State::Fenced, .. }) => Err(LogError::Fenced),
            _ => Err(LogError::Broken),
        }
    }

    /// Writes, until it is dropped, the log fails or another owner takes over, whatever was noted
    /// for as long as outcomes wait.
    ///
    /// What is noted while something is being written waits from that moment on, and not anew from
    /// the end of the writing: that would be the longest wait of all.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn run(&self) -> Result<(), LogError> {
        loop {
            if self.is_fenced() {
                return Err(LogError::Fenced);
            }
            let since = self.pending().since;
            let Some(since) = since else {
                self.noted.notified().await;
                continue;
            };
            let waited = self.clock.now().since(since);
            tokio::select! {
                () = self.clock.sleep(COLLECTING.saturating_sub(waited)) => {}
                () = self.plenty.notified() => {}
            }
            self.flush().await?;
        }
    }
}
