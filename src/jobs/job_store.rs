//! Keeps the documents of one kind of job in the registry, and drops those that have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::SubscriptionId;
use crate::eventlog::{Aged, LogError, Record, RecordKey, Registry};
use crate::jobs::log_holds::LogHolds;
use crate::jobs::{Job, JobError, JobState};

/// Which jobs that have ended are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobRetention {
    /// Those that have not changed for so long go.
    pub(super) aged: Aged,
    /// Of each subscription, so many of the newest stay at the most.
    pub(super) newest: usize,
}

/// The jobs of one kind. Clones share what they know.
pub struct JobStore<J> {
    registry: Arc<dyn Registry>,
    /// The damaged ones that were complained of.
    damaged: Arc<Mutex<BTreeSet<String>>>,
    holds: LogHolds,
    jobs: PhantomData<fn() -> J>,
}

impl<J> Clone for JobStore<J> {
    fn clone(&self) -> Self {
        let (registry, damaged) = (Arc::clone(&self.registry), Arc::clone(&self.damaged));
        Self { registry, damaged, holds: self.holds.clone(), jobs: PhantomData }
    }
}

impl<J: Job> JobStore<J> {
    /// Keeps jobs in this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, damaged: Arc::default(), holds: LogHolds::default(), jobs: PhantomData }
    }

    fn key(id: &str) -> RecordKey {
        RecordKey { kind: J::KIND, id: id.to_owned() }
    }

    fn read(record: &Record) -> Result<J, JobError> {
        let kept = serde_json::from_str(&record.body).ok();
        let job = kept.and_then(|kept| J::restore(&record.id, kept, record.revision));
        job.ok_or_else(|| JobError::Damaged { kind: J::KIND, id: record.id.clone() })
    }

    /// Reads all that can be read, by name, which is by age. A damaged one costs itself only, and one
    /// line in the log of the process.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self) -> Result<Vec<J>, JobError> {
        let records = self.registry.list(J::KIND).await?;
        Ok(records.iter().filter_map(|record| self.look(record)).collect())
    }

    /// Reads all that can be read, and learns what those that run need of the log: once, before any
    /// is written.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn learn(&self) -> Result<Vec<J>, JobError> {
        let kept = self.list().await?;
        for job in &kept {
            self.holds.note(job);
        }
        self.holds.complete();
        Ok(kept)
    }

    /// What those that run need of the log, by what is kept of them and without asking the registry.
    pub(super) const fn holds(&self) -> &LogHolds {
        &self.holds
    }

    fn look(&self, record: &Record) -> Option<J> {
        let read = Self::read(record);
        if let Err(error) = &read {
            let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            if damaged.insert(record.id.clone()) {
                tracing::error!("The {error}; it is left out");
            }
        }
        read.ok()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &str) -> Result<J, JobError> {
        let record = self.registry.get(&Self::key(id)).await?;
        let unknown = || JobError::Unknown { kind: J::KIND, id: id.to_owned() };
        Self::read(&record.ok_or_else(unknown)?)
    }

    /// Keeps one; a revision of 0 means that it is new.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn keep(&self, job: &mut J) -> Result<(), JobError> {
        let damaged = || JobError::Damaged { kind: J::KIND, id: job.name().to_owned() };
        let body = serde_json::to_string(&job.to_kept()).map_err(|_| damaged())?;
        let key = Self::key(job.name());
        let expected = Some(*job.revision()).filter(|revision| revision.0 > 0);
        *job.revision() = self.registry.put(&key, expected, body).await?;
        self.holds.note(job);
        Ok(())
    }

    /// Drops jobs that have ended and are too old or too many, and damaged ones that are too old; says
    /// how many went.
    pub(super) async fn tidy(&self, keeping: JobRetention) -> Result<usize, JobError> {
        let mut newer: BTreeMap<SubscriptionId, usize> = BTreeMap::new();
        let mut dropped = 0;
        for record in self.registry.list(J::KIND).await?.iter().rev() {
            let is_old = keeping.aged.has(record);
            let goes = match self.look(record) {
                Some(job) if job.state() == JobState::Running => false,
                Some(job) => {
                    let newer = newer.entry(job.subscription().clone()).or_default();
                    *newer += 1;
                    is_old || *newer > keeping.newest
                }
                None => is_old,
            };
            if !goes {
                continue;
            }
            match self.registry.remove(&Self::key(&record.id), record.revision).await {
                // Someone was here first.
                Ok(()) | Err(LogError::Stale { .. }) => dropped += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::{EventId, Timestamp};
    use crate::eventlog::{Log as _, LogLimits, MemoryLog, Position, Revision};
    use crate::jobs::{Replay, ReplayCounts, Selection};

    fn registry() -> (Arc<MemoryLog>, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_795_282_931));
        let entropy = Arc::new(SeededEntropy::new(1));
        (MemoryLog::new(LogLimits::default(), Arc::new(clock.clone()), entropy), clock)
    }

    async fn keep(replays: &JobStore<Replay>, id: &str, subscription: &str, state: JobState) {
        let mut replay = Replay {
            id: id.parse().unwrap(),
            subscription: subscription.parse().unwrap(),
            owner: None,
            selection: Selection { from: EventId::MIN, to: EventId::MIN, types: Vec::new() },
            wish: crate::subscriptions::WishText::new(&[], &[]),
            rate: 1,
            state,
            reached: Position(1),
            counts: ReplayCounts::default(),
            created: Timestamp::EPOCH,
            moved: Timestamp::EPOCH,
            stood: Duration::ZERO,
            revision: Revision(0),
        };
        replays.keep(&mut replay).await.unwrap();
    }

    async fn names(replays: &JobStore<Replay>) -> Vec<String> {
        let kept = replays.list().await.unwrap();
        kept.iter().map(|replay| replay.id.to_string()).collect()
    }

    #[tokio::test]
    async fn a_damaged_job_costs_itself_only() {
        let (registry, _) = registry();
        let replays = JobStore::<Replay>::new(Arc::clone(&registry) as _);
        keep(&replays, "a", "shop", JobState::Running).await;
        for (id, body) in [("b", "{"), ("c", "{}")] {
            let key = RecordKey { kind: Replay::KIND, id: id.to_owned() };
            registry.put(&key, None, body.to_owned()).await.unwrap();
        }
        keep(&replays, "d", "shop", JobState::Completed).await;

        assert_eq!(names(&replays).await, ["a", "d"]);
        let one = replays.get("b").await;
        assert!(matches!(one, Err(JobError::Damaged { .. })), "{one:?}");
    }

    #[tokio::test]
    async fn what_has_ended_goes_when_it_is_old_or_one_of_many_and_what_runs_stays() {
        let (registry, clock) = registry();
        let replays = JobStore::<Replay>::new(Arc::clone(&registry) as _);
        keep(&replays, "a", "shop", JobState::Running).await;
        keep(&replays, "b", "shop", JobState::Completed).await;
        let key = RecordKey { kind: Replay::KIND, id: "c".to_owned() };
        registry.put(&key, None, "damaged".to_owned()).await.unwrap();
        clock.advance(Duration::from_hours(1));
        let aged = registry.aged(Duration::from_mins(30)).await.unwrap();
        for id in ["d", "e", "f"] {
            keep(&replays, id, "shop", JobState::Cancelled).await;
        }
        keep(&replays, "g", "other", JobState::Completed).await;

        assert_eq!(replays.tidy(JobRetention { aged, newest: 2 }).await.unwrap(), 3);

        assert_eq!(names(&replays).await, ["a", "e", "f", "g"]);
        assert_eq!(registry.list(Replay::KIND).await.unwrap().len(), 4);
    }
}
