//! The incarnations of the log, each with a signed record from the first start on it on.

use std::sync::Arc;

use crate::ambient::Clock;
use crate::config::Config;
use crate::deliver::LogIncarnations;
use crate::eventlog::{KeptIncarnation, LogError, Store};
use crate::keys::KeyRing;
use crate::seal::sign_incarnation;

/// Reads what the log keeps of its incarnations, and signs what no gateway has signed yet.
///
/// # Errors
///
/// Ours: the log cannot be read or written.
pub(super) async fn take_up_incarnations(
    config: &Config,
    (store, ring): (&Store, &KeyRing),
    clock: &dyn Clock,
) -> Result<Arc<LogIncarnations>, LogError> {
    let mut all = KeptIncarnation::list(&*store.registry).await?;
    let key = ring.active(config.keys.algorithms.first().copied().unwrap_or_default());
    let issuer = config.issuer.as_str().trim_end_matches('/');
    for kept in all.iter_mut().filter(|kept| kept.token.is_none()) {
        // Without a key for now, it is signed whenever somebody asks.
        let Some(key) = &key else { break };
        kept.token = sign_incarnation(&kept.incarnation, (issuer, clock.now()), key).ok();
        kept.keep(&*store.registry).await?;
    }
    Ok(Arc::new(LogIncarnations::new(all)))
}
