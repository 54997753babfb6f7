//! What everybody else notices while a load lasts: health, an honest publisher, memory, processor.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ground::{Ground, order};
use crate::usage::{cpu, forget, peak, resident};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What was noticed.
pub struct Watched {
    pub took: Duration,
    pub cpu: Duration,
    pub peak: u64,
    pub before: u64,
    pub after: u64,
    pub health: Duration,
    pub published: usize,
    pub refused: usize,
    pub p50: Duration,
    pub p99: Duration,
}

#[derive(Default)]
struct Seen {
    health: Vec<Duration>,
    published: Vec<Duration>,
    refused: usize,
}

impl Seen {
    fn note(&mut self, status: u16, took: Duration) {
        if status == 202 {
            self.published.push(took);
        } else {
            self.refused += 1;
        }
    }
}

/// Looks on until it is told to end.
pub struct Watch {
    process: u32,
    begun: Instant,
    cpu: Duration,
    before: u64,
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Watch {
    /// Begins.
    pub fn over(ground: &Ground) -> Self {
        let process = ground.gateway.id();
        forget(process);
        let watch = Self {
            process,
            begun: Instant::now(),
            cpu: cpu(process),
            before: resident(process),
            seen: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        watch.spawn_health(ground);
        watch.spawn_publisher(ground);
        watch
    }

    fn spawn_health(&self, ground: &Ground) {
        let (caller, seen, stop) = (ground.caller(), Arc::clone(&self.seen), self.stop.clone());
        self.tasks.spawn(async move {
            while !stop.is_cancelled() {
                let asked = Instant::now();
                let _ = caller.status("/health/live").await;
                seen.lock().unwrap().health.push(asked.elapsed());
                sleep(PAUSE).await;
            }
        });
    }

    fn spawn_publisher(&self, ground: &Ground) {
        let (caller, seen, stop) = (ground.caller(), Arc::clone(&self.seen), self.stop.clone());
        self.tasks.spawn(async move {
            for number in 1_000_000.. {
                if stop.is_cancelled() {
                    break;
                }
                let asked = Instant::now();
                let (status, _) = caller.publish(&[order(number)]).await;
                seen.lock().unwrap().note(status, asked.elapsed());
                sleep(PAUSE).await;
            }
        });
    }

    /// Ends, and says what was noticed.
    pub async fn end(self) -> Watched {
        let (took, used, peak) = (self.begun.elapsed(), cpu(self.process), peak(self.process));
        let after = resident(self.process);
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.published.sort_unstable();
        Watched {
            took,
            cpu: used.saturating_sub(self.cpu),
            peak,
            before: self.before,
            after,
            health: seen.health.iter().max().copied().unwrap_or_default(),
            published: seen.published.len(),
            refused: seen.refused,
            p50: percentile(&seen.published, 50),
            p99: percentile(&seen.published, 99),
        }
    }
}

/// The value below which so many percent lie.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
