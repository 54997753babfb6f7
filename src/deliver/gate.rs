//! Lets attempts through: while the sink is well, at the subscription's rate, and no more at once
//! than the sink keeps up with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::ambient::Clock;
use crate::deliver::breaker::{Change, Leave, Ticket};
use crate::deliver::failing::Failures;
use crate::deliver::pace::{Bucket, Window, later_by_a_fifth};
use crate::deliver::sinks::Sink;
use crate::deliver::{Caps, Carried, Carry, Delivery, Health, Notice, Phase, Sinks};
use crate::event::{EventId, Timestamp};
use crate::subscriptions::Subscription;

/// The longest time for which `Retry-After` holds a whole subscription.
const LONGEST_HOLD: Duration = Duration::from_hours(1);

/// What a subscription gets unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Attempts under way at once, at the most.
    pub parallel: u16,
    /// Attempts per second; nothing: as fast as the sink takes them.
    pub rate: Option<u32>,
    /// The most that it may ask for itself.
    pub caps: Caps,
}

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
    /// The end of an attempt that is under way.
    Turn,
}

/// How a subscription is served at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Whether its sink is asked.
    pub phase: Phase,
    /// Until when its sink has asked to be left alone.
    pub held_until: Option<Timestamp>,
    /// How many attempts may be under way at once.
    pub allowed: u16,
    /// When the first attempt failed since which none has succeeded.
    pub failing_since: Option<Timestamp>,
    /// The same, if it is the sink that fails, and not one event that it refuses.
    pub sink_failing_since: Option<Timestamp>,
}

/// The gate of one subscription.
pub struct Gate {
    sinks: Arc<Sinks>,
    state: Mutex<State>,
}

struct State {
    subscription: Arc<Subscription>,
    sink: Arc<Sink>,
    allowance: Allowance,
    bucket: Option<Bucket>,
    window: Window,
    live: u16,
    replayed: u16,
    /// When the sink asked to be left alone, and until when.
    held: Option<(Timestamp, Timestamp)>,
    failures: Failures,
    /// Recoveries of the sink that the window has followed.
    recoveries: u64,
}

/// The right to make one attempt, which ends with it.
pub struct Pass {
    gate: Arc<Gate>,
    sink: Arc<Sink>,
    ticket: Ticket,
    traffic: Traffic,
    round: u64,
    used: bool,
    reported: bool,
}

