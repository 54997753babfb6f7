//! Ends jobs that nobody runs: what they keep, nobody else lets go.

use crate::event::SubscriptionId;
use crate::eventlog::LogError;
use crate::jobs::{JobError, JobService, Redrive, Replay, ReplayState};
use crate::subscriptions::Subscription;

impl JobService {
    /// Ends the replays and redrives that are kept as running and that nobody runs, because of a
    /// failure that only a restart takes up again: at once where the subscription is gone, and
    /// replays, whose range the log keeps, once their patience is over, too.
    pub(super) async fn end_abandoned(&self) -> Result<(), JobError> {
        for replay in self.parts.replays.list().await? {
            // Whoever starts one says so before it is kept.
            if replay.state != ReplayState::Running || self.running.has(&replay.id) {
                continue;
            }
            let overdue = replay.moved.after(self.parts.config.patience.0);
            let of = |subscription: &Subscription| replay.belongs_to(subscription);
            if self.parts.clock.now() >= overdue || !self.is_served(&replay.subscription, of).await
            {
                tracing::warn!(
                    replay.id = %replay.id,
                    subscription.id = %replay.subscription,
                    "Replay {} is cancelled: nobody has run it since {}, and the log keeps its range",
                    replay.id, replay.moved,
                );
                self.give_up(replay).await?;
            }
        }
        for redrive in self.parts.redrives.list().await? {
            if redrive.state != ReplayState::Running || self.redriving.has(&redrive.id) {
                continue;
            }
            let of = |subscription: &Subscription| redrive.belongs_to(subscription);
            if !self.is_served(&redrive.query.subscription, of).await {
                self.give_up_redrive(redrive).await?;
            }
        }
        Ok(())
    }

    /// Tells whether the subscription of a job has a courier.
    async fn is_served(&self, id: &SubscriptionId, of: impl Fn(&Subscription) -> bool) -> bool {
        let worker = self.parts.subscription_service.worker_again(id).await;
        worker.is_some_and(|worker| of(&worker.subscription.borrow()))
    }

    /// Ends a replay that nobody runs.
    pub(super) async fn give_up(&self, mut replay: Replay) -> Result<(), JobError> {
        replay.state = ReplayState::Cancelled;
        unless_someone_was_first(self.parts.replays.keep(&mut replay).await)
    }

    /// Ends a redrive that nobody runs.
    pub(super) async fn give_up_redrive(&self, mut redrive: Redrive) -> Result<(), JobError> {
        redrive.state = ReplayState::Cancelled;
        unless_someone_was_first(self.parts.redrives.keep(&mut redrive).await)
    }
}

/// A job that nobody runs is only ever written to end it.
fn unless_someone_was_first(outcome: Result<(), JobError>) -> Result<(), JobError> {
    match outcome {
        Err(JobError::Log(LogError::Stale { .. })) => Ok(()),
        other => other,
    }
}
