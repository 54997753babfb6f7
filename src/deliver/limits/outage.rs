//! Counts since when a subscription's attempts have only failed.

use std::time::Duration;

use crate::deliver::outcome::{AttemptResult, Verdict};
use crate::deliver::sink::Health;
use crate::event::{EventId, Timestamp};

/// Failures that are further apart belong to different outages: no delivery waits longer than this
/// for its next attempt, so nothing was asked of the sink in between.
const LONGEST_GAP: Duration = Duration::from_hours(36);

/// Failures without a success between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failures {
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    /// The event of the first one that is known.
    event: Option<EventId>,
    /// Whether they are more than one event's refusals.
    beyond_one: bool,
}

impl Failures {
    /// Goes on from what was kept; when the last one was is not known yet.
    pub(super) fn since(since: Option<Timestamp>) -> Self {
        Self { since, ..Self::default() }
    }

    /// When the first one was.
    pub(super) const fn first(&self) -> Option<Timestamp> {
        self.since
    }

    /// When the first one was, if they say that the sink fails, and not one event alone.
    pub(super) fn of_the_sink(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.beyond_one)
    }

    /// Learns when the last one before a restart was.
    pub(super) fn remember(&mut self, last: Timestamp) {
        self.last = self.last.or(Some(last));
    }

    /// Notes what came of an attempt.
    pub(super) fn note(&mut self, event: EventId, result: AttemptResult, now: Timestamp) {
        if result.verdict == Verdict::Delivered {
            *self = Self::default();
            return;
        }
        // Nobody was asked, so nobody failed.
        if result.health == Health::Unasked {
            return;
        }
        let goes_on = self.last.is_some_and(|last| now.since(last) <= LONGEST_GAP);
        if self.since.is_none() || !goes_on {
            *self = Self::since(Some(now));
        }
        // A sink that answers is there. That it takes none of several events is a failure of its
        // own, that it never takes one of them need not be.
        let answers = matches!(result.health, Health::Well | Health::Declined);
        self.beyond_one |= !answers || self.event.is_some_and(|other| other != event);
        self.event = self.event.or(Some(event));
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLINED: AttemptResult = failed(Health::Declined);

    const fn failed(health: Health) -> AttemptResult {
        let verdict = Verdict::Retry { due: Timestamp::EPOCH };
        AttemptResult { verdict, health, retry_after: None }
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_282_931).after(Duration::from_hours(hours))
    }

    fn event(number: u128) -> EventId {
        EventId::from_parts(1, number)
    }

    #[test]
    fn failures_that_a_quiet_time_divides_are_not_one_outage() {
        let mut failures = Failures::default();
        for hour in [0, 30, 60] {
            failures.note(event(1), failed(Health::Failed), at(hour));
        }
        assert_eq!(failures.of_the_sink(), Some(at(0)));

        failures.note(event(2), failed(Health::Failed), at(60 + 37));
        assert_eq!((failures.first(), failures.of_the_sink()), (Some(at(97)), Some(at(97))));
        failures.note(event(2), AttemptResult { verdict: Verdict::Delivered, ..DECLINED }, at(98));
        assert_eq!(failures.first(), None);
    }

    #[test]
    fn after_a_restart_the_count_goes_on_unless_it_was_down_for_long() {
        for (last, first) in [(Some(at(90)), at(0)), (Some(at(40)), at(100)), (None, at(100))] {
            let mut failures = Failures::since(Some(at(0)));
            if let Some(last) = last {
                failures.remember(last);
            }
            failures.note(event(1), failed(Health::Overloaded), at(100));
            assert_eq!(failures.first(), Some(first), "{last:?}");
        }
    }

    #[test]
    fn one_event_that_is_refused_says_nothing_of_the_sink_and_several_do() {
        let mut failures = Failures::default();
        failures.note(event(1), failed(Health::Unasked), at(0));
        assert_eq!(failures.first(), None);
        for hour in [1, 20, 40] {
            failures.note(event(1), DECLINED, at(hour));
            assert_eq!((failures.first(), failures.of_the_sink()), (Some(at(1)), None));
        }
        failures.note(event(2), DECLINED, at(41));
        assert_eq!(failures.of_the_sink(), Some(at(1)));
    }
}
