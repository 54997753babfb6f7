//! The circuit breaker: leaves a sink alone that does not answer, and finds out with single
//! attempts when it does again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;
use crate::deliver::limits::rate::later_by_a_fifth;
use crate::deliver::sink::Health;
use crate::event::Timestamp;

/// Attempts that must have ended within a window before their share of failures counts.
const FEWEST: u32 = 20;
/// How long attempts count for the share of failures: this window and the one before it.
const WINDOW: Duration = Duration::from_secs(30);
/// Successes in a row after which a sink counts as well again.
const SUCCESSES: u16 = 2;
/// The longest pause that a sink can ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// When a sink is left alone, and for how long.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures in a row after which a sink is left alone, 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    pub failures: u16,
    /// The share of failures among the attempts of the last half to whole minute, of which there
    /// must be 20, that has the same effect, in percent, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub share: u8,
    /// The first pause, up to a fifth longer; each further one is twice as long.
    #[schemars(extend("x-range" = ["1ms", "30days"]))]
    pub pause: HumanDuration,
    /// The longest pause, up to a fifth longer. A sink can ask for an hour.
    #[schemars(extend("x-range" = ["1ms", "30days"]))]
    pub longest_pause: HumanDuration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            share: 50,
            pause: HumanDuration(Duration::from_secs(5)),
            longest_pause: HumanDuration(Duration::from_mins(5)),
        }
    }
}

/// Whether a sink is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerPhase {
    /// It is asked.
    Closed,
    /// It is not asked before this moment.
    Open {
        /// When the next attempt may be made.
        until: Timestamp,
    },
    /// One attempt at a time finds out whether it is well again.
    HalfOpen,
}

impl BreakerPhase {
    /// Until when the sink is not asked.
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Open { until } => Some(until),
            Self::Closed | Self::HalfOpen => None,
        }
    }

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What an attempt may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be made.
    Go(Ticket),
    /// No attempt before this moment.
    NotBefore(Timestamp),
    /// Another attempt is finding out.
    Busy,
}

/// Names the phase in which an attempt was made, so that a late answer changes no later phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// A step from one phase to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    /// The sink is left alone; `again` if an attempt has just found that it is still not well.
    Opened {
        /// Until when.
        until: Timestamp,
        /// Whether it was open before.
        again: bool,
    },
    /// An attempt finds out how the sink is.
    Probing,
    /// The sink is well again.
    Closed,
}

/// What is known of the health of one sink. It is pure: time and entropy are arguments.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Grows with each phase.
    phase: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { in_a_row: u16, before: BreakerTally, now: BreakerTally, began: Timestamp },
    Open { since: Timestamp, until: Timestamp, pauses: u32 },
    HalfOpen { probing: bool, successes: u16, pauses: u32 },
}

#[derive(Clone, Copy, Debug, Default)]
struct BreakerTally {
    all: u32,
    failed: u32,
}

const WELL: State = State::Closed {
    in_a_row: 0,
    before: BreakerTally { all: 0, failed: 0 },
    now: BreakerTally { all: 0, failed: 0 },
    began: Timestamp::EPOCH,
};

impl Breaker {
    /// Starts with a sink that is thought to be well.
    pub const fn new(config: BreakerConfig) -> Self {
        Self { config, state: WELL, phase: 0 }
    }

    /// Whether the sink is asked.
    pub const fn phase(&self) -> BreakerPhase {
        match self.state {
            State::Closed { .. } => BreakerPhase::Closed,
            State::Open { until, .. } => BreakerPhase::Open { until },
            State::HalfOpen { .. } => BreakerPhase::HalfOpen,
        }
    }

    /// Whether an attempt may be made, without making it.
    pub fn look(&self, now: Timestamp) -> Decision {
        match self.state {
            State::Closed { .. } | State::HalfOpen { probing: false, .. } => {
                Decision::Go(Ticket(self.phase))
            }
            State::HalfOpen { probing: true, .. } => Decision::Busy,
            // A clock that was set back must not make the pause longer.
            State::Open { since, until, .. } if now >= until || now < since => {
                Decision::Go(Ticket(self.phase + 1))
            }
            State::Open { until, .. } => Decision::NotBefore(until),
        }
    }

    /// Asks to make an attempt. Whoever is let go must [`note`](Self::note) what came of it.
    pub fn ask(&mut self, now: Timestamp) -> (Decision, Option<BreakerChange>) {
        let decision = self.look(now);
        let Decision::Go(_) = decision else { return (decision, None) };
        match &mut self.state {
            State::Closed { .. } => (decision, None),
            State::HalfOpen { probing, .. } => {
                *probing = true;
                (decision, None)
            }
            State::Open { pauses, .. } => {
                let pauses = *pauses;
                self.enter(State::HalfOpen { probing: true, successes: 0, pauses });
                (decision, Some(BreakerChange::Probing))
            }
        }
    }

