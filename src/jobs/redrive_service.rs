//! Starts, watches, cancels and resumes redrives.

use std::sync::Arc;

use crate::deliver::Reason;
use crate::event::RedriveId;
use crate::eventlog::{DeadLetterId, DeadLetterQuery, Revision};
use crate::jobs::redrive_runner::RedriveRunner;
use crate::jobs::redrives::KIND;
use crate::jobs::running::JobRun;
use crate::jobs::service::newest;
use crate::jobs::slots::JobSlot;
use crate::jobs::{Config, JobError, JobService, Redrive, RedriveCounts, ReplayState};
use crate::subscriptions::Subscription;

impl JobService {
    /// Keeps and starts a redrive of the dead letters that a query wants now; nothing if there is
    /// none.
    ///
    /// Not cancel safe: dropped half way, it leaves a redrive that nobody runs, until a restart.
    ///
    /// # Errors
    ///
    /// The caller's turn: the rate is out of bounds, or the subscription is closed. Ours: the log
    /// failed.
    pub async fn redrive(
        &self,
        subscription: &Subscription,
        mut query: DeadLetterQuery,
        rate: Option<u32>,
    ) -> Result<Option<Redrive>, JobError> {
        let parts = &self.parts;
        let rate = rate.unwrap_or(parts.config.redrive_rate);
        if !Config::REDRIVE_RATES.contains(&rate) {
            return Err(JobError::Invalid(
                "`rate` is 1 to 1000 dead letters per second".to_owned(),
            ));
        }
        if parts.subscription_service.worker(&query.subscription).is_none() {
            return Err(JobError::Closed);
        }
        let slot = self.enter(subscription)?;
        // What is given up again meanwhile has a higher number.
        query.last = Some(parts.dead_letters.last_dead_letter(&query.subscription).await?);
        let matched = self.count_redrivable(&query).await?;
        if matched == 0 {
            return Ok(None);
        }
        let (name, created) = self.new_name();
        let damaged = |_| JobError::Damaged { kind: KIND, id: name.clone() };
        let mut redrive = Redrive {
            id: name.parse().map_err(damaged)?,
            owner: Some(subscription.created),
            query,
            rate,
            state: ReplayState::Running,
            reached: DeadLetterId(0),
            counts: RedriveCounts { matched, redriven: 0 },
            created,
            revision: Revision(0),
        };
        let run = self.redriving.begin(&redrive.id);
        parts.redrives.keep(&mut redrive).await?;
        if !self.bring_back(redrive.clone(), run, Some(slot)) {
            // It was closed or removed while its dead letters were counted.
            self.give_up_redrive(redrive).await?;
            return Err(JobError::Closed);
        }
        Ok(Some(redrive))
    }

    /// Counts what a query wants and may be delivered again: what its consumer may not hear stays a
    /// dead letter.
    async fn count_redrivable(&self, query: &DeadLetterQuery) -> Result<u64, JobError> {
        let all = self.parts.dead_letters.count_chosen(query).await?;
        let withheld = Reason::NotEntitled.word();
        let unlike = query.reason.as_deref().is_some_and(|reason| reason != withheld);
        if all == 0 || unlike {
            return Ok(all);
        }
        let query = DeadLetterQuery { reason: Some(Arc::from(withheld)), ..query.clone() };
        Ok(all.saturating_sub(self.parts.dead_letters.count_chosen(&query).await?))
    }

    /// Reads a redrive, as it was last kept.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn redrive_of(&self, id: &RedriveId) -> Result<Redrive, JobError> {
        self.parts.redrives.get(id).await
    }

    /// Lists the redrives of a subscription, oldest first; of very many, the newest.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn redrives(&self, of: &Subscription) -> Result<Vec<Redrive>, JobError> {
        let mut redrives = self.parts.redrives.list().await?;
        redrives.retain(|redrive| redrive.belongs_to(of));
        Ok(newest(redrives))
    }

    /// Ends a running redrive; what was handed over is still delivered.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, or it has ended. Ours: the registry failed.
    pub async fn cancel_redrive(&self, id: &RedriveId) -> Result<(), JobError> {
        let redrive = self.redrive_of(id).await?;
        if self.redriving.cancel(id) {
            return Ok(());
        }
        if redrive.state == ReplayState::Running {
            return self.give_up_redrive(redrive).await;
        }
        Err(JobError::Ended { kind: KIND, id: id.to_string(), state: redrive.state })
    }

    /// Takes up every redrive that was running when the gateway ended.
    pub(super) async fn resume_redrives(&self) -> Result<usize, JobError> {
        let mut resumed = 0;
        for mut redrive in self.parts.redrives.list().await? {
            if redrive.state != ReplayState::Running {
                continue;
            }
            // What was handed over after the job was last kept is not listed any more.
            let rest = self.count_redrivable(&redrive.rest()).await?;
            redrive.counts.redriven = redrive.counts.matched.saturating_sub(rest);
            let run = self.redriving.begin(&redrive.id);
            if self.bring_back(redrive.clone(), run, None) {
                resumed += 1;
            } else {
                self.give_up_redrive(redrive).await?;
            }
        }
        Ok(resumed)
    }

    /// Says whether it could be started: a subscription that is gone ends its redrives.
    fn bring_back(&self, redrive: Redrive, run: JobRun<RedriveId>, slot: Option<JobSlot>) -> bool {
        let parts = &self.parts;
        let worker = parts.subscription_service.worker(&redrive.query.subscription);
        let worker = worker.filter(|worker| redrive.belongs_to(&worker.subscription.borrow()));
        let Some(worker) = worker else { return false };
        let slot = slot.unwrap_or_else(|| self.slots.take(&worker.subscription.borrow().consumer));
        let runner = RedriveRunner {
            dead_letters: Arc::clone(&parts.dead_letters),
            redrives: parts.redrives.clone(),
            subscription_service: Arc::clone(&parts.subscription_service),
            clock: Arc::clone(&parts.clock),
            tasks: parts.tasks.clone(),
            worker,
            cancel: run.cancel.clone(),
        };
        let id = redrive.id.clone();
        parts.tasks.spawn(async move {
            if let Err(error) = runner.run(redrive).await {
                tracing::error!(
                    redrive.id = %id,
                    error = &error as &dyn std::error::Error,
                    "Redrive {id} stopped; it goes on when the gateway restarts",
                );
            }
            drop((run, slot));
        });
        true
    }
}
