//! How long the attempts of one subscription take.

use std::time::Duration;

use crate::event::Timestamp;

/// Counts attempts by when they began and how long they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttemptTimes {
    in_flight: u32,
    /// The sum of the moments at which those in flight began, in milliseconds.
    began: i64,
    /// How long attempts have taken, the newest weighing most.
    mean: Duration,
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
        if let Some(took) = now.map(|now| now.since(began)) {
            self.mean = if self.mean.is_zero() { took } else { (self.mean * 15 + took) / 16 };
        }
    }

    /// How long an attempt takes on average, or those in flight have taken already if that is longer.
    pub fn typical(&self, now: Timestamp) -> Duration {
        let in_flight = i64::from(self.in_flight.max(1));
        let ages = now.unix_ms().saturating_mul(i64::from(self.in_flight)) - self.began;
        let age = Duration::from_millis(u64::try_from(ages / in_flight).unwrap_or(0));
        self.mean.max(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn after(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    #[test]
    fn attempts_are_as_long_as_they_took_and_longer_where_they_hang() {
        let mut times = AttemptTimes::default();
        assert_eq!(times.typical(NOW), Duration::ZERO);
        for _ in 0..40 {
            times.begin(NOW);
            times.end(NOW, Some(after(30)));
        }
        assert_eq!(times.typical(after(30)), Duration::from_millis(30));

        times.begin(after(1_000));
        times.begin(after(2_000));
        assert_eq!(times.typical(after(2_020)), Duration::from_millis(520));
        times.end(after(1_000), None);
        assert_eq!(times.typical(after(2_020)), Duration::from_millis(30), "it died");
        times.end(after(2_000), Some(after(2_190)));
        assert_eq!(times.typical(after(9_000)), Duration::from_millis(40));
    }
}
