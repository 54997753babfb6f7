//! Names, at each start, the callers whose scopes were given before scopes named sources and data.

use crate::api::Callers;
use crate::telemetry::error_chain;

/// Warns of each caller that keeps rights which a new one would have to be given by name.
///
/// A caller that cannot be read is refused when it calls; it does not keep the gateway from starting.
pub async fn warn_of_unbound_callers(callers: &Callers) {
    let listed = match callers.list().await {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "The callers cannot be listed");
            return;
        }
    };
    for caller in listed.into_iter().filter(|caller| caller.unbound) {
        let id = &caller.id;
        let scopes: Vec<String> = caller.scopes.iter().map(ToString::to_string).collect();
        let flags: Vec<String> = scopes.iter().map(|scope| format!("--scope '{scope}'")).collect();
        tracing::warn!(
            caller.id = %id,
            "Caller {id} was made before scopes named sources and data, and may do what they allowed \
             then ({}); say what it needs, with its sources in place of `publish:*` and without \
             `read-data` if it can: sealway callers change {id} {}",
            scopes.join(", "),
            flags.join(" "),
        );
    }
}
