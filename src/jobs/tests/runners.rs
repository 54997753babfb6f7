//! A runner goes on whatever the disk and the clock do, and ends with what it serves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock as _, SeededEntropy};
use crate::deliver::tests::stage::{Recorder, Stage, until};
use crate::deliver::{
    Allowance, AttemptLimiter, BreakerConfig, DeliverySignals, OperatorLimits, Sinks, Traffic,
    WorkerCommand, WorkerStanding,
};
use crate::event::ChainValue;
use crate::eventlog::{Log as _, Page, Position, Revision};
use crate::jobs::{JobError, Replay, ReplayCounts, ReplayRunner, ReplayState, Replays, Selection};
use crate::subscriptions::{Subscription, SubscriptionState};

const DAY: Duration = Duration::from_hours(24);
const PATIENCE: Duration = Duration::from_hours(14 * 24);

type Running = JoinHandle<Result<Replay, JobError>>;

/// What is around a runner.
struct Scene {
    stage: Stage,
    replays: Replays,
    recorder: Arc<Recorder>,
    subscription: watch::Sender<Arc<Subscription>>,
    standing: watch::Sender<WorkerStanding>,
    limiter: Arc<AttemptLimiter>,
    commands: Option<mpsc::Receiver<WorkerCommand>>,
}

impl Scene {
    /// A log of these events, and an active subscription.
    async fn of(words: &[&str]) -> Self {
        let stage = Stage::new().await;
        stage.append(words).await;
        let replays = Replays::new(Arc::clone(&stage.log) as _);
        let entropy = Arc::new(SeededEntropy::new(1));
        let sinks =
            Arc::new(Sinks::new(BreakerConfig::default(), entropy, DeliverySignals::channel().0));
        let allowance =
            Allowance { parallel: 4, rate: None, operator_limits: OperatorLimits::default() };
        let standing = WorkerStanding {
            scanned: Position(0),
            settled: Position(0),
            sequence: 0,
            chain: ChainValue::start(&stage.subscription.id),
            open: 0,
            retrying: 0,
            blocked: 0,
            oldest_retry: None,
        };
        Self {
            replays,
            recorder: Arc::default(),
            subscription: watch::Sender::new(Arc::clone(&stage.subscription)),
            standing: watch::Sender::new(standing),
            limiter: Arc::new(AttemptLimiter::new(&stage.subscription, &sinks, allowance, None)),
            commands: None,
            stage,
        }
    }

    /// Keeps a replay of everything, one event per second.
    async fn keep(&self, counts: ReplayCounts) -> Replay {
        let now = self.stage.clock.now();
        let entries = self.stage.log.read(Position::START, Page::default()).await.unwrap();
        let mut replay = Replay {
            id: "again".parse().unwrap(),
            subscription: self.stage.subscription.id.clone(),
            owner: Some(self.stage.subscription.created),
            selection: Selection {
                from: entries[0].event.id,
                to: entries[entries.len() - 1].event.id,
                types: Vec::new(),
            },
            wish: crate::subscriptions::WishText::new(&[], &[]),
            rate: 1,
            state: ReplayState::Running,
            reached: Position::START,
            counts,
            created: now,
            moved: now,
            stood: Duration::ZERO,
            revision: Revision(0),
        };
        self.replays.keep(&mut replay).await.unwrap();
        replay
    }

    async fn kept(&self) -> Replay {
        self.replays.get(&"again".parse().unwrap()).await.unwrap()
    }

    fn run(&mut self, replay: Replay) -> Running {
        let (courier, commands) = mpsc::channel(64);
        self.commands = Some(commands);
        let runner = ReplayRunner {
            log: Arc::clone(&self.stage.log) as _,
            replays: self.replays.clone(),
            decider: self.stage.decider(),
            attempter: self.stage.attempter(Arc::clone(&self.recorder) as _),
            ledger: Arc::clone(&self.stage.ledger),
            clock: Arc::new(self.stage.clock.clone()),
            tasks: self.stage.tasks.clone(),
            parallel: 1,
            patience: PATIENCE,
            subscription: self.subscription.subscribe(),
            courier,
            standing: self.standing.subscribe(),
            limiter: Arc::clone(&self.limiter),
            cancel: CancellationToken::new(),
        };
        self.stage.tasks.spawn(runner.run(replay))
    }

    fn become_state(&self, state: SubscriptionState) {
        let subscription = Subscription { state, ..(*self.stage.subscription).clone() };
        self.subscription.send_replace(Arc::new(subscription));
    }

    /// Moves the clock by steps until a runner has ended, and says how often.
    async fn run_out(&self, running: &Running, step: Duration) -> u32 {
        let mut steps = 0;
        until("the runner ends", || {
            if running.is_finished() {
                return true;
            }
            self.stage.clock.advance(step);
            steps += 1;
            false
        })
        .await;
        steps
    }
}

/// Lets the runner do all that it can do now: everything around it answers at once.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn counted(matched: u64) -> ReplayCounts {
    ReplayCounts { matched, ..ReplayCounts::default() }
}

