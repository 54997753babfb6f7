//! Jobs that run in this process: how each is told to end, and what ends it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ambient::Tasks;
use crate::subscriptions::Subscription;

/// The jobs of one kind that run, by name.
pub(super) struct RunningJobs<Id>(Arc<Mutex<BTreeMap<Id, CancellationToken>>>);

impl<Id> Default for RunningJobs<Id> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<Id> Clone for RunningJobs<Id> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// One job that runs, until this is dropped.
pub(super) struct JobRun<Id: Ord> {
    id: Id,
    running: RunningJobs<Id>,
    /// Tells it to end.
    pub(super) cancel: CancellationToken,
}

impl<Id: Ord> Drop for JobRun<Id> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
    }
}

impl<Id: Ord> RunningJobs<Id> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a job runs, or is just beginning.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.lock().contains_key(id)
    }
}

impl<Id: Clone + Ord> RunningJobs<Id> {
    /// Notes that a job begins.
    pub(super) fn begin(&self, id: &Id) -> JobRun<Id> {
        let cancel = CancellationToken::new();
        self.lock().insert(id.clone(), cancel.clone());
        JobRun { id: id.clone(), running: self.clone(), cancel }
    }

    /// Tells a job to end; says whether it runs.
    pub(super) fn cancel(&self, id: &Id) -> bool {
        let found = self.lock().get(id).cloned();
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

/// The time that one item takes at a rate per second; 0 is no bound.
pub(super) fn pace(rate: u32) -> Duration {
    if rate == 0 { Duration::ZERO } else { Duration::from_secs(1) / rate }
}
