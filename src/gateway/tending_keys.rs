//! Looks after the key ring while the gateway runs: keys that are due, and what others did.

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Services, Trouble};
use crate::event::Timestamp;
use crate::keys::{HistoricalKeys, KeyRing, KeyStep, LogIssuer, LogKeys, LogKeysError, RingError};
use crate::telemetry::error_chain;

/// How often the key ring is looked at: for keys that are due, and for what the command line did.
const KEY_TICK: Duration = Duration::from_secs(5);
/// What anyone is told of a key directory that was lost under the gateway.
const LOST: &str =
    "the key directory is lost: a restart would be refused; the gateway's log says more";

/// Looks at the key ring for ever.
pub(super) async fn tend_keys(services: &Services, receipt_age: Duration) {
    loop {
        services.clock.sleep(KEY_TICK).await;
        tell_next_issuer(services).await;
        let ticked = tick(&services.ring, services.clock.now()).await;
        let lost = matches!(ticked, Some(Err(RingError::Replaced { .. })));
        services.readiness.note(Trouble::Keys, lost.then_some(LOST));
        match ticked {
            Some(Ok(steps)) => {
                for step in steps {
                    tracing::info!("Signing keys: {step:?}");
                }
                let kept = (services.clock.now(), receipt_age);
                if let Err(error) = name_keys(services, kept).await {
                    tracing::warn!(error = %error_chain(&error), "The log does not name the new keys");
                }
            }
            Some(Err(error)) => {
                tracing::error!(error = %error_chain(&error), "The key ring cannot be tended");
            }
            None => tracing::error!("Tending the key ring died"),
        }
    }
}

/// Tells consumers in their checkpoints what the gateway will be called, as the command line has it.
async fn tell_next_issuer(services: &Services) {
    match LogIssuer::read(&*services.store.registry).await {
        Ok(names) => {
            let next = names.and_then(|names| names.next);
            services.subscription_service.sealer().tell_next_issuer(next);
        }
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "What the gateway will be called cannot be read");
        }
    }
}

/// Has the log name the keys, and keep their public halves for as long as receipts. Also what the command
/// line changed: a start holds the keys against these names.
async fn name_keys(services: &Services, kept: (Timestamp, Duration)) -> Result<(), LogKeysError> {
    let (ring, registry) = (&services.ring, &*services.store.registry);
    LogKeys::of(ring, &services.data_key, &services.log_proofs.note_key).keep(registry).await?;
    HistoricalKeys::keep(registry, ring, kept).await
}

/// Takes the steps that are due, where blocking is allowed: the ring reads files, and with a
/// passphrase it derives a key.
async fn tick(ring: &Arc<KeyRing>, now: Timestamp) -> Option<Result<Vec<KeyStep>, RingError>> {
    let ring = Arc::clone(ring);
    tokio::task::spawn_blocking(move || ring.tick(now)).await.ok()
}
