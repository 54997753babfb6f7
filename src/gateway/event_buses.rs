//! Puts together what event buses of consumers need.

use std::sync::Arc;

#[cfg(feature = "aws")]
use crate::aws::AwsClients;
#[cfg(feature = "aws")]
use crate::config::Config;
#[cfg(not(feature = "aws"))]
use crate::deliver::NoEventBuses;
use crate::deliver::{Destination, EventBusPermissions, ExternalIds};
#[cfg(feature = "aws")]
use crate::deliver::{EventBusDestination, EventBusParts};
#[cfg(feature = "aws")]
use crate::gateway::machine::Machine;

/// Event buses as sinks.
pub(super) struct EventBuses {
    /// Who may have events put where.
    pub(super) permissions: Arc<EventBusPermissions>,
    /// What roles ask for.
    pub(super) external_ids: Arc<ExternalIds>,
    /// Speaks to them.
    pub(super) destination: Arc<dyn Destination>,
}

/// The operator's list and the external ids, which builds of every kind have.
type Known = (Arc<EventBusPermissions>, Arc<ExternalIds>);

impl EventBuses {
    /// Puts them together.
    #[cfg(feature = "aws")]
    pub(super) fn new(
        config: &Config,
        (permissions, external_ids): Known,
        aws: &Arc<AwsClients>,
        machine: &Machine,
    ) -> Self {
        let destination = Arc::new(EventBusDestination::new(EventBusParts {
            permissions: Arc::clone(&permissions),
            external_ids: Arc::clone(&external_ids),
            aws: Arc::clone(aws),
            issuer: config.issuer.clone(),
            timeout: config.delivery.timeout.0,
            tasks: machine.tasks.clone(),
            clock: Arc::clone(&machine.clock),
        }));
        Self { permissions, external_ids, destination }
    }

    /// Puts them together in a build that speaks to none.
    #[cfg(not(feature = "aws"))]
    pub(super) fn absent((permissions, external_ids): Known) -> Self {
        Self { permissions, external_ids, destination: Arc::new(NoEventBuses) }
    }
}
