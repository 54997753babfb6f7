//! What time it is, how much has passed, and waiting for a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::event::Timestamp;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present moment. It may step back, as wall clocks do.
    fn now(&self) -> Timestamp;

    /// How long the process has run. It only grows, and no leap of the wall clock moves it: ages are
    /// counted in it.
    fn running(&self) -> Duration;

    /// Waits for `span` to pass.
    ///
    /// Cancel safe: a dropped future waits for nothing.
    async fn sleep(&self, span: Duration);

    /// Waits until `moment`; returns at once if it has passed.
    ///
    /// Cancel safe: a dropped future waits for nothing.
    async fn sleep_until(&self, moment: Timestamp) {
        while self.now() < moment {
            self.sleep(moment.since(self.now())).await;
        }
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The most that counts between two looks. A process that works looks more often; one that was stopped or
/// whose machine slept did not run, and neither did one whose monotonic clock was set.
const LONGEST_GAP: Duration = Duration::from_mins(5);

/// How long this process has run, and when it was looked last.
static RUNNING: Mutex<Option<(Instant, Duration)>> = Mutex::new(None);

/// Counts what has passed since the last look, but no gap in which nobody looked.
fn count(last: &mut Option<(Instant, Duration)>, now: Instant) -> Duration {
    let total = last.map_or(Duration::ZERO, |(looked, total)| {
        total.saturating_add(now.saturating_duration_since(looked).min(LONGEST_GAP))
    });
    *last = Some((now, total));
    total
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::EPOCH.after(since_epoch)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn running(&self) -> Duration {
        count(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    shown: Arc<watch::Sender<Shown>>,
}

/// What a manual clock shows.
#[derive(Clone, Copy, Debug)]
struct Shown {
    now: Timestamp,
    running: Duration,
}

impl ManualClock {
    /// Starts at a moment.
    pub fn at(start: Timestamp) -> Self {
        let shown = Shown { now: start, running: Duration::ZERO };
        Self { shown: Arc::new(watch::Sender::new(shown)) }
    }

    /// Lets time pass and wakes who waited for a moment that has now come.
    pub fn advance(&self, span: Duration) {
        self.shown.send_modify(|shown| {
            shown.now = shown.now.after(span);
            shown.running = shown.running.saturating_add(span);
        });
    }

    /// Puts the clock to any moment, also an earlier one, while no time passes.
    pub fn set(&self, moment: Timestamp) {
        self.shown.send_modify(|shown| shown.now = moment);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.shown.borrow().now
    }

    fn running(&self) -> Duration {
        self.shown.borrow().running
    }

    async fn sleep(&self, span: Duration) {
        let mut watcher = self.shown.subscribe();
        let Shown { now, running } = *self.shown.borrow();
        let (due, passed) = (now.after(span), running.saturating_add(span));
        // The sender lives in `self`, so waiting cannot fail before the moment comes.
        let _ = watcher.wait_for(|shown| shown.now >= due || shown.running >= passed).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_moved_past_its_moment() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let sleeper = clock.clone();
        let mut sleep = std::pin::pin!(sleeper.sleep_until(Timestamp::from_unix_seconds(60)));

        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(59));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        sleep.await;
    }

    #[tokio::test]
    async fn a_leap_counts_as_no_time_and_a_sleeper_whose_clock_was_set_back_still_wakes() {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_000));
        let sleeper = clock.clone();
        let mut sleep = std::pin::pin!(sleeper.sleep(Duration::from_mins(1)));
        assert!(futures_util::poll!(&mut sleep).is_pending());

        clock.set(Timestamp::EPOCH);
        assert_eq!(clock.running(), Duration::ZERO);
        clock.advance(Duration::from_mins(1));

        sleep.await;
        assert_eq!(clock.running(), Duration::from_mins(1));
    }

    #[test]
    fn the_time_in_which_a_process_was_stopped_does_not_count() {
        let began = tokio::time::Instant::now().into_std();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut last = None;
        assert_eq!(count(&mut last, at(100)), Duration::ZERO);
        assert_eq!(count(&mut last, at(160)), Duration::from_mins(1));
        assert_eq!(count(&mut last, at(100)), Duration::from_mins(1));
        let counted = count(&mut last, at(90 * 24 * 3_600));
        assert_eq!(counted, Duration::from_mins(1) + LONGEST_GAP);
    }
}
