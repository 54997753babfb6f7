//! Puts together what event buses of consumers need.

use std::sync::Arc;

use crate::ambient::Entropy;
#[cfg(feature = "aws")]
use crate::ambient::Tasks;
#[cfg(feature = "aws")]
use crate::aws::AwsClients;
use crate::config::Config;
#[cfg(not(feature = "aws"))]
use crate::deliver::NoEventBuses;
use crate::deliver::{Destination, EventBusPermissions, ExternalIds};
#[cfg(feature = "aws")]
use crate::deliver::{EventBusDestination, EventBusParts};
use crate::eventlog::{LogError, Store};

/// Event buses as sinks.
pub(super) struct EventBuses {
    /// Who may have events put where.
    pub(super) permissions: Arc<EventBusPermissions>,
    /// What roles ask for.
    pub(super) external_ids: Arc<ExternalIds>,
    /// Speaks to them.
    pub(super) destination: Arc<dyn Destination>,
}

/// What builds of every kind have.
type Known = (Arc<EventBusPermissions>, Arc<ExternalIds>);

impl EventBuses {
    /// The operator's list, and the external ids that were made before.
    pub(super) async fn known(
        config: &Config,
        (store, entropy): (&Store, &Arc<dyn Entropy>),
    ) -> Result<Known, LogError> {
        let ids = Arc::new(ExternalIds::new(Arc::clone(&store.registry), Arc::clone(entropy)));
        ids.load().await?;
        Ok((Arc::new(config.event_bus_permissions()), ids))
    }

    /// Puts them together.
    #[cfg(feature = "aws")]
    pub(super) fn new(
        config: &Config,
        (permissions, external_ids): Known,
        aws: &Arc<AwsClients>,
        tasks: &Tasks,
    ) -> Self {
        let destination = Arc::new(EventBusDestination::new(EventBusParts {
            permissions: Arc::clone(&permissions),
            external_ids: Arc::clone(&external_ids),
            aws: Arc::clone(aws),
            issuer: config.issuer.clone(),
            timeout: config.delivery.timeout.0,
            tasks: tasks.clone(),
        }));
        Self { permissions, external_ids, destination }
    }

    /// Puts them together in a build that speaks to none.
    #[cfg(not(feature = "aws"))]
    pub(super) fn absent((permissions, external_ids): Known) -> Self {
        Self { permissions, external_ids, destination: Arc::new(NoEventBuses) }
    }
}
