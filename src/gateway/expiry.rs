//! Drops what was set aside or has ended and is too old: dead letters, quarantined events, jobs, former
//! secrets.

use std::time::Duration;

use crate::api::Services;
use crate::eventlog::{LogError, QuarantineSize, RetentionConfig};
use crate::telemetry::{Metric, error_chain};

/// How often old ones are looked for.
const TICK: Duration = Duration::from_mins(1);
/// How often replays, redrives and former secrets that have ended are looked through.
const ENDED_TICK: Duration = Duration::from_mins(10);
/// So many are dropped in one transaction, so that others need not wait long.
const SLICE: usize = 200;

/// Looks for what is too old now and then, for ever.
pub(super) async fn expire(services: &Services) {
    let config = services.retention;
    let mut looked_through = None;
    let mut was_full = false;
    loop {
        match measure(services, config).await {
            Ok(is_full) => tell(std::mem::replace(&mut was_full, is_full), is_full),
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "The quarantine cannot be measured");
            }
        }
        services.clock.sleep(TICK).await;
        for outcome in [dead_letters(services, config).await, quarantined(services, config).await] {
            if let Err(error) = outcome {
                tracing::error!(error = %error_chain(&error), "What was set aside cannot be dropped");
            }
        }
        let now = services.clock.running();
        if looked_through.is_none_or(|last| now.saturating_sub(last) >= ENDED_TICK) {
            looked_through = Some(now);
            if let Err(error) = services.replays.tidy().await {
                tracing::error!(error = %error_chain(&error), "Jobs that have ended cannot be dropped");
            }
            if let Err(error) = services.subscription_service.drop_ended_secrets().await {
                tracing::error!(error = %error_chain(&error), "Secrets that have ended cannot be dropped");
            }
        }
    }
}

/// Shows how much is in quarantine; says whether that is nearly all that may be there.
async fn measure(services: &Services, config: RetentionConfig) -> Result<bool, LogError> {
    let QuarantineSize { total, .. } = services.store.quarantine.quarantine_size(0).await?;
    services.metrics.gauge(Metric::QuarantineEntries, &[]).set_count(total.entries);
    services.metrics.gauge(Metric::QuarantineBytes, &[]).set_count(total.bytes);
    Ok(config.quarantine_size.is_some_and(|most| total.bytes >= most.0 / 10 * 9))
}

/// Warns operators once before more is refused.
fn tell(was_full: bool, is_full: bool) {
    if is_full && !was_full {
        tracing::warn!(
            "The quarantine has nine tenths of the bytes that `log.retention.quarantine-size` lets it \
             have; beyond them, what breaks a contract is refused",
        );
    }
}

async fn dead_letters(services: &Services, config: RetentionConfig) -> Result<(), LogError> {
    let Some(age) = config.dead_letters else { return Ok(()) };
    loop {
        let expired = services.store.dead_letters.expire_dead_letters(age.0, SLICE).await?;
        for (key, reason) in &expired {
            let labels = [key.subscription.as_str(), reason];
            services.metrics.counter(Metric::DeadLettersExpired, &labels).increment();
            // Nothing waits any more behind what is dropped.
            services.subscription_service.let_go(key).await;
        }
        if expired.len() < SLICE {
            return Ok(());
        }
    }
}

async fn quarantined(services: &Services, config: RetentionConfig) -> Result<(), LogError> {
    let Some(age) = config.quarantine else { return Ok(()) };
    loop {
        let expired = services.store.quarantine.expire_quarantined(age.0, SLICE).await?;
        for publication in &expired {
            services.metrics.counter(Metric::QuarantineExpired, &[publication]).increment();
        }
        if expired.len() < SLICE {
            return Ok(());
        }
    }
}
