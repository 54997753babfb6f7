//! Reads old entries and attempts each as live ones are, at the replay's own rate.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Tasks};
use crate::deliver::{
    AttemptLimiter, Attempter, Decider, Delivery, EntryDecision, Ledger, NotDecided, Permit,
    Traffic, Verdict, Wait, WorkerCommand, WorkerStanding,
};
use crate::event::ConsumerId;
use crate::eventlog::{Entry, Log, LogError, Page, Position, Retry};
use crate::jobs::replay::SelectionTest;
use crate::jobs::replay_run::{Done, ReplayRun};
use crate::jobs::running::{JobEnd, interrupted, pace};
use crate::jobs::{JobError, Replay, ReplayCounts, ReplayState, Replays, Selection};
use crate::route::Filter;
use crate::subscriptions::Subscription;

/// How often the job writes down how far it has come.
const KEEP_EVERY: Duration = Duration::from_millis(500);
/// How long a delivery waits when its attempt could not even be made.
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// How long it waits for the end of an attempt of others before it looks again.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// How often it looks at the time while it stands still, and the most that one look counts: what
/// the gateway was not there for, and what a clock has leapt over, is nobody's fault.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How long it waits for room on a full disk before it tries again to write down how it ended.
const ROOM: Duration = Duration::from_secs(1);

/// What a replay is asked for, beside its range.
#[derive(Clone, Copy)]
pub struct ReplayWish<'a> {
    /// Who asks for it.
    pub consumer: &'a ConsumerId,
    /// The filter of the subscription.
    pub filter: &'a Arc<Filter>,
    /// Who decides.
    pub decider: &'a Decider,
    /// What the consumer may hear.
    pub lets: &'a (dyn Fn(&Entry) -> bool + Sync),
}

/// Counts the events that a replay would send.
///
/// # Errors
///
/// The caller's turn: a type cannot be read. Ours: the log failed.
pub async fn count(
    log: &dyn Log,
    selection: &Selection,
    ReplayWish { consumer, filter, decider, lets }: ReplayWish<'_>,
) -> Result<u64, JobError> {
    let wanted = test(selection, (consumer, filter), decider)?;
    let mut position = log.seek(selection.from).await?;
    let mut matched = 0;
    loop {
        let entries = log.read(position, Page::default()).await?;
        for entry in entries.iter().filter(|entry| lets(entry)) {
            matched += u64::from(wanted.decide(entry).await?.is_numbered());
        }
        match entries.last() {
            Some(last) if last.event.id <= selection.to => position = last.position,
            _ => return Ok(matched),
        }
    }
}

fn test(
    selection: &Selection,
    (consumer, filter): (&ConsumerId, &Arc<Filter>),
    decider: &Decider,
) -> Result<SelectionTest, JobError> {
    selection
        .test((consumer, Arc::clone(filter)), decider)
        .map_err(|error| JobError::Invalid(error.to_string()))
}

/// Runs one replay.
pub struct ReplayRunner {
    /// Where entries are read.
    pub log: Arc<dyn Log>,
    /// Where the job is kept.
    pub replays: Replays,
    /// Decides which entries are sent.
    pub decider: Decider,
    /// Makes attempts.
    pub attempter: Arc<Attempter>,
    /// Where retries are noted.
    pub ledger: Arc<Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where attempts run.
    pub tasks: Tasks,
    /// Attempts in flight at once.
    pub parallel: u16,
    /// How long it may stand still while the gateway runs.
    pub patience: Duration,
    /// The subscription, as it changes.
    pub subscription: watch::Receiver<Arc<Subscription>>,
    /// Where failed deliveries go: the subscription's courier.
    pub courier: mpsc::Sender<WorkerCommand>,
    /// Where that courier stands.
    pub standing: watch::Receiver<WorkerStanding>,
    /// Lets attempts through, as it does for live traffic.
    pub limiter: Arc<AttemptLimiter>,
    /// Tells the replay to end early.
    pub cancel: CancellationToken,
}

impl ReplayRunner {
    /// Runs until every event of the range was attempted, the replay is cancelled, or the gateway
    /// stops; in the last case it goes on after a restart.
    ///
    /// A full disk ends nothing: it waits, and goes on when there is room.
    ///
    /// # Errors
    ///
    /// Ours: the log or the registry failed; the job is still running as far as is kept.
    pub async fn run(mut self, mut replay: Replay) -> Result<Replay, JobError> {
        let filter = replay.wish.compile();
        let filter = Arc::new(filter.map_err(|error| JobError::Invalid(error.to_string()))?);
        let consumer = self.subscription.borrow().consumer.clone();
        let wanted = test(&replay.selection, (&consumer, &filter), &self.decider)?;
        let mut run = ReplayRun::new(&replay, self.clock.now());
        let ended = match self.measure(&mut replay, &filter).await? {
            Some(ended) => ended,
            None => self.travel(&mut replay, &mut run, &wanted).await?,
        };
        while let Some(done) = run.in_flight.next().await {
            self.account(&mut replay, &mut run, done).await;
        }
        replay.state = match ended {
            JobEnd::Completed => ReplayState::Completed,
            JobEnd::Cancelled => ReplayState::Cancelled,
            JobEnd::Stopped => replay.state,
        };
        // A courier ends once nobody can command it, and need not wait for room.
        self.courier = mpsc::channel(1).0;
        self.keep_end(&mut replay, run.progress.cursor().settled).await?;
        Ok(replay)
    }

