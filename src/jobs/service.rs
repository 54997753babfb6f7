//! Starts, watches, cancels and resumes jobs, whatever they are.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Entropy, Tasks, guarded};
use crate::deliver::{Attempter, Ledger, SubscriptionService, WorkerHandle};
use crate::event::{EventId, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{DeadLetters, Log, LogError, Position, Registry};
use crate::jobs::job_store::JobRetention;
use crate::jobs::running::{JobRun, RunningJobs};
use crate::jobs::slots::{JobSlot, JobSlots};
use crate::jobs::{Config, Job, JobError, JobState, JobStore, Redrive, Replay};
use crate::subscriptions::Subscription;

/// Of the jobs of a subscription that have ended, so many of the newest are kept.
const MOST_ENDED: usize = 100;
/// Of the jobs of a subscription, so many of the newest are listed: more are there only if they
/// ended within a few minutes.
const MOST_LISTED: usize = 1000;

/// The parts of a job service.
#[derive(Clone)]
pub struct JobServiceParts {
    /// How fast jobs go by default.
    pub config: Config,
    /// Where entries are read.
    pub log: Arc<dyn Log>,
    /// What can be redriven.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Where jobs are kept.
    pub registry: Arc<dyn Registry>,
    /// Has what became of attempts.
    pub ledger: Arc<Ledger>,
    /// Knows what may be sent.
    pub attempter: Arc<Attempter>,
    /// Knows the workers.
    pub subscription_service: Arc<SubscriptionService>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// Where jobs run.
    pub tasks: Tasks,
}

/// Where jobs are asked for.
pub struct JobService {
    pub(super) parts: JobServiceParts,
    pub(super) replays: JobStore<Replay>,
    pub(super) redrives: JobStore<Redrive>,
    pub(super) running: RunningJobs,
    slots: JobSlots,
    /// Held while a new replay is kept, and while retention looks for replays and drops a slice.
    pub(super) beginning: Mutex<()>,
}

/// What a job does until it ends.
pub(super) type JobWork = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// A kind of job that this service runs.
pub trait RunnableJob: Job {
    /// Where jobs of its kind are kept.
    fn store(service: &JobService) -> &JobStore<Self>;

    /// Learns how far it has come beyond what is kept, after a restart.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    fn catch_up(
        &mut self,
        _service: &JobService,
    ) -> impl Future<Output = Result<(), JobError>> + Send {
        async { Ok(()) }
    }

    /// Its work beside a worker of its subscription; nothing if that cannot serve it.
    fn work(self, service: &JobService, by: (WorkerHandle, CancellationToken)) -> Option<JobWork>;
}

impl JobService {
    /// Opens with these parts.
    pub fn new(parts: JobServiceParts) -> Self {
        Self {
            replays: JobStore::new(Arc::clone(&parts.registry)),
            redrives: JobStore::new(Arc::clone(&parts.registry)),
            parts,
            running: RunningJobs::default(),
            slots: JobSlots::default(),
            beginning: Mutex::default(),
        }
    }

