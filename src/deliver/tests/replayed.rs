//! Couriers tell replays what becomes of their matches, and attempt none that nobody wants any more.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;

use crate::ambient::Clock as _;
use crate::deliver::tests::couriers::{Working, settled, start};
use crate::deliver::tests::stage::{Act, Recorder, Stage, until};
use crate::deliver::worker::{
    RedrivenDelivery, ReplayOutcome, ReplayTicket, ReplayedMatch, WorkerCommand,
};
use crate::event::ChainValue;
use crate::eventlog::{Changes, Cursor, DeliveryKey, DeliveryState as _, Entry, Log as _, Retry};

/// A courier that keeps to the order of subjects, and entries that it has passed.
async fn staged(words: &[&str]) -> (Stage, Vec<Arc<Entry>>, Arc<Recorder>, Working) {
    let mut stage = Stage::new().await;
    stage.in_order(&json!({ "ordering": "subject" }));
    let entries = stage.append(words).await;
    let id = stage.subscription.id.clone();
    let cursors = vec![(id.clone(), Cursor::starting(&id, stage.log.head()))];
    stage.log.commit(Changes { cursors, ..Changes::default() }).await.unwrap();
    let recorder = Arc::new(Recorder::default());
    let working = start(&stage, &recorder).await;
    (stage, entries, recorder, working)
}

/// Hands a match over, whose fate is told here under this number.
async fn hand_over(
    working: &Working,
    (number, entry): (u64, &Arc<Entry>),
    told: &mpsc::UnboundedSender<(u64, ReplayOutcome)>,
) {
    let replayed = ReplayedMatch {
        replay: "again".parse().unwrap(),
        entry: Arc::clone(entry),
        ticket: ReplayTicket::new(number, told.clone()),
    };
    working.commands.send(WorkerCommand::Replay(Box::new(replayed))).await.unwrap();
}

#[tokio::test]
async fn what_has_waited_for_its_subject_is_told_when_it_is_attempted() {
    let (_stage, entries, recorder, working) = staged(&["a.1", "a.2"]).await;
    recorder.acts.lock().unwrap().extend([Act::Wait, Act::Wait]);
    let (tell, mut told) = mpsc::unbounded_channel();
    hand_over(&working, (1, &entries[0]), &tell).await;
    hand_over(&working, (2, &entries[1]), &tell).await;
    assert_eq!(told.recv().await, Some((2, ReplayOutcome::Behind)));

    recorder.go_on.notify_one();

    assert_eq!(told.recv().await, Some((1, ReplayOutcome::Delivered)));
    assert_eq!(told.recv().await, Some((2, ReplayOutcome::Begun)));
    recorder.go_on.notify_one();
    assert_eq!(told.recv().await, Some((2, ReplayOutcome::Delivered)));
}

#[tokio::test]
async fn nothing_begins_for_a_replay_that_has_failed() {
    let (_stage, entries, recorder, working) = staged(&["a.1", "a.2", "a.3", "b.1"]).await;
    recorder.acts.lock().unwrap().push_back(Act::Wait);
    let (gone, mut told) = mpsc::unbounded_channel();
    hand_over(&working, (1, &entries[0]), &gone).await;
    hand_over(&working, (2, &entries[1]), &gone).await;
    assert_eq!(told.recv().await, Some((2, ReplayOutcome::Behind)));
    until("one is in flight", || recorder.words() == ["a.1"]).await;
    drop((gone, told));

    recorder.go_on.notify_one();
    let (tell, _told) = mpsc::unbounded_channel();
    hand_over(&working, (3, &entries[2]), &tell).await;
    hand_over(&working, (4, &entries[3]), &tell).await;
    let has = |word: &str| recorder.words().contains(&word.to_owned());
    until("the others are attempted", || has("a.3") && has("b.1")).await;

    let mut words = recorder.words();
    words.sort();
    assert_eq!(words, ["a.1", "a.3", "b.1"]);
}

#[tokio::test]
async fn a_redriven_delivery_that_was_read_after_a_panic_is_attempted_once() {
    let stage = Stage::new().await;
    let entries = stage.append(&["a"]).await;
    let recorder = Arc::new(Recorder::default());
    let now = stage.clock.now();
    let id = stage.subscription.id.clone();
    let redriven = Retry {
        key: DeliveryKey { subscription: id.clone(), replay: None, event: entries[0].event.id },
        position: entries[0].position,
        link: Some((1, ChainValue::start(&id))),
        attempts: 0,
        first_attempt: now,
        due: now,
        redriven: true,
    };
    let cursors = vec![(id.clone(), Cursor::starting(&id, stage.log.head()))];
    let retries = vec![redriven.clone()];
    stage.log.commit(Changes { cursors, retries, ..Changes::default() }).await.unwrap();
    recorder.acts.lock().unwrap().push_back(Act::Wait);

    // The worker reads it from what is kept, and is told of it afterwards, as before its panic.
    let working = start(&stage, &recorder).await;
    until("it is in flight", || recorder.words().len() == 1).await;
    let told = Box::new(RedrivenDelivery { retry: redriven, subject: None });
    working.commands.send(WorkerCommand::Retry(told)).await.unwrap();
    settled(&working).await;

    assert_eq!((recorder.words().len(), working.standing.borrow().retrying), (1, 0));
    recorder.go_on.notify_one();
    settled(&working).await;
    assert_eq!(recorder.words(), ["a"]);
}
