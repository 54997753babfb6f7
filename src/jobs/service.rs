//! Starts, watches, cancels and resumes replays.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::ambient::{Clock, Entropy, Tasks};
use crate::deliver::{Attempter, Decider, Ledger, SubscriptionService};
use crate::event::{EventId, RedriveId, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{DeadLetters, Entry, Log, LogError, Page, Position, Revision};
use crate::jobs::job_store::JobRetention;
use crate::jobs::replays::KIND;
use crate::jobs::running::{JobRun, RunningJobs};
use crate::jobs::slots::{JobSlot, JobSlots};
use crate::jobs::{
    Config, JobError, Redrives, Replay, ReplayCounts, ReplayRunner, ReplayState, ReplayWish,
    Replays, Selection, count,
};
use crate::route::{Filter, FilterError};
use crate::subscriptions::Subscription;

/// Of the jobs of a subscription that have ended, so many of the newest are kept.
const MOST_ENDED: usize = 100;
/// Of the jobs of a subscription, so many of the newest are listed: more are there only if they
/// ended within a few minutes.
const MOST_LISTED: usize = 1000;

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReplay {
    /// The first id wanted.
    pub from: EventId,
    /// The last id wanted; nothing: the newest event that the log holds now.
    pub to: Option<EventId>,
    /// Only events of these types; empty: all.
    pub types: Vec<String>,
    /// Events per second; nothing: as the gateway is set.
    pub rate: Option<u32>,
}

/// The parts of a job service.
#[derive(Clone)]
pub struct JobServiceParts {
    /// How fast replays go by default.
    pub config: Config,
    /// Where entries are read.
    pub log: Arc<dyn Log>,
    /// What can be redriven.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Where jobs are kept.
    pub replays: Replays,
    /// Where redrives are kept.
    pub redrives: Redrives,
    /// Where retries are noted.
    pub ledger: Arc<Ledger>,
    /// Who makes attempts.
    pub attempter: Arc<Attempter>,
    /// Knows the workers.
    pub subscription_service: Arc<SubscriptionService>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// Where replays run.
    pub tasks: Tasks,
}

/// Where replays are asked for.
pub struct JobService {
    pub(super) parts: JobServiceParts,
    pub(super) running: RunningJobs<ReplayId>,
    pub(super) slots: JobSlots,
    /// Held while a new replay is kept, and while retention looks for replays and drops a slice.
    beginning: Mutex<()>,
    pub(super) redriving: RunningJobs<RedriveId>,
}

impl JobService {
    /// Opens with these parts.
    pub fn new(parts: JobServiceParts) -> Self {
        Self {
            parts,
            running: RunningJobs::default(),
            slots: JobSlots::default(),
            beginning: Mutex::default(),
            redriving: RunningJobs::default(),
        }
    }

    /// Takes up every replay and every redrive that was running when the gateway ended.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn resume(&self) -> Result<usize, JobError> {
        let mut resumed = 0;
        for replay in self.parts.replays.learn().await? {
            if replay.state != ReplayState::Running {
                continue;
            }
            let run = self.running.begin(&replay.id);
            if self.run(replay.clone(), run, None) {
                resumed += 1;
            } else {
                self.give_up(replay).await?;
            }
        }
        Ok(resumed + self.resume_redrives().await?)
    }

    /// Counts what a replay would send, without sending it. It is a job of the consumer like any
    /// other while it counts.
    ///
    /// # Errors
    ///
    /// The caller's turn: the request cannot work, or the consumer has as many jobs as it may.
    /// Ours: the log failed.
    pub async fn count(
        &self,
        subscription: &Subscription,
        request: &NewReplay,
    ) -> Result<(Selection, u64), JobError> {
        let _slot = self.enter(subscription)?;
        let selection = self.select(subscription, request).await?;
        let (filter, decider) = (filter_of(subscription)?, self.decider());
        let (consumer, lets) = (&subscription.consumer, &self.lets(subscription));
        let wanted = ReplayWish { consumer, filter, decider, lets };
        let matched = count(&*self.parts.log, &selection, wanted).await?;
        Ok((selection, matched))
    }

    fn decider(&self) -> &Decider {
        self.parts.subscription_service.decider()
    }

    /// Takes a place for a new job.
    pub(super) fn enter(&self, subscription: &Subscription) -> Result<JobSlot, JobError> {
        let most = usize::from(self.parts.config.running_per_consumer);
        self.slots.enter(&subscription.consumer, most)
    }

    async fn select(
        &self,
        subscription: &Subscription,
        request: &NewReplay,
    ) -> Result<Selection, JobError> {
        let unreadable = |error: FilterError| JobError::Invalid(error.to_string());
        Filter::new(&request.types, &[]).map_err(unreadable)?;
        let log = &self.parts.log;
        let head = log.fresh_head().await?;
        let before = Position(head.0.saturating_sub(1));
        let newest = log.read(before, Page { items: 1, bytes: 1 }).await?;
        // Everything may have been dropped; then there is nothing to replay up to where it was.
        let newest = newest.first().map_or(log.low_watermark().id, |entry| entry.event.id);
        if request.to.is_some_and(|to| to < request.from) {
            return Err(JobError::Invalid("`to` is before `from`".to_owned()));
        }
        // A replay is of what is in the log when it is asked for, so that its count is exact.
        let to = request.to.unwrap_or(newest).min(newest);
        // What the consumer may not hear is not replayed, and is not named to it either.
        let range = (log.seek(request.from).await?, head);
        let service = &self.parts.subscription_service;
        let heard = service.newest_heard_between(subscription, range).await?;
        let to = heard.map_or(request.from, |heard| to.min(heard));
        Ok(Selection { from: request.from, to, types: request.types.clone() })
    }

    /// Keeps, counts and starts a replay.
    ///
    /// Not cancel safe: dropped half way, it leaves a replay that nobody runs, until that is
    /// tidied.
    ///
    /// # Errors
    ///
    /// The caller's turn: the request cannot work, or the subscription is closed. Ours: the log
    /// failed.
    pub async fn start(
        &self,
        subscription: &Subscription,
        request: &NewReplay,
    ) -> Result<Replay, JobError> {
        let parts = &self.parts;
        if subscription.is_pulled() {
            let problem = "the subscription has no sink; fetch old events with `after`";
            return Err(JobError::Invalid(problem.to_owned()));
        }
        if parts.subscription_service.worker(&subscription.id).is_none() {
            return Err(JobError::Closed);
        }
        let wish = subscription.newest_wish();
        let wish =
            wish.ok_or_else(|| JobError::Invalid("the subscription has no filter".to_owned()))?;
        let filter = filter_of(subscription)?;
        let slot = self.enter(subscription)?;
        let selection = self.select(subscription, request).await?;
        let (name, created) = self.new_name();
        let damaged = |_| JobError::Damaged { kind: KIND, id: name.clone() };
        let id = name.parse().map_err(damaged)?;
        let mut replay = Replay {
            id,
            subscription: subscription.id.clone(),
            owner: Some(subscription.created),
            reached: parts.log.seek(selection.from).await?,
            selection,
            wish: wish.text().clone(),
            rate: request.rate.unwrap_or(parts.config.rate),
            state: ReplayState::Running,
            counts: ReplayCounts::default(),
            created,
            moved: created,
            stood: Duration::ZERO,
            revision: Revision(0),
        };
        let run = self.running.begin(&replay.id);
        let beginning = self.beginning.lock().await;
        parts.replays.keep(&mut replay).await?;
        drop(beginning);
        // Only now retention drops nothing of its range any more, so that what is counted is sent.
        let decider = self.decider();
        let (consumer, lets) = (&subscription.consumer, &self.lets(subscription));
        let wanted = ReplayWish { consumer, filter, decider, lets };
        match self.measure(wanted, &mut replay).await {
            // Its runner keeps it once there is room.
            Ok(()) | Err(JobError::Log(LogError::Full { .. })) => {}
            Err(error) => {
                self.give_up(replay).await?;
                return Err(error);
            }
        }
        if !self.run(replay.clone(), run, Some(slot)) {
            // It was closed or removed while its events were counted.
            self.give_up(replay).await?;
            return Err(JobError::Closed);
        }
        Ok(replay)
    }

    /// Keeps where a replay begins and how much it will send.
    async fn measure(&self, wanted: ReplayWish<'_>, replay: &mut Replay) -> Result<(), JobError> {
        let log = &*self.parts.log;
        replay.reached = log.seek(replay.selection.from).await?;
        replay.counts.matched = count(log, &replay.selection, wanted).await?;
        self.parts.replays.keep(replay).await
    }

    /// What the consumer of a subscription may hear now: a replay is of that alone.
    fn lets<'a>(&'a self, subscription: &'a Subscription) -> impl Fn(&Entry) -> bool + Sync + 'a {
        |entry| self.parts.attempter.may_send(subscription, entry)
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
        self.parts.replays.slowest()
    }

    /// How far each running replay has come, and for which subscription it runs.
    pub fn holds(&self) -> Vec<(ReplayId, SubscriptionId, Position)> {
        self.parts.replays.holds()
    }

    /// Makes a name for what begins now; names grow with time.
    pub(super) fn new_name(&self) -> (String, Timestamp) {
        let created = self.parts.clock.now();
        let unix_ms = u64::try_from(created.unix_ms()).unwrap_or(0);
        (EventId::from_parts(unix_ms, self.parts.entropy.next_u128()).to_string(), created)
    }

    /// Reads a replay, as it was last kept.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &ReplayId) -> Result<Replay, JobError> {
        self.parts.replays.get(id).await
    }

    /// Lists the replays of a subscription, oldest first; of very many, the newest.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self, of: &Subscription) -> Result<Vec<Replay>, JobError> {
        let mut replays = self.parts.replays.list().await?;
        replays.retain(|replay| replay.belongs_to(of));
        Ok(newest(replays))
    }

    /// Ends replays and redrives that nobody runs any more, and drops those that have ended and are
    /// too old or too many; says how many went.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn tidy(&self) -> Result<usize, JobError> {
        self.end_abandoned().await?;
        let parts = &self.parts;
        let aged = parts.log.aged(parts.config.keep_ended.0).await?;
        let keeping = JobRetention { aged, newest: MOST_ENDED };
        Ok(parts.replays.tidy(keeping).await? + parts.redrives.tidy(keeping).await?)
    }

    /// Ends a running replay; attempts in flight end by themselves.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, or it has ended. Ours: the registry failed.
    pub async fn cancel(&self, id: &ReplayId) -> Result<(), JobError> {
        let replay = self.get(id).await?;
        if self.running.cancel(id) {
            return Ok(());
        }
        if replay.state == ReplayState::Running {
            // Its runner has failed, or its subscription was closed before it began.
            return self.give_up(replay).await;
        }
        Err(JobError::Ended { kind: KIND, id: id.to_string(), state: replay.state })
    }

    /// Says whether it could be started: a subscription that is gone or has lost its sink ends its replays. One that ran
    /// before a restart has no slot yet.
    fn run(&self, replay: Replay, run: JobRun<ReplayId>, slot: Option<JobSlot>) -> bool {
        let parts = &self.parts;
        let worker = parts.subscription_service.worker(&replay.subscription);
        let worker = worker.filter(|worker| replay.belongs_to(&worker.subscription.borrow()));
        let Some(worker) = worker else { return false };
        // The courier stays until this lets go of it, so that no failure finds nobody.
        let Some(courier) = worker.commands.upgrade() else { return false };
        // Nothing is replayed to a consumer that fetches.
        let Some(limiter) = worker.limiter else { return false };
        let slot = slot.unwrap_or_else(|| self.slots.take(&worker.subscription.borrow().consumer));
        let runner = ReplayRunner {
            log: Arc::clone(&parts.log),
            replays: parts.replays.clone(),
            decider: self.decider().clone(),
            attempter: Arc::clone(&parts.attempter),
            clock: Arc::clone(&parts.clock),
            tasks: parts.tasks.clone(),
            parallel: parts.config.parallel,
            patience: parts.config.patience.0,
            ledger: Arc::clone(&parts.ledger),
            subscription: worker.subscription,
            standing: worker.standing,
            courier,
            limiter,
            cancel: run.cancel.clone(),
        };
        let id = replay.id.clone();
        parts.tasks.spawn(async move {
            if let Err(error) = runner.run(replay).await {
                tracing::error!(
                    replay.id = %id,
                    error = &error as &dyn std::error::Error,
                    "Replay {id} stopped; it goes on when the gateway restarts",
                );
            }
            drop((run, slot));
        });
        true
    }
}

fn filter_of(subscription: &Subscription) -> Result<&Arc<Filter>, JobError> {
    let none = || JobError::Invalid("the subscription has no filter".to_owned());
    subscription.newest_filter().ok_or_else(none)
}

/// The last of many jobs.
pub(super) fn newest<J>(mut jobs: Vec<J>) -> Vec<J> {
    jobs.drain(..jobs.len().saturating_sub(MOST_LISTED));
    jobs
}
