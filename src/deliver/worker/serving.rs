//! Serves one subscription for as long as it is there: a worker that panics is begun anew from what is
//! kept, and harms no other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::ambient::{RestartBackoff, guarded};
use crate::deliver::limits::AttemptLimiter;
use crate::deliver::worker::{
    AckState, Courier, DeliveryContext, Inbox, KeptDeliveries, OldestRetry, PullWorker,
    WorkerCommand, WorkerEnds, WorkerStanding,
};
use crate::event::SubscriptionId;
use crate::eventlog::{Cursor, LogError};
use crate::subscriptions::Subscription;

/// How long it waits before it reads again what could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The two ends of the way out.
pub enum DeliveryEnd {
    /// A sink is given the matches, as this lets attempts through.
    Push(Arc<AttemptLimiter>),
    /// A consumer fetches them, and acknowledges them here.
    Pull(Arc<AckState>),
}

/// One subscription that is served.
pub struct ServedSubscription {
    context: Arc<DeliveryContext>,
    subscription: watch::Receiver<Arc<Subscription>>,
    inbox: Arc<Inbox>,
    end: DeliveryEnd,
    ends: WorkerEnds,
    /// Where it began, if nothing is kept yet.
    began: Cursor,
}

impl ServedSubscription {
    /// Goes on from what the log kept of a subscription.
    pub fn new(
        context: Arc<DeliveryContext>,
        (subscription, end): (watch::Receiver<Arc<Subscription>>, DeliveryEnd),
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<WorkerCommand>,
        (cursor, waiting): &KeptDeliveries,
    ) -> (Self, watch::Receiver<WorkerStanding>) {
        let oldest = waiting.iter().filter(|retry| retry.key.replay.is_none());
        let oldest = oldest.min_by_key(|retry| retry.key.event).map(OldestRetry::from);
        let waits = (waiting.len(), oldest);
        let standing = watch::Sender::new(WorkerStanding::kept(cursor, waits));
        let watcher = standing.subscribe();
        let ends = WorkerEnds { commands, standing, held: false, attempts: TaskTracker::new() };
        let serving = Self { context, subscription, inbox, end, ends, began: cursor.clone() };
        (serving, watcher)
    }

    /// Works until the gateway stops or the subscription is removed.
    pub async fn run(mut self, mut kept: KeptDeliveries) {
        let stopping = self.context.tasks.stopping().clone();
        let (mut backoff, mut changes) = (RestartBackoff::default(), self.subscription.clone());
        while guarded(self.work(kept)).await.is_err() {
            let pause = backoff.after_panic(self.context.clock.now());
            let (id, shown) = self.names();
            tracing::error!(
                subscription.id = %id,
                "The worker of subscription {shown} panicked; it begins anew in {pause:?} from what is kept",
            );
            kept = tokio::select! {
                kept = Box::pin(self.take_up(pause)) => kept,
                () = stopping.cancelled() => return,
                () = gone(&mut changes) => break,
            };
        }
        // Whoever ends a worker waits for its attempts, also where it has panicked.
        self.ends.attempts.close();
        self.ends.attempts.wait().await;
    }

    fn id(&self) -> SubscriptionId {
        self.subscription.borrow().id.clone()
    }

    /// Its id, and what people call it.
    fn names(&self) -> (SubscriptionId, String) {
        (self.id(), self.subscription.borrow().shown())
    }

    async fn work(&mut self, kept: KeptDeliveries) {
        let subscription = Arc::clone(&self.subscription.borrow());
        let (context, inbox) = (Arc::clone(&self.context), Arc::clone(&self.inbox));
        match &self.end {
            DeliveryEnd::Push(limiter) => {
                let served = (subscription, Arc::clone(limiter));
                Courier::new(context, served, inbox, &mut self.ends, kept).run().await;
            }
            DeliveryEnd::Pull(ack_state) => {
                // It is what counts while the gateway runs.
                drop(kept);
                let ack_state = Arc::clone(ack_state);
                PullWorker::new(context, subscription, inbox, &mut self.ends, ack_state)
                    .run()
                    .await;
            }
        }
    }

    /// Finds out what is kept, once the attempts have ended that a worker has left behind.
    async fn take_up(&mut self, pause: Duration) -> KeptDeliveries {
        self.context.clock.sleep(pause).await;
        self.ends.attempts.close();
        self.ends.attempts.wait().await;
        self.ends.attempts.reopen();
        self.inbox.fall_behind();
        loop {
            match self.kept().await {
                Ok(kept) => return kept,
                Err(error) => {
                    let (id, shown) = self.names();
                    tracing::error!(
                        subscription.id = %id,
                        error = &error as &dyn std::error::Error,
                        "Cannot read what is kept of subscription {shown}; trying again",
                    );
                    self.context.clock.sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    async fn kept(&self) -> Result<KeptDeliveries, LogError> {
        self.context.ledger.flush().await?;
        let id = self.id();
        let (cursor, waiting) = self.context.store.state.load_one(&id).await?;
        Ok((cursor.unwrap_or_else(|| self.began.clone()), waiting))
    }
}

/// Waits until a subscription is closed, removed, or served in another way.
async fn gone(subscription: &mut watch::Receiver<Arc<Subscription>>) {
    while subscription.changed().await.is_ok() {}
}
