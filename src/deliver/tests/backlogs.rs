//! What a backlog cannot hold expires once, in line, and holds nobody up.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ambient::Clock as _;
use crate::deliver::outcome::{Ledger, Ownership};
use crate::deliver::sink::AnswerKind;
use crate::deliver::tests::couriers::{Working, settled, start};
use crate::deliver::tests::stage::{Act, Recorder, Stage, until};
use crate::deliver::worker::WorkerCommand;
use crate::eventlog::{
    DeadLetterQuery, DeadLetters as _, DeliveryKey, DeliveryState as _, Log as _, Page,
};
use crate::subscriptions::{Subscription, SubscriptionState};
use crate::telemetry::Metrics;

async fn waiting(config: &Value) -> (Stage, Arc<Recorder>) {
    let mut stage = Stage::new().await;
    stage.in_order(config);
    turn(&mut stage, SubscriptionState::Paused);
    (stage, Arc::new(Recorder::default()))
}

fn turn(stage: &mut Stage, state: SubscriptionState) {
    stage.subscription = Arc::new(Subscription { state, ..(*stage.subscription).clone() });
}

/// Ends a courier without warning; what was noted and not written is lost.
async fn crash(stage: &mut Stage, working: Working) {
    working.end.abort();
    working.end.await.unwrap_err();
    let (log, clock) = (Arc::clone(&stage.log), stage.clock.clone());
    let ownership = Ownership { before: log.head(), ..Ownership::default() };
    stage.ledger = Arc::new(Ledger::new(log, ownership, Arc::new(clock), &Metrics::new()));
}

/// The numbers of the dead letters that have expired, as they are listed.
async fn expired(stage: &Stage) -> Vec<u64> {
    let all = DeadLetterQuery::all(stage.subscription.id.clone());
    let query = DeadLetterQuery { reason: Some("expired".into()), ..all };
    let page = Page { items: 2000, bytes: usize::MAX };
    let letters = stage.log.dead_letters(&query, page).await.unwrap();
    letters.iter().map(|letter| letter.link.unwrap().0).collect()
}

