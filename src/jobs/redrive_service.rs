//! Counts, begins and runs redrives.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::deliver::{Reason, WorkerHandle};
use crate::eventlog::{DeadLetterId, DeadLetterQuery, Revision};
use crate::jobs::redrive_runner::RedriveRunner;
use crate::jobs::service::JobWork;
use crate::jobs::{
    Config, Job as _, JobError, JobService, JobState, JobStore, Redrive, RedriveCounts, RunnableJob,
};
use crate::subscriptions::Subscription;

/// So many dead letters are brought back before the answer, if they can be attempted.
const MOST_AT_ONCE: u64 = 100;
/// The longest that the answer waits for that.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);

impl JobService {
    /// Keeps and starts a redrive of the dead letters that a query wants now; nothing if there is
    /// none. A few, for which no rate is asked, are usually brought back when this returns.
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
        if rate.is_some_and(|rate| !Config::REDRIVE_RATES.contains(&rate)) {
            return Err(JobError::Invalid(
                "`rate` is 1 to 1000 dead letters per second".to_owned(),
            ));
        }
        let worker = parts.subscription_service.worker(&query.subscription);
        let worker = worker.ok_or(JobError::Closed)?;
        let slot = self.enter(subscription)?;
        // What is given up again meanwhile has a higher number.
        query.last = Some(parts.dead_letters.last_dead_letter(&query.subscription).await?);
        let matched = self.count_redrivable(&query).await?;
        if matched == 0 {
            return Ok(None);
        }
        let at_once = rate.is_none() && matched <= MOST_AT_ONCE && has_room(&worker, matched);
        let usual = if at_once { *Config::REDRIVE_RATES.end() } else { parts.config.redrive_rate };
        let rate = rate.unwrap_or(usual);
        let (name, created) = self.new_name();
        let damaged = |_| JobError::Damaged { kind: Redrive::KIND, id: name.clone() };
        let mut redrive = Redrive {
            id: name.parse().map_err(damaged)?,
            owner: Some(subscription.created),
            query,
            rate,
            state: JobState::Running,
            reached: DeadLetterId(0),
            counts: RedriveCounts { matched, redriven: 0 },
            created,
            revision: Revision(0),
        };
        let run = self.running.begin(&redrive);
        self.redrives.keep(&mut redrive).await?;
        let Some(work) = self.run(redrive.clone(), run, Some(slot)) else {
            // It was closed or removed while its dead letters were counted.
            self.give_up(redrive).await?;
            return Err(JobError::Closed);
        };
        if at_once {
            tokio::select! {
                _ = work => redrive = self.redrives.get(redrive.name()).await?,
                () = parts.clock.sleep(LONGEST_ANSWER) => {}
            }
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
}

/// Whether so many deliveries may be handed to a worker now.
fn has_room(worker: &WorkerHandle, count: u64) -> bool {
    let room = worker.standing.borrow().room() as u64;
    worker.subscription.borrow().state.delivers() && count <= room
}

impl RunnableJob for Redrive {
    fn store(service: &JobService) -> &JobStore<Self> {
        &service.redrives
    }

    async fn catch_up(&mut self, service: &JobService) -> Result<(), JobError> {
        // What was handed over after the job was last kept is not listed any more.
        let rest = service.count_redrivable(&self.rest()).await?;
        self.counts.redriven = self.counts.matched.saturating_sub(rest);
        Ok(())
    }

    fn work(
        self,
        service: &JobService,
        (worker, cancel): (WorkerHandle, CancellationToken),
    ) -> Option<JobWork> {
        let parts = &service.parts;
        let runner = RedriveRunner {
            dead_letters: Arc::clone(&parts.dead_letters),
            redrives: service.redrives.clone(),
            subscription_service: Arc::clone(&parts.subscription_service),
            clock: Arc::clone(&parts.clock),
            tasks: parts.tasks.clone(),
            worker,
            cancel,
        };
        Some(Box::pin(runner.run(self)))
    }
}
