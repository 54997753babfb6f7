//! What a backlog cannot hold expires once, in line, and holds nobody up.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::deliver::Ledger;
use crate::deliver::tests::couriers::{Working, settled, start};
use crate::deliver::tests::stage::{Recorder, Stage, until};
use crate::eventlog::{DeadLetterQuery, EventLog as _, Page, SetAside as _};
use crate::subscriptions::{State, Subscription};

async fn waiting(config: &Value) -> (Stage, Arc<Recorder>) {
    let mut stage = Stage::new().await;
    stage.in_order(config);
    turn(&mut stage, State::Paused);
    (stage, Arc::new(Recorder::default()))
}

fn turn(stage: &mut Stage, state: State) {
    stage.subscription = Arc::new(Subscription { state, ..(*stage.subscription).clone() });
}

/// Ends a courier without warning; what was noted and not written is lost.
async fn crash(stage: &mut Stage, working: Working) {
    working.end.abort();
    working.end.await.unwrap_err();
    let (log, clock) = (Arc::clone(&stage.log), stage.clock.clone());
    stage.ledger = Arc::new(Ledger::new(log, Arc::new(clock)));
}

/// The numbers of the dead letters, as they are listed.
async fn expired(stage: &Stage) -> Vec<u64> {
    let query = DeadLetterQuery::all(stage.subscription.id.clone());
    let page = Page { items: 1000, bytes: usize::MAX };
    let letters = stage.log.dead_letters(&query, page).await.unwrap();
    letters.iter().map(|letter| letter.link.unwrap().0).collect()
}

#[tokio::test]
async fn a_crash_in_the_middle_neither_doubles_nor_drops_what_expires() {
    let (mut stage, carrier) = waiting(&json!({"backlog": {"maximumEvents": 3}})).await;
    let words: Vec<String> = (1..=800).map(|number| number.to_string()).collect();
    for part in words.chunks(100) {
        stage.append(&part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    let working = start(&stage, &carrier).await;
    let standing = working.standing.clone();
    until("some have expired", || standing.borrow().sequence > 0).await;
    crash(&mut stage, working).await;
    let working = start(&stage, &carrier).await;
    until("all have expired", || working.standing.borrow().sequence == 797).await;
    settled(&working).await;
    crash(&mut stage, working).await;

    assert_eq!(expired(&stage).await, (1..=797).collect::<Vec<_>>());
    let cursor = stage.log.load().await.unwrap().cursors.remove(0).1;
    assert_eq!(cursor.sequence, 797);
    turn(&mut stage, State::Active);
    let _working = start(&stage, &carrier).await;
    until("the newest are carried", || carrier.carried().len() == 3).await;
    assert_eq!(carrier.carried(), [(798, 0), (799, 0), (800, 0)]);
}

#[tokio::test]
async fn what_has_expired_does_not_block_its_subject() {
    let config = json!({"ordering": "subject", "backlog": {"maximumEvents": 1}});
    let (mut stage, carrier) = waiting(&config).await;
    stage.append(&["a.1", "a.2", "a.3"]).await;
    let working = start(&stage, &carrier).await;
    until("two have expired", || working.standing.borrow().sequence == 2).await;
    crash(&mut stage, working).await;
    assert_eq!(expired(&stage).await, [1, 2]);

    turn(&mut stage, State::Active);
    let working = start(&stage, &carrier).await;

    until("the last is carried", || carrier.words() == ["a.3"]).await;
    assert_eq!(working.standing.borrow().blocked, 0);
}
