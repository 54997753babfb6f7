//! Keeps when callers were seen last, and warns of those whose credentials end soon.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::api::{CallerError, Services};
use crate::event::Timestamp;
use crate::telemetry::error_chain;

/// How often both are done.
const TICK: Duration = Duration::from_mins(1);
/// How long before the end of its credentials a caller is warned of.
const AHEAD: Duration = Duration::from_hours(7 * 24);

/// The callers that were warned of, each with the end that it had then.
type Told = BTreeSet<(String, Timestamp)>;

/// Tends callers, for ever.
pub(super) async fn tend_callers(services: &Services) {
    let mut told = Told::new();
    loop {
        services.clock.sleep(TICK).await;
        if let Err(error) = services.callers.keep_uses().await {
            tracing::error!(error = %error_chain(&error), "When callers were seen last cannot be kept");
        }
        if let Err(error) = warn_of_ends(services, &mut told).await {
            tracing::error!(
                error = %error_chain(&error),
                "It cannot be read which callers' credentials end soon",
            );
        }
    }
}

/// Warns once of each caller whose credentials end soon.
async fn warn_of_ends(services: &Services, told: &mut Told) -> Result<(), CallerError> {
    let now = services.clock.now();
    let ends = services.callers.ends().await?;
    told.retain(|one| ends.contains(one));
    for (name, until) in ends {
        let is_soon = until > now && until.since(now) < AHEAD;
        if is_soon && told.insert((name.clone(), until)) {
            tracing::warn!(
                caller.id = %name,
                "The credentials of caller {name} end {until}, and it is refused from then on; move \
                 that with: sealway callers change {name} --until TIME",
            );
        }
    }
    Ok(())
}
