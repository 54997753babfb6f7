//! Puts together what event buses of consumers need.

use std::sync::Arc;

use crate::ambient::Entropy;
#[cfg(feature = "aws")]
use crate::ambient::Tasks;
#[cfg(feature = "aws")]
use crate::aws::AwsClients;
use crate::config::Config;
#[cfg(feature = "aws")]
use crate::deliver::{Destination, EventBusDestination, EventBusParts};
use crate::deliver::{EventBusAccess, ExternalIds};
use crate::event::EventBusArn;
use crate::eventlog::{LogError, Store};

/// The operator's list and the external ids that were made before; nothing is put on buses that the
/// gateway reads from.
pub(super) async fn event_bus_access(
    config: &Config,
    store: &Store,
    entropy: &Arc<dyn Entropy>,
    read: Vec<EventBusArn>,
) -> Result<Arc<EventBusAccess>, LogError> {
    let ids = Arc::new(ExternalIds::new(Arc::clone(&store.registry), Arc::clone(entropy)));
    ids.load().await?;
    Ok(Arc::new(EventBusAccess::new(config.delivery.event_buses.clone(), read, ids)))
}

/// Speaks to the buses.
#[cfg(feature = "aws")]
pub(super) fn event_bus(
    config: &Config,
    access: &Arc<EventBusAccess>,
    aws: &Arc<AwsClients>,
    tasks: &Tasks,
) -> Arc<dyn Destination> {
    Arc::new(EventBusDestination::new(EventBusParts {
        access: Arc::clone(access),
        aws: Arc::clone(aws),
        issuer: config.issuer.clone(),
        timeout: config.delivery.timeout.0,
        tasks: tasks.clone(),
    }))
}