    /// Notes what came of an attempt: `Unasked` if it says nothing of the sink.
    pub fn note(
        &mut self,
        ticket: Ticket,
        (health, asked): (Health, Option<Duration>),
        now: Timestamp,
        random: u64,
    ) -> Option<BreakerChange> {
        if ticket.0 != self.phase {
            return None;
        }
        let failed = match health {
            Health::Well | Health::Declined => false,
            Health::Overloaded | Health::Failed => true,
            // Who says "slow down" without a time is there, and is given less by the rate.
            Health::Busy => asked.is_some(),
            Health::Unasked => {
                if let State::HalfOpen { probing, .. } = &mut self.state {
                    *probing = false;
                }
                return None;
            }
        };
        let pauses = match &mut self.state {
            State::Closed { in_a_row, before, now: tally, began } => {
                count(failed, (before, tally, began), now);
                *in_a_row = if failed { in_a_row.saturating_add(1) } else { 0 };
                let (all, bad) = (before.all + tally.all, before.failed + tally.failed);
                let too_many = all >= FEWEST && bad * 100 >= all * u32::from(self.config.share);
                if !failed || (*in_a_row < self.config.failures && !too_many) {
                    return None;
                }
                0
            }
            State::HalfOpen { pauses, .. } if failed => *pauses,
            State::HalfOpen { successes, .. } if *successes + 1 >= SUCCESSES => {
                self.enter(WELL);
                return Some(BreakerChange::Closed);
            }
            State::HalfOpen { probing, successes, .. } => {
                *successes += 1;
                *probing = false;
                return None;
            }
            // Nobody holds a ticket of a phase in which nothing is asked.
            State::Open { .. } => return None,
        };
        let until = now.after(self.pause(pauses, asked, random));
        self.enter(State::Open { since: now, until, pauses: pauses.saturating_add(1) });
        Some(BreakerChange::Opened { until, again: pauses > 0 })
    }

