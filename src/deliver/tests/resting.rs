//! A worker that waits for nothing costs nothing, and still moves its cursor past what is not for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::ambient::Clock as _;
use crate::deliver::dispatch::tell_moved;
use crate::deliver::tests::couriers::start;
use crate::deliver::tests::pulled::start_pulled;
use crate::deliver::tests::stage::{Recorder, Stage, settle, until};
use crate::deliver::worker::{Followed, Inbox, WorkerStanding};
use crate::eventlog::{Log as _, Position};

/// What is not for a worker moves nothing until it is told, however long that is not.
async fn rests_until_told(
    stage: &Stage,
    (followed, inbox): (&Arc<Followed>, &Arc<Inbox>),
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

    let (of, inboxes, clock) = (Arc::clone(followed), vec![Arc::clone(inbox)], stage.clock.clone());
    let telling =
        stage.tasks.spawn(async move { tell_moved(&of, || inboxes.clone(), &clock).await });
    until("its cursor has moved", || {
        stage.clock.advance(Duration::from_millis(50));
        scanned() == after
    })
    .await;

    // It is told now and then, and not of each entry.
    let (told, next) = (stage.clock.now(), Position(after.0 + 1));
    stage.append(&["nor this"]).await;
    followed.advance(next);
    until("its cursor has moved again", || {
        stage.clock.advance(Duration::from_millis(50));
        scanned() == next
    })
    .await;
    assert!(stage.clock.now().since(told) >= Duration::from_secs(4), "it is told too often");
    telling.abort();
}

#[tokio::test]
async fn a_courier_rests_until_the_log_has_moved() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    until("it is delivered", || working.standing.borrow().settled == Position(1)).await;

    rests_until_told(&stage, (&working.followed, &working.inbox), &working.standing).await;
}

#[tokio::test]
async fn a_pull_worker_rests_until_the_log_has_moved() {
    let stage = Stage::new().await;
    let pulled = start_pulled(&stage).await;

    // Nothing waits to be fetched.
    rests_until_told(&stage, (&pulled.followed, &pulled.inbox), &pulled.standing).await;
}
