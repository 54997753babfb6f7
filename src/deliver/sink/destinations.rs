//! The kinds of sink that there are: which protocol has which destination.

use std::sync::Arc;

use crate::ambient::{Clock, Entropy};
use crate::deliver::sink::connection::Connections;
use crate::deliver::sink::destination::Destination;
use crate::deliver::sink::http::HttpDestination;
use crate::egress::GuardedClients;
use crate::keys::DataKey;
use crate::subscriptions::{Protocol, Subscription};
use crate::telemetry::Metrics;

/// One destination for each protocol with sinks.
pub struct Destinations {
    /// The CloudEvents HTTP protocol binding.
    pub http: Arc<dyn Destination>,
    /// PutEvents of Amazon EventBridge.
    pub event_bus: Arc<dyn Destination>,
}

impl Destinations {
    /// Opens all of them beside that of event buses: what they dial is for the egress guard to say,
    /// which guards the clients, and the data key decrypts the credentials of subscriptions.
    pub fn open(
        clients: GuardedClients,
        data_key: &Arc<DataKey>,
        (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
        metrics: &Arc<Metrics>,
        event_bus: Arc<dyn Destination>,
    ) -> Self {
        let random = (Arc::clone(clock), Arc::clone(entropy));
        let connections =
            Connections::new(clients.clone(), Arc::clone(data_key), random, Arc::clone(metrics));
        let http = HttpDestination::new(clients, connections, Arc::clone(clock));
        Self { http: Arc::new(http), event_bus }
    }

    /// The destination for a subscription; nothing if its consumer fetches its events.
    pub fn of(&self, subscription: &Subscription) -> Option<&dyn Destination> {
        match subscription.document.protocol {
            Protocol::Http => Some(&*self.http),
            Protocol::EventBridge => Some(&*self.event_bus),
            Protocol::Pull => None,
        }
    }
}
