//! The in-flight attempts of one subscription.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::ambient::{Clock, Tasks};
use crate::deliver::attempt::Attempter;
use crate::deliver::limits::Permit;
use crate::deliver::outcome::{AttemptResult, Delivery};
use crate::deliver::worker::DeliveryContext;
use crate::event::Timestamp;
use crate::eventlog::{DeliveryKey, Retry};

/// Attempts that were started and have not ended.
pub(super) struct InFlight {
    attempter: Arc<Attempter>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    /// Knows of attempts also when nobody waits for them any more.
    tracker: TaskTracker,
    attempts: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    /// Deliveries whose further attempt is in flight, and when the first was made.
    again: BTreeMap<DeliveryKey, Timestamp>,
}

/// An attempt that has ended.
pub(super) struct Ended {
    /// What was attempted.
    pub(super) delivery: Arc<Delivery>,
    /// What came of it; nothing if it panicked.
    pub(super) result: Option<AttemptResult>,
}

impl InFlight {
    /// Starts with none.
    pub(super) fn new(context: &DeliveryContext, tracker: &TaskTracker) -> Self {
        Self {
            attempter: Arc::clone(&context.attempter),
            clock: Arc::clone(&context.clock),
            tasks: context.tasks.clone(),
            tracker: tracker.clone(),
            attempts: FuturesUnordered::new(),
            again: BTreeMap::new(),
        }
    }

    /// Tells whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// How many of them are not the first of their delivery.
    pub(super) fn again(&self) -> usize {
        self.again.len()
    }

    /// Whether a further attempt at this delivery is in flight.
    pub(super) fn is_again(&self, key: &DeliveryKey) -> bool {
        self.again.contains_key(key)
    }

    /// Whether the attempt is in flight for which this waits.
    pub(super) fn has(&self, retry: &Retry) -> bool {
        self.again.get(&retry.key) == Some(&retry.first_attempt)
    }

    /// Starts an attempt.
    pub(super) fn launch(&mut self, delivery: Delivery, permit: Permit) {
        if let Some(first) = delivery.first_attempt {
            self.again.insert(delivery.key(), first);
        }
        let delivery = Arc::new(delivery);
        let (attempter, attempted) = (Arc::clone(&self.attempter), Arc::clone(&delivery));
        let clock = Arc::clone(&self.clock);
        // On a task of its own, so that sealing for one subscription can use every core.
        let attempt: JoinHandle<AttemptResult> =
            self.tasks.spawn(self.tracker.track_future(async move {
                permit.run(attempted.entry.event.id, attempter.attempt(&attempted), &*clock).await
            }));
        self.attempts.push(Box::pin(async move { Ended { delivery, result: attempt.await.ok() } }));
    }

    /// Waits for the next one to end; nothing if there is none.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        let ended = self.attempts.next().await?;
        self.again.remove(&ended.delivery.key());
        Some(ended)
    }
}
