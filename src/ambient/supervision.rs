//! Keeps background work going that panics.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::ambient::Clock;
use crate::event::Timestamp;

/// The pause before work begins anew that has panicked once, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Work that has gone well for so long begins with the shortest pause again.
const FORGIVEN: Duration = Duration::from_mins(10);

/// Work has panicked. The words of a panic may hold data: the panic has written them, and they are
/// not told on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Does some work to its end, or until it panics.
///
/// # Errors
///
/// Ours: it has panicked.
pub async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}

/// The growing pauses before work begins anew that panics.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestartBackoff {
    last: Option<(Timestamp, Duration)>,
}

impl RestartBackoff {
    /// Notes that work has panicked; says how long to wait before it begins anew.
    pub fn after_panic(&mut self, now: Timestamp) -> Duration {
        let (first, longest) = PAUSES;
        let recent = self.last.filter(|(then, _)| now.since(*then) < FORGIVEN);
        let pause = recent.map_or(first, |(_, pause)| (pause * 2).min(longest));
        self.last = Some((now, pause));
        pause
    }
}

/// Runs a loop to its end, and begins it anew whenever it panics.
pub async fn restarted<F: Future>(
    (name, clock): (&str, &dyn Clock),
    mut work: impl FnMut() -> F,
) -> F::Output {
    let mut backoff = RestartBackoff::default();
    loop {
        if let Ok(ended) = guarded(async { work().await }).await {
            return ended;
        }
        let pause = backoff.after_panic(clock.now());
        tracing::error!("Background work panicked ({name}); it begins anew in {pause:?}");
        clock.sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::ambient::{ManualClock, Tasks};

    #[tokio::test]
    async fn a_loop_that_panics_begins_anew_after_a_pause_and_ends_with_what_it_ends_with() {
        let (clock, begun) = (ManualClock::at(Timestamp::EPOCH), Arc::new(AtomicU32::new(0)));
        let (time, count) = (clock.clone(), Arc::clone(&begun));
        let running = Tasks::new().spawn(async move {
            let work = || async {
                assert!(count.fetch_add(1, Ordering::Relaxed) > 1, "as the test says");
                "done"
            };
            restarted(("a test", &time), work).await
        });

        let mut waited = Duration::ZERO;
        while !running.is_finished() {
            clock.advance(Duration::from_millis(500));
            waited += Duration::from_millis(500);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }

        assert_eq!(running.await.unwrap(), "done");
        assert_eq!(begun.load(Ordering::Relaxed), 3);
        assert!(waited >= Duration::from_secs(3), "{waited:?}");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_are_short_again_after_a_quiet_time() {
        let (mut backoff, mut now) = (RestartBackoff::default(), Timestamp::EPOCH);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(backoff.after_panic(now).as_secs());
            now = now.after(Duration::from_mins(1));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.after_panic(now.after(FORGIVEN)).as_secs(), 1);
    }
}
