//! How far each running replay has come by what is kept of it, which retention may not pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{ReplayId, SubscriptionId};
use crate::eventlog::Position;
use crate::jobs::{Replay, ReplayState};

/// The place of every replay that is kept as running. Clones share it.
///
/// A place moves once it is written, so that no crash takes a replay up before it.
#[derive(Clone, Default)]
pub(super) struct ReplayPositions(Arc<Mutex<KnownPositions>>);

#[derive(Default)]
struct KnownPositions {
    /// Whether what the registry held at the start was learned.
    is_complete: bool,
    places: BTreeMap<ReplayId, (SubscriptionId, Position)>,
}

impl ReplayPositions {
    fn lock(&self) -> MutexGuard<'_, KnownPositions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns what the registry holds, before anything is written to it.
    pub(super) fn learn(&self, kept: &[Replay]) {
        for replay in kept {
            self.note(replay);
        }
        self.lock().is_complete = true;
    }

    /// Notes what was just written.
    pub(super) fn note(&self, replay: &Replay) {
        let places = &mut self.lock().places;
        match replay.state {
            ReplayState::Running => {
                let place = (replay.subscription.clone(), replay.reached);
                places.insert(replay.id.clone(), place)
            }
            ReplayState::Completed | ReplayState::Cancelled => places.remove(&replay.id),
        };
    }

    /// The place of the slowest; nothing if none runs. Before everything is learned, one may stand
    /// at the start of the log.
    pub(super) fn slowest(&self) -> Option<Position> {
        let places = self.lock();
        let slowest = places.places.values().map(|(_, reached)| *reached).min();
        if places.is_complete { slowest } else { Some(Position::START) }
    }

    /// The place of every one that runs, with its subscription.
    pub(super) fn all(&self) -> Vec<(ReplayId, SubscriptionId, Position)> {
        let places = self.lock();
        let all = places.places.iter();
        all.map(|(id, (subscription, reached))| (id.clone(), subscription.clone(), *reached))
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
    use crate::jobs::{Replay, ReplayCounts, ReplayState, Replays, Selection};

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
            state: ReplayState::Running,
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
        let replays = Replays::new(registry());
        replays.learn().await.unwrap();
        assert_eq!(replays.slowest(), None);

        let (mut ahead, mut behind) = (replay("a", 9), replay("b", 4));
        replays.keep(&mut ahead).await.unwrap();
        replays.keep(&mut behind).await.unwrap();
        assert_eq!(replays.slowest(), Some(Position(4)));

        behind.reached = Position(12);
        replays.keep(&mut behind).await.unwrap();
        assert_eq!(replays.slowest(), Some(Position(9)));

        ahead.state = ReplayState::Cancelled;
        replays.keep(&mut ahead).await.unwrap();
        behind.state = ReplayState::Completed;
        replays.keep(&mut behind).await.unwrap();
        assert_eq!(replays.slowest(), None);
    }

    #[tokio::test]
    async fn a_place_that_could_not_be_written_does_not_count() {
        let replays = Replays::new(registry());
        replays.learn().await.unwrap();
        let mut kept = replay("a", 4);
        replays.keep(&mut kept).await.unwrap();

        let mut stale = Replay { reached: Position(9), revision: Revision(77), ..kept };

        assert!(replays.keep(&mut stale).await.is_err());
        assert_eq!(replays.slowest(), Some(Position(4)));
    }

    #[tokio::test]
    async fn what_ran_before_a_restart_is_known_once_it_is_learned_and_holds_everything_till_then()
    {
        let registry = registry();
        let before = Replays::new(Arc::clone(&registry));
        before.keep(&mut replay("a", 9)).await.unwrap();
        before.keep(&mut Replay { state: ReplayState::Completed, ..replay("b", 4) }).await.unwrap();

        let after = Replays::new(registry);
        assert_eq!(after.slowest(), Some(Position::START));

        let kept = after.learn().await.unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(after.slowest(), Some(Position(9)));
    }
}
