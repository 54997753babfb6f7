//! Couriers keep the events of a subject in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use crate::ambient::{Clock as _, Tasks};
use crate::deliver::outcome::Reason;
use crate::deliver::sink::AnswerKind;
use crate::deliver::tests::couriers::{FAILS, Working, settled, start};
use crate::deliver::tests::stage::{Act, Recorder, Stage, until};
use crate::deliver::worker::{RedrivenDelivery, SubjectTurn, TurnQuestion, WorkerCommand};
use crate::event::{ChainValue, EventId};
use crate::eventlog::{
    Changes, DeadLetter, DeadLetterId, DeliveryKey, DeliveryState as _, Entry, Log as _, Retention,
    Retry,
};

async fn ordered(config: serde_json::Value) -> (Stage, Arc<Recorder>) {
    let mut stage = Stage::new().await;
    stage.in_order(&config);
    stage.in_order(&json!({ "giveUpAfterRefusals": 1 }));
    (stage, Arc::new(Recorder::default()))
}

#[tokio::test]
async fn a_retry_holds_its_subject_and_nobody_else() {
    let (stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.append(&["a.1", "a.2", "b.1", "a.3", "none", "b.2"]).await;

    let working = start(&stage, &recorder).await;
    until("the others go on", || recorder.words().len() == 4).await;
    settled(&working).await;
    assert_eq!(recorder.words(), ["a.1", "b.1", "none", "b.2"]);
    // Two wait for their turn and are neither in flight nor settled.
    assert_eq!(working.standing.borrow().retrying, 1);

    stage.clock.advance(Duration::from_secs(5));
    until("the rest follows", || recorder.words().len() == 7).await;
    assert_eq!(recorder.words()[4..], ["a.1", "a.2", "a.3"]);
    until("everything is settled", || working.standing.borrow().open == 0).await;
}

/// What a courier says of the turn of a match.
async fn turn(working: &Working, entry: &Entry, sequence: u64) -> SubjectTurn {
    let (answer, told) = oneshot::channel();
    let subject = entry.event.subject.clone();
    let asked = TurnQuestion { sequence, subject, answer };
    working.commands.send(WorkerCommand::Turn(Box::new(asked))).await.unwrap();
    told.await.unwrap()
}

#[tokio::test]
async fn a_courier_says_behind_what_a_match_waits() {
    let (stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    recorder.acts.lock().unwrap().extend([FAILS, Act::Wait]);
    let entries = stage.append(&["a.1", "b.1", "a.2", "c.1", "a.3"]).await;
    let working = start(&stage, &recorder).await;
    until("what may be attempted is", || recorder.words().len() == 3).await;
    until("the last is settled", || working.standing.borrow().sequence == 5).await;
    settled(&working).await;

    let first = SubjectTurn::After { event: entries[0].event.id, sequence: 1 };
    assert_eq!(turn(&working, &entries[2], 3).await, first);
    assert_eq!(turn(&working, &entries[4], 5).await, first);
    assert_eq!(turn(&working, &entries[1], 2).await, SubjectTurn::None, "its attempt is in flight");
    assert_eq!(turn(&working, &entries[3], 4).await, SubjectTurn::Past);
    assert_eq!(
        turn(&working, &entries[0], 1).await,
        SubjectTurn::Past,
        "it is the one that goes first"
    );

    recorder.go_on.notify_one();
    stage.clock.advance(Duration::from_secs(5));
    until("everything is settled", || working.standing.borrow().open == 0).await;
    assert_eq!(turn(&working, &entries[4], 5).await, SubjectTurn::Past);
}

#[tokio::test]
async fn a_subject_has_one_attempt_under_way() {
    let (stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    recorder.acts.lock().unwrap().push_back(Act::Wait);
    stage.append(&["a.1", "a.2", "b.1"]).await;

    let working = start(&stage, &recorder).await;
    until("the other subject goes on", || recorder.words().len() == 2).await;
    settled(&working).await;
    assert_eq!(recorder.words(), ["a.1", "b.1"]);

    recorder.go_on.notify_one();
    until("it follows", || recorder.words().len() == 3).await;
}

#[tokio::test]
async fn a_restart_keeps_a_held_subject_in_order() {
    let (mut stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    let due = stage.clock.now().after(Duration::from_secs(5));
    let entries = stage.append(&["a.1", "a.2", "a.3", "b.1"]).await;
    // The first and the third were attempted before; the second was not.
    let retries = vec![retry(&entries[0], 1, due), retry(&entries[2], 3, stage.clock.now())];
    stage.log.commit(Changes { retries, ..Changes::default() }).await.unwrap();
    stage.tasks = Tasks::new();

    let working = start(&stage, &recorder).await;
    until("the other subject goes on", || recorder.words().len() == 1).await;
    settled(&working).await;
    assert_eq!(recorder.words(), ["b.1"]);

    stage.clock.advance(Duration::from_secs(5));
    until("all follow", || recorder.words().len() == 4).await;
    assert_eq!(recorder.words()[1..], ["a.1", "a.2", "a.3"]);
}

fn retry(entry: &Entry, sequence: u64, due: crate::event::Timestamp) -> Retry {
    let subscription = "shop".parse().unwrap();
    Retry {
        link: Some((sequence, ChainValue::start(&subscription))),
        key: DeliveryKey { subscription, replay: None, event: entry.event.id },
        position: entry.position,
        attempts: 1,
        first_attempt: due,
        due,
        redriven: false,
    }
}

fn dead(entry: &Entry, sequence: u64) -> DeadLetter {
    let kept = retry(entry, sequence, entry.accepted);
    DeadLetter {
        id: DeadLetterId(0),
        key: kept.key,
        position: kept.position,
        link: kept.link,
        event: entry.event.clone(),
        reason: Reason::Refused.word().into(),
        attempts: 1,
        status: Some(400),
        detail: "".into(),
        at: entry.accepted,
        redriven: false,
    }
}

#[tokio::test]
async fn a_dead_letter_blocks_its_subject_until_it_is_dismissed() {
    let (stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    recorder.acts.lock().unwrap().push_back(Act::Say(AnswerKind::Refused));
    let entries = stage.append(&["a.1", "a.2", "b.1"]).await;

    let working = start(&stage, &recorder).await;
    until("the other subject goes on", || recorder.words().len() == 2).await;
    settled(&working).await;
    assert_eq!((recorder.words(), working.standing.borrow().blocked), (words(&["a.1", "b.1"]), 1));

    let key = retry(&entries[0], 1, stage.clock.now()).key;
    working.commands.send(WorkerCommand::Dismissed(Box::new(key))).await.unwrap();
    until("it goes on", || recorder.words().len() == 3).await;
    until("nothing is blocked", || working.standing.borrow().blocked == 0).await;
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_block_outlives_a_restart_and_what_is_redriven_goes_first() {
    let (stage, recorder) = ordered(json!({"ordering": "subject", "onDeadLetter": "block"})).await;
    let entries = stage.append(&["a.1", "a.2", "a.3", "b.1"]).await;
    let dead_letters = vec![dead(&entries[0], 1)];
    stage.log.commit(Changes { dead_letters, ..Changes::default() }).await.unwrap();

    // The cursor was not kept with the dead letter, which stands for its match all the same.
    let working = start(&stage, &recorder).await;
    until("the other subject goes on", || recorder.words().len() == 1).await;
    settled(&working).await;
    assert_eq!((recorder.words(), working.standing.borrow().blocked), (words(&["b.1"]), 1));

    let redriven = Retry { redriven: true, ..retry(&entries[0], 1, stage.clock.now()) };
    let redriven = RedrivenDelivery { retry: redriven, subject: entries[0].event.subject.clone() };
    working.commands.send(WorkerCommand::Retry(Box::new(redriven))).await.unwrap();
    until("all follow", || recorder.words().len() == 4).await;
    assert_eq!(recorder.words(), ["b.1", "a.1", "a.2", "a.3"]);
}

#[tokio::test]
async fn a_subject_goes_on_without_a_dead_letter_where_it_says_so() {
    let (stage, recorder) = ordered(json!({"ordering": "subject", "onDeadLetter": "skip"})).await;
    recorder.acts.lock().unwrap().push_back(Act::Say(AnswerKind::Refused));
    stage.append(&["a.1", "a.2", "a.3"]).await;

    let _working = start(&stage, &recorder).await;

    until("all are attempted", || recorder.words().len() == 3).await;
    assert_eq!(recorder.words(), ["a.1", "a.2", "a.3"]);
}

#[tokio::test]
async fn another_order_begins_once_nothing_is_under_way() {
    let (mut stage, recorder) = ordered(json!({})).await;
    recorder.acts.lock().unwrap().extend([Act::Wait, FAILS]);
    stage.append(&["a.1", "a.2"]).await;
    let working = start(&stage, &recorder).await;
    until("both are attempted side by side", || recorder.words().len() == 2).await;
    until("one waits", || working.standing.borrow().retrying == 1).await;

    stage.in_order(&json!({"ordering": "subject"}));
    let changed = WorkerCommand::Changed(Arc::clone(&stage.subscription));
    working.commands.send(changed).await.unwrap();
    settled(&working).await;
    stage.append(&["a.3", "a.4"]).await;
    working.inbox.fall_behind();
    settled(&working).await;
    assert_eq!(recorder.words().len(), 2);
    recorder.go_on.notify_one();
    until("the others are numbered", || working.standing.borrow().sequence == 4).await;
    settled(&working).await;
    assert_eq!(recorder.words().len(), 2, "the second holds its subject");

    stage.clock.advance(Duration::from_secs(5));
    until("all follow", || recorder.words().len() == 5).await;
    assert_eq!(recorder.words()[2..], ["a.2", "a.3", "a.4"]);
}

#[tokio::test]
async fn an_event_that_is_nowhere_holds_nobody_up() {
    let (stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    let entries = stage.append(&["a.1"]).await;
    let mut lost = retry(&entries[0], 9, stage.clock.now());
    lost.key.event = EventId::first_of(1);
    stage.log.commit(Changes { retries: vec![lost], ..Changes::default() }).await.unwrap();

    let _working = start(&stage, &recorder).await;

    until("others go on", || recorder.words() == ["a.1"]).await;
}

#[tokio::test]
async fn a_retry_whose_event_is_lost_lets_its_subject_go() {
    let (stage, recorder) = ordered(json!({"ordering": "subject"})).await;
    recorder.acts.lock().unwrap().push_back(FAILS);
    let entries = stage.append(&["a.1", "a.2", "a.3"]).await;
    let working = start(&stage, &recorder).await;
    until("one waits", || working.standing.borrow().retrying == 1).await;
    settled(&working).await;
    let (bytes, hold) = (Some(0), entries[0].position);
    let lost = Retention { bytes, hold, ..Retention::default() };
    assert_eq!(stage.log.trim(&lost).await.unwrap().dropped, 1);

    stage.clock.advance(Duration::from_secs(5));

    until("the others follow", || recorder.words() == ["a.1", "a.2", "a.3"]).await;
    until("nothing waits", || working.standing.borrow().retrying == 0).await;
}
