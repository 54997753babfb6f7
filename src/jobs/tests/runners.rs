//! A runner goes on whatever the disk and the clock do, and ends with what it serves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ambient::Clock as _;
use crate::deliver::tests::couriers::{FAILS, Working, start};
use crate::deliver::tests::stage::{Recorder, Stage, settle, until};
use crate::deliver::{EntryDecision, Permit, ReplayOutcome, Traffic, WorkerCommand};
use crate::event::Data;
use crate::eventlog::{
    Changes, Cursor, DeliveryState as _, Entry, Log as _, Page, Position, Revision,
};
use crate::jobs::replay_run::ReplayRun;
use crate::jobs::{JobError, JobState, JobStore, Replay, ReplayCounts, ReplayRunner, Selection};
use crate::route::Filter;
use crate::subscriptions::{Subscription, SubscriptionState};

const DAY: Duration = Duration::from_hours(24);
const PATIENCE: Duration = Duration::from_hours(14 * 24);

type Running = JoinHandle<Result<Replay, JobError>>;

/// What is around a runner: the courier among it.
struct Scene {
    stage: Stage,
    replays: JobStore<Replay>,
    recorder: Arc<Recorder>,
    subscription: watch::Sender<Arc<Subscription>>,
    working: Working,
}

impl Scene {
    /// A log of these events, all of which an active subscription has.
    async fn of(words: &[&str]) -> Self {
        Self::on(Stage::new().await, words).await
    }

    async fn on(stage: Stage, words: &[&str]) -> Self {
        stage.append(words).await;
        let id = stage.subscription.id.clone();
        let cursors = vec![(id.clone(), Cursor::starting(&id, stage.log.head()))];
        stage.log.commit(Changes { cursors, ..Changes::default() }).await.unwrap();
        let recorder = Arc::default();
        Self {
            replays: JobStore::new(Arc::clone(&stage.log) as _),
            working: start(&stage, &recorder).await,
            recorder,
            subscription: watch::Sender::new(Arc::clone(&stage.subscription)),
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
            state: JobState::Running,
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
        kept(&self.replays).await
    }

    fn run(&self, replay: Replay) -> Running {
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
            courier: self.working.commands.clone(),
            cancel: CancellationToken::new(),
        };
        self.stage.tasks.spawn(runner.run(replay))
    }

    /// Takes every permit, so that a replay waits for its own.
    fn take_permits(&self) -> Vec<Permit> {
        let (limiter, now) = (&self.working.limiter, self.stage.clock.now());
        std::iter::from_fn(|| limiter.enter(Traffic::Replay, now).ok()).collect()
    }

    async fn become_state(&self, state: SubscriptionState) {
        let subscription = Subscription { state, ..(*self.stage.subscription).clone() };
        self.subscription.send_replace(Arc::new(subscription));
        let changed = WorkerCommand::Changed(Arc::clone(&self.subscription.borrow()));
        self.working.commands.send(changed).await.unwrap();
    }

    async fn run_out(&self, running: &Running, step: Duration) -> u32 {
        run_out(&self.stage, running, step).await
    }
}

async fn kept(replays: &JobStore<Replay>) -> Replay {
    replays.get("again").await.unwrap()
}

/// Moves the clock by steps until a runner has ended, and says how often.
async fn run_out(stage: &Stage, running: &Running, step: Duration) -> u32 {
    let mut steps = 0;
    until("the runner ends", || {
        if running.is_finished() {
            return true;
        }
        stage.clock.advance(step);
        steps += 1;
        false
    })
    .await;
    steps
}

fn counted(matched: u64) -> ReplayCounts {
    ReplayCounts { matched, ..ReplayCounts::default() }
}

#[tokio::test]
async fn a_replay_goes_on_once_a_full_disk_has_room() {
    let scene = Scene::of(&["a", "b", "c"]).await;
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
    assert_eq!(running.await.unwrap().unwrap().state, JobState::Completed);
    let kept = scene.kept().await;
    assert_eq!((kept.state, kept.counts.delivered), (JobState::Completed, 3));
    assert_eq!(scene.recorder.words(), ["a", "b", "c"]);
}

