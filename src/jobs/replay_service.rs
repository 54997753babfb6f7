//! Counts, begins and runs replays.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::deliver::{Decider, WorkerHandle};
use crate::event::EventId;
use crate::eventlog::{Entry, LogError, Page, Position, Revision};
use crate::jobs::service::JobWork;
use crate::jobs::{
    Job as _, JobError, JobService, JobState, JobStore, Replay, ReplayCounts, ReplayRunner,
    ReplayWish, RunnableJob, Selection, count,
};
use crate::route::{Filter, FilterError};
use crate::subscriptions::Subscription;

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

impl JobService {
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
        let damaged = |_| JobError::Damaged { kind: Replay::KIND, id: name.clone() };
        let id = name.parse().map_err(damaged)?;
        let mut replay = Replay {
            id,
            subscription: subscription.id.clone(),
            owner: Some(subscription.created),
            reached: parts.log.seek(selection.from).await?,
            selection,
            wish: wish.text().clone(),
            rate: request.rate.unwrap_or(parts.config.rate),
            state: JobState::Running,
            counts: ReplayCounts::default(),
            created,
            moved: created,
            stood: Duration::ZERO,
            revision: Revision(0),
        };
        let run = self.running.begin(&replay);
        let beginning = self.beginning.lock().await;
        self.replays.keep(&mut replay).await?;
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
        if self.run(replay.clone(), run, Some(slot)).is_none() {
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
        self.replays.keep(replay).await
    }

    /// What the consumer of a subscription may hear now: a replay is of that alone.
    fn lets<'a>(&'a self, subscription: &'a Subscription) -> impl Fn(&Entry) -> bool + Sync + 'a {
        |entry| self.parts.attempter.may_send(subscription, entry)
    }
}

impl RunnableJob for Replay {
    fn store(service: &JobService) -> &JobStore<Self> {
        &service.replays
    }

    fn work(
        self,
        service: &JobService,
        (worker, cancel): (WorkerHandle, CancellationToken),
    ) -> Option<JobWork> {
        // Nothing is replayed to a consumer that fetches.
        worker.limiter.as_ref()?;
        let parts = &service.parts;
        let runner = ReplayRunner {
            log: Arc::clone(&parts.log),
            replays: service.replays.clone(),
            decider: service.decider().clone(),
            attempter: Arc::clone(&parts.attempter),
            ledger: Arc::clone(&parts.ledger),
            clock: Arc::clone(&parts.clock),
            tasks: parts.tasks.clone(),
            parallel: parts.config.parallel,
            patience: parts.config.patience.0,
            // The courier stays until this lets go of it, so that no match finds nobody.
            courier: worker.commands.upgrade()?,
            subscription: worker.subscription,
            cancel,
        };
        Some(Box::pin(async move { runner.run(self).await.map(drop) }))
    }
}

fn filter_of(subscription: &Subscription) -> Result<&Arc<Filter>, JobError> {
    let none = || JobError::Invalid("the subscription has no filter".to_owned());
    subscription.newest_filter().ok_or_else(none)
}
