//! Gives permits for attempts: while the sink is well, at the subscription's rate, and no more at
//! once than the sink keeps up with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::ambient::Clock;
use crate::deliver::limits::attempt_times::AttemptTimes;
use crate::deliver::limits::breaker::{BreakerChange, Decision, Ticket};
use crate::deliver::limits::outage::Failures;
use crate::deliver::limits::rate::{ParallelWindow, RateBucket, later_by_a_fifth};
use crate::deliver::limits::sinks::SinkHealth;
use crate::deliver::limits::{Allowance, BreakerPhase, Flow, Sinks};
use crate::deliver::outcome::{AttemptResult, DeliverySignal};
use crate::deliver::sink::Health;
use crate::event::{EventId, Timestamp};
use crate::subscriptions::Subscription;

/// The longest time for which `Retry-After` holds a whole subscription.
const LONGEST_HOLD: Duration = Duration::from_hours(1);

/// Which traffic an attempt belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Live events, their retries, and what is redriven.
    Live,
    /// The first attempts of a replay: they have half of the room, and what live traffic leaves of
    /// the rate.
    Replay,
}

/// What an attempt has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// This moment.
    Until(Timestamp),
    /// The end of an attempt that is in flight.
    Turn,
}

/// Lets the attempts of one subscription through.
pub struct AttemptLimiter {
    sinks: Arc<Sinks>,
    state: Mutex<State>,
}

struct State {
    subscription: Arc<Subscription>,
    sink: Arc<SinkHealth>,
    allowance: Allowance,
    bucket: Option<RateBucket>,
    window: ParallelWindow,
    live: u16,
    replayed: u16,
    times: AttemptTimes,
    /// When the sink asked to be left alone, and until when.
    held: Option<(Timestamp, Timestamp)>,
    failures: Failures,
    /// Recoveries of the sink that the window has followed.
    recoveries: u64,
}

/// The right to make one attempt, which ends with it.
pub struct Permit {
    limiter: Arc<AttemptLimiter>,
    sink: Arc<SinkHealth>,
    ticket: Ticket,
    traffic: Traffic,
    round: u64,
    used: bool,
    began: Timestamp,
    reported: bool,
}

