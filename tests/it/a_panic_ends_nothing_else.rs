//! What panics begins anew, and everything else goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task;

use sealway::ambient::{Clock, SystemClock};
use sealway::event::Timestamp;

use crate::harness::{Receiver, TestGateway, eventually};

/// How often the gateway looks who is behind.
const LOOK: Duration = Duration::from_mins(1);

/// The machine's clock, which panics once in a loop that waits for a minute.
#[derive(Default)]
struct PanickyClock {
    /// The task of the loop that has panicked, and how often it has waited for a minute since.
    panicked: Mutex<Option<(task::Id, usize)>>,
}

#[async_trait]
impl Clock for PanickyClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn running(&self) -> Duration {
        SystemClock.running()
    }

    async fn sleep(&self, span: Duration) {
        if span == LOOK {
            let id = task::id();
            let is_first = match &mut *self.panicked.lock().unwrap() {
                Some((panicked, waits)) => {
                    *waits += usize::from(*panicked == id);
                    false
                }
                nobody => nobody.replace((id, 0)).is_none(),
            };
            assert!(!is_first, "as the test says");
        }
        SystemClock.sleep(span).await;
    }
}

#[tokio::test]
async fn a_loop_that_panics_begins_anew_while_events_come_and_go() {
    let clock = Arc::new(PanickyClock::default());
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;

    gateway.restart_told_by(Arc::clone(&clock) as _).await;
    eventually("a loop has panicked", async || clock.panicked.lock().unwrap().map(drop)).await;

    let id = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    assert_eq!(receiver.delivered_ids(), [id]);
    eventually("it waits again", async || {
        clock.panicked.lock().unwrap().filter(|(_, waits)| *waits > 0).map(drop)
    })
    .await;
}