#[tokio::test]
async fn how_a_replay_ended_is_kept_once_there_is_room_and_its_courier_does_not_wait_for_that() {
    let scene = Scene::of(&["a"]).await;
    let replay = scene.keep(counted(1)).await;
    scene.stage.log.fill(true);
    let running = scene.run(replay);
    until("the event is sent", || scene.recorder.words().len() == 1).await;
    let Scene { stage, replays, working, .. } = scene;
    let Working { commands, end, .. } = working;
    drop(commands);
    until("the courier ends", || end.is_finished()).await;
    settle().await;
    assert!(!running.is_finished(), "how it ended is not kept");

    stage.log.fill(false);
    run_out(&stage, &running, Duration::from_secs(1)).await;

    running.await.unwrap().unwrap();
    assert_eq!(kept(&replays).await.state, JobState::Completed);
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_room() {
    let scene = Scene::of(&["a"]).await;
    let replay = scene.keep(counted(1)).await;
    scene.stage.log.fill(true);
    let running = scene.run(replay);
    until("the event is sent", || scene.recorder.words().len() == 1).await;
    settle().await;

    scene.stage.tasks.stopping().cancel();

    running.await.unwrap().unwrap();
    assert_eq!(scene.kept().await.state, JobState::Running, "it goes on after the restart");
}

#[tokio::test]
async fn a_replay_that_ends_early_lets_go_of_a_courier_that_it_waits_for() {
    let scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    // All attempts at once are in flight, so that the replay waits for its turn.
    let taken = scene.take_permits();
    let running = scene.run(replay);
    settle().await;
    assert!(!running.is_finished() && scene.recorder.words().is_empty());

    let Scene { subscription, working, .. } = scene;
    drop((subscription, working.commands));

    until("the runner ends", || running.is_finished()).await;
    assert_eq!(running.await.unwrap().unwrap().state, JobState::Cancelled);
    until("the courier ends", || working.end.is_finished()).await;
    drop(taken);
}

#[tokio::test]
async fn downtime_is_not_standing_still() {
    let scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    scene.stage.clock.advance(20 * DAY);

    let running = scene.run(replay);
    scene.run_out(&running, Duration::from_secs(1)).await;

    assert_eq!(running.await.unwrap().unwrap().state, JobState::Completed);
}

#[tokio::test]
async fn a_clock_that_leaps_costs_no_replay_its_patience() {
    let scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    scene.become_state(SubscriptionState::Paused).await;
    let running = scene.run(replay);
    settle().await;

    scene.stage.clock.advance(20 * DAY);
    settle().await;
    scene.become_state(SubscriptionState::Active).await;

    scene.run_out(&running, Duration::from_secs(1)).await;
    assert_eq!(running.await.unwrap().unwrap().state, JobState::Completed);
}

#[tokio::test]
async fn a_replay_that_stands_still_is_cancelled_and_a_restart_does_not_begin_its_patience_anew() {
    let scene = Scene::of(&["a"]).await;
    let mut replay = scene.keep(counted(1)).await;
    replay.stood = 13 * DAY;
    scene.replays.keep(&mut replay).await.unwrap();
    scene.become_state(SubscriptionState::Paused).await;
    let replay = scene.kept().await;

    let running = scene.run(replay);
    let hours = scene.run_out(&running, Duration::from_hours(1)).await;

    assert_eq!(running.await.unwrap().unwrap().state, JobState::Cancelled);
    assert!((24..13 * 24).contains(&hours), "after {hours} hours");
    assert!(scene.kept().await.stood >= PATIENCE);
}

#[tokio::test]
async fn what_was_not_counted_before_a_kill_is_counted_after_it() {
    let scene = Scene::of(&["a", "b", "c"]).await;
    let replay = scene.keep(ReplayCounts::default()).await;

    let running = scene.run(replay);
    scene.run_out(&running, Duration::from_secs(1)).await;

    running.await.unwrap().unwrap();
    let counts = ReplayCounts { delivered: 3, ..counted(3) };
    assert_eq!(scene.kept().await.counts, counts);
}

#[tokio::test]
async fn a_subject_that_fails_holds_up_its_own_events_of_a_replay_alone() {
    let mut stage = Stage::new().await;
    stage.in_order(&serde_json::json!({ "ordering": "subject" }));
    let scene = Scene::on(stage, &["a.1", "a.2", "a.3", "b.1"]).await;
    scene.recorder.acts.lock().unwrap().push_back(FAILS);
    let replay = Replay { rate: 0, ..scene.keep(counted(4)).await };

    // One is under way at a time, and those that wait for their subject do not count.
    let running = scene.run(replay);
    until("the other goes on", || scene.recorder.words() == ["a.1", "b.1"]).await;
    scene.run_out(&running, Duration::from_millis(500)).await;

    assert_eq!(running.await.unwrap().unwrap().state, JobState::Completed);
    assert_eq!(scene.recorder.words(), ["a.1", "b.1", "a.1", "a.2", "a.3"]);
    let counts = ReplayCounts { delivered: 3, retrying: 1, ..counted(4) };
    assert_eq!(scene.kept().await.counts, counts);
}

#[tokio::test]
async fn a_replay_that_fails_lets_go_of_what_it_has_handed_over() {
    let scene = Scene::of(&["a", "b"]).await;
    let replay = scene.keep(counted(2)).await;
    let taken = scene.take_permits();
    let running = scene.run(replay);
    settle().await;
    // What it keeps next is refused.
    let mut other = Replay { rate: 7, ..scene.kept().await };
    scene.replays.keep(&mut other).await.unwrap();

    scene.run_out(&running, Duration::from_hours(1)).await;

    assert!(running.await.unwrap().is_err());
    drop(taken);
    scene.working.commands.send(WorkerCommand::Nudge).await.unwrap();
    settle().await;
    assert_eq!(scene.recorder.words(), [""; 0]);
}

#[tokio::test]
async fn what_is_attempted_after_it_has_waited_counts_as_under_way() {
    let scene = Scene::of(&["a"]).await;
    let mut replay = scene.keep(counted(1)).await;
    let entries = scene.stage.log.read(Position::START, Page::default()).await.unwrap();
    let mut run = ReplayRun::new(&replay, scene.stage.clock.now());
    let _handed = run.begin(&replay, Arc::clone(&entries[0]));
    let rooms =
        [ReplayOutcome::Behind, ReplayOutcome::Begun, ReplayOutcome::Delivered].map(|told| {
            assert!(run.account(&mut replay, (1, told)).is_none());
            run.has_room(1)
        });

    assert_eq!(rooms, [true, false, true]);
    assert!(run.is_settled());
}

#[tokio::test]
async fn a_selection_by_type_reads_no_data() {
    let scene = Scene::of(&["a"]).await;
    let replay = scene.keep(counted(1)).await;
    let selection = Selection { types: vec!["Test.*".to_owned()], ..replay.selection };
    let everything = Arc::new(Filter::new(&[], &[]).unwrap());
    let decider = scene.stage.decider();
    let consumer = &scene.stage.subscription.consumer;
    let wanted = selection.test((consumer, everything), &decider).unwrap();
    let entries = scene.stage.log.read(Position::START, Page::default()).await.unwrap();
    let mut entry = Entry::clone(&entries[0]);
    // Whoever takes the tree first gets the one that was made, and others read the text.
    let made = serde_json::json!({ "a": 1 });
    entry.event.data = Data::from_parts(r#"{"a":2}"#, made.clone());

    let decided = wanted.decide(&entry).await.unwrap();

    assert_eq!((decided, entry.event.data.to_tree()), (EntryDecision::Wanted, made));
}
