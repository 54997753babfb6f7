//! Puts together what proves something of the log to others, witnesses included.

use std::sync::Arc;

use crate::ambient::Clock;
use crate::api::LogProofs;
use crate::config::Config;
use crate::egress::{Egress, GuardedClients};
use crate::eventlog::Store;
use crate::gateway::build_error::BuildError;
use crate::gateway::own_keys::OwnKeys;
use crate::keys::LogIssuer;
use crate::telemetry::Metrics;
use crate::transparency::LogNote;
use crate::witness::{Witnesses, WitnessesParts};

/// Takes up what witnesses have cosigned. A gateway that does not deliver asks none: what it looks at may
/// be a copy, and a witness believes whoever comes first.
///
/// # Errors
///
/// Ours: the log cannot be read, or the HTTP client cannot be made.
pub(super) async fn log_proofs(
    config: &Config,
    (egress, own, names): (&Arc<Egress>, &OwnKeys, &LogIssuer),
    (store, clock, metrics): (&Store, &Arc<dyn Clock>, &Arc<Metrics>),
) -> Result<LogProofs, BuildError> {
    let witnesses = if config.no_delivery { &[][..] } else { &config.log.witnesses };
    let witnesses = Witnesses::open(WitnessesParts {
        witnesses,
        interval: config.log.witness_interval.0,
        // The name under which the log began: others know it by that, and it stays.
        origin: LogNote::origin_of_issuer(&names.began),
        note_key: Arc::clone(&own.note_key),
        tree: Arc::clone(&store.tree),
        registry: Arc::clone(&store.registry),
        clients: GuardedClients::new(egress).map_err(BuildError::Client)?,
        clock: Arc::clone(clock),
        metrics: Arc::clone(metrics),
    });
    Ok(LogProofs::new(Arc::clone(&own.note_key), witnesses.await?, config.log.proofs))
}
