//! Puts together what speaks to AWS: the queues that are read, and the event buses of consumers.

use std::sync::Arc;

#[cfg(feature = "aws")]
use crate::aws::AwsClients;
use crate::config::Config;
use crate::deliver::ExternalIds;
use crate::egress::Egress;
use crate::eventlog::{LogError, Store};
use crate::gateway::event_buses::EventBuses;
use crate::gateway::machine::Machine;
use crate::source::Admit;
#[cfg(feature = "aws")]
use crate::source::queue::QueueParts;
use crate::source::queue::Queues;
use crate::telemetry::Metrics;

/// Both edges at AWS share one set of clients; a build without the feature `aws` has neither.
pub(super) struct AwsEdges {
    #[cfg(feature = "aws")]
    clients: Arc<AwsClients>,
}

#[cfg(feature = "aws")]
impl AwsEdges {
    /// Asks nobody yet.
    pub(super) fn new(config: &Config, egress: &Egress) -> Self {
        Self { clients: Arc::new(AwsClients::new(config.aws.clone(), egress)) }
    }

    /// The settings of every client.
    pub(super) fn clients(&self) -> Arc<AwsClients> {
        Arc::clone(&self.clients)
    }

    /// The queues of the settings; nobody asks them yet.
    pub(super) fn queues(
        &self,
        config: &Config,
        machine: &Machine,
        (admit, metrics): (&Arc<dyn Admit>, &Arc<Metrics>),
    ) -> Arc<Queues> {
        // As the destination of event buses names the subscription by which an event goes.
        let issuer = config.issuer.as_str().trim_end_matches('/');
        Arc::new(Queues::new(&QueueParts {
            config: config.source.clone(),
            own_resources: format!("{issuer}/subscriptions/").into(),
            aws: Arc::clone(&self.clients),
            admit: Arc::clone(admit),
            metrics: Arc::clone(metrics),
            clock: Arc::clone(&machine.clock),
            entropy: Arc::clone(&machine.entropy),
        }))
    }
}

#[cfg(not(feature = "aws"))]
impl AwsEdges {
    /// Has nobody to ask.
    pub(super) fn new(_config: &Config, _egress: &Egress) -> Self {
        Self {}
    }

    /// None: the settings cannot name any.
    #[expect(clippy::unused_self, reason = "in another build, it has the clients")]
    pub(super) fn queues(
        &self,
        _config: &Config,
        _machine: &Machine,
        _to: (&Arc<dyn Admit>, &Arc<Metrics>),
    ) -> Arc<Queues> {
        Arc::new(Queues::default())
    }
}

impl AwsEdges {
    /// Event buses as sinks, with the external ids that were made before.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn event_buses(
        &self,
        config: &Config,
        machine: &Machine,
        store: &Store,
    ) -> Result<EventBuses, LogError> {
        let (registry, entropy) = (Arc::clone(&store.registry), Arc::clone(&machine.entropy));
        let external_ids = Arc::new(ExternalIds::new(registry, entropy));
        external_ids.load().await?;
        let known = (Arc::new(config.event_bus_permissions()), external_ids);
        #[cfg(feature = "aws")]
        let buses = EventBuses::new(config, known, &self.clients, machine);
        #[cfg(not(feature = "aws"))]
        let buses = EventBuses::absent(known);
        Ok(buses)
    }
}