impl Gate {
    /// Opens the gate of a subscription.
    pub fn new(
        subscription: &Arc<Subscription>,
        sinks: &Arc<Sinks>,
        allowance: Allowance,
        failing_since: Option<Timestamp>,
    ) -> Self {
        let (parallel, rate) = allowance.caps.bound(subscription, allowance);
        let sink = sinks.of(subscription);
        let recoveries = sink.recoveries();
        let state = State {
            subscription: Arc::clone(subscription),
            sink,
            recoveries,
            allowance,
            bucket: rate.map(Bucket::new),
            window: Window::new(parallel),
            live: 0,
            replayed: 0,
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
        let (parallel, rate) = state.allowance.caps.bound(subscription, state.allowance);
        state.window.limit(parallel);
        let bucket = rate.map(Bucket::new);
        if state.bucket.map(Bucket::interval) != bucket.map(Bucket::interval) {
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
    pub(super) fn remember_failure(&self, last: Timestamp) {
        self.state().failures.remember(last);
    }

    /// How the subscription is served at the moment.
    pub fn flow(&self, now: Timestamp) -> Flow {
        let state = self.state();
        Flow {
            phase: state.sink.breaker().phase(),
            held_until: state.held(now),
            allowed: state.window.allowed(),
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
    pub fn enter(self: &Arc<Self>, traffic: Traffic, now: Timestamp) -> Result<Pass, Wait> {
        let mut state = self.state();
        state.follow_recovery();
        state.look(traffic, now)?;
        let (leave, change) = state.sink.breaker().ask(now);
        let ticket = match leave {
            Leave::Go(ticket) => ticket,
            Leave::NotBefore(moment) => return Err(Wait::Until(moment)),
            Leave::Busy => return Err(Wait::Turn),
        };
        if let Some(bucket) = &mut state.bucket {
            bucket.take(now);
        }
        let under_way = state.count(traffic);
        *under_way += 1;
        let used = *under_way * 2 > state.window.allowed();
        let pass = Pass {
            gate: Arc::clone(self),
            sink: Arc::clone(&state.sink),
            ticket,
            traffic,
            round: state.window.round(),
            used,
            reported: false,
        };
        drop(state);
        self.tell(change);
        Ok(pass)
    }

    /// One line for each step of the breaker. An address may hold a secret, so it is not named.
    fn tell(&self, change: Option<Change>) {
        if change.is_none() {
            return;
        }
        let subscription = Arc::clone(&self.state().subscription);
        let id = &subscription.id;
        match change {
            Some(Change::Opened { until, again: false }) => {
                tracing::warn!(
                    subscription.id = %id,
                    "The sink of subscription {id} does not answer well; no attempts before {until}",
                );
                let subscription = Arc::clone(&subscription);
                self.sinks.tell(Notice::SinkLeftAlone { subscription, until });
            }
            Some(Change::Opened { until, again: true }) => tracing::info!(
                subscription.id = %id,
                "The sink of subscription {id} is still not well; no attempts before {until}",
            ),
            Some(Change::Probing) => tracing::info!(
                subscription.id = %id,
                "One attempt finds out whether the sink of subscription {id} is well again",
            ),
            Some(Change::Closed) => tracing::info!(
                subscription.id = %id,
                "The sink of subscription {id} is well again",
            ),
            None => {}
        }
    }
}

impl State {
    fn look(&self, traffic: Traffic, now: Timestamp) -> Result<(), Wait> {
        if let Some(until) = self.held(now) {
            return Err(Wait::Until(until));
        }
        match self.sink.breaker().look(now) {
            Leave::Go(_) => {}
            Leave::NotBefore(moment) => return Err(Wait::Until(moment)),
            Leave::Busy => return Err(Wait::Turn),
        }
        let (under_way, room, rest) = match traffic {
            Traffic::Live => (self.live, self.window.allowed(), 0),
            Traffic::Replay => (self.replayed, (self.window.allowed() / 2).max(1), 1),
        };
        if under_way >= room {
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

impl Pass {
    /// Makes the attempt that it is for, and tells the gate what came of it.
    pub async fn carry(
        self,
        carrier: &dyn Carry,
        delivery: &Delivery,
        clock: &dyn Clock,
    ) -> Carried {
        let carried = carrier.carry(delivery).await;
        self.report(delivery.entry.event.id, carried, clock.now());
        carried
    }

    /// Gives it back unused.
    pub fn give_back(self) {
        if let Some(bucket) = &mut self.gate.state().bucket {
            bucket.put_back();
        }
    }

    fn report(mut self, event: EventId, carried: Carried, now: Timestamp) {
        self.reported = true;
        self.end((carried.health, carried.retry_after), now);
        let mut state = self.gate.state();
        state.follow_recovery();
        state.window.follow(carried.health, self.round, self.used);
        state.failures.note(event, carried, now);
        if let (Health::Busy | Health::Overloaded, Some(asked)) =
            (carried.health, carried.retry_after)
        {
            let hold = later_by_a_fifth(asked.min(LONGEST_HOLD), self.gate.sinks.chance());
            let until = now.after(hold);
            let until = state.held(now).map_or(until, |before| before.max(until));
            state.held = Some((now, until));
        }
    }

    fn end(&self, said: (Health, Option<Duration>), now: Timestamp) {
        *self.gate.state().count(self.traffic) -= 1;
        let change = {
            let mut breaker = self.sink.breaker();
            let change = breaker.note(self.ticket, said, now, self.gate.sinks.chance());
            if change.is_none() && breaker.phase() == Phase::Closed {
                // Nobody waits for a sink that is well.
                return;
            }
            change
        };
        self.sink.tell(change);
        self.gate.tell(change);
    }
}

/// An attempt that was not made, or that died, says nothing of the sink.
impl Drop for Pass {
    fn drop(&mut self) {
        if !self.reported {
            self.end((Health::Unasked, None), Timestamp::EPOCH);
        }
    }
}
