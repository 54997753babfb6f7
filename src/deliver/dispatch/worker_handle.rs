//! The ends through which others speak with one worker.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::deliver::limits::AttemptLimiter;
use crate::deliver::worker::{AckState, SubscriptionView, WorkerCommand, WorkerStanding};
use crate::subscriptions::Subscription;

/// The ends through which others speak with a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    /// Takes commands, as long as the worker is there: it ends whoever still has a handle of it.
    pub commands: mpsc::WeakSender<WorkerCommand>,
    /// The subscription as it changes.
    pub subscription: watch::Receiver<Arc<Subscription>>,
    /// Where the courier stands.
    pub standing: watch::Receiver<WorkerStanding>,
    /// Lets attempts through; nothing if the subscription has no sink.
    pub limiter: Option<Arc<AttemptLimiter>>,
    /// What the consumer has acknowledged; nothing if the subscription has a sink.
    pub ack_state: Option<Arc<AckState>>,
}

impl WorkerHandle {
    /// Tells the worker something, once it has room for it; one that has ended hears nothing.
    pub async fn command(&self, command: WorkerCommand) {
        if let Some(commands) = self.commands.upgrade() {
            let _ = commands.send(command).await;
        }
    }

    /// Tells the worker something now; says whether it has taken it.
    pub fn try_command(&self, command: WorkerCommand) -> bool {
        self.commands.upgrade().is_some_and(|commands| commands.try_send(command).is_ok())
    }

    /// Whether the worker has gone: the subscription was closed, removed, or is served in another way.
    pub fn has_ended(&self) -> bool {
        self.subscription.has_changed().is_err()
    }

    /// Where the courier stands, and the subscription with every filter that applies up to there.
    ///
    /// In this order: a courier passes no entry under a filter that the subscription does not show
    /// yet.
    pub fn look(&self) -> SubscriptionView {
        let standing = *self.standing.borrow();
        SubscriptionView {
            standing,
            subscription: Arc::clone(&self.subscription.borrow()),
            acknowledged: self.ack_state.as_ref().map(|ack_state| ack_state.acknowledged().place()),
        }
    }
}
