//! Hands dead letters to the courier of their subscription, at the redrive's own rate.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Tasks};
use crate::deliver::{SubscriptionService, SubscriptionServiceError, WorkerHandle};
use crate::event::Timestamp;
use crate::eventlog::{DeadLetters, Page};
use crate::jobs::running::{JobEnd, KEEP_EVERY, pace};
use crate::jobs::{Job as _, JobError, JobStore, Redrive};

/// The most dead letters that are handed over in one go.
const MOST_AT_ONCE: usize = 100;

/// Runs one redrive.
pub(super) struct RedriveRunner {
    pub(super) dead_letters: Arc<dyn DeadLetters>,
    pub(super) redrives: JobStore<Redrive>,
    pub(super) subscription_service: Arc<SubscriptionService>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    /// The subscription and its courier, to watch.
    pub(super) worker: WorkerHandle,
    pub(super) cancel: CancellationToken,
}

impl RedriveRunner {
    /// Runs until every dead letter was handed over, the redrive is cancelled, or the gateway
    /// stops; in the last case it goes on after a restart.
    pub(super) async fn run(mut self, mut redrive: Redrive) -> Result<(), JobError> {
        let ended = self.travel(&mut redrive).await?;
        redrive.state = ended.of(redrive.state);
        self.redrives.keep(&mut redrive).await
    }

    async fn travel(&mut self, redrive: &mut Redrive) -> Result<JobEnd, JobError> {
        let mut next = self.clock.now();
        let mut kept = next;
        loop {
            let items = match self.room(redrive, next).await {
                Ok(items) => items,
                Err(ended) => return Ok(ended),
            };
            let page = Page { items, ..Page::default() };
            let letters = self.dead_letters.dead_letters(&redrive.rest(), page).await?;
            let Some(last) = letters.last() else { return Ok(JobEnd::Completed) };
            let took = pace(redrive.rate) * u32::try_from(letters.len()).unwrap_or(u32::MAX);
            let subscription = Arc::clone(&self.worker.subscription.borrow());
            redrive.counts.redriven +=
                match self.subscription_service.revive(&subscription, &letters).await {
                    Ok(revived) => revived as u64,
                    // It was closed or removed a moment ago, which ends this.
                    Err(SubscriptionServiceError::Subscription(_)) => continue,
                    Err(error) => return Err(error.into()),
                };
            redrive.reached = last.id;
            // Nobody waits for the pace of what is not there.
            let one = Page { items: 1, ..Page::default() };
            if self.dead_letters.dead_letters(&redrive.rest(), one).await?.is_empty() {
                return Ok(JobEnd::Completed);
            }
            // Time that was lost is made up for, within bounds.
            let now = self.clock.now();
            next = next.max(now.before(KEEP_EVERY)).after(took);
            if now >= kept.after(KEEP_EVERY) {
                self.redrives.keep(redrive).await?;
                kept = now;
            }
        }
    }

    /// Goes on with the courier that has taken the place of the one before, because events now
    /// travel in another way; says whether there is one.
    async fn reconnect(&mut self, redrive: &Redrive) -> bool {
        let worker = self.subscription_service.worker_again(&redrive.query.subscription).await;
        let worker = worker.filter(|worker| redrive.belongs_to(&worker.subscription.borrow()));
        let Some(worker) = worker else { return false };
        self.worker = worker;
        true
    }

    /// Waits until dead letters may be handed over, by rate, by the courier's room and by the
    /// subscription's state; says how many, or how it ends because of an interruption.
    async fn room(&mut self, redrive: &Redrive, next: Timestamp) -> Result<usize, JobEnd> {
        let (cancel, stopping) = (self.cancel.clone(), self.tasks.stopping().clone());
        loop {
            if cancel.is_cancelled() {
                return Err(JobEnd::Cancelled);
            }
            if stopping.is_cancelled() {
                return Err(JobEnd::Stopped);
            }
            if self.worker.has_ended() && !self.reconnect(redrive).await {
                // It was closed or removed.
                return Err(JobEnd::Cancelled);
            }
            let delivers = self.worker.subscription.borrow_and_update().state.delivers();
            let room = self.worker.standing.borrow_and_update().room().min(MOST_AT_ONCE);
            if delivers && room > 0 && next <= self.clock.now() {
                // A tenth of a second's worth, so that a fast redrive is not a commit for each.
                let share = usize::try_from(redrive.rate / 10).unwrap_or(usize::MAX);
                return Ok(share.clamp(1, room));
            }
            tokio::select! {
                () = self.clock.sleep_until(next), if delivers && room > 0 => {}
                Ok(()) = self.worker.standing.changed(), if delivers && room == 0 => {}
                // It has changed, or it has lost its courier.
                _ = self.worker.subscription.changed() => {}
                () = cancel.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        }
    }
}
