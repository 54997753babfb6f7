//! Opens the store of one node, and takes delivery over.

use std::path::Path;
use std::sync::Arc;

use crate::ambient::{Clock, Disk, Entropy, Tasks};
use crate::deliver::{Ledger, Ownership};
use crate::eventlog::{LogError, LogLimits, LogOpenError, SqliteLog, Store};
use crate::telemetry::Metrics;

/// Opens the store of a directory, with its newest entries in memory.
pub(super) fn open_store(
    directory: &Path,
    limits: LogLimits,
    machine: (Arc<dyn Clock>, Arc<dyn Entropy>, Arc<dyn Disk>),
    metrics: &Metrics,
) -> Result<(Store, Arc<SqliteLog>), LogOpenError> {
    let log = SqliteLog::open(directory, limits, machine, metrics)?;
    Ok((Store::of(&log).tailed(limits.tail_bytes), log))
}

/// Begins to deliver what no other owner delivers from now on.
pub(super) async fn take_over(
    store: &Store,
    (clock, tasks): (Arc<dyn Clock>, &Tasks),
    metrics: &Metrics,
) -> Result<Arc<Ledger>, LogError> {
    let ownership = Ownership {
        epoch: store.leases.acquire().await?,
        before: store.log.fresh_head().await?,
        stopping: tasks.stopping().clone(),
    };
    Ok(Arc::new(Ledger::new(Arc::clone(&store.state), ownership, clock, metrics)))
}
