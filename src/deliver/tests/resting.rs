//! A worker that waits for nothing costs nothing, and still moves its cursor past what is not for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::deliver::tests::couriers::start;
use crate::deliver::tests::pulled::start_pulled;
use crate::deliver::tests::stage::{Recorder, Stage, settle, until};
use crate::deliver::worker::{Followed, WorkerStanding};
use crate::eventlog::{Log as _, Position};

/// What is not for a worker moves nothing until it is told, however long that is not.
async fn rests_until_told(
    stage: &Stage,
    followed: &Arc<Followed>,
    standing: &watch::Receiver<WorkerStanding>,
) {
    let scanned = || standing.borrow().scanned;
    let (before, after) = (stage.log.head(), Position(stage.log.head().0 + 1));
    followed.advance(before);
    until("it has what is for it", || scanned() == before).await;
    settle().await;

    stage.append(&["not for it"]).await;
    followed.advance(after);
    for _ in 0..12 {
        stage.clock.advance(Duration::from_secs(5));
        settle().await;
    }
    assert_eq!(scanned(), before, "it was woken for nothing");

    let (told, clock) = (Arc::clone(followed), stage.clock.clone());
    let telling = tokio::spawn(async move { told.tell(&clock).await });
    settle().await;
    stage.clock.advance(Duration::from_secs(4));
    settle().await;
    assert_eq!(scanned(), before, "it is told now and then, and not of each entry");
    stage.clock.advance(Duration::from_secs(1));
    until("its cursor has moved", || scanned() == after).await;
    telling.abort();
}

#[tokio::test]
async fn a_courier_rests_until_the_log_has_moved() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    until("it is delivered", || working.standing.borrow().settled == Position(1)).await;

    rests_until_told(&stage, &working.followed, &working.standing).await;
}

#[tokio::test]
async fn a_pull_worker_rests_until_the_log_has_moved() {
    let stage = Stage::new().await;
    let pulled = start_pulled(&stage).await;

    // Nothing waits to be fetched.
    rests_until_told(&stage, &pulled.followed, &pulled.standing).await;
}
