//! How long the attempts of one subscription take, to tell whether the sink keeps what waits from being
//! sent, or the gateway itself.

use std::time::Duration;

use crate::event::Timestamp;

/// Attempts that have been in flight for longer than this, on average, wait for the sink.
const LONG: Duration = Duration::from_millis(500);
/// For how long the quickest attempt is remembered, at least.
const WHILE: Duration = Duration::from_secs(5);

/// Counts attempts by when they began and how long they took.
#[derive(Clone, Copy, Debug)]
pub struct AttemptTimes {
    in_flight: u32,
    /// The sum of the moments at which those in flight began, in milliseconds.
    began: i64,
    /// How long attempts have taken, the newest weighing most.
    mean: Duration,
    /// The quickest of this while and of the one before, and when this one began.
    quickest: [Option<Duration>; 2],
    while_began: Timestamp,
}

impl Default for AttemptTimes {
    fn default() -> Self {
        let (mean, while_began) = (Duration::ZERO, Timestamp::EPOCH);
        Self { in_flight: 0, began: 0, mean, quickest: [None; 2], while_began }
    }
}

impl AttemptTimes {
    /// Notes that an attempt begins.
    pub fn begin(&mut self, now: Timestamp) {
        self.in_flight += 1;
        self.began = self.began.saturating_add(now.unix_ms());
    }

    /// Notes that an attempt is over; of one that was not made, or died, nothing is learnt.
    pub fn end(&mut self, began: Timestamp, now: Option<Timestamp>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.began = self.began.saturating_sub(began.unix_ms());
        let Some(now) = now else { return };
        let took = now.since(began);
        self.mean = if self.mean.is_zero() { took } else { (self.mean * 15 + took) / 16 };
        if now < self.while_began || now.since(self.while_began) > WHILE {
            (self.quickest, self.while_began) = ([None, self.quickest[0]], now);
        }
        let quickest = &mut self.quickest[0];
        *quickest = Some(quickest.map_or(took, |before| before.min(took)));
    }

    /// Whether it is the sink that attempts wait for: they have been in flight for long, or none takes much
    /// longer than the quickest, which waited for nothing else.
    pub fn is_of_the_sink(&self, now: Timestamp) -> bool {
        let in_flight = i64::from(self.in_flight);
        let ages = now.unix_ms().saturating_mul(in_flight).saturating_sub(self.began);
        let long = i64::try_from(LONG.as_millis()).unwrap_or(i64::MAX);
        let quickest = self.quickest.into_iter().flatten().min();
        ages > long.saturating_mul(in_flight) || quickest.is_none_or(|one| self.mean < one * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn after(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    /// The times of attempts, a second apart, that took so many milliseconds.
    fn times(took: impl IntoIterator<Item = u64>) -> AttemptTimes {
        let mut times = AttemptTimes::default();
        for (began, took) in (0..).step_by(1_000).zip(took) {
            times.begin(after(began));
            times.end(after(began), Some(after(began + took)));
        }
        times
    }

    #[test]
    fn a_sink_that_takes_its_time_is_told_from_a_gateway_that_does() {
        let (slow, busy) = (times([300; 20]), times([2, 30, 40, 35, 3, 40, 50, 20]));

        assert!(slow.is_of_the_sink(after(20_000)));
        assert!(!busy.is_of_the_sink(after(8_000)));
        assert!(AttemptTimes::default().is_of_the_sink(NOW), "nothing was learnt yet");
    }

    #[test]
    fn a_sink_that_hangs_now_and_then_is_told_by_what_is_in_flight() {
        let mut times = times([2, 30, 40, 35]);
        for _ in 0..15 {
            times.begin(after(4_000));
        }
        times.begin(after(5_000));
        assert!(!times.is_of_the_sink(after(4_400)));
        assert!(times.is_of_the_sink(after(5_000)));

        for _ in 0..15 {
            times.end(after(4_000), None);
        }
        assert!(!times.is_of_the_sink(after(5_001)));
    }

    #[test]
    fn what_was_quick_long_ago_is_forgotten() {
        let mut times = times([2, 30, 40]);
        assert!(!times.is_of_the_sink(after(3_000)));
        for began in [10_000_u64, 12_000, 16_000, 18_000, 24_000, 26_000] {
            for _ in 0..16 {
                times.begin(after(began));
                times.end(after(began), Some(after(began + 300)));
            }
        }
        assert!(times.is_of_the_sink(after(27_000)));
    }
}
