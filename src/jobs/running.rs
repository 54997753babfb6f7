//! Jobs that run in this process: how each is told to end, what ends it, and its pace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ambient::Tasks;
use crate::jobs::{Job, JobState};
use crate::subscriptions::Subscription;

/// The jobs that run, by kind and name. Clones share them.
#[derive(Clone, Default)]
pub(super) struct RunningJobs(Arc<Mutex<BTreeMap<JobKey, CancellationToken>>>);

type JobKey = (&'static str, String);

/// One job that runs, until this is dropped.
pub(super) struct JobRun {
    key: JobKey,
    running: RunningJobs,
    /// Tells it to end.
    pub(super) cancel: CancellationToken,
}

impl Drop for JobRun {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

fn key<J: Job>(job: &J) -> JobKey {
    (J::KIND, job.name().to_owned())
}

impl RunningJobs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobKey, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a job runs, or is just beginning.
    pub(super) fn has(&self, job: &impl Job) -> bool {
        self.lock().contains_key(&key(job))
    }

    /// Notes that a job begins.
    pub(super) fn begin(&self, job: &impl Job) -> JobRun {
        let (key, cancel) = (key(job), CancellationToken::new());
        self.lock().insert(key.clone(), cancel.clone());
        JobRun { key, running: self.clone(), cancel }
    }

    /// Tells a job to end; says whether it runs.
    pub(super) fn cancel(&self, job: &impl Job) -> bool {
        let found = self.lock().get(&key(job)).cloned();
        found.inspect(CancellationToken::cancel).is_some()
    }
}

/// How a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobEnd {
    /// Everything was done.
    Completed,
    /// Someone stopped it, or its subscription is gone.
    Cancelled,
    /// The gateway stops; it goes on after the restart.
    Stopped,
}

impl JobEnd {
    /// The state of a job that was in this one.
    pub(super) const fn of(self, before: JobState) -> JobState {
        match self {
            Self::Completed => JobState::Completed,
            Self::Cancelled => JobState::Cancelled,
            Self::Stopped => before,
        }
    }
}

/// Whether a job ends before its work does.
pub(super) fn interrupted(
    cancel: &CancellationToken,
    tasks: &Tasks,
    subscription: &watch::Receiver<Arc<Subscription>>,
) -> Option<JobEnd> {
    if cancel.is_cancelled() {
        return Some(JobEnd::Cancelled);
    }
    if tasks.stopping().is_cancelled() {
        return Some(JobEnd::Stopped);
    }
    // A subscription that is closed, removed or served in another way ends its replays.
    subscription.has_changed().is_err().then_some(JobEnd::Cancelled)
}

/// How often a job writes down how far it has come.
pub(super) const KEEP_EVERY: Duration = Duration::from_millis(500);

/// The time that one item takes at a rate per second; 0 is no bound.
pub(super) fn pace(rate: u32) -> Duration {
    if rate == 0 { Duration::ZERO } else { Duration::from_secs(1) / rate }
}
