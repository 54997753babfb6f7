//! What panics begins anew, and everything else goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use sealway::ambient::{Clock, SystemClock};
use sealway::event::Timestamp;

use crate::harness::{Receiver, TestGateway, eventually};

/// How often the gateway looks who is behind.
const LOOK: Duration = Duration::from_mins(1);

/// The machine's clock, which panics once in a loop that waits for a minute.
#[derive(Default)]
struct PanickyClock {
    has_panicked: AtomicBool,
    looks: Mutex<Vec<Timestamp>>,
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
            self.looks.lock().unwrap().push(self.now());
            assert!(self.has_panicked.swap(true, Ordering::Relaxed), "as the test says");
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
    eventually("a loop has panicked", async || {
        clock.has_panicked.load(Ordering::Relaxed).then_some(())
    })
    .await;

    let id = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    assert_eq!(receiver.delivered_ids(), [id]);
    // Others begin to wait at the start, and then only after a minute.
    eventually("it waits again", async || {
        let looks = clock.looks.lock().unwrap();
        let late = |look: &Timestamp| look.since(looks[0]) >= Duration::from_millis(900);
        looks.last().filter(|look| late(look)).map(drop)
    })
    .await;
}
