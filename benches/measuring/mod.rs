//! Measures what a call costs, for benchmarks that compare costs of one run.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};

/// For how long each line is measured.
pub struct Rounds {
    /// How many rounds there are.
    pub count: usize,
    /// How long each of them is, at least.
    pub length: Duration,
}

impl Rounds {
    /// The median over the rounds of what one call costs, in nanoseconds.
    pub fn cost_of<T>(&self, mut call: impl FnMut() -> T) -> f64 {
        let clock = WallTime;
        let mut time = |calls: u32| {
            let start = clock.start();
            for _ in 0..calls {
                black_box(call());
            }
            clock.end(start)
        };
        let mut calls = 1;
        while time(calls) < self.length {
            calls *= 2;
        }
        let mut rounds: Vec<f64> =
            (0..self.count).map(|_| time(calls).as_secs_f64() * 1e9 / f64::from(calls)).collect();
        rounds.sort_by(f64::total_cmp);
        rounds[self.count / 2]
    }
}