    /// Counts what it will send, if a crash came before that; says how it ends if it is
    /// interrupted.
    async fn measure(
        &self,
        replay: &mut Replay,
        filter: &Arc<Filter>,
    ) -> Result<Option<JobEnd>, JobError> {
        // Where nothing matches, this is all that there is to do.
        if replay.counts != ReplayCounts::default() {
            return Ok(None);
        }
        let subscription = Arc::clone(&self.subscription.borrow());
        let lets = |entry: &Entry| self.attempter.may_send(&subscription, entry);
        let (consumer, decider) = (&subscription.consumer, &self.decider);
        let wanted = ReplayWish { consumer, filter, decider, lets: &lets };
        tokio::select! {
            counted = count(&*self.log, &replay.selection, wanted) => {
                replay.counts.matched = counted?;
                Ok(None)
            }
            ended = self.interruption() => Ok(Some(ended)),
        }
    }

    /// Writes down how far it has come, after what became of the events up to there: a crash
    /// between the two attempts some of them again and loses none.
    async fn keep(&self, replay: &mut Replay, reached: Position) -> Result<(), JobError> {
        if replay.reached != reached {
            (replay.reached, replay.moved) = (reached, self.clock.now());
            replay.stood = Duration::ZERO;
        }
        self.ledger.try_flush().await?;
        self.replays.keep(replay).await
    }

    /// Writes down how it ended, once there is room. A gateway that stops does not wait for that:
    /// it goes on after the restart from where it was kept last.
    async fn keep_end(&self, replay: &mut Replay, reached: Position) -> Result<(), JobError> {
        let stopping = self.tasks.stopping();
        loop {
            match self.keep(replay, reached).await {
                Err(JobError::Log(LogError::Full { .. })) if stopping.is_cancelled() => {
                    return Ok(());
                }
                Err(JobError::Log(LogError::Full { .. })) => tokio::select! {
                    () = self.clock.sleep(ROOM) => {}
                    () = stopping.cancelled() => {}
                },
                other => return other,
            }
        }
    }

    fn interrupted(&self) -> Option<JobEnd> {
        interrupted(&self.cancel, &self.tasks, &self.subscription)
    }

    /// Waits until something ends it early.
    async fn interruption(&self) -> JobEnd {
        let mut subscription = self.subscription.clone();
        loop {
            if let Some(ended) = self.interrupted() {
                return ended;
            }
            tokio::select! {
                // Whether it is gone is seen above.
                _ = subscription.changed() => {}
                () = self.cancel.cancelled() => {}
                () = self.tasks.stopping().cancelled() => {}
            }
        }
    }

    /// Reads and attempts until the end of the range or an interruption.
    ///
    /// It looks for interruptions itself: dropped while it keeps the job, it would not know which
    /// revision was kept.
    async fn travel(
        &mut self,
        replay: &mut Replay,
        run: &mut ReplayRun,
        wanted: &SelectionTest,
    ) -> Result<JobEnd, JobError> {
        loop {
            if let Some(ended) = self.interrupted() {
                return Ok(ended);
            }
            let entries = self.log.read(run.progress.scanned(), Page::default()).await?;
            let Some(last) = entries.last().cloned() else { break };
            for entry in entries {
                // Of what may not be heard any more nothing begins, nor is it given up: who replays
                // has no right to it.
                if !self.attempter.may_send(&self.subscription.borrow(), &entry) {
                    continue;
                }
                match wanted.decide(&entry).await {
                    Ok(EntryDecision::Unwanted) => {}
                    // Nothing of it was sent, and nothing will be.
                    Ok(EntryDecision::GivenUp) => replay.counts.given_up += 1,
                    Ok(EntryDecision::Wanted) => match self.make_room(replay, run).await? {
                        Ok(permit) => self.launch(replay, run, (entry, permit)),
                        Err(ended) => return Ok(ended),
                    },
                    Err(NotDecided) => return Ok(JobEnd::Stopped),
                }
            }
            run.progress.pass(last.position);
            if last.event.id >= replay.selection.to {
                break;
            }
        }
        while let Some(done) = run.in_flight.next().await {
            self.account(replay, run, done).await;
        }
        Ok(JobEnd::Completed)
    }

