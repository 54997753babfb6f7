//! A disk that does not answer keeps no command of a worker waiting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use crate::deliver::tests::couriers::{FAILS, start_at};
use crate::deliver::tests::pulled::start_pulled_on;
use crate::deliver::tests::stage::{Recorder, Stage, until};
use crate::deliver::worker::WorkerCommand;
use crate::event::{EventId, SubscriptionId};
use crate::eventlog::{
    Aged, Appended, DiskLevel, Draft, Entry, Extent, Log, LogError, LowWatermark, MemoryLog,
    Observed, Page, Position, Retention, Store, Trimmed,
};

/// A log whose reads wait as long as the test says.
struct StalledLog {
    below: Arc<MemoryLog>,
    stalls: watch::Sender<bool>,
}

#[async_trait]
impl Log for StalledLog {
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        self.below.append(batch).await
    }

    fn head(&self) -> Position {
        self.below.head()
    }

    async fn fresh_head(&self) -> Result<Position, LogError> {
        self.below.fresh_head().await
    }

    fn disk(&self) -> DiskLevel {
        self.below.disk()
    }

    fn low_watermark(&self) -> LowWatermark {
        self.below.low_watermark()
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.below.watch()
    }

    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError> {
        let _ = self.stalls.subscribe().wait_for(|stalls| !stalls).await;
        self.below.read(after, page).await
    }

    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError> {
        self.below.find(ids).await
    }

    async fn of_envelope(
        &self,
        envelope_id: &str,
        after: Position,
        page: Page,
    ) -> Result<Vec<Arc<Entry>>, LogError> {
        self.below.of_envelope(envelope_id, after, page).await
    }

    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError> {
        self.below.observed(at).await
    }

    async fn seek(&self, from: EventId) -> Result<Position, LogError> {
        self.below.seek(from).await
    }

    async fn aged(&self, age: Duration) -> Result<Aged, LogError> {
        self.below.aged(age).await
    }

    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError> {
        self.below.extent(released).await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, LogError> {
        self.below.trim(retention).await
    }

    async fn close(&self) -> Result<(), LogError> {
        self.below.close().await
    }
}

fn stalled(stage: &Stage) -> (Store, Arc<StalledLog>) {
    let (stalls, below) = (watch::Sender::new(true), Arc::clone(&stage.log));
    let log = Arc::new(StalledLog { below, stalls });
    (Store { log: Arc::clone(&log) as _, ..Store::of(&stage.log) }, log)
}

/// Asks a worker for something and waits for its answer.
async fn is_held(commands: &mpsc::Sender<WorkerCommand>) {
    let (answer, held) = oneshot::channel();
    commands.send(WorkerCommand::Hold(answer)).await.unwrap();
    let held = tokio::time::timeout(Duration::from_secs(10), held).await;
    held.expect("a command waits for the disk").unwrap();
}

#[tokio::test]
async fn a_courier_obeys_while_a_page_of_the_log_is_read() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.append(&["a", "b"]).await;
    let (store, log) = stalled(&stage);
    let working = start_at(Arc::new(stage.clock.clone()), store, &stage, &recorder).await;

    is_held(&working.commands).await;
    let asked = Arc::clone(&stage.subscription);
    working.commands.send(WorkerCommand::Changed(asked)).await.unwrap();
    assert_eq!(recorder.attempted(), []);
    log.stalls.send_replace(false);

    until("both are attempted", || recorder.attempted() == [(1, 0), (2, 0)]).await;
}

#[tokio::test]
async fn a_courier_obeys_and_attempts_the_rest_while_the_event_of_a_retry_is_read() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.append(&["a"]).await;
    let (store, log) = stalled(&stage);
    log.stalls.send_replace(false);
    let working = start_at(Arc::new(stage.clock.clone()), store, &stage, &recorder).await;
    until("it has failed", || working.standing.borrow().retrying == 1).await;

    log.stalls.send_replace(true);
    stage.clock.advance(Duration::from_hours(1));
    working.commands.send(WorkerCommand::Nudge).await.unwrap();
    until("it is taken", || working.standing.borrow().retrying == 0).await;
    is_held(&working.commands).await;
    let asked = Arc::clone(&stage.subscription);
    working.commands.send(WorkerCommand::Changed(asked)).await.unwrap();
    log.stalls.send_replace(false);

    until("it is attempted again", || recorder.attempted() == [(1, 0), (1, 1)]).await;
}

#[tokio::test]
async fn a_courier_obeys_while_it_finds_out_what_waits_in_which_queue() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    stage.in_order(&json!({"ordering": "subject"}));
    recorder.acts.lock().unwrap().push_back(FAILS);
    stage.append(&["a.1", "a.2"]).await;
    let clock = Arc::new(stage.clock.clone());
    let working = start_at(clock, Store::of(&stage.log), &stage, &recorder).await;
    until("the first has failed", || working.standing.borrow().retrying == 1).await;
    stage.ledger.flush().await.unwrap();
    drop(working.commands);
    working.end.await.unwrap();

    let (store, log) = stalled(&stage);
    let clock = Arc::new(stage.clock.clone());
    let working = start_at(clock, store, &stage, &recorder).await;
    is_held(&working.commands).await;
    let asked = Arc::clone(&stage.subscription);
    working.commands.send(WorkerCommand::Changed(asked)).await.unwrap();
    stage.clock.advance(Duration::from_hours(1));
    assert_eq!(recorder.attempted().len(), 1);
    log.stalls.send_replace(false);

    until("both follow", || recorder.attempted().len() == 3).await;
    assert_eq!(recorder.attempted(), [(1, 0), (1, 1), (2, 0)]);
}

#[tokio::test]
async fn a_pull_worker_obeys_while_a_page_of_the_log_is_read() {
    let stage = Stage::new().await;
    stage.append(&["a", "b"]).await;
    let (store, log) = stalled(&stage);
    let pulled = start_pulled_on(store, &stage).await;

    is_held(&pulled.commands).await;
    let asked = Arc::clone(&stage.subscription);
    pulled.commands.send(WorkerCommand::Changed(asked)).await.unwrap();
    log.stalls.send_replace(false);

    until("both are numbered", || pulled.standing.borrow().sequence == 2).await;
}