    /// Takes up every job that was running when the gateway ended.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn resume(&self) -> Result<usize, JobError> {
        Ok(self.resume_all::<Replay>().await? + self.resume_all::<Redrive>().await?)
    }

    async fn resume_all<J: RunnableJob>(&self) -> Result<usize, JobError> {
        let mut resumed = 0;
        for mut job in J::store(self).learn().await? {
            if job.state() != JobState::Running {
                continue;
            }
            job.catch_up(self).await?;
            let run = self.running.begin(&job);
            if self.run(job.clone(), run, None).is_some() {
                resumed += 1;
            } else {
                self.give_up(job).await?;
            }
        }
        Ok(resumed)
    }

    /// Takes a place for a new job.
    pub(super) fn enter(&self, subscription: &Subscription) -> Result<JobSlot, JobError> {
        let most = usize::from(self.parts.config.running_per_consumer);
        self.slots.enter(&subscription.consumer, most)
    }

    /// Makes a name for what begins now; names grow with time.
    pub(super) fn new_name(&self) -> (String, Timestamp) {
        let created = self.parts.clock.now();
        let unix_ms = u64::try_from(created.unix_ms()).unwrap_or(0);
        (EventId::from_parts(unix_ms, self.parts.entropy.next_u128()).to_string(), created)
    }

    /// Runs a job; nothing if it cannot be started: a subscription that is gone, or has lost its sink,
    /// ends its jobs. One that ran before a restart has no slot yet.
    pub(super) fn run<J: RunnableJob>(
        &self,
        job: J,
        run: JobRun,
        slot: Option<JobSlot>,
    ) -> Option<JoinHandle<()>> {
        let worker = self.parts.subscription_service.worker(job.subscription());
        let worker = worker.filter(|worker| job.belongs_to(&worker.subscription.borrow()));
        let worker = worker?;
        let slot = slot.unwrap_or_else(|| self.slots.take(&worker.subscription.borrow().consumer));
        let name = job.name().to_owned();
        let work = job.work(self, (worker, run.cancel.clone()))?;
        Some(self.parts.tasks.spawn(async move {
            if let Err(error) = guarded(work).await.map_err(JobError::from).flatten() {
                tracing::error!(
                    job.id = %name,
                    error = &error as &dyn std::error::Error,
                    "The {} {name} stopped; it goes on when the gateway restarts", J::KIND,
                );
            }
            drop((run, slot));
        }))
    }

    /// Waits until no replay is just beginning, and lets none begin: whoever drops events looks for
    /// replays and drops while this is held.
    pub async fn hold_beginnings(&self) -> MutexGuard<'_, ()> {
        self.beginning.lock().await
    }

    /// How far the slowest running replay has come: nothing that lies after it may be dropped.
    /// Nothing if none runs. It costs no read, and is exact while
    /// [beginnings](Self::hold_beginnings) are held.
    pub fn slowest(&self) -> Option<Position> {
        self.replays.holds().slowest()
    }

    /// How far each running replay has come, and for which subscription it runs.
    pub fn holds(&self) -> Vec<(ReplayId, SubscriptionId, Position)> {
        let all = self.replays.holds().all().into_iter();
        all.filter_map(|(name, of, place)| Some((name.parse().ok()?, of, place))).collect()
    }

    /// Reads a job, as it was last kept.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get<J: RunnableJob>(&self, id: &J::Id) -> Result<J, JobError> {
        J::store(self).get(&id.to_string()).await
    }

    /// Lists the jobs of a subscription, oldest first; of very many, the newest.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list<J: RunnableJob>(&self, of: &Subscription) -> Result<Vec<J>, JobError> {
        let mut jobs = J::store(self).list().await?;
        jobs.retain(|job| job.belongs_to(of));
        jobs.drain(..jobs.len().saturating_sub(MOST_LISTED));
        Ok(jobs)
    }

    /// Ends a running job; attempts in flight end by themselves, and what was redriven is delivered.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, or it has ended. Ours: the registry failed.
    pub async fn cancel<J: RunnableJob>(&self, id: &J::Id) -> Result<(), JobError> {
        let job: J = self.get(id).await?;
        if self.running.cancel(&job) {
            return Ok(());
        }
        if job.state() == JobState::Running {
            // It has failed, or its subscription was closed before it began.
            return self.give_up(job).await;
        }
        Err(JobError::Ended { kind: J::KIND, id: id.to_string(), state: job.state() })
    }

    /// Ends jobs that nobody runs any more, and drops those that have ended and are too old or too
    /// many; says how many went.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn tidy(&self) -> Result<usize, JobError> {
        Ok(self.tidy_all::<Replay>().await? + self.tidy_all::<Redrive>().await?)
    }

    async fn tidy_all<J: RunnableJob>(&self) -> Result<usize, JobError> {
        self.end_abandoned::<J>().await?;
        let aged = self.parts.log.aged(self.parts.config.keep_ended.0).await?;
        J::store(self).tidy(JobRetention { aged, newest: MOST_ENDED }).await
    }

    /// Ends the jobs that are kept as running and that nobody runs, because of a failure that only a
    /// restart takes up again: at once where the subscription is gone, and once their patience is over
    /// where the log is kept for them.
    async fn end_abandoned<J: RunnableJob>(&self) -> Result<(), JobError> {
        for job in J::store(self).list().await? {
            // Whoever starts one says so before it is kept.
            if job.state() != JobState::Running || self.running.has(&job) {
                continue;
            }
            let ends = |moved: Timestamp| moved.after(self.parts.config.patience.0);
            let is_overdue =
                job.hold().is_some_and(|(_, moved)| self.parts.clock.now() >= ends(moved));
            if is_overdue || !self.is_served(&job).await {
                tracing::warn!(
                    job.id = %job.name(),
                    subscription.id = %job.subscription(),
                    "The {} {} is cancelled: nobody runs it", J::KIND, job.name(),
                );
                self.give_up(job).await?;
            }
        }
        Ok(())
    }

    /// Tells whether the subscription of a job has a worker.
    async fn is_served(&self, job: &impl Job) -> bool {
        let worker = self.parts.subscription_service.worker_again(job.subscription()).await;
        worker.is_some_and(|worker| job.belongs_to(&worker.subscription.borrow()))
    }

    /// Ends a job that nobody runs; it is only ever written to end it.
    pub(super) async fn give_up<J: RunnableJob>(&self, mut job: J) -> Result<(), JobError> {
        job.become_state(JobState::Cancelled);
        match J::store(self).keep(&mut job).await {
            Err(JobError::Log(LogError::Stale { .. })) => Ok(()),
            other => other,
        }
    }
}
