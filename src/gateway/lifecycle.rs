//! A gateway at work: serve, tick, and stop without dropping what is in flight.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::ambient::Tasks;
use crate::api::{Services, draining_router, serve};
use crate::deliver::Ledger;
use crate::eventlog;
use crate::gateway::RunError;
use crate::gateway::loops::{LoopParts, Loops};
use crate::gateway::reloading::Reloader;
use crate::telemetry::error_chain;

/// How long attempts in flight may take to end once the gateway stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How long an answer that says so may take afterwards.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// A gateway whose rooms are put together and which listens already.
pub struct Gateway {
    pub(super) reloader: Arc<Reloader>,
    pub(super) parts: LoopParts,
}

impl Gateway {
    /// The address that the gateway listens on.
    ///
    /// # Errors
    ///
    /// Ours: the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.parts.listener.local_addr()
    }

    /// What its API is served by.
    pub const fn services(&self) -> &Arc<Services> {
        &self.parts.services
    }

    /// Takes its files anew when it is told to.
    pub const fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Serves until `until` is done or something breaks, then drains: new work is refused, attempts
    /// in flight end, and their outcomes are written.
    ///
    /// # Errors
    ///
    /// Ours: the log or the server failed.
    pub async fn run(self, until: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let services = Arc::clone(&self.parts.services);
        services.readiness.set(true);
        services.queues.start(&services.tasks);
        let (loops, mut ended) = Loops::start(self.parts);
        let outcome = tokio::select! {
            () = until => Ok(()),
            Some(end) = ended.recv() => end,
        };
        services.readiness.set(false);
        let parts = loops.end().await;
        if !drained(&services, &parts.listener).await {
            tracing::warn!("Some attempts had not ended after {DRAIN:?}; they are made again");
        }
        let written = flushed(&parts.ledger).await;
        parts.log_guard.write(services.clock.now()).await;
        // The database is in one file again once nobody reads it any more.
        drop(parts);
        let closed = services.store.log.close().await.map_err(RunError::Log);
        outcome.and(written).and(closed)
    }
}

/// Waits until attempts in flight have ended, and answers meanwhile that the gateway stops; says whether
/// they all have in time.
async fn drained(services: &Arc<Services>, listener: &TcpListener) -> bool {
    let (late, routes) = (Tasks::new(), draining_router(Arc::clone(services)));
    let all_ended = tokio::select! {
        all_ended = services.tasks.drain(DRAIN) => all_ended,
        () = serve(listener, routes, &services.config, &late) => false,
    };
    late.drain(LAST_ANSWERS).await;
    all_ended
}

/// Writes the last outcomes.
async fn flushed(ledger: &Ledger) -> Result<(), RunError> {
    match ledger.try_flush().await {
        // Waiting for room could take for ever, and what is not written is only repeated.
        Err(error @ eventlog::LogError::Full { .. }) => {
            tracing::warn!(error = %error_chain(&error), "The last outcomes are not written; they are delivered again");
            Ok(())
        }
        other => other.map_err(RunError::Log),
    }
}
