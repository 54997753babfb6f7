//! Serves one subscription: takes its matches in order, has each attempted, and keeps
//! count of what is settled.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use crate::deliver::limits::{AttemptLimiter, BreakerPhase, Permit, Traffic, Wait};
use crate::deliver::outcome::Delivery;
use crate::deliver::worker::background::Background;
use crate::deliver::worker::expiry::Expiry;
use crate::deliver::worker::in_flight::InFlight;
use crate::deliver::worker::match_source::{FoundMatch, MatchSource};
use crate::deliver::worker::order::Order;
use crate::deliver::worker::retries::Retries;
use crate::deliver::worker::sequence_checkpoints::SequenceCheckpoints;
use crate::deliver::worker::subject_queues::SubjectQueues;
use crate::deliver::worker::unwritten::Unwritten;
use crate::deliver::worker::withheld_retries::Unheard;
use crate::deliver::worker::{
    DeliveryContext, Inbox, KeptDeliveries, OldestRetry, Progress, ReplayTicket, SubjectTurn,
    TurnQuestion, WorkerCommand, WorkerEnds, WorkerStanding,
};
use crate::event::Timestamp;
use crate::eventlog::{Cursor, DeliveryKey};
use crate::subscriptions::Subscription;

/// Retries that one subscription may have waiting; beyond them its backlog stays behind the cursor.
const MOST_RETRIES: usize = 1000;
/// Bytes that may wait in queues for their turn.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How often a courier looks by itself at what it waits for.
const TICK: Duration = Duration::from_secs(5);
/// How often it does that while it waits for nothing: what comes wakes it.
pub(super) const REST: Duration = Duration::from_mins(5);

/// The worker of one subscription.
pub struct Courier<'a> {
    pub(super) context: Arc<DeliveryContext>,
    pub(super) subscription: Arc<Subscription>,
    pub(super) ends: &'a mut WorkerEnds,
    pub(super) progress: Progress,
    /// What the replays are told whose matches it was handed and has not settled.
    pub(super) tickets: BTreeMap<DeliveryKey, ReplayTicket>,
    /// The cursor that was noted last.
    noted: Cursor,
    sequence_checkpoints: SequenceCheckpoints,
    pub(super) retries: Retries,
    /// Matches that are not numbered yet.
    pub(super) match_source: MatchSource,
    pub(super) expiry: Expiry,
    pub(super) in_flight: InFlight,
    pub(super) limiter: Arc<AttemptLimiter>,
    /// Tells of changes of the sink's health.
    health: watch::Receiver<u64>,
    /// What the limiter makes it wait for.
    waiting: Option<Wait>,
    /// What the matches of replays wait for.
    replays_waiting: Option<Wait>,
    /// Whether the last attempt that began was not a first one.
    was_again: bool,
    pub(super) order: Order,
    /// What waits in which queue, while it is found out.
    pub(super) laying: Background<SubjectQueues>,
    /// When it was told that every attempt fails.
    pub(super) told: Option<Timestamp>,
    /// Whether what waits has to be held against what the consumer may hear.
    pub(super) is_entitled_anew: bool,
    /// Which retries may not be made, while it is found out.
    pub(super) unheard: Background<Unheard>,
    /// Matches that were given up unasked since the ledger was written.
    pub(super) withheld: usize,
    pub(super) unwritten: Unwritten,
}

/// What is attempted next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A match, for the first time.
    First,
    /// A delivery that is due again.
    Again,
}

impl<'a> Courier<'a> {
    /// Goes on from what the log kept of a subscription.
    pub fn new(
        context: Arc<DeliveryContext>,
        (subscription, limiter): (Arc<Subscription>, Arc<AttemptLimiter>),
        inbox: Arc<Inbox>,
        ends: &'a mut WorkerEnds,
        (cursor, waiting): KeptDeliveries,
    ) -> Box<Self> {
        let progress = Progress::resume(cursor);
        let mut retries = Retries::default();
        for retry in waiting {
            retries.insert(retry);
        }
        let match_source = MatchSource::new(Arc::clone(&context), inbox, progress.scanned());
        let in_flight = InFlight::new(&context, &ends.attempts);
        let order = Order::of(&subscription);
        Box::new(Self {
            context,
            subscription,
            ends,
            match_source,
            noted: progress.cursor().clone(),
            sequence_checkpoints: SequenceCheckpoints::default(),
            progress,
            tickets: BTreeMap::new(),
            retries,
            expiry: Expiry::new(),
            in_flight,
            health: limiter.watch(),
            limiter,
            waiting: None,
            replays_waiting: None,
            was_again: false,
            order,
            laying: Background::Idle,
            told: None,
            is_entitled_anew: true,
            unheard: Background::Idle,
            withheld: 0,
            unwritten: Unwritten::default(),
        })
    }

