//! Puts the queues together that are read.

use std::sync::Arc;

use crate::source::queue::Queues;
#[cfg(feature = "aws")]
use crate::{
    aws::AwsClients, config::Config, gateway::machine::Machine, source::Admit,
    source::queue::QueueParts, telemetry::Metrics,
};

/// The queues of these settings; nobody asks them yet.
#[cfg(feature = "aws")]
pub(super) fn queues(
    config: &Config,
    machine: &Machine,
    aws: &Arc<AwsClients>,
    (admit, metrics): (&Arc<dyn Admit>, &Arc<Metrics>),
) -> Arc<Queues> {
    Arc::new(Queues::new(&QueueParts {
        config: config.source.clone(),
        aws: Arc::clone(aws),
        admit: Arc::clone(admit),
        metrics: Arc::clone(metrics),
        clock: Arc::clone(&machine.clock),
        entropy: Arc::clone(&machine.entropy),
    }))
}

/// None: the settings cannot name any.
#[cfg(not(feature = "aws"))]
pub(super) fn queues() -> Arc<Queues> {
    Arc::new(Queues::default())
}
