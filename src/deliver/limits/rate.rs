//! How fast one subscription is served: a rate, and a parallelism that follows its sink.

use std::time::Duration;

use crate::deliver::sink::Health;
use crate::event::Timestamp;

/// Attempts in flight at once to begin with.
const BEGINNING: u16 = 4;

/// Jitter: makes a duration up to a fifth longer, so that many do not come back as one wave.
pub(super) fn later_by_a_fifth(span: Duration, random: u64) -> Duration {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ms.saturating_add((ms / 5).saturating_mul(random % 1001) / 1000))
}

/// A token bucket that holds what one second brings, and two tokens at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateBucket {
    /// The time in which one token comes.
    interval: Duration,
    /// How many it holds.
    size: u32,
    /// When it is full again.
    full: Timestamp,
}

impl RateBucket {
    /// Starts full, for a rate of tokens per second, at least one.
    pub fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        Self { interval: Duration::from_secs(1) / rate, size: rate.max(2), full: Timestamp::EPOCH }
    }

    /// The time in which one token comes.
    pub const fn interval(self) -> Duration {
        self.interval
    }

    /// When a token can be taken so that `rest` of them are left; now, if that moment is not later.
    pub fn when(&self, rest: u32, now: Timestamp) -> Timestamp {
        let missing = self.size.saturating_sub(rest).saturating_sub(1);
        self.full(now).before(self.interval * missing)
    }

    /// Takes a token, whether there is one or not.
    pub fn take(&mut self, now: Timestamp) {
        self.full = self.full(now).max(now).after(self.interval);
    }

    /// Puts a token back that was not used.
    pub fn put_back(&mut self) {
        self.full = self.full.before(self.interval);
    }

    /// A clock that was set back must not make the wait longer than an empty bucket does.
    fn full(&self, now: Timestamp) -> Timestamp {
        self.full.min(now.after(self.interval * self.size))
    }
}

/// How many attempts may be in flight at once: one more after a window of good answers, half as
/// many after an answer that tells of overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParallelWindow {
    most: u16,
    allowed: u16,
    /// Good answers since it grew.
    good: u16,
    /// Grows with each halving: attempts of the same round halve it once.
    round: u64,
}

impl ParallelWindow {
    /// Starts low, for at most `most`.
    pub fn new(most: u16) -> Self {
        let most = most.max(1);
        Self { most, allowed: BEGINNING.min(most), good: 0, round: 0 }
    }

    /// How many may be in flight.
    pub const fn allowed(&self) -> u16 {
        self.allowed
    }

    /// The round that an attempt belongs to which begins now.
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// Sets another upper bound.
    pub fn limit(&mut self, most: u16) {
        self.most = most.max(1);
        self.allowed = self.allowed.min(self.most);
    }

    /// Begins anew, as low as a new one.
    pub const fn begin(&mut self) {
        let begin = if BEGINNING < self.most { BEGINNING } else { self.most };
        (self.allowed, self.good) = (begin, 0);
        self.round += 1;
    }

    /// Begins with one attempt at a time, after an outage.
    pub const fn restart(&mut self) {
        (self.allowed, self.good) = (1, 0);
        self.round += 1;
    }

    /// Follows an answer to an attempt of a round; `used` says whether half of the window was in
    /// use when the attempt began, since only then a good answer says that more is possible.
    pub fn follow(&mut self, health: Health, round: u64, used: bool) {
        match health {
            Health::Well if used && self.allowed < self.most => {
                self.good += 1;
                if self.good >= self.allowed {
                    self.allowed += 1;
                    self.good = 0;
                }
            }
            Health::Busy | Health::Overloaded if round == self.round => {
                self.allowed = (self.allowed / 2).max(1);
                self.good = 0;
                self.round += 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_000_000_000 + ms)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = RateBucket::new(4);
        for _ in 0..4 {
            assert!(bucket.when(0, at(0)) <= at(0));
            bucket.take(at(0));
        }
        assert_eq!(bucket.when(0, at(0)), at(250));
        // Who leaves one for others waits longer.
        assert_eq!(bucket.when(1, at(0)), at(500));

        bucket.put_back();
        assert!(bucket.when(0, at(0)) <= at(0));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_stop_a_bucket() {
        let mut bucket = RateBucket::new(2);
        bucket.take(at(1_000_000));

        assert!(bucket.when(0, at(0)) <= at(500));
    }

    proptest! {
        #[test]
        fn no_more_than_the_rate_and_a_burst_leaves_a_bucket(
            rate in 1_u32..500,
            waits in proptest::collection::vec(0_i64..200, 1..400),
        ) {
            let mut bucket = RateBucket::new(rate);
            let (mut now, mut taken) = (0, 0_i64);
            for wait in waits {
                now += wait;
                while bucket.when(0, at(now)) <= at(now) {
                    bucket.take(at(now));
                    taken += 1;
                }
                prop_assert!(taken <= i64::from(rate.max(2)) + now * i64::from(rate) / 1000 + 1);
            }
        }

        #[test]
        fn a_window_stays_within_its_bounds(
            most in 1_u16..256,
            answers in proptest::collection::vec((0_u8..4, any::<bool>()), 0..500),
        ) {
            let mut window = ParallelWindow::new(most);
            for (answer, used) in answers {
                let health = [Health::Well, Health::Busy, Health::Overloaded, Health::Failed]
                    [usize::from(answer)];
                let (before, round) = (window.allowed(), window.round());
                window.follow(health, round, used);
                prop_assert!((1..=most).contains(&window.allowed()));
                prop_assert!(window.allowed() <= before + 1);
                prop_assert!(window.allowed() >= before / 2);
            }
        }
    }

    #[test]
    fn a_window_grows_by_one_a_round_and_halves_once_a_round() {
        let mut window = ParallelWindow::new(16);
        for _ in 0..4 + 5 + 6 + 7 {
            window.follow(Health::Well, window.round(), true);
        }
        assert_eq!(window.allowed(), 8);

        let round = window.round();
        for _ in 0..8 {
            window.follow(Health::Overloaded, round, true);
        }
        assert_eq!(window.allowed(), 4);
        window.follow(Health::Well, window.round(), false);
        assert_eq!(window.allowed(), 4);

        window.restart();
        assert_eq!(window.allowed(), 1);
    }
}
