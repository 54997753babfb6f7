//! Couriers number each match once, keep to their limits, and lose no outcome.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::ambient::{Clock, SeededEntropy};
use crate::deliver::limits::{
    Allowance, AttemptLimiter, BacklogLimit, BreakerConfig, BreakerPhase, OperatorLimits, Sinks,
};
use crate::deliver::outcome::DeliverySignals;
use crate::deliver::sink::{AnswerKind, Health};
use crate::deliver::tests::stage::{Act, Recorder, Stage, until};
use crate::deliver::worker::{
    DeliveryContext, DeliveryEnd, Followed, Inbox, ServedSubscription, WorkerCommand,
    WorkerStanding,
};
use crate::event::{ChainValue, CloudEvent, EventId};
use crate::eventlog::{
    Attempts as _, Changes, Cursor, DeadLetter, DeadLetterId, DeadLetters as _, DeliveryKey,
    DeliveryState as _, Log as _, Page, Position, RemoteStore, Retry, Store,
};
use crate::seal::PlaceClaims;
use crate::subscriptions::Subscription;

/// A sink that is not itself.
pub(crate) const FAILS: Act = Act::Say(AnswerKind::Later(Health::Failed));

/// A courier at work.
pub(crate) struct Working {
    pub(crate) limiter: Arc<AttemptLimiter>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) followed: Arc<Followed>,
    pub(crate) commands: mpsc::Sender<WorkerCommand>,
    pub(crate) standing: watch::Receiver<WorkerStanding>,
    pub(crate) end: JoinHandle<()>,
    _changes: watch::Sender<Arc<Subscription>>,
}

pub(crate) async fn start(stage: &Stage, recorder: &Arc<Recorder>) -> Working {
    start_on(Store::of(&stage.log), stage, recorder).await
}

async fn start_on(store: Store, stage: &Stage, recorder: &Arc<Recorder>) -> Working {
    start_at(Arc::new(stage.clock.clone()), store, stage, recorder).await
}

/// Starts a courier that is told the time by this clock.
pub(super) async fn start_at(
    clock: Arc<dyn Clock>,
    store: Store,
    stage: &Stage,
    recorder: &Arc<Recorder>,
) -> Working {
    let state = store.state.load().await.unwrap();
    let id = &stage.subscription.id;
    let cursor = state.cursors.iter().find(|(owner, _)| owner == id);
    let cursor =
        cursor.map_or_else(|| Cursor::starting(id, Position::START), |(_, cursor)| cursor.clone());
    let context = Arc::new(context(clock, store, stage, recorder));
    let followed = Arc::new(Followed::default());
    let inbox = Arc::new(Inbox::new(Arc::clone(&followed)));
    let (commands, receiver) = mpsc::channel(8);
    let subscription = Arc::clone(&stage.subscription);
    let kept = (cursor, state.retries);
    let limiter =
        Arc::new(AttemptLimiter::new(&subscription, &context.sinks, context.allowance, None));
    let changes = watch::Sender::new(subscription);
    let served = (changes.subscribe(), DeliveryEnd::Push(Arc::clone(&limiter)));
    let (serving, standing) =
        ServedSubscription::new(context, served, Arc::clone(&inbox), receiver, &kept);
    let end = stage.tasks.spawn(serving.run(kept));
    Working { limiter, inbox, followed, commands, standing, end, _changes: changes }
}

/// What a worker of a stage works with.
pub(super) fn context(
    clock: Arc<dyn Clock>,
    store: Store,
    stage: &Stage,
    recorder: &Arc<Recorder>,
) -> DeliveryContext {
    let allowance =
        Allowance { parallel: 2, rate: None, operator_limits: OperatorLimits::default() };
    let signals = DeliverySignals::channel().0;
    let entropy = Arc::new(SeededEntropy::new(1));
    DeliveryContext {
        store,
        ledger: Arc::clone(&stage.ledger),
        attempter: stage.attempter(Arc::clone(recorder) as _),
        clock,
        tasks: stage.tasks.clone(),
        allowance,
        backlog: BacklogLimit::default(),
        sinks: Arc::new(Sinks::new(BreakerConfig::default(), entropy, signals.clone())),
        signals,
        pause_after: Duration::from_hours(5 * 24),
        decider: stage.decider(),
    }
}