    /// Works until the gateway stops or the subscription is removed, then lets attempts end.
    pub async fn run(mut self: Box<Self>) {
        let stopping = self.context.tasks.stopping().clone();
        self.recall_failures().await;
        loop {
            self.fill().await;
            let wake = if self.rests() { REST } else { self.wake_after() };
            tokio::select! {
                () = stopping.cancelled() => break,
                command = self.ends.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some(ended) = self.in_flight.next() => self.finish(ended),
                () = self.match_source.arrival() => {}
                () = poll_fn(|context| {
                    let found = self.laying.poll_end(context).is_ready()
                        | self.unheard.poll_end(context).is_ready()
                        | self.expiry.poll_arrival(context).is_ready();
                    if found { Poll::Ready(()) } else { Poll::Pending }
                }) => {}
                () = self.unwritten.written(&self.subscription.id) => {}
                // The sender lives as long as the limiter.
                Ok(()) = self.health.changed() => {}
                () = self.context.clock.sleep(wake) => {}
            }
        }
        while let Some(ended) = self.in_flight.next().await {
            self.finish(ended);
        }
        // What ended while stopping is settled, too, and need not be delivered again.
        self.note();
    }

    /// Whether nothing is to be done before something comes or it is told that the log has moved.
    fn rests(&self) -> bool {
        let is_at_head = self.progress.scanned() >= self.context.store.log.head();
        let has_open = self.progress.open() > 0 || self.retries.len() > 0;
        let has_begun = !self.in_flight.is_empty() || !self.tickets.is_empty();
        let waits = self.waiting.is_some() || self.replays_waiting.is_some();
        let finds_out = !self.laying.is_idle() || !self.unheard.is_idle();
        let has_more = self.match_source.has_more() || self.unwritten.is_waiting();
        is_at_head && !(has_open || has_begun || waits || finds_out || has_more)
    }

    fn wake_after(&self) -> Duration {
        let expires = self.expiry.has_more() && !self.unwritten.is_waiting();
        if self.match_source.has_more() || expires {
            return Duration::ZERO;
        }
        let moment = |wait: Wait| match wait {
            Wait::Until(moment) => Some(moment),
            Wait::Turn => None,
        };
        let due = self.waiting.map_or_else(|| self.retries.next_due(), moment);
        let due = due.into_iter().chain(self.replays_waiting.and_then(moment)).min();
        due.map_or(TICK, |due| due.since(self.context.clock.now()).min(TICK))
    }

    /// Starts attempts until the limiter gives no permit or nothing is to be attempted, or a page
    /// of the log was read in vain: a long way to catch up must not keep outcomes and commands
    /// waiting.
    async fn fill(&mut self) {
        self.match_source.rest();
        if self.expires() {
            // On the heap while it lasts: most workers are idle, and keep no room for it.
            Box::pin(self.expire()).await;
        }
        self.lay_queues();
        self.withhold_waiting();
        loop {
            let now = self.context.clock.now();
            self.waiting = if self.attempts() {
                self.limiter.look(Traffic::Live, now).err()
            } else {
                Some(Wait::Turn)
            };
            if self.waiting.is_some() {
                self.unburden(now);
                break;
            }
            let Some(next) = self.choose(now).await else { break };
            match (self.limiter.enter(Traffic::Live, now), next) {
                (Ok(permit), Next::First) => self.attempt_first(permit),
                (Ok(permit), Next::Again) => self.attempt_again(permit),
                (Err(wait), _) => {
                    self.waiting = Some(wait);
                    break;
                }
            }
            self.was_again = next == Next::Again;
            self.write_withheld();
        }
        self.replays_waiting = self.attempt_replayed();
        self.note();
    }

    /// Whether anything may be attempted.
    pub(super) fn attempts(&self) -> bool {
        self.subscription.state.delivers() && self.order.is_known()
    }

    /// Matches that wait for a sink that is not asked wait in the log, not in memory.
    fn unburden(&mut self, now: Timestamp) {
        let is_open = || matches!(self.limiter.flow(now).phase, BreakerPhase::Open { .. });
        // What is being read is wanted by what gives up the oldest.
        if !self.match_source.is_reading() && (!self.subscription.state.delivers() || is_open()) {
            self.match_source.let_go(self.progress.scanned());
        }
    }

    /// Decides what is attempted next: while there are matches for the first time, every second
    /// attempt at the most is for what has failed before, and so is half of the room.
    async fn choose(&mut self, now: Timestamp) -> Option<Next> {
        let is_due = self.retries.has_due(now);
        let has_first = self.has_first().await;
        let share = usize::from(self.limiter.flow(now).allowed / 2).max(1);
        let has_share = !self.was_again && self.in_flight.again() < share;
        match (is_due, has_first) {
            (true, true) if has_share => Some(Next::Again),
            (_, true) => Some(Next::First),
            (true, false) => Some(Next::Again),
            (false, false) => None,
        }
    }

    /// Whether a match can be numbered; looks for some if none is at hand.
    async fn has_first(&mut self) -> bool {
        if self.order.is_ready() {
            return true;
        }
        if !self.takes_more() {
            return false;
        }
        let has_first =
            !self.match_source.is_empty() || self.match_source.gather(&self.subscription).await;
        if !has_first {
            self.progress.pass(self.match_source.known());
        }
        has_first
    }

