//! Puts the queues together that are read.

use std::sync::Arc;

#[cfg(feature = "aws")]
use crate::aws::AwsClients;
use crate::config::Config;
use crate::gateway::machine::Machine;
use crate::source::Admit;
#[cfg(feature = "aws")]
use crate::source::queue::QueueParts;
use crate::source::queue::Queues;
use crate::telemetry::Metrics;

/// The queues of these settings; nobody asks them yet.
#[cfg(feature = "aws")]
pub(super) fn queues(
    config: &Config,
    machine: &Machine,
    aws: &Arc<AwsClients>,
    (admit, metrics): (&Arc<dyn Admit>, &Arc<Metrics>),
) -> Arc<Queues> {
    // As the destination of event buses names the subscription by which an event goes.
    let issuer = config.issuer.as_str().trim_end_matches('/');
    Arc::new(Queues::new(&QueueParts {
        config: config.source.clone(),
        own_resources: format!("{issuer}/subscriptions/").into(),
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
