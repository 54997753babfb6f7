//! Drops what was set aside or has ended and is too old: dead letters, quarantined events, jobs.

use std::time::Duration;

use crate::api::Services;
use crate::eventlog::{Error, RetentionConfig};
use crate::telemetry::{Metric, chain};

/// How often old ones are looked for.
const TICK: Duration = Duration::from_mins(1);
/// How often replays and redrives that have ended are looked through.
const JOBS_TICK: Duration = Duration::from_mins(10);
/// So many are dropped in one transaction, so that others need not wait long.
const SLICE: usize = 200;

/// Looks for what is too old now and then, for ever.
pub(super) async fn expire(services: &Services, config: RetentionConfig) {
    let mut jobs_at = services.clock.now();
    loop {
        services.clock.sleep(TICK).await;
        for outcome in [dead_letters(services, config).await, quarantined(services, config).await] {
            if let Err(error) = outcome {
                tracing::error!(error = %chain(&error), "What was set aside cannot be dropped");
            }
        }
        let now = services.clock.now();
        if now >= jobs_at {
            jobs_at = now.after(JOBS_TICK);
            if let Err(error) = services.replays.tidy().await {
                tracing::error!(error = %chain(&error), "Jobs that have ended cannot be dropped");
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
