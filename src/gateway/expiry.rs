//! Drops what was set aside and is too old: dead letters and quarantined events.

use std::time::Duration;

use crate::api::Services;
use crate::eventlog::{Error, RetentionConfig};
use crate::telemetry::{Metric, chain};

/// How often old ones are looked for.
const TICK: Duration = Duration::from_mins(1);
/// So many are dropped in one transaction, so that others need not wait long.
const SLICE: usize = 200;

/// Looks for what is too old now and then, for ever.
pub(super) async fn expire(services: &Services, config: RetentionConfig) {
    loop {
        services.clock.sleep(TICK).await;
        for outcome in [dead_letters(services, config).await, quarantined(services, config).await] {
            if let Err(error) = outcome {
                tracing::error!(error = %chain(&error), "What was set aside cannot be dropped");
            }
        }
    }
}

async fn dead_letters(services: &Services, config: RetentionConfig) -> Result<(), Error> {
    let Some(age) = config.dead_letters else { return Ok(()) };
    let before = services.clock.now().before(age.0);
    loop {
        let expired = services.log.expire_dead_letters(before, SLICE).await?;
        for (key, reason) in &expired {
            let labels = [key.subscription.as_str(), reason];
            services.metrics.counter(Metric::DeadLettersExpired, &labels).increment();
            // Nothing waits any more behind what is dropped.
            services.office.let_go(key).await;
        }
        if expired.len() < SLICE {
            return Ok(());
        }
    }
}

async fn quarantined(services: &Services, config: RetentionConfig) -> Result<(), Error> {
    let Some(age) = config.quarantine else { return Ok(()) };
    let before = services.clock.now().before(age.0);
    loop {
        let expired = services.log.expire_quarantined(before, SLICE).await?;
        for publication in &expired {
            services.metrics.counter(Metric::QuarantineExpired, &[publication]).increment();
        }
        if expired.len() < SLICE {
            return Ok(());
        }
    }
}
