//! A gateway at work: serve, tick, and stop without dropping what is in flight.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::ambient::Tasks;
use crate::api::{Services, draining_router, router, serve};
use crate::deliver::follow;
use crate::deliver::{DeliverySignal, Dispatch, Ledger};
use crate::eventlog::{self, Displaced, RetentionConfig, SqliteLog};
use crate::gateway::expiry::expire;
use crate::gateway::exporting::export;
use crate::gateway::granting::tend_access;
use crate::gateway::guarding_log::{LogGuard, watch_files};
use crate::gateway::lagging::warn;
use crate::gateway::quotas::hold;
use crate::gateway::reloading::Reloader;
use crate::gateway::retention::Retaining;
use crate::gateway::tending_keys::tend_keys;
use crate::gateway::watching::watch;
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

/// Why a gateway stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log failed; everything that was answered with yes is in it.
    #[error("the log failed")]
    Log(#[source] eventlog::LogError),
    /// The log was moved, and nothing more is accepted.
    #[error("the log was moved")]
    Displaced(#[source] Displaced),
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
        let Self { services, listener, dispatch, ledger, retention, signals, tasks, .. } = self;
        let Self { ring, data_key, engine, log_guard, delivers, .. } = self;
        let retaining = Retaining {
            config: retention,
            services: Arc::clone(&services),
            ledger: Arc::clone(&ledger),
        };
        let receipt_age = self.receipt_age;
        services.readiness.set(true);
        services.queues.start(&tasks);
        let routes = router(Arc::clone(&services));
        let outcome = tokio::select! {
            () = until => Ok(()),
            () = only(delivers, follow(&*services.store.log, &dispatch, &*services.clock)) => Ok(()),
            error = ledger.run() => error.map_err(RunError::Log),
            displaced = watch_files(&engine, &services) => Err(RunError::Displaced(displaced)),
            () = log_guard.run(&*services.clock) => Ok(()),
            () = tend_keys((&ring, &data_key), &services, receipt_age) => Ok(()),
            () = only(delivers, retaining.run()) => Ok(()),
            () = only(delivers, tend_access(&services)) => Ok(()),
            () = only(delivers, services.handshakes.run()) => Ok(()),
            () = only(delivers, expire(&services, retention)) => Ok(()),
            () = warn(&services, retention) => Ok(()),
            () = services.log_proofs.witnesses.run() => Ok(()),
            () = only(delivers, hold(&services, retention)) => Ok(()),
            () = only(delivers, export(&services)) => Ok(()),
            () = watch(&services, signals) => Ok(()),
            () = serve(&listener, routes, &services.config, &tasks) => Ok(()),
        };
        services.readiness.set(false);
        if !drained(&tasks, &listener, &services).await {
            tracing::warn!("Some attempts had not ended after {DRAIN:?}; they are made again");
        }
        let written = flushed(&ledger).await;
        log_guard.write(services.clock.now()).await;
        // The database is in one file again once nobody reads it any more.
        drop(log_guard);
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

/// Does work that belongs to delivery, where there is any.
async fn only(delivers: bool, work: impl Future<Output = ()>) {
    if delivers {
        work.await;
    } else {
        std::future::pending::<()>().await;
    }
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
