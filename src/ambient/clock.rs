//! What time it is, and waiting for a time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::event::Timestamp;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present moment. It may step back, as wall clocks do.
    fn now(&self) -> Timestamp;

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

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::EPOCH.after(since_epoch)
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// Starts at a moment.
    pub fn at(start: Timestamp) -> Self {
        Self { now: Arc::new(watch::Sender::new(start)) }
    }

    /// Moves the clock on and wakes who waited for a moment that has now come.
    pub fn advance(&self, span: Duration) {
        self.now.send_modify(|now| *now = now.after(span));
    }

    /// Puts the clock to any moment, also an earlier one.
    pub fn set(&self, moment: Timestamp) {
        self.now.send_replace(moment);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep(&self, span: Duration) {
        let mut watcher = self.now.subscribe();
        let due = self.now().after(span);
        // The sender lives in `self`, so waiting cannot fail before the moment comes.
        let _ = watcher.wait_for(|now| *now >= due).await;
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
}
