//! The in-flight attempts of one subscription.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::deliver::limits::Permit;
use crate::deliver::outcome::{AttemptResult, Delivery};
use crate::deliver::worker::subject_queues::QueueKey;
use crate::deliver::worker::{DeliveryContext, recall};
use crate::event::Timestamp;
use crate::eventlog::{DeliveryKey, Retry};
use crate::subscriptions::Subscription;

/// Attempts that were started and have not ended.
pub(super) struct InFlight {
    context: Arc<DeliveryContext>,
    /// Knows of attempts also when nobody waits for them any more.
    tracker: TaskTracker,
    attempts: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    /// Deliveries whose further attempt is in flight, and when the first was made.
    again: BTreeMap<DeliveryKey, Timestamp>,
}

/// An attempt that has ended.
pub(super) enum Ended {
    /// It was made: what was attempted, and what came of it; nothing if it panicked.
    Made(Arc<Delivery>, Option<AttemptResult>),
    /// A further one was not made.
    NotMade(Box<RetryInFlight>, WhyNot),
}

/// A delivery that waited, while it is attempted again.
pub(super) struct RetryInFlight {
    pub(super) retry: Retry,
    /// Its queue, if it stands in one.
    pub(super) queue_key: Option<QueueKey>,
}

/// Why a further attempt was not made.
pub(super) enum WhyNot {
    /// Its event cannot be read.
    Unread,
    /// Its event is kept nowhere any more, and will not be.
    Gone,
    /// Its consumer may not hear it.
    Withheld(Box<Delivery>),
}

impl InFlight {
    /// Starts with none.
    pub(super) fn new(context: &Arc<DeliveryContext>, tracker: &TaskTracker) -> Self {
        Self {
            context: Arc::clone(context),
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

    /// Starts a first attempt.
    pub(super) fn launch(&mut self, delivery: Delivery, permit: Permit) {
        let delivery = Arc::new(delivery);
        let (context, attempted) = (Arc::clone(&self.context), Arc::clone(&delivery));
        let attempt = self.spawn(async move {
            let attempt = context.attempter.attempt(&attempted);
            permit.run(attempted.entry.event.id, attempt, &*context.clock).await
        });
        self.attempts.push(Box::pin(async move { Ended::Made(delivery, attempt.await.ok()) }));
    }

    /// Starts a further attempt, once its event is read: nobody waits for that here.
    pub(super) fn launch_again(
        &mut self,
        again: Box<RetryInFlight>,
        subscription: &Arc<Subscription>,
        permit: Permit,
    ) {
        self.again.insert(again.retry.key.clone(), again.retry.first_attempt);
        let (context, subscription) = (Arc::clone(&self.context), Arc::clone(subscription));
        let retry = again.retry.clone();
        let attempt = self.spawn(async move {
            let delivery = match read(&context, &retry, &subscription).await {
                Ok(delivery) => Arc::new(delivery),
                Err(why) => {
                    permit.give_back();
                    return Err(why);
                }
            };
            let attempt = context.attempter.attempt(&delivery);
            let result = permit.run(delivery.entry.event.id, attempt, &*context.clock).await;
            Ok((delivery, result))
        });
        self.attempts.push(Box::pin(async move {
            match attempt.await {
                Ok(Ok((delivery, result))) => Ended::Made(delivery, Some(result)),
                Ok(Err(why)) => Ended::NotMade(again, why),
                Err(_) => Ended::NotMade(again, WhyNot::Unread),
            }
        }));
    }

    /// On a task of its own, so that sealing for one subscription can use every core.
    fn spawn<T: Send + 'static>(
        &self,
        attempt: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.context.tasks.spawn(self.tracker.track_future(attempt))
    }

    /// Waits for the next one to end; nothing if there is none.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        let ended = self.attempts.next().await?;
        match &ended {
            Ended::Made(delivery, _) if delivery.first_attempt.is_none() => {}
            Ended::Made(delivery, _) => drop(self.again.remove(&delivery.key())),
            Ended::NotMade(again, _) => drop(self.again.remove(&again.retry.key)),
        }
        Some(ended)
    }
}

/// The delivery of a retry, unless there is no event of it or its consumer may not hear that.
async fn read(
    context: &DeliveryContext,
    retry: &Retry,
    subscription: &Arc<Subscription>,
) -> Result<Delivery, WhyNot> {
    let why_not = match recall(&context.store, retry).await {
        Ok(Some(entry)) => {
            let delivery = Delivery::of_retry(subscription, entry, retry);
            if context.attempter.may_send(subscription, &delivery.entry) {
                return Ok(delivery);
            }
            return Err(WhyNot::Withheld(Box::new(delivery)));
        }
        Ok(None) => WhyNot::Gone,
        Err(_) => WhyNot::Unread,
    };
    tracing::error!(
        event.id = %retry.key.event,
        subscription.id = %retry.key.subscription,
        "Cannot read event {} for another attempt", retry.key.event,
    );
    Err(why_not)
}
