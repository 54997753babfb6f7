//! A disk that does not answer keeps no command of a worker waiting.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::deliver::tests::couriers::{FAILS, start};
use crate::deliver::tests::pulled::start_pulled;
use crate::deliver::tests::stage::{Recorder, Stage, until};
use crate::deliver::worker::WorkerCommand;
use crate::subscriptions::Subscription;

/// Holds a worker, waits until it is, and lets it go.
async fn obeys(commands: &mpsc::Sender<WorkerCommand>, of: &Arc<Subscription>) {
    let (answer, held) = oneshot::channel();
    commands.send(WorkerCommand::Hold(answer)).await.unwrap();
    let held = tokio::time::timeout(Duration::from_secs(10), held).await;
    held.expect("a command waits for the disk").unwrap();
    commands.send(WorkerCommand::Changed(Arc::clone(of))).await.unwrap();
}

#[tokio::test]
async fn a_courier_obeys_while_a_page_of_the_log_is_read() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.append(&["a", "b"]).await;
    stage.log.stall_reads(true);
    let working = start(&stage, &recorder).await;

    obeys(&working.commands, &stage.subscription).await;
    assert_eq!(recorder.attempted(), []);
    stage.log.stall_reads(false);

    until("both are attempted", || recorder.attempted() == [(1, 0), (2, 0)]).await;
}

#[tokio::test]
async fn a_courier_obeys_while_the_event_of_a_retry_is_read() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    until("it has failed", || working.standing.borrow().retrying == 1).await;

    stage.log.stall_reads(true);
    stage.clock.advance(Duration::from_hours(1));
    working.commands.send(WorkerCommand::Nudge).await.unwrap();
    until("it is taken", || working.standing.borrow().retrying == 0).await;
    obeys(&working.commands, &stage.subscription).await;
    stage.log.stall_reads(false);

    until("it is attempted again", || recorder.attempted() == [(1, 0), (1, 1)]).await;
}

#[tokio::test]
async fn a_courier_obeys_while_it_finds_out_what_waits_in_which_queue() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.in_order(&json!({"ordering": "subject"}));
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.append(&["a.1", "a.2"]).await;
    let working = start(&stage, &recorder).await;
    until("the first has failed", || working.standing.borrow().retrying == 1).await;
    stage.ledger.flush().await.unwrap();
    drop(working.commands);
    working.end.await.unwrap();

    stage.log.stall_reads(true);
    let working = start(&stage, &recorder).await;
    obeys(&working.commands, &stage.subscription).await;
    stage.clock.advance(Duration::from_hours(1));
    assert_eq!(recorder.attempted().len(), 1);
    stage.log.stall_reads(false);

    until("both follow", || recorder.attempted().len() == 3).await;
    assert_eq!(recorder.attempted(), [(1, 0), (1, 1), (2, 0)]);
}

#[tokio::test]
async fn a_pull_worker_obeys_while_a_page_of_the_log_is_read() {
    let stage = Stage::new().await;
    stage.append(&["a", "b"]).await;
    stage.log.stall_reads(true);
    let pulled = start_pulled(&stage).await;

    obeys(&pulled.commands, &stage.subscription).await;
    stage.log.stall_reads(false);

    until("both are numbered", || pulled.standing.borrow().sequence == 2).await;
}
