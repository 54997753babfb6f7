//! A gateway at work: serve, tick, and stop without dropping what is in flight.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::ambient::Tasks;
use crate::api::{Services, draining_router, serve};
use crate::deliver::{DeliverySignal, Dispatch, Ledger};
use crate::eventlog::{self, RetentionConfig, SqliteLog};
use crate::gateway::RunError;
use crate::gateway::guarding_log::LogGuard;
use crate::gateway::loops::{LoopParts, Loops};
use crate::gateway::reloading::Reloader;
use crate::keys::{DataKey, KeyRing};
use crate::telemetry::error_chain;

/// How long attempts in flight may take to end once the gateway stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How long an answer that says so may take afterwards.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// A gateway whose rooms are put together and which listens already.
pub struct Gateway {
    pub(super) services: Arc<Services>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) listener: TcpListener,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) data_key: Arc<DataKey>,
    pub(super) engine: Arc<SqliteLog>,
    pub(super) log_guard: LogGuard,
    /// Whether events are delivered, and old ones dropped.
    pub(super) delivers: bool,
    pub(super) retention: RetentionConfig,
    /// How long receipts are kept, and the keys that check them and what they are for.
    pub(super) receipt_age: Duration,
    pub(super) signals: mpsc::UnboundedReceiver<DeliverySignal>,
    pub(super) tasks: Tasks,
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
        let Self { services, tasks, delivers, .. } = self;
        services.readiness.set(true);
        services.queues.start(&tasks);
        let (loops, mut ended) = Loops::start(
            LoopParts {
                services: Arc::clone(&services),
                listener: self.listener,
                dispatch: self.dispatch,
                ledger: self.ledger,
                ring: self.ring,
                data_key: self.data_key,
                engine: self.engine,
                log_guard: self.log_guard,
                retention: self.retention,
                receipt_age: self.receipt_age,
                signals: Mutex::new(self.signals),
                tasks: tasks.clone(),
            },
            delivers,
        );
        let outcome = tokio::select! {
            () = until => Ok(()),
            Some(end) = ended.recv() => end,
        };
        services.readiness.set(false);
        let parts = loops.end().await;
        if !drained(&tasks, &parts.listener, &services).await {
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
async fn drained(tasks: &Tasks, listener: &TcpListener, services: &Arc<Services>) -> bool {
    let (late, routes) = (Tasks::new(), draining_router(Arc::clone(services)));
    let all_ended = tokio::select! {
        all_ended = tasks.drain(DRAIN) => all_ended,
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