#[tokio::test]
async fn what_was_read_from_the_log_and_is_handed_over_later_is_numbered_once() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    let read = stage.append(&["a", "b", "c"]).await;
    let working = start(&stage, &recorder).await;
    until("three are read", || recorder.attempted().len() == 3).await;
    until("nothing is in flight", || working.standing.borrow().open == 0).await;
    assert!(working.inbox.caught_up(Position(3)));

    // The follower comes late with what the courier has read, and goes on with a new entry.
    working.inbox.put(read);
    let new = stage.append(&["d"]).await;
    working.inbox.put(new);
    working.followed.advance(Position(4));
    until("the new one is attempted", || recorder.attempted().len() >= 4).await;

    assert_eq!(recorder.attempted(), [(1, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(working.standing.borrow().sequence, 4);
}

#[tokio::test]
async fn what_others_append_to_a_store_that_is_late_and_slow_is_attempted_once_and_in_order() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    let remote = RemoteStore::over(Arc::clone(&stage.log));
    let words: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    stage.append(&words[..500]).await;
    let working = start_on(remote.store().tailed(usize::MAX), &stage, &recorder).await;
    until("what was there is attempted", || recorder.attempted().len() == 500).await;

    stage.append(&words[500..]).await;
    remote.fresh_head().await.unwrap();
    working.inbox.fall_behind();
    until("all is settled", || working.standing.borrow().settled == Position(600)).await;

    let numbers: Vec<(u64, u32)> = (1..=600).map(|number| (number, 0)).collect();
    assert_eq!(recorder.attempted(), numbers);
    assert_eq!(recorder.words(), words);
}

#[tokio::test]
async fn no_more_than_the_limit_is_under_way() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().extend([Act::Hang, Act::Hang]);
    stage.append(&["a", "b", "c"]).await;

    let working = start(&stage, &recorder).await;
    until("two hang", || recorder.attempted().len() == 2).await;
    stage.append(&["d"]).await;
    working.inbox.fall_behind();
    tokio::task::yield_now().await;

    assert_eq!(recorder.attempted().len(), 2);
    assert_eq!(working.standing.borrow().open, 2);
}

#[tokio::test]
async fn an_attempt_that_hangs_holds_up_no_other() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().extend([Act::Wait]);
    let words: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    for part in words.chunks(500) {
        stage.append(&part.iter().map(|word| &**word).collect::<Vec<_>>()).await;
    }

    let working = start(&stage, &recorder).await;
    until("all are attempted", || recorder.attempted().len() == 3000).await;
    until("one is open", || working.standing.borrow().open == 1).await;
    let standing = *working.standing.borrow();
    assert_eq!((standing.sequence, standing.settled), (3000, Position::START));

    recorder.go_on.notify_one();
    until("all is settled", || working.standing.borrow().settled == Position(3000)).await;
}

#[tokio::test]
async fn an_event_that_hangs_holds_up_its_own_subject_alone() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.in_order(&serde_json::json!({ "ordering": "subject" }));
    recorder.acts.lock().unwrap().extend([Act::Wait]);
    let mut words: Vec<String> = (0..1500).map(|number| format!("slow.{number}")).collect();
    words.push("other.0".to_owned());
    for part in words.chunks(500) {
        stage.append(&part.iter().map(|word| &**word).collect::<Vec<_>>()).await;
    }

    let working = start(&stage, &recorder).await;
    until("the other is attempted", || recorder.attempted().len() == 2).await;
    assert_eq!(recorder.words(), ["slow.0", "other.0"]);

    recorder.go_on.notify_one();
    until("all is settled", || working.standing.borrow().settled == Position(1501)).await;
    assert_eq!(recorder.words()[2..], words[1..1500]);
}

#[tokio::test]
async fn an_attempt_that_panics_is_made_again() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().push_back(Act::Panic);
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    until("it waits", || working.standing.borrow().retrying == 1).await;
    stage.ledger.flush().await.unwrap();
    assert_eq!(stage.log.load().await.unwrap().retries.len(), 1);

    stage.clock.advance(Duration::from_mins(1));
    until("it is made again", || recorder.attempted().len() == 2).await;

    assert_eq!(recorder.attempted(), [(1, 0), (1, 1)]);
}

#[tokio::test]
async fn a_failed_first_attempt_does_not_hold_the_cursor_back() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.append(&["a", "b"]).await;

    let working = start(&stage, &recorder).await;
    until("both are settled", || {
        let standing = *working.standing.borrow();
        standing.open == 0 && standing.sequence == 2
    })
    .await;
    stage.ledger.flush().await.unwrap();

    let cursor = stage.log.load().await.unwrap().cursors.remove(0).1;
    assert_eq!((cursor.settled, cursor.sequence), (Position(2), 2));
    assert_eq!(working.standing.borrow().retrying, 1);
}

#[tokio::test]
async fn what_ends_while_stopping_is_not_delivered_again() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().push_back(Act::Wait);
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    until("it is in flight", || recorder.attempted().len() == 1).await;

    stage.tasks.stopping().cancel();
    // The courier sees this before the attempt ends.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    recorder.go_on.notify_one();
    working.end.await.unwrap();
    stage.ledger.flush().await.unwrap();
    drop(working.commands);

    let cursor = stage.log.load().await.unwrap().cursors.remove(0).1;
    assert_eq!((cursor.sequence, cursor.settled), (1, Position(1)));
}