impl AttemptLimiter {
    /// Begins to let the attempts of a subscription through.
    pub fn new(
        subscription: &Arc<Subscription>,
        sinks: &Arc<Sinks>,
        allowance: Allowance,
        failing_since: Option<Timestamp>,
    ) -> Self {
        let (parallel, rate) = allowance.operator_limits.bound(subscription, allowance);
        let sink = sinks.of(subscription);
        let recoveries = sink.recoveries();
        let state = State {
            subscription: Arc::clone(subscription),
            sink,
            recoveries,
            allowance,
            bucket: rate.map(RateBucket::new),
            window: ParallelWindow::new(parallel),
            live: 0,
            replayed: 0,
            times: AttemptTimes::default(),
            held: None,
            failures: Failures::since(failing_since),
        };
        Self { sinks: Arc::clone(sinks), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a change of the subscription.
    pub fn change(&self, subscription: &Arc<Subscription>) {
        let mut state = self.state();
        state.subscription = Arc::clone(subscription);
        let (parallel, rate) = state.allowance.operator_limits.bound(subscription, state.allowance);
        state.window.limit(parallel);
        let bucket = rate.map(RateBucket::new);
        if state.bucket.map(RateBucket::interval) != bucket.map(RateBucket::interval) {
            state.bucket = bucket;
        }
        let sink = self.sinks.of(subscription);
        if !Arc::ptr_eq(&sink, &state.sink) {
            (state.held, state.recoveries) = (None, sink.recoveries());
            // Who waits for that one waits in vain now.
            std::mem::replace(&mut state.sink, sink).tell(None);
        }
    }

    /// Ends every pause, because someone has reason to think that the sink is well again: the next
    /// attempt finds out, one at a time to begin with.
    pub fn nudge(&self) {
        let mut state = self.state();
        state.held = None;
        state.sink.breaker().nudge();
        state.sink.tell(None);
    }

    /// Begins anew: what has failed so far is forgiven.
    pub fn forgive(&self) {
        let mut state = self.state();
        (state.failures, state.held) = (Failures::default(), None);
        state.window.begin();
    }

    /// Learns when the last attempt before a restart failed.
    pub fn remember_failure(&self, last: Timestamp) {
        self.state().failures.remember(last);
    }

    /// How the subscription is served at the moment.
    pub fn flow(&self, now: Timestamp) -> Flow {
        let state = self.state();
        Flow {
            phase: state.sink.breaker().phase(),
            held_until: state.held(now),
            allowed: state.window.allowed(),
            is_full: state.live >= state.window.allowed(),
            is_narrow: state.window.allowed() < state.everyone_has(),
            attempt: state.times.typical(now),
            is_paced: state.bucket.is_some_and(|bucket| bucket.when(0, now) > now),
            failing_since: state.failures.first(),
            sink_failing_since: state.failures.of_the_sink(),
        }
    }

    /// Tells of each change of the sink's health.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.state().sink.watch()
    }

    /// Whether an attempt may be made now.
    ///
    /// # Errors
    ///
    /// What to wait for, if not.
    pub fn look(&self, traffic: Traffic, now: Timestamp) -> Result<(), Wait> {
        let mut state = self.state();
        state.follow_recovery();
        state.look(traffic, now)
    }

    /// Asks to make an attempt.
    ///
    /// # Errors
    ///
    /// What to wait for, if it may not be made now.
    pub fn enter(self: &Arc<Self>, traffic: Traffic, now: Timestamp) -> Result<Permit, Wait> {
        let mut state = self.state();
        state.follow_recovery();
        state.look(traffic, now)?;
        let (decision, change) = state.sink.breaker().ask(now);
        let ticket = match decision {
            Decision::Go(ticket) => ticket,
            Decision::NotBefore(moment) => return Err(Wait::Until(moment)),
            Decision::Busy => return Err(Wait::Turn),
        };
        if let Some(bucket) = &mut state.bucket {
            bucket.take(now);
        }
        let in_flight = state.count(traffic);
        *in_flight += 1;
        let used = *in_flight * 2 > state.window.allowed();
        state.times.begin(now);
        let permit = Permit {
            limiter: Arc::clone(self),
            sink: Arc::clone(&state.sink),
            ticket,
            traffic,
            round: state.window.round(),
            used,
            began: now,
            reported: false,
        };
        drop(state);
        self.tell(change);
        Ok(permit)
    }

    /// One line for each step of the breaker. An address may hold a secret, so it is not named.
    fn tell(&self, change: Option<BreakerChange>) {
        if change.is_none() {
            return;
        }
        let subscription = Arc::clone(&self.state().subscription);
        let (id, shown) = (&subscription.id, subscription.shown());
        match change {
            Some(BreakerChange::Opened { until, again: false }) => {
                tracing::warn!(
                    subscription.id = %id,
                    "The sink of subscription {shown} does not answer well; no attempts before {until}",
                );
                let subscription = Arc::clone(&subscription);
                self.sinks.tell(DeliverySignal::SinkLeftAlone { subscription, until });
            }
            Some(BreakerChange::Opened { until, again: true }) => tracing::info!(
                subscription.id = %id,
                "The sink of subscription {shown} is still not well; no attempts before {until}",
            ),
            Some(BreakerChange::Probing) => tracing::info!(
                subscription.id = %id,
                "One attempt finds out whether the sink of subscription {shown} is well again",
            ),
            Some(BreakerChange::Closed) => tracing::info!(
                subscription.id = %id,
                "The sink of subscription {shown} is well again",
            ),
            None => {}
        }
    }
}

impl State {
    /// How many attempts at once a subscription may have that asks for nothing.
    fn everyone_has(&self) -> u16 {
        self.allowance.parallel.min(self.allowance.operator_limits.parallel)
    }