    /// Whether further matches may be numbered.
    fn takes_more(&self) -> bool {
        // What is given up and cannot be written would only pile up.
        let held = self.ends.held || self.unwritten.is_waiting();
        !held && self.retries.live() < MOST_RETRIES && self.order.bytes() < MOST_BYTES
    }

    fn attempt_first(&mut self, permit: Permit) {
        if let Some(delivery) = self.order.take_ready() {
            // It may have changed since the match was numbered.
            let subscription = Arc::clone(&self.subscription);
            return self.in_flight.launch(Delivery { subscription, ..delivery }, permit);
        }
        let Some(found) = self.match_source.take() else { return permit.give_back() };
        let FoundMatch { entry, given_up } = found;
        let numbered = self.progress.number(entry.position, entry.event.id, entry.event.digest);
        let link = Some((numbered.sequence, numbered.previous));
        let delivery = Delivery::first(&self.subscription, entry, link);
        if given_up {
            self.give_up_undecided(&delivery, numbered.settled);
            return permit.give_back();
        }
        // A retry or dead letter that was kept before a crash stands for the match that it came
        // from.
        if numbered.settled || self.waits(&delivery.key()) {
            self.progress.settle(numbered.sequence);
            return permit.give_back();
        }
        if !self.context.attempter.may_send(&self.subscription, &delivery.entry) {
            self.withhold_first(numbered.sequence, &delivery);
            return permit.give_back();
        }
        match self.order.offer(delivery) {
            Some(delivery) => self.in_flight.launch(delivery, permit),
            None => permit.give_back(),
        }
    }

    /// Whether a delivery waits for another attempt, is at one, or waits for someone to decide.
    pub(super) fn waits(&self, key: &DeliveryKey) -> bool {
        self.retries.contains(key) || self.in_flight.is_again(key) || self.order.is_dead(key)
    }

    fn obey(&mut self, command: WorkerCommand) {
        match command {
            // Whoever asked and has gone will not change anything, and nobody would let go.
            WorkerCommand::Hold(held) => self.ends.held = held.send(()).is_ok(),
            WorkerCommand::Changed(subscription) => {
                if !self.subscription.state.delivers() && subscription.state.delivers() {
                    self.limiter.forgive();
                    self.progress.note_failing(None);
                    self.told = None;
                }
                self.limiter.change(&subscription);
                self.limiter.nudge();
                self.health = self.limiter.watch();
                self.change_order(&subscription);
                self.subscription = subscription;
                self.laying.forget();
                self.ends.held = false;
                self.is_entitled_anew = true;
                self.expiry = Expiry::new();
                self.match_source.start_over(self.progress.scanned());
            }
            WorkerCommand::Retry(redriven) => {
                self.take_up(redriven.retry, redriven.subject.as_ref());
            }
            WorkerCommand::Replay(replayed) => self.take_replayed(*replayed),
            WorkerCommand::EndReplay(replay) => self.end_replay(&replay),
            WorkerCommand::Nudge => self.limiter.nudge(),
            WorkerCommand::Dismissed(key) => self.dismiss(&key),
            WorkerCommand::Drop(wanted) => self.drop_retries(*wanted),
            WorkerCommand::Turn(asked) => {
                let TurnQuestion { sequence, subject, answer } = *asked;
                let turn = match self.order.turn_of(sequence, subject.as_ref()) {
                    SubjectTurn::None if self.progress.has_settled(sequence) => SubjectTurn::Past,
                    turn => turn,
                };
                // Whoever asked may have gone.
                let _ = answer.send(turn);
            }
        }
    }

    fn note(&mut self) {
        if let Some(place) = self.sequence_checkpoints.due(self.progress.place()) {
            self.context.ledger.sequence_checkpoint(&self.subscription.id, place);
        }
        self.ends.standing.send_replace(self.stand());
        if self.noted != *self.progress.cursor() {
            self.noted.clone_from(self.progress.cursor());
            self.context.ledger.cursor(&self.subscription.id, &self.noted);
        }
    }

    /// When the match was accepted that waits for a permit, if one does.
    fn next_accepted(&self) -> Option<Timestamp> {
        let ready = self.order.first_ready().map(|delivery| delivery.entry.accepted);
        let next =
            ready.or_else(|| self.match_source.first_accepted().filter(|_| self.takes_more()));
        // While a page is read, what comes next is hardly later than what came last.
        let before = || self.ends.standing.borrow().next_accepted;
        let next = next.or_else(|| before().filter(|_| self.match_source.is_reading()));
        next.filter(|_| self.attempts())
    }

    fn stand(&self) -> WorkerStanding {
        let (sequence, chain) = self.progress.newest();
        WorkerStanding {
            scanned: self.progress.scanned(),
            settled: self.progress.cursor().settled,
            sequence,
            chain,
            open: self.progress.open(),
            retrying: self.retries.len(),
            blocked: self.order.blocked(),
            oldest_retry: self.retries.oldest().map(OldestRetry::from),
            next_accepted: self.next_accepted(),
        }
    }
}