#[tokio::test]
async fn a_crash_in_the_middle_neither_doubles_nor_drops_what_expires() {
    let (mut stage, recorder) = waiting(&json!({"backlog": {"maximumEvents": 3}})).await;
    let words: Vec<String> = (1..=800).map(|number| number.to_string()).collect();
    for part in words.chunks(100) {
        stage.append(&part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    let working = start(&stage, &recorder).await;
    let standing = working.standing.clone();
    until("some have expired", || standing.borrow().sequence > 0).await;
    crash(&mut stage, working).await;
    let working = start(&stage, &recorder).await;
    until("all have expired", || working.standing.borrow().sequence == 797).await;
    settled(&working).await;
    crash(&mut stage, working).await;

    assert_eq!(expired(&stage).await, (1..=797).collect::<Vec<_>>());
    let cursor = stage.log.load().await.unwrap().cursors.remove(0).1;
    assert_eq!(cursor.sequence, 797);
    turn(&mut stage, SubscriptionState::Active);
    let _working = start(&stage, &recorder).await;
    until("the newest are attempted", || recorder.attempted().len() == 3).await;
    assert_eq!(recorder.attempted(), [(798, 0), (799, 0), (800, 0)]);
}

#[tokio::test]
async fn a_backlog_within_its_bounds_is_left_alone_until_it_is_due() {
    let (stage, recorder) = waiting(&json!({"backlog": {"maximumAge": 3600}})).await;
    stage.append(&["a", "b"]).await;
    let mut working = start(&stage, &recorder).await;
    settled(&working).await;

    // Each round of the courier says how it stands.
    working.standing.borrow_and_update();
    settled(&working).await;
    assert!(!working.standing.has_changed().unwrap(), "the courier goes round and round");

    stage.clock.advance(Duration::from_secs(3601));
    until("both have expired", || working.standing.borrow().sequence == 2).await;
    settled(&working).await;
    assert_eq!(expired(&stage).await, [1, 2]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_a_backlog_from_being_looked_at() {
    let (stage, recorder) = waiting(&json!({"backlog": {"maximumEvents": 1}})).await;
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    settled(&working).await;

    stage.clock.set(stage.clock.now().before(Duration::from_hours(24)));
    append(&stage, &working, 'b', 2).await;

    until("all but one have expired", || working.standing.borrow().sequence == 2).await;
    settled(&working).await;
    assert_eq!(expired(&stage).await, [1, 2]);
}

#[tokio::test]
async fn what_has_expired_does_not_block_its_subject() {
    let config = json!({"ordering": "subject", "backlog": {"maximumEvents": 1}});
    let (mut stage, recorder) = waiting(&config).await;
    stage.append(&["a.1", "a.2", "a.3"]).await;
    let working = start(&stage, &recorder).await;
    until("two have expired", || working.standing.borrow().sequence == 2).await;
    crash(&mut stage, working).await;
    assert_eq!(expired(&stage).await, [1, 2]);

    turn(&mut stage, SubscriptionState::Active);
    let working = start(&stage, &recorder).await;

    until("the last is attempted", || recorder.words() == ["a.3"]).await;
    assert_eq!(working.standing.borrow().blocked, 0);
}

/// Appends events of one subject, page after page, and lets the courier read them.
async fn append(stage: &Stage, working: &Working, subject: char, count: usize) {
    let words: Vec<String> = (1..=count).map(|number| format!("{subject}.{number}")).collect();
    for part in words.chunks(100) {
        stage.append(&part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    working.inbox.fall_behind();
}

#[tokio::test]
async fn what_waits_behind_a_dead_letter_expires_by_age() {
    let mut stage = Stage::new().await;
    stage.in_order(
        &json!({"ordering": "subject", "backlog": {"maximumAge": 3600}, "giveUpAfterRefusals": 1}),
    );
    let recorder = Arc::new(Recorder::default());
    recorder.acts.lock().unwrap().push_back(Act::Say(AnswerKind::Refused));
    let entries = stage.append(&["a.1", "a.2", "b.1", "a.3"]).await;
    let working = start(&stage, &recorder).await;
    until("the other subject goes on", || recorder.words() == ["a.1", "b.1"]).await;
    settled(&working).await;
    stage.clock.advance(Duration::from_mins(50));
    append(&stage, &working, 'a', 1).await;
    until("one more waits", || working.standing.borrow().sequence == 5).await;

    stage.clock.advance(Duration::from_secs(601));

    until("two have expired", || working.standing.borrow().open == 1).await;
    stage.ledger.flush().await.unwrap();
    assert_eq!(expired(&stage).await, [2, 4]);
    let cursor = stage.log.load().await.unwrap().cursors.remove(0).1;
    assert_eq!((cursor.sequence, cursor.settled.0), (4, 4), "they hold the log no longer");
    assert_eq!(working.standing.borrow().blocked, 1);

    // The young one is the next of its subject.
    let subscription = stage.subscription.id.clone();
    let key = DeliveryKey { subscription, replay: None, event: entries[0].event.id };
    working.commands.send(WorkerCommand::Dismissed(Box::new(key))).await.unwrap();
    until("it goes on", || recorder.attempted().len() == 3).await;
    assert_eq!(recorder.attempted()[2], (5, 0));
}

#[tokio::test]
async fn what_waits_behind_a_dead_letter_expires_by_number_and_not_twice_after_a_crash() {
    let mut stage = Stage::new().await;
    stage.in_order(
        &json!({"ordering": "subject", "backlog": {"maximumEvents": 3}, "giveUpAfterRefusals": 1}),
    );
    let recorder = Arc::new(Recorder::default());
    recorder.acts.lock().unwrap().push_back(Act::Say(AnswerKind::Refused));
    let entries = stage.append(&["a.0"]).await;
    let working = start(&stage, &recorder).await;
    until("one blocks its subject", || working.standing.borrow().blocked == 1).await;
    // More than can be numbered while they wait.
    append(&stage, &working, 'a', 1499).await;

    until("all but three have expired", || {
        stage.clock.advance(Duration::from_secs(5));
        let standing = *working.standing.borrow();
        standing.sequence >= 1497 && standing.open <= 3
    })
    .await;
    settled(&working).await;
    crash(&mut stage, working).await;

    let letters = expired(&stage).await;
    assert!(letters.is_sorted() && letters.starts_with(&[2, 3]), "the oldest go first");
    // The dead letter was kept, and blocks its subject until it is dismissed.
    let working = start(&stage, &recorder).await;
    settled(&working).await;
    assert_eq!((recorder.attempted().len(), working.standing.borrow().blocked), (1, 1));
    let event = entries[0].event.id;
    let key = DeliveryKey { subscription: stage.subscription.id.clone(), replay: None, event };
    working.commands.send(WorkerCommand::Dismissed(Box::new(key))).await.unwrap();
    until("the newest are attempted", || recorder.attempted().len() == 4).await;
    settled(&working).await;
    assert_eq!(recorder.attempted(), [(1, 0), (1498, 0), (1499, 0), (1500, 0)]);
    assert_eq!(expired(&stage).await, (2..=1497).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_waits_for_a_sink_that_is_not_asked_expires_though_it_is_its_turn() {
    let mut stage = Stage::new().await;
    stage.in_order(
        &json!({"ordering": "subject", "backlog": {"maximumAge": 3600}, "giveUpAfterRefusals": 1}),
    );
    let recorder = Arc::new(Recorder::default());
    recorder.acts.lock().unwrap().push_back(Act::Wait);
    stage.append(&["a.1", "a.2", "a.3"]).await;
    let working = start(&stage, &recorder).await;
    until("one is in flight", || working.standing.borrow().sequence == 3).await;
    turn(&mut stage, SubscriptionState::Paused);
    let paused = WorkerCommand::Changed(Arc::clone(&stage.subscription));
    working.commands.send(paused).await.unwrap();
    recorder.go_on.notify_one();
    until("it is the next one's turn", || working.standing.borrow().open == 2).await;

    stage.clock.advance(Duration::from_secs(3601));

    until("both have expired", || working.standing.borrow().open == 0).await;
    stage.append(&["a.4"]).await;
    turn(&mut stage, SubscriptionState::Active);
    let active = WorkerCommand::Changed(Arc::clone(&stage.subscription));
    working.commands.send(active).await.unwrap();
    working.inbox.fall_behind();
    until("what comes later goes on", || recorder.words() == ["a.1", "a.4"]).await;
    stage.ledger.flush().await.unwrap();
    assert_eq!(expired(&stage).await, [2, 3]);
}

#[tokio::test]
async fn a_full_disk_keeps_no_command_and_no_end_waiting() {
    let (stage, recorder) = waiting(&json!({"backlog": {"maximumEvents": 1}})).await;
    stage.append(&["a", "b", "c"]).await;
    stage.log.fill(true);
    let working = start(&stage, &recorder).await;
    until("two have expired", || working.standing.borrow().sequence == 2).await;

    let (answer, held) = tokio::sync::oneshot::channel();
    working.commands.send(WorkerCommand::Hold(answer)).await.unwrap();
    let held = tokio::time::timeout(Duration::from_secs(5), held).await;
    assert!(matches!(held, Ok(Ok(()))), "a change of the subscription waits for the disk");
    stage.tasks.stopping().cancel();
    until("it ends", || working.end.is_finished()).await;

    stage.log.fill(false);
    stage.ledger.flush().await.unwrap();
    assert_eq!(expired(&stage).await, [1, 2]);
}
