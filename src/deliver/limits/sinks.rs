//! What is known of the health of sinks, shared by a consumer's subscriptions with the same address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::ambient::Entropy;
use crate::deliver::limits::BreakerConfig;
use crate::deliver::limits::breaker::{Breaker, BreakerChange};
use crate::deliver::outcome::{DeliverySignal, DeliverySignals};
use crate::event::ConsumerId;
use crate::subscriptions::Subscription;

/// What is known of the health of all sinks, by consumer and address.
///
/// What one consumer's attempts have found out says nothing to another: anybody can name an
/// address, and would otherwise see how others fare there, end their pauses, or bring pauses upon
/// them.
pub struct Sinks {
    config: BreakerConfig,
    entropy: Arc<dyn Entropy>,
    signals: DeliverySignals,
    known: Mutex<KnownSinks>,
}

#[derive(Default)]
struct KnownSinks {
    by_address: BTreeMap<(ConsumerId, String), Weak<SinkHealth>>,
    /// So many make it worth while to look for those that nobody uses any more.
    plenty: usize,
}

/// What is known of the health of one sink; all subscriptions of one consumer with its address
/// share it.
pub(super) struct SinkHealth {
    breaker: Mutex<Breaker>,
    /// Tells of each change of phase, and counts how often the sink became well again.
    recoveries: watch::Sender<u64>,
}

impl Sinks {
    /// Starts without knowing any.
    pub fn new(config: BreakerConfig, entropy: Arc<dyn Entropy>, signals: DeliverySignals) -> Self {
        Self { config, entropy, signals, known: Mutex::default() }
    }

    /// What is known of the sink of a subscription; without an address, something of one's own.
    pub(super) fn of(&self, subscription: &Subscription) -> Arc<SinkHealth> {
        let new = || {
            let breaker = Mutex::new(Breaker::new(self.config.clone()));
            Arc::new(SinkHealth { breaker, recoveries: watch::Sender::new(0) })
        };
        let Some(address) = &subscription.sink else { return new() };
        let key = (subscription.consumer.clone(), address.as_str().to_owned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = known.by_address.get(&key).and_then(Weak::upgrade) {
            return sink;
        }
        if known.by_address.len() >= known.plenty {
            known.by_address.retain(|_, sink| sink.strong_count() > 0);
            known.plenty = (known.by_address.len() * 2).max(64);
        }
        let sink = new();
        known.by_address.insert(key, Arc::downgrade(&sink));
        sink
    }

    /// Tells others.
    pub(super) fn tell(&self, signal: DeliverySignal) {
        self.signals.tell(signal);
    }

    /// A random number, for jitter.
    pub(super) fn random(&self) -> u64 {
        self.entropy.next_u64()
    }
}

impl SinkHealth {
    /// How the sink is.
    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it became well again.
    pub(super) fn recoveries(&self) -> u64 {
        *self.recoveries.borrow()
    }

    /// Tells of each change of its health.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.recoveries.subscribe()
    }

    /// Wakes who waits for this sink.
    pub(super) fn tell(&self, change: Option<BreakerChange>) {
        self.recoveries
            .send_modify(|count| *count += u64::from(change == Some(BreakerChange::Closed)));
    }
}
