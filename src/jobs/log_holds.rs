//! What running jobs need of the log by what is kept of them: retention may not pass it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::SubscriptionId;
use crate::eventlog::Position;
use crate::jobs::Job;

/// The place of every job that runs and needs the log from there. Clones share it.
///
/// A place moves once it is written, so that no crash takes a job up before it.
#[derive(Clone, Default)]
pub(super) struct LogHolds(Arc<Mutex<KnownHolds>>);

#[derive(Default)]
struct KnownHolds {
    /// Whether what the registry held at the start was learned.
    is_complete: bool,
    places: BTreeMap<String, (SubscriptionId, Position)>,
}

impl LogHolds {
    fn lock(&self) -> MutexGuard<'_, KnownHolds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was just written or learned.
    pub(super) fn note(&self, job: &impl Job) {
        let places = &mut self.lock().places;
        match job.hold() {
            Some((place, _)) => {
                places.insert(job.name().to_owned(), (job.subscription().clone(), place))
            }
            None => places.remove(job.name()),
        };
    }

    /// Everything that the registry held at the start is learned.
    pub(super) fn complete(&self) {
        self.lock().is_complete = true;
    }

    /// The place of the slowest; nothing if none runs. Before everything is learned, one may stand
    /// at the start of the log.
    pub(super) fn slowest(&self) -> Option<Position> {
        let places = self.lock();
        let slowest = places.places.values().map(|(_, place)| *place).min();
        if places.is_complete { slowest } else { Some(Position::START) }
    }

    /// The place of every one that runs, with its name and its subscription.
    pub(super) fn all(&self) -> Vec<(String, SubscriptionId, Position)> {
        let places = self.lock();
        let all = places.places.iter();
        all.map(|(name, (subscription, place))| (name.clone(), subscription.clone(), *place))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::{EventId, Timestamp};
    use crate::eventlog::{LogLimits, MemoryLog, Position, Registry, Revision};
    use crate::jobs::{JobState, JobStore, Replay, ReplayCounts, Selection};

    fn registry() -> Arc<dyn Registry> {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        MemoryLog::new(LogLimits::default(), clock, Arc::new(SeededEntropy::new(1)))
    }

    fn replay(id: &str, reached: u64) -> Replay {
        Replay {
            id: id.parse().unwrap(),
            subscription: "shop".parse().unwrap(),
            owner: None,
            selection: Selection { from: EventId::MIN, to: EventId::MIN, types: Vec::new() },
            wish: crate::subscriptions::WishText::new(&[], &[]),
            rate: 1,
            state: JobState::Running,
            reached: Position(reached),
            counts: ReplayCounts::default(),
            created: Timestamp::EPOCH,
            moved: Timestamp::EPOCH,
            stood: Duration::ZERO,
            revision: Revision(0),
        }
    }

    #[tokio::test]
    async fn the_slowest_running_replay_is_known_without_the_registry() {
        let replays = JobStore::<Replay>::new(registry());
        replays.learn().await.unwrap();
        assert_eq!(replays.holds().slowest(), None);

        let (mut ahead, mut behind) = (replay("a", 9), replay("b", 4));
        replays.keep(&mut ahead).await.unwrap();
        replays.keep(&mut behind).await.unwrap();
        assert_eq!(replays.holds().slowest(), Some(Position(4)));

        behind.reached = Position(12);
        replays.keep(&mut behind).await.unwrap();
        assert_eq!(replays.holds().slowest(), Some(Position(9)));

        ahead.state = JobState::Cancelled;
        replays.keep(&mut ahead).await.unwrap();
        behind.state = JobState::Completed;
        replays.keep(&mut behind).await.unwrap();
        assert_eq!(replays.holds().slowest(), None);
    }

    #[tokio::test]
    async fn a_place_that_could_not_be_written_does_not_count() {
        let replays = JobStore::<Replay>::new(registry());
        replays.learn().await.unwrap();
        let mut kept = replay("a", 4);
        replays.keep(&mut kept).await.unwrap();

        let mut stale = Replay { reached: Position(9), revision: Revision(77), ..kept };

        assert!(replays.keep(&mut stale).await.is_err());
        assert_eq!(replays.holds().slowest(), Some(Position(4)));
    }

    #[tokio::test]
    async fn what_ran_before_a_restart_is_known_once_it_is_learned_and_holds_everything_till_then()
    {
        let registry = registry();
        let before = JobStore::<Replay>::new(Arc::clone(&registry));
        before.keep(&mut replay("a", 9)).await.unwrap();
        before.keep(&mut Replay { state: JobState::Completed, ..replay("b", 4) }).await.unwrap();

        let after = JobStore::<Replay>::new(registry);
        assert_eq!(after.holds().slowest(), Some(Position::START));

        let kept = after.learn().await.unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(after.holds().slowest(), Some(Position(9)));
    }
}
