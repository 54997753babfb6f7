//! A gateway at work: serve, tick, and stop without dropping what is in flight.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::ambient::Tasks;
use crate::api::{Services, router, serve};
use crate::deliver::follow;
use crate::deliver::{DeliverySignal, Dispatch, Ledger};
use crate::eventlog::{self, RetentionConfig};
use crate::gateway::expiry::expire;
use crate::gateway::lagging::warn;
use crate::gateway::quotas::hold;
use crate::gateway::retention::Retaining;
use crate::gateway::watching::watch;
use crate::keys::KeyRing;
use crate::telemetry::error_chain;

/// How long attempts in flight may take to end once the gateway stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How often the key ring is looked at: for keys that are due, and for what the command line did.
const KEY_TICK: Duration = Duration::from_secs(5);

/// A gateway whose rooms are put together and which listens already.
pub struct Gateway {
    pub(super) services: Arc<Services>,
    pub(super) listener: TcpListener,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) retention: RetentionConfig,
    pub(super) signals: mpsc::UnboundedReceiver<DeliverySignal>,
    pub(super) tasks: Tasks,
}

/// Why a gateway stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log failed; everything that was answered with yes is in it.
    #[error("the log failed")]
    Log(#[source] eventlog::LogError),
}

impl Gateway {
    /// The address that the gateway listens on.
    ///
    /// # Errors
    ///
    /// Ours: the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What its API is served by.
    pub const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Serves until `until` is done or something breaks, then drains: new work is refused, attempts
    /// in flight end, and their outcomes are written.
    ///
    /// # Errors
    ///
    /// Ours: the log or the server failed.
    pub async fn run(self, until: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let Self { services, listener, dispatch, ledger, ring, retention, signals, tasks } = self;
        let retaining = Retaining {
            config: retention,
            services: Arc::clone(&services),
            ledger: Arc::clone(&ledger),
        };
        services.readiness.set(true);
        services.queues.start(&tasks);
        let routes = router(Arc::clone(&services));
        let outcome = tokio::select! {
            () = until => Ok(()),
            () = follow(&*services.store.log, &dispatch, &*services.clock) => Ok(()),
            error = ledger.run() => error.map_err(RunError::Log),
            () = tend_keys(&ring, &services) => Ok(()),
            () = retaining.run() => Ok(()),
            () = services.handshakes.run() => Ok(()),
            () = expire(&services, retention) => Ok(()),
            () = warn(&services, retention) => Ok(()),
            () = hold(&services, retention) => Ok(()),
            () = watch(&services, signals) => Ok(()),
            () = serve(listener, routes, &services.config, &tasks) => Ok(()),
        };
        services.readiness.set(false);
        if !tasks.drain(DRAIN).await {
            tracing::warn!("Some attempts had not ended after {DRAIN:?}; they are made again");
        }
        let written = match ledger.try_flush().await {
            // Waiting for room could take for ever, and what is not written is only repeated.
            Err(error @ eventlog::LogError::Full { .. }) => {
                tracing::warn!(error = %error_chain(&error), "The last outcomes are not written; they are delivered again");
                Ok(())
            }
            other => other.map_err(RunError::Log),
        };
        let closed = services.store.log.close().await.map_err(RunError::Log);
        outcome.and(written).and(closed)
    }
}

async fn tend_keys(ring: &Arc<KeyRing>, services: &Services) {
    loop {
        services.clock.sleep(KEY_TICK).await;
        let (ring, now) = (Arc::clone(ring), services.clock.now());
        // The ring reads files, and with a passphrase it derives a key.
        match tokio::task::spawn_blocking(move || ring.tick(now)).await {
            Ok(Ok(steps)) => {
                for step in steps {
                    tracing::info!("Signing keys: {step:?}");
                }
            }
            Ok(Err(error)) => {
                tracing::error!(error = %error_chain(&error), "The key ring cannot be tended");
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "Tending the key ring died");
            }
        }
    }
}