#[tokio::test]
async fn a_replay_goes_on_once_a_full_disk_has_room() {
    let mut scene = Scene::of(&["a", "b", "c"]).await;
    let replay = scene.keep(counted(3)).await;
    let running = scene.run(replay);
    until("one event is sent", || scene.recorder.words().len() == 1).await;

    scene.stage.log.fill(true);
    scene.stage.clock.advance(Duration::from_secs(1));
    settle().await;
    assert!(!running.is_finished(), "it ended for want of room");
    assert_eq!(scene.kept().await.counts.delivered, 0);
    scene.stage.log.fill(false);

    scene.run_out(&running, Duration::from_secs(1)).await;
    assert_eq!(running.await.unwrap().unwrap().state, ReplayState::Completed);
    let kept = scene.kept().await;
    assert_eq!((kept.state, kept.counts.delivered), (ReplayState::Completed, 3));
    assert_eq!(scene.recorder.words(), ["a", "b", "c"]);
}

#[tokio::test]
async fn how_a_replay_ended_is_kept_once_there_is_room_and_its_courier_does_not_wait_for_that() {
    let mut scene = Scene::of(&["a"]).await;
    let replay = scene.keep(counted(1)).await;
    scene.stage.log.fill(true);
    let running = scene.run(replay);
    let mut commands = scene.commands.take().unwrap();
    assert!(commands.recv().await.is_none(), "nobody commands the courier any more");
    settle().await;
    assert!(!running.is_finished(), "how it ended is not kept");

    scene.stage.log.fill(false);
    scene.run_out(&running, Duration::from_secs(1)).await;

    running.await.unwrap().unwrap();
    assert_eq!(scene.kept().await.state, ReplayState::Completed);
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_room() {
    let mut scene = Scene::of(&["a"]).await;
    let replay = scene.keep(counted(1)).await;
    scene.stage.log.fill(true);
    let running = scene.run(replay);
    until("the event is sent", || scene.recorder.words().len() == 1).await;
    settle().await;

    scene.stage.tasks.stopping().cancel();

    running.await.unwrap().unwrap();
    assert_eq!(scene.kept().await.state, ReplayState::Running, "it goes on after the restart");
}

#[tokio::test]
async fn a_replay_that_ends_early_lets_go_of_a_courier_that_it_waits_for() {
    let mut scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    // All attempts at once are in flight, so that the replay waits for its turn.
    let taken: Vec<_> =
        std::iter::from_fn(|| scene.limiter.enter(Traffic::Replay, scene.stage.clock.now()).ok())
            .collect();
    let running = scene.run(replay);
    settle().await;
    assert!(!running.is_finished() && scene.recorder.words().is_empty());

    let removed = watch::Sender::new(Arc::clone(&scene.stage.subscription));
    drop(std::mem::replace(&mut scene.subscription, removed));

    until("the runner ends", || running.is_finished()).await;
    assert_eq!(running.await.unwrap().unwrap().state, ReplayState::Cancelled);
    drop(taken);
}

#[tokio::test]
async fn downtime_is_not_standing_still() {
    let mut scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    scene.stage.clock.advance(20 * DAY);

    let running = scene.run(replay);
    scene.run_out(&running, Duration::from_secs(1)).await;

    assert_eq!(running.await.unwrap().unwrap().state, ReplayState::Completed);
}

#[tokio::test]
async fn a_clock_that_leaps_costs_no_replay_its_patience() {
    let mut scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    scene.become_state(SubscriptionState::Paused);
    let running = scene.run(replay);
    settle().await;

    scene.stage.clock.advance(20 * DAY);
    settle().await;
    scene.become_state(SubscriptionState::Active);

    scene.run_out(&running, Duration::from_secs(1)).await;
    assert_eq!(running.await.unwrap().unwrap().state, ReplayState::Completed);
}

#[tokio::test]
async fn a_replay_that_stands_still_is_cancelled_and_a_restart_does_not_begin_its_patience_anew() {
    let mut scene = Scene::of(&["a"]).await;
    let mut replay = scene.keep(counted(1)).await;
    replay.stood = 13 * DAY;
    scene.replays.keep(&mut replay).await.unwrap();
    scene.become_state(SubscriptionState::Paused);
    let replay = scene.kept().await;

    let running = scene.run(replay);
    let hours = scene.run_out(&running, Duration::from_hours(1)).await;

    assert_eq!(running.await.unwrap().unwrap().state, ReplayState::Cancelled);
    assert!((24..13 * 24).contains(&hours), "after {hours} hours");
    assert!(scene.kept().await.stood >= PATIENCE);
}

#[tokio::test]
async fn what_was_not_counted_before_a_kill_is_counted_after_it() {
    let mut scene = Scene::of(&["a", "b", "c"]).await;
    let replay = scene.keep(ReplayCounts::default()).await;

    let running = scene.run(replay);
    scene.run_out(&running, Duration::from_secs(1)).await;

    running.await.unwrap().unwrap();
    let counts = ReplayCounts { delivered: 3, ..counted(3) };
    assert_eq!(scene.kept().await.counts, counts);
}