    /// Waits until the next attempt may begin, by rate, by room, by the health of the sink and by
    /// the subscription's state; says how it ends if none may, because of an interruption or
    /// because the subscription is gone.
    async fn make_room(
        &mut self,
        replay: &mut Replay,
        run: &mut ReplayRun,
    ) -> Result<Result<Permit, JobEnd>, JobError> {
        let (cancel, stopping) = (self.cancel.clone(), self.tasks.stopping().clone());
        loop {
            if let Some(ended) = self.interrupted() {
                return Ok(Err(ended));
            }
            // Anew each time, because the subscription may have another sink now, and before the
            // limiter is asked, so that no change after its answer is missed.
            let mut health = self.limiter.watch();
            run.stand(replay, (self.clock.now(), LOOK_EVERY));
            if self.clock.now() >= run.kept.after(KEEP_EVERY) {
                // What cannot be written would only pile up, and be sent again after a crash.
                run.full = match self.keep(replay, run.progress.cursor().settled).await {
                    Ok(()) => false,
                    Err(JobError::Log(LogError::Full { .. })) => true,
                    Err(error) => return Err(error),
                };
                run.kept = self.clock.now();
            }
            let patience = self.patience.saturating_sub(replay.stood);
            if patience.is_zero() {
                tell_overdue(replay);
                return Ok(Err(JobEnd::Cancelled));
            }
            let delivers = self.subscription.borrow().state.delivers();
            let patient = self.standing.borrow_and_update().room() > 0;
            let room =
                !run.full && patient && run.in_flight.len() < usize::from(self.parallel.max(1));
            let now = self.clock.now();
            let wait = if !(delivers && room) {
                Wait::Turn
            } else if run.next > now {
                Wait::Until(run.next)
            } else {
                match self.limiter.enter(Traffic::Replay, now) {
                    Ok(permit) => {
                        let earliest = run.next.max(now.before(KEEP_EVERY));
                        run.next = earliest.after(pace(replay.rate));
                        return Ok(Ok(permit));
                    }
                    Err(wait) => wait,
                }
            };
            let until = match wait {
                Wait::Until(moment) => moment,
                Wait::Turn => now.after(LONGEST_TURN),
            };
            let look = if run.full { KEEP_EVERY } else { LOOK_EVERY };
            tokio::select! {
                Some(done) = run.in_flight.next() => self.account(replay, run, done).await,
                () = self.clock.sleep_until(until), if delivers && room => {}
                () = self.clock.sleep(patience.min(look)) => {}
                Ok(()) = health.changed(), if delivers && room => {}
                // A courier that has ended is noticed at the subscription.
                _ = self.standing.changed(), if !patient => {}
                // It is seen above what it has become, and whether it is gone: its courier ends
                // only when this does.
                _ = self.subscription.changed() => {}
                () = cancel.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    fn launch(&self, replay: &Replay, run: &mut ReplayRun, (entry, permit): (Arc<Entry>, Permit)) {
        let numbered = run.progress.number(entry.position, entry.event.id, entry.event.digest);
        let delivery = Arc::new(Delivery {
            subscription: Arc::clone(&self.subscription.borrow()),
            entry,
            link: None,
            replay: Some(replay.id.clone()),
            attempts: 0,
            first_attempt: None,
            redriven: false,
        });
        let (attempter, attempted) = (Arc::clone(&self.attempter), Arc::clone(&delivery));
        let clock = Arc::clone(&self.clock);
        let attempt = self.tasks.spawn(async move {
            permit.run(attempted.entry.event.id, attempter.attempt(&attempted), &*clock).await
        });
        let outcome = async move {
            (numbered.sequence, delivery, attempt.await.ok().map(|result| result.verdict))
        };
        run.in_flight.push(Box::pin(outcome));
    }

    async fn account(&self, replay: &mut Replay, run: &mut ReplayRun, done: Done) {
        let (number, delivery, verdict) = done;
        match verdict {
            Some(Verdict::Delivered) => replay.counts.delivered += 1,
            Some(Verdict::GiveUp(_)) => replay.counts.given_up += 1,
            Some(Verdict::Retry { due }) => {
                self.hand_over(replay, delivery.to_retry(self.clock.now(), due)).await;
            }
            None => {
                let now = self.clock.now();
                let retry = delivery.to_retry(now, now.after(AFTER_PANIC));
                self.ledger.retry(retry.clone());
                self.hand_over(replay, retry).await;
            }
        }
        run.progress.settle(number);
    }

    async fn hand_over(&self, replay: &mut Replay, retry: Retry) {
        replay.counts.retrying += 1;
        // Without a courier the retry is kept all the same, and taken up after a restart.
        let _ = self.courier.send(WorkerCommand::Retry(Box::new(retry))).await;
    }
}

fn tell_overdue(replay: &Replay) {
    tracing::warn!(
        replay.id = %replay.id,
        subscription.id = %replay.subscription,
        "Replay {} is cancelled: it has stood still since {}, and the log keeps its range",
        replay.id, replay.moved,
    );
}