    fn look(&self, traffic: Traffic, now: Timestamp) -> Result<(), Wait> {
        if let Some(until) = self.held(now) {
            return Err(Wait::Until(until));
        }
        match self.sink.breaker().look(now) {
            Decision::Go(_) => {}
            Decision::NotBefore(moment) => return Err(Wait::Until(moment)),
            Decision::Busy => return Err(Wait::Turn),
        }
        let (in_flight, room, rest) = match traffic {
            Traffic::Live => (self.live, self.window.allowed(), 0),
            Traffic::Replay => (self.replayed, (self.window.allowed() / 2).max(1), 1),
        };
        if in_flight >= room {
            return Err(Wait::Turn);
        }
        match self.bucket.map(|bucket| bucket.when(rest, now)) {
            Some(moment) if moment > now => Err(Wait::Until(moment)),
            _ => Ok(()),
        }
    }

    /// A clock that was set back does not make a hold longer.
    fn held(&self, now: Timestamp) -> Option<Timestamp> {
        self.held.and_then(|(since, until)| (since <= now && now < until).then_some(until))
    }

    /// After an outage it begins with one attempt at a time.
    fn follow_recovery(&mut self) {
        let recoveries = self.sink.recoveries();
        if recoveries != self.recoveries {
            self.recoveries = recoveries;
            self.window.restart();
        }
    }

    fn count(&mut self, traffic: Traffic) -> &mut u16 {
        match traffic {
            Traffic::Live => &mut self.live,
            Traffic::Replay => &mut self.replayed,
        }
    }
}

impl Permit {
    /// Makes the attempt that it is for, and learns what came of it.
    pub async fn run(
        self,
        event: EventId,
        attempt: impl Future<Output = AttemptResult>,
        clock: &dyn Clock,
    ) -> AttemptResult {
        let result = attempt.await;
        self.report(event, result, clock.now());
        result
    }

    /// Gives it back unused.
    pub fn give_back(self) {
        if let Some(bucket) = &mut self.limiter.state().bucket {
            bucket.put_back();
        }
    }

    fn report(mut self, event: EventId, result: AttemptResult, now: Timestamp) {
        self.reported = true;
        self.end((result.health, result.retry_after), Some(now));
        let mut state = self.limiter.state();
        state.follow_recovery();
        state.window.follow(result.health, self.round, self.used);
        state.failures.note(event, result, now);
        if let (Health::Busy | Health::Overloaded, Some(asked)) =
            (result.health, result.retry_after)
        {
            let hold = later_by_a_fifth(asked.min(LONGEST_HOLD), self.limiter.sinks.random());
            let until = now.after(hold);
            let until = state.held(now).map_or(until, |before| before.max(until));
            state.held = Some((now, until));
        }
    }

    /// Ends it at a moment, unless no attempt was made.
    fn end(&self, said: (Health, Option<Duration>), now: Option<Timestamp>) {
        {
            let mut state = self.limiter.state();
            *state.count(self.traffic) -= 1;
            state.times.end(self.began, now);
        }
        let now = now.unwrap_or(Timestamp::EPOCH);
        let change = {
            let mut breaker = self.sink.breaker();
            let change = breaker.note(self.ticket, said, now, self.limiter.sinks.random());
            if change.is_none() && breaker.phase() == BreakerPhase::Closed {
                // Nobody waits for a sink that is well.
                return;
            }
            change
        };
        self.sink.tell(change);
        self.limiter.tell(change);
    }
}

/// An attempt that was not made, or that died, says nothing of the sink.
impl Drop for Permit {
    fn drop(&mut self) {
        if !self.reported {
            self.end((Health::Unasked, None), None);
        }
    }
}
