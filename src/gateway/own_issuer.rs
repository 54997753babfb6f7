//! The gateway's own name: the one that its log was signed under, and none in its place without a word.

use std::sync::Arc;

use crate::ambient::Clock;
use crate::config::Config;
use crate::eventlog::Registry;
use crate::gateway::build_error::BuildError;
use crate::keys::{LogIssuer, LogIssuerError};
use crate::subscriptions::Subscriptions;

/// Finds out whether the issuer of the settings may sign on a log; gives the names that are missing among the
/// aliases, to which receipts do not count. Changes nothing.
///
/// A log without subscriptions has told nobody its name yet.
///
/// # Errors
///
/// The operator's turn: it is another, without an alias. Ours: the log cannot be read.
pub async fn check_issuer(
    config: &Config,
    registry: &Arc<dyn Registry>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<String>, BuildError> {
    let Some(names) = LogIssuer::read(&**registry).await? else { return Ok(Vec::new()) };
    let (issuer, aliases) = (config.issuer_text(), config.issuer_aliases());
    match names.check(issuer, &aliases) {
        Err(other) if has_subscriptions(registry, clock).await? => {
            Err(LogIssuerError::Other(other).into())
        }
        Err(_) => Ok(Vec::new()),
        Ok(()) => Ok(names.forgotten(issuer, &aliases)),
    }
}

/// Takes the name of the settings up, and has the log know it from now on.
///
/// # Errors
///
/// As [`check_issuer`].
pub(super) async fn take_up_issuer(
    config: &Config,
    registry: &Arc<dyn Registry>,
    clock: &Arc<dyn Clock>,
) -> Result<LogIssuer, BuildError> {
    for forgotten in check_issuer(config, registry, clock).await? {
        tracing::warn!(
            "Receipts that consumers have signed to {forgotten} do not count: it is not among `issuer-aliases`"
        );
    }
    let before = LogIssuer::read(&**registry).await?;
    let mut aliases = config.issuer_aliases();
    // Nobody was told of it, as was just found out, or it is an alias already.
    aliases.extend(before.as_ref().map(|names| names.current.clone()));
    let names = LogIssuer::take_up(&**registry, config.issuer_text(), &aliases).await?;
    if let Some(before) = before.filter(|before| before.current != names.current) {
        tracing::info!("This gateway was {} and is {} from now on", before.current, names.current);
        if let Some(next) = before.next.filter(|next| clock.now() < next.at) {
            tracing::warn!("Consumers were told that this is so from {} on", next.at);
        }
    }
    Ok(names)
}

async fn has_subscriptions(
    registry: &Arc<dyn Registry>,
    clock: &Arc<dyn Clock>,
) -> Result<bool, BuildError> {
    let all = Subscriptions::new(Arc::clone(registry), Arc::clone(clock)).list().await;
    Ok(!all.map_err(|error| BuildError::Resume(error.into()))?.is_empty())
}
