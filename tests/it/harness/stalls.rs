//! How long a busy machine lets a task wait that could go on: what no program is to blame for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use sealway::ambient::Tasks;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(3);

/// Watches the machine until it is dropped.
pub struct Stalls {
    longest: Arc<AtomicU64>,
    tasks: Tasks,
}

impl Stalls {
    /// Begins to watch.
    pub fn watched() -> Self {
        let (longest, tasks) = (Arc::new(AtomicU64::new(0)), Tasks::new());
        let (noted, stop) = (Arc::clone(&longest), tasks.stopping().clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                let due = Instant::now() + LOOK;
                tokio::time::sleep_until(due).await;
                let late = u64::try_from(due.elapsed().as_micros()).unwrap();
                noted.fetch_max(late, Ordering::Relaxed);
            }
        });
        Self { longest, tasks }
    }

    /// The longest that a task has waited since this was asked last.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}
