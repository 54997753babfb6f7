//! Gathers what became of deliveries and writes it together, a few times a second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::ambient::{Clock, guarded};
use crate::deliver::outcome::Ownership;
use crate::deliver::outcome::pending_changes::PendingChanges;
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{CommitError, DeliveryState, FencingEpoch, LogError};
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
    pub(super) ownership: Ownership,
}

/// What is being written. Whoever writes next ends what its asker has left.
struct Writing {
    /// The number of the batch.
    batch: u64,
    /// When the oldest of it was noted.
    since: Option<Timestamp>,
    commit: BoxFuture<'static, Result<(), CommitError>>,
}

/// Tells the loop of a ledger when whoever ends a batch is cancelled.
struct NotesIfLeft<'a>(Option<&'a Notify>);

impl<'a> NotesIfLeft<'a> {
    const fn new(noted: &'a Notify) -> Self {
        Self(Some(noted))
    }

    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for NotesIfLeft<'_> {
    fn drop(&mut self) {
        if let Some(noted) = self.0 {
            noted.notify_one();
        }
    }
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
    pub(super) fn change(&self, of: &SubscriptionId, change: impl FnOnce(&mut PendingChanges)) {
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
    /// Cancel safe: what is being written is ended by [`run`](Self::run), or by the next who writes.
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
        // Whoever is cancelled here leaves it to the loop, which may wait for a note.
        let left = NotesIfLeft::new(&self.noted);
        let written = (&mut in_flight.commit).await;
        left.forget();
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

    /// Ends what someone began to write and has left.
    async fn end_what_was_left(&self) -> Result<(), LogError> {
        let mut writing = self.writing.lock().await;
        // What found no room is noted again.
        self.end(&mut writing).await.or_else(|error| match error {
            LogError::Full { .. } => Ok(()),
            other => Err(other),
        })
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
                self.end_what_was_left().await?;
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
