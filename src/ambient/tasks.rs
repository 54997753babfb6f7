//! Background work that shutdown waits for.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns tasks, tells them to stop, and waits until they have.
///
/// Clones share one set of tasks.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts with no task.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task in the background until it ends by itself.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// The token that tells tasks to stop taking new work.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells every task to stop and waits for them, at most for `deadline`.
    ///
    /// Returns whether all of them ended in time.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_tasks_that_stop_and_gives_up_on_those_that_do_not() {
        let obedient = Tasks::new();
        let stop = obedient.stopping().clone();
        obedient.spawn(async move { stop.cancelled().await });
        let stubborn = Tasks::new();
        stubborn.spawn(std::future::pending::<()>());

        assert!(obedient.drain(Duration::from_secs(1)).await);
        assert!(!stubborn.drain(Duration::from_secs(1)).await);
    }
}
