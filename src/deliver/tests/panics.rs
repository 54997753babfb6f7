//! A worker that panics begins anew from what is kept, and loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::ambient::{Clock, ManualClock};
use crate::deliver::tests::couriers::{FAILS, start_at};
use crate::deliver::tests::stage::{Act, Recorder, Stage, until};
use crate::deliver::worker::WorkerCommand;
use crate::event::Timestamp;
use crate::eventlog::{Position, Store};

/// A clock that panics once when it is told to.
struct PanickyClock {
    time: ManualClock,
    panics: AtomicBool,
}

#[async_trait]
impl Clock for PanickyClock {
    fn now(&self) -> Timestamp {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "as the test says");
        self.time.now()
    }

    fn running(&self) -> Duration {
        self.time.running()
    }

    async fn sleep(&self, span: Duration) {
        self.time.sleep(span).await;
    }
}

#[tokio::test]
async fn a_worker_that_panics_goes_on_from_what_is_kept_and_hears_the_same_commands() {
    let (stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    let panics = AtomicBool::new(false);
    let clock = Arc::new(PanickyClock { time: stage.clock.clone(), panics });
    recorder.acts.lock().unwrap().extend([FAILS, Act::Wait]);
    stage.append(&["a", "b"]).await;
    let working = start_at(Arc::clone(&clock) as _, Store::of(&stage.log), &stage, &recorder).await;
    until("one waits and one is in flight", || {
        recorder.attempted().len() == 2 && working.standing.borrow().retrying == 1
    })
    .await;

    clock.panics.store(true, Ordering::Relaxed);
    working.commands.send(WorkerCommand::Nudge).await.unwrap();
    until("it has panicked", || !clock.panics.load(Ordering::Relaxed)).await;
    stage.append(&["c"]).await;
    // What was in flight ends by itself; until then nothing begins anew.
    stage.clock.advance(Duration::from_secs(1));
    recorder.go_on.notify_one();

    until("all is settled", || working.standing.borrow().settled == Position(3)).await;
    // What was delivered and not kept with a cursor comes again, under its number.
    assert_eq!(recorder.attempted(), [(1, 0), (2, 0), (2, 0), (3, 0)]);
    stage.clock.advance(Duration::from_secs(4));
    working.commands.send(WorkerCommand::Nudge).await.unwrap();
    until("the retry is made", || recorder.attempted().len() == 5).await;
    assert_eq!(recorder.attempted()[4], (1, 1));
}
