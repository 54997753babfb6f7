//! The ends through which others speak with one worker.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::deliver::limits::AttemptLimiter;
use crate::deliver::worker::{AckState, SubscriptionView, WorkerCommand, WorkerStanding};
use crate::subscriptions::Subscription;

/// The ends through which others speak with a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    /// Takes commands.
    pub commands: mpsc::Sender<WorkerCommand>,
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
    /// Goes on watching only: a courier ends once nobody can command it any more.
    #[must_use]
    pub fn watching(self) -> Self {
        Self { commands: mpsc::channel(1).0, ..self }
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
