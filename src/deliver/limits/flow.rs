//! How a subscription is served at the moment, and what keeps its next attempt.

use std::time::Duration;

use crate::deliver::limits::BreakerPhase;
use crate::event::Timestamp;

/// An attempt takes some five steps, each after a wait: of one that takes as long as so many, most of the
/// time is the sink's.
const STEPS: u32 = 8;

/// How a subscription is served at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Whether its sink is asked.
    pub phase: BreakerPhase,
    /// Until when its sink has asked to be left alone.
    pub held_until: Option<Timestamp>,
    /// How many attempts may be in flight at once.
    pub allowed: u16,
    /// Whether so many are.
    pub is_full: bool,
    /// Whether fewer may be than the gateway lets every subscription have: its consumer asks for fewer, or its
    /// sink does by its answers.
    pub is_narrow: bool,
    /// How long an attempt takes.
    pub attempt: Duration,
    /// Whether the next attempt has to wait because of the rate.
    pub is_paced: bool,
    /// When the first attempt failed since which none has succeeded.
    pub failing_since: Option<Timestamp>,
    /// The same, if it is the sink that fails, and not one event that it refuses.
    pub sink_failing_since: Option<Timestamp>,
}

impl Flow {
    /// Whether the consumer or its sink keeps the next attempt, and not the gateway, where each step of its
    /// work waits so long for its turn.
    pub fn keeps(&self, step: Duration) -> bool {
        self.phase != BreakerPhase::Closed
            || self.held_until.is_some()
            || self.is_paced
            || (self.is_full && (self.is_narrow || self.attempt > step * STEPS))
    }
}
