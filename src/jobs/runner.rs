//! Reads old entries and hands those that match to the courier, at the replay's own rate.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Tasks};
use crate::deliver::{
    Attempter, Decider, EntryDecision, Ledger, NotDecided, ReplayOutcome, ReplayedMatch,
    WorkerCommand,
};
use crate::event::ConsumerId;
use crate::eventlog::{Entry, Log, LogError, Page, Position};
use crate::jobs::replay::SelectionTest;
use crate::jobs::replay_run::ReplayRun;
use crate::jobs::running::{JobEnd, KEEP_EVERY, interrupted, pace};
use crate::jobs::{JobError, JobStore, Replay, ReplayCounts, Selection};
use crate::route::Filter;
use crate::subscriptions::Subscription;

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

/// Runs one replay: what it sends, how far it has come, and when it ends. Its attempts are made by
/// the courier of its subscription.
pub struct ReplayRunner {
    /// Where entries are read.
    pub log: Arc<dyn Log>,
    /// Where the job is kept.
    pub replays: JobStore<Replay>,
    /// Decides which entries are sent.
    pub decider: Decider,
    /// Knows what may be sent.
    pub attempter: Arc<Attempter>,
    /// Has what became of attempts.
    pub ledger: Arc<Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells when the gateway stops.
    pub tasks: Tasks,
    /// Matches that the courier has at once.
    pub parallel: u16,
    /// How long it may stand still while the gateway runs.
    pub patience: Duration,
    /// The subscription, as it changes.
    pub subscription: watch::Receiver<Arc<Subscription>>,
    /// Who makes the attempts.
    pub courier: mpsc::Sender<WorkerCommand>,
    /// Tells the replay to end early.
    pub cancel: CancellationToken,
}

/// What a replay waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// That the next match may be handed over, by rate and by what is under way.
    Room,
    /// That everything which was handed over is settled.
    Settled,
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
            Some(ended) => Ok(ended),
            None => self.travel(&mut replay, &mut run, &wanted).await,
        };
        // Also where it has failed: what it has handed over is nobody's any more.
        self.let_go(&mut replay, &mut run).await;
        replay.state = ended?.of(replay.state);
        // A courier ends once nobody can command it, and need not wait for room.
        self.courier = mpsc::channel(1).0;
        self.keep_end(&mut replay, run.reached()).await?;
        Ok(replay)
    }

    /// Takes back what was handed over and is not attempted; attempts in flight end by themselves.
    async fn let_go(&self, replay: &mut Replay, run: &mut ReplayRun) {
        if run.is_settled() {
            return;
        }
        // A courier that has ended has let go of everything.
        let _ = self.courier.send(WorkerCommand::EndReplay(Box::new(replay.id.clone()))).await;
        while !run.is_settled() {
            match run.outcome().await {
                Some((number, ReplayOutcome::Lost)) => run.let_go(number),
                Some(outcome) => drop(run.account(replay, outcome)),
                None => return,
            }
        }
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

    /// Reads and hands over until the end of the range or an interruption.
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
            let entries = self.log.read(run.read(), Page::default()).await?;
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
                    Ok(EntryDecision::Wanted) => {
                        if let Some(ended) = self.wait(replay, run, Until::Room).await? {
                            return Ok(ended);
                        }
                        let earliest = run.next.max(self.clock.now().before(KEEP_EVERY));
                        run.next = earliest.after(pace(replay.rate));
                        let replayed = run.begin(replay, entry);
                        self.hand_over(replayed).await;
                    }
                    Err(NotDecided) => return Ok(JobEnd::Stopped),
                }
            }
            run.pass(last.position);
            if last.event.id >= replay.selection.to {
                break;
            }
        }
        let ended = self.wait(replay, run, Until::Settled).await?;
        Ok(ended.unwrap_or(JobEnd::Completed))
    }

    /// Has a match attempted. A courier that has ended lets go of it, and is noticed at the
    /// subscription.
    async fn hand_over(&self, replayed: ReplayedMatch) {
        let _ = self.courier.send(WorkerCommand::Replay(Box::new(replayed))).await;
    }

    /// Waits for something, and writes down meanwhile how far it has come; says how the replay ends
    /// if it ends before that.
    async fn wait(
        &mut self,
        replay: &mut Replay,
        run: &mut ReplayRun,
        until: Until,
    ) -> Result<Option<JobEnd>, JobError> {
        let (cancel, stopping) = (self.cancel.clone(), self.tasks.stopping().clone());
        loop {
            if let Some(ended) = self.interrupted() {
                return Ok(Some(ended));
            }
            run.stand(replay, (self.clock.now(), LOOK_EVERY));
            if self.clock.now() >= run.kept.after(KEEP_EVERY) {
                // What cannot be written would only pile up, and be sent again after a crash.
                run.full = match self.keep(replay, run.reached()).await {
                    Ok(()) => false,
                    Err(JobError::Log(LogError::Full { .. })) => true,
                    Err(error) => return Err(error),
                };
                run.kept = self.clock.now();
            }
            let patience = self.patience.saturating_sub(replay.stood);
            if patience.is_zero() {
                tell_overdue(replay);
                return Ok(Some(JobEnd::Cancelled));
            }
            let has_room = until == Until::Room && run.has_room(self.parallel);
            let is_done = match until {
                Until::Room => has_room && run.next <= self.clock.now(),
                Until::Settled => run.is_settled(),
            };
            if is_done {
                return Ok(None);
            }
            // What is not written yet would be sent again after a crash.
            let is_unkept = run.full || replay.reached != run.reached();
            let (look, next) = (if is_unkept { KEEP_EVERY } else { LOOK_EVERY }, run.next);
            tokio::select! {
                Some(outcome) = run.outcome() => {
                    if let Some(again) = run.account(replay, outcome) {
                        self.hand_over(again).await;
                    }
                }
                () = self.clock.sleep_until(next), if has_room => {}
                () = self.clock.sleep(patience.min(look)) => {}
                // Whether it is gone is seen above: its courier ends only when this does.
                _ = self.subscription.changed() => {}
                () = cancel.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        }
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
