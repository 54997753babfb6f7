//! What delivery tells those who watch over it.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::event::Timestamp;
use crate::subscriptions::Subscription;

/// Something that others should know, or have to act on.
#[derive(Clone, Debug)]
pub enum DeliverySignal {
    /// The sink of a subscription said that it is gone.
    SinkGone {
        /// Whose.
        subscription: Arc<Subscription>,
        /// How its consumer is told.
        words: &'static str,
    },
    /// Every attempt for a subscription has failed for so long that it is to be paused.
    OnlyFailing {
        /// Whose.
        subscription: Arc<Subscription>,
        /// When the first of them failed.
        since: Timestamp,
    },
    /// A subscription that had proved itself is pending, because its new sink or its new keys have not.
    ProofMissing {
        /// Which one, with the reason.
        subscription: Arc<Subscription>,
    },
    /// A sink does not answer well and is left alone; told through the subscription whose attempt
    /// has shown it, and once for an outage.
    SinkLeftAlone {
        /// Whose.
        subscription: Arc<Subscription>,
        /// Until when, to begin with.
        until: Timestamp,
    },
}

/// The way to those who watch. Clones lead to the same place.
#[derive(Clone, Debug)]
pub struct DeliverySignals(mpsc::UnboundedSender<DeliverySignal>);

impl DeliverySignals {
    /// Opens a way and its end.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<DeliverySignal>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells, without waiting for anybody.
    pub fn tell(&self, signal: DeliverySignal) {
        // Nobody listens only while the gateway stops, and what goes on afterwards is told again.
        let _ = self.0.send(signal);
    }
}