#[tokio::test]
async fn a_redriven_event_that_the_log_has_dropped_is_taken_from_its_dead_letter() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.in_order(&serde_json::json!({ "maximumEventAge": 60 }));
    recorder.acts.lock().unwrap().push_back(FAILS);
    let now = stage.clock.now();
    let event = EventId::first_of(5);
    let entry = stage.append(&["a"]).await.remove(0);
    let key = DeliveryKey { subscription: stage.subscription.id.clone(), replay: None, event };
    let (sequence, previous) = (7, ChainValue::start(&key.subscription));
    let link = Some((sequence, previous));
    let copy = CloudEvent { id: event, ..entry.event.clone() };
    let copy = CloudEvent { digest: copy.salted_digest(copy.salt.unwrap()), ..copy };
    let letter = DeadLetter {
        id: DeadLetterId(0),
        key: key.clone(),
        position: Position(900),
        link,
        event: copy.clone(),
        reason: "refused".into(),
        attempts: 3,
        status: None,
        detail: "".into(),
        at: now,
        redriven: false,
    };
    let retry = Retry {
        key: key.clone(),
        position: Position(900),
        link,
        attempts: 0,
        first_attempt: now,
        due: now,
        redriven: true,
    };
    let dead_letters = vec![letter];
    stage.log.commit(Changes { dead_letters, ..Changes::default() }).await.unwrap();
    let cursor = Cursor::starting(&key.subscription, Position(1));
    let changes =
        Changes { cursors: vec![(key.subscription.clone(), cursor)], ..Changes::default() };
    stage.log.commit(changes).await.unwrap();
    stage.log.revive(vec![(DeadLetterId(1), retry)]).await.unwrap();

    let working = start(&stage, &recorder).await;
    until("it is attempted", || recorder.attempted().len() == 1).await;

    let attempted = recorder.attempted.lock().unwrap()[0].clone();
    let opened = stage.open(&attempted);
    assert_eq!((attempted.id, opened.place()), (event, Some(PlaceClaims { sequence, previous })));
    assert_eq!(opened.event(), &serde_json::from_str::<Value>(&copy.to_json()).unwrap());
    assert_eq!(opened.digest(), Some(copy.digest), "the copy has its salt, too");
    // Until the outcome is noted, the copy is the only one there is.
    assert!(stage.log.dead_letter(&key).await.unwrap().is_some());
    until("it waits", || working.standing.borrow().retrying == 1).await;
    stage.ledger.flush().await.unwrap();
    let attempts = stage.log.attempts(None, None, Page::default()).await.unwrap();
    assert_eq!(&*attempts[0].verdict, "retry", "its age counts from the redrive");
}

/// Waits until the courier has nothing more to do at this moment.
pub(super) async fn settled(working: &Working) {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!working.end.is_finished());
}

#[tokio::test]
async fn a_sink_that_fails_is_left_alone_and_its_matches_wait_unnumbered() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.delay = Duration::from_hours(1);
    recorder.acts.lock().unwrap().extend([FAILS; 5]);
    stage.append(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]).await;

    let working = start(&stage, &recorder).await;
    let phase = || working.limiter.flow(stage.clock.now()).phase;
    until("it is left alone", || matches!(phase(), BreakerPhase::Open { .. })).await;
    until("nothing is in flight", || working.standing.borrow().open == 0).await;
    settled(&working).await;
    let made = recorder.attempted().len();
    // Two may be in flight at once, so that a sixth may have begun before the fifth had failed.
    assert!((5..=6).contains(&made), "{made}");
    assert_eq!(working.standing.borrow().sequence, made as u64);

    // One attempt finds out, and says no.
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.clock.advance(Duration::from_secs(6));
    until("it is left alone again", || recorder.attempted().len() == made + 1).await;
    until("the pause is longer", || matches!(phase(), BreakerPhase::Open { .. })).await;
    stage.clock.advance(Duration::from_secs(6));
    settled(&working).await;
    assert_eq!(recorder.attempted().len(), made + 1);

    // Two successes, one after the other, and everything else follows.
    stage.clock.advance(Duration::from_secs(6));
    until("the rest is delivered", || recorder.attempted().len() == 9).await;
    assert_eq!(phase(), BreakerPhase::Closed);
    let numbers: Vec<u64> = recorder.attempted().iter().map(|one| one.0).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_redrive_ends_the_pause() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.delay = Duration::from_hours(1);
    recorder.acts.lock().unwrap().extend([FAILS; 5]);
    stage.append(&["a", "b", "c", "d", "e"]).await;
    let working = start(&stage, &recorder).await;
    until("five have failed", || working.standing.borrow().retrying == 5).await;

    stage.append(&["f"]).await;
    working.commands.send(WorkerCommand::Nudge).await.unwrap();
    working.inbox.fall_behind();

    until("the next finds out at once", || recorder.attempted().len() == 6).await;
}