    /// Ends a pause, because someone has reason to think that the sink is well again; the next
    /// attempt finds out.
    pub fn nudge(&mut self) {
        if let State::Open { since, pauses, .. } = self.state {
            self.state = State::Open { since, until: since, pauses };
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.phase += 1;
    }

    fn pause(&self, pauses: u32, asked: Option<Duration>, random: u64) -> Duration {
        let factor = 1_u32.checked_shl(pauses).unwrap_or(u32::MAX);
        let grown = self.config.pause.0.saturating_mul(factor).min(self.config.longest_pause.0);
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        later_by_a_fifth(grown.max(asked), random)
    }
}

fn count(
    failed: bool,
    (before, tally, began): (&mut BreakerTally, &mut BreakerTally, &mut Timestamp),
    now: Timestamp,
) {
    if now < *began || now >= began.after(WINDOW * 2) {
        (*before, *tally, *began) = (BreakerTally::default(), BreakerTally::default(), now);
    } else if now >= began.after(WINDOW) {
        (*before, *tally, *began) = (*tally, BreakerTally::default(), began.after(WINDOW));
    }
    tally.all = tally.all.saturating_add(1);
    tally.failed = tally.failed.saturating_add(u32::from(failed));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000 + seconds)
    }

    /// Asks and notes in one; says what changed at the end.
    fn attempt(breaker: &mut Breaker, health: Health, now: Timestamp) -> Option<BreakerChange> {
        let (Decision::Go(ticket), _) = breaker.ask(now) else { panic!("not let go") };
        breaker.note(ticket, (health, None), now, 0)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..5 {
            attempt(&mut breaker, Health::Failed, at(0));
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_starts_the_count_again() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for health in [Health::Failed, Health::Overloaded, Health::Failed, Health::Failed] {
            assert_eq!(attempt(&mut breaker, health, at(0)), None);
        }
        attempt(&mut breaker, Health::Declined, at(0));
        for _ in 0..4 {
            assert_eq!(attempt(&mut breaker, Health::Failed, at(0)), None);
        }

        let change = attempt(&mut breaker, Health::Failed, at(0));

        assert_eq!(change, Some(BreakerChange::Opened { until: at(5), again: false }));
        assert_eq!(breaker.ask(at(4)).0, Decision::NotBefore(at(5)));
    }

    #[test]
    fn half_of_many_attempts_open_it_and_old_ones_are_forgotten() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..9 {
            attempt(&mut breaker, Health::Failed, at(0));
            attempt(&mut breaker, Health::Well, at(0));
        }
        let (mut forgetful, mut mindful) = (breaker, Breaker::new(BreakerConfig::default()));
        for _ in 0..9 {
            attempt(&mut mindful, Health::Failed, at(0));
            attempt(&mut mindful, Health::Well, at(0));
        }
        attempt(&mut mindful, Health::Well, at(1));
        attempt(&mut forgetful, Health::Well, at(61));

        assert!(attempt(&mut mindful, Health::Failed, at(1)).is_some());
        assert_eq!(attempt(&mut forgetful, Health::Failed, at(61)), None);
    }

    #[test]
    fn a_busy_sink_is_left_alone_only_where_it_says_for_how_long() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..40 {
            assert_eq!(attempt(&mut breaker, Health::Busy, at(0)), None);
        }
        let asked = Some(Duration::from_secs(90));
        let mut change = None;
        for _ in 0..5 {
            let (Decision::Go(ticket), _) = breaker.ask(at(0)) else { break };
            change = change.or(breaker.note(ticket, (Health::Busy, asked), at(0), 0));
        }

        assert_eq!(change, Some(BreakerChange::Opened { until: at(90), again: false }));
    }

    #[test]
    fn one_attempt_finds_out_and_two_successes_close_it() {
        let mut breaker = opened();
        let (Decision::Go(probe), change) = breaker.ask(at(5)) else { panic!("not let go") };
        assert_eq!(change, Some(BreakerChange::Probing));
        assert_eq!(breaker.ask(at(5)).0, Decision::Busy);

        assert_eq!(breaker.note(probe, (Health::Well, None), at(6), 0), None);
        assert_eq!(breaker.phase(), BreakerPhase::HalfOpen);
        assert_eq!(attempt(&mut breaker, Health::Well, at(6)), Some(BreakerChange::Closed));

        assert_eq!(breaker.phase(), BreakerPhase::Closed);
    }

    #[test]
    fn pauses_grow_to_the_longest_one() {
        let mut breaker = opened();
        let mut now = at(5);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let Some(BreakerChange::Opened { until, again: true }) =
                attempt(&mut breaker, Health::Failed, now)
            else {
                panic!("not opened again")
            };
            pauses.push(until.since(now).as_secs());
            now = until;
        }

        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_probe_that_says_nothing_leaves_the_next_to_find_out() {
        let mut breaker = opened();

        assert_eq!(attempt(&mut breaker, Health::Unasked, at(5)), None);
        assert!(matches!(breaker.ask(at(5)).0, Decision::Go(_)));
    }

    #[test]
    fn a_late_answer_changes_no_later_phase() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        let (Decision::Go(early), _) = breaker.ask(at(0)) else { panic!("not let go") };
        for _ in 0..5 {
            attempt(&mut breaker, Health::Failed, at(0));
        }

        assert_eq!(breaker.note(early, (Health::Well, None), at(1), 0), None);
        assert_eq!(breaker.phase(), BreakerPhase::Open { until: at(5) });
    }

    #[test]
    fn a_nudge_and_a_clock_that_steps_back_end_the_pause() {
        let mut breaker = opened();
        assert!(matches!(breaker.look(at(-100)), Decision::Go(_)));
        breaker.nudge();

        assert!(matches!(breaker.look(at(1)), Decision::Go(_)));
    }

    proptest! {
        #[test]
        fn an_open_breaker_asks_once_at_most_and_never_stays_open_for_ever(
            steps in proptest::collection::vec((0_u8..6, 0_i64..400, any::<u64>()), 1..200),
        ) {
            let mut breaker = Breaker::new(BreakerConfig::default());
            let mut now = at(0);
            let mut in_flight: Vec<Ticket> = Vec::new();
            let mut probes = 0_usize;
            for (what, wait, random) in steps {
                now = now.after(Duration::from_secs(wait.unsigned_abs()));
                let asked = (wait % 3 == 0).then(|| Duration::from_secs(random % 10_000));
                let half_open = |breaker: &Breaker| breaker.phase() == BreakerPhase::HalfOpen;
                if what < 3 {
                    let was_closed = breaker.phase() == BreakerPhase::Closed;
                    if let (Decision::Go(ticket), _) = breaker.ask(now) {
                        if !was_closed {
                            prop_assert!(half_open(&breaker));
                            probes += 1;
                            prop_assert_eq!(probes, 1, "two probes at once");
                        }
                        in_flight.push(ticket);
                    }
                } else if !in_flight.is_empty() {
                    let place = usize::try_from(random).unwrap_or(usize::MAX) % in_flight.len();
                    let ticket = in_flight.remove(place);
                    let health = [Health::Well, Health::Failed, Health::Unasked]
                        [usize::from(what) - 3];
                    if half_open(&breaker) && ticket.0 == breaker.phase {
                        probes = 0;
                    }
                    breaker.note(ticket, (health, asked), now, random);
                }
                if let BreakerPhase::Open { until } = breaker.phase() {
                    // An hour at most, and a fifth.
                    prop_assert!(until.since(now) <= Duration::from_mins(72));
                    prop_assert!(matches!(breaker.look(until), Decision::Go(_)));
                }
            }
        }
    }
}
