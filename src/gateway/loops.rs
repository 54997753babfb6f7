//! The loops of the gateway: each is a task of its own and begins anew where it panics, so that none
//! waits for another or ends with it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ambient::restarted;
use crate::api::{Services, router, serve};
use crate::deliver::{DeliverySignal, Dispatch, Ledger, follow};
use crate::eventlog::SqliteLog;
use crate::gateway::RunError;
use crate::gateway::expiry::expire;
use crate::gateway::exporting::export;
use crate::gateway::granting::tend_access;
use crate::gateway::guarding_log::{LogGuard, watch_files};
use crate::gateway::lagging::warn;
use crate::gateway::pacing::{Pacing, pace};
use crate::gateway::quotas::hold;
use crate::gateway::retention::Retaining;
use crate::gateway::tending_callers::tend_callers;
use crate::gateway::tending_keys::tend_keys;
use crate::gateway::watching::watch;

/// What the loops work with.
pub(super) struct LoopParts {
    pub(super) services: Arc<Services>,
    pub(super) listener: TcpListener,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) engine: Arc<SqliteLog>,
    pub(super) log_guard: LogGuard,
    /// How long receipts are kept, and the keys that check them and what they are for.
    pub(super) receipt_age: Duration,
    pub(super) pacing: Arc<Pacing>,
    pub(super) signals: Mutex<Signals>,
}

type Signals = mpsc::UnboundedReceiver<DeliverySignal>;

impl LoopParts {
    /// What serves and delivers, what keeps the log, and what it is told.
    pub(super) fn new(
        (services, listener, dispatch, pacing): (
            Arc<Services>,
            TcpListener,
            Arc<Dispatch>,
            Arc<Pacing>,
        ),
        (ledger, engine, log_guard): (Arc<Ledger>, Arc<SqliteLog>, LogGuard),
        (receipt_age, signals): (Duration, Signals),
    ) -> Self {
        let signals = Mutex::new(signals);
        Self {
            services,
            listener,
            dispatch,
            ledger,
            engine,
            log_guard,
            receipt_age,
            pacing,
            signals,
        }
    }
}

/// How a loop ended by itself, which ends the gateway.
pub(super) type LoopEnd = Result<(), RunError>;

/// The loops that run.
pub(super) struct Loops {
    parts: Arc<LoopParts>,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
    ended: mpsc::UnboundedSender<LoopEnd>,
}

impl Loops {
    /// Starts all of them; those of delivery only where there is delivery. Whoever listens hears when
    /// one has ended by itself.
    pub(super) fn start(parts: LoopParts) -> (Self, mpsc::UnboundedReceiver<LoopEnd>) {
        let (ended, hears) = mpsc::unbounded_channel();
        let (parts, stop) = (Arc::new(parts), CancellationToken::new());
        let mut loops = Self { parts, stop, running: Vec::new(), ended };
        loops.start_essential();
        if loops.parts.services.delivers {
            loops.start_delivery();
        }
        (loops, hears)
    }

    fn start_essential(&mut self) {
        self.ending("http", |of| async move {
            let routes = router(Arc::clone(&of.services));
            serve(&of.listener, routes, &of.services.config, &of.services.tasks).await;
            Ok(())
        });
        self.ending("outcomes", |of| async move { of.ledger.run().await.map_err(RunError::Log) });
        self.ending("log files", |of| async move {
            Err(RunError::Displaced(watch_files(&of.engine, &of.services).await))
        });
        self.run("log guard", |of| async move { of.log_guard.run(&*of.services.clock).await });
        self.run("keys", |of| async move {
            tend_keys(&of.services, of.receipt_age).await;
        });
        self.run("callers", |of| async move { tend_callers(&of.services).await });
        self.run("lag", |of| async move { warn(&of.services).await });
        self.run("witnesses", |of| async move { of.services.log_proofs.witnesses.run().await });
        self.run("signals", |of| async move { watch(&of.services, &of.signals).await });
    }

    fn start_delivery(&mut self) {
        self.run("dispatch", |of| async move {
            follow(&*of.services.store.log, &of.dispatch, &*of.services.clock).await;
        });
        self.run("retention", |of| async move {
            let (services, ledger) = (Arc::clone(&of.services), Arc::clone(&of.ledger));
            Retaining { config: services.retention, services, ledger }.run().await;
        });
        self.run("pacing", |of| async move {
            pace(&of.services, &of.dispatch, &of.pacing).await;
        });
        self.run("access", |of| async move { tend_access(&of.services).await });
        self.run("handshakes", |of| async move { of.services.handshakes.run().await });
        self.run("expiry", |of| async move { expire(&of.services).await });
        self.run("quotas", |of| async move { hold(&of.services).await });
        self.run("exports", |of| async move { export(&of.services).await });
    }

    /// Runs one that goes on for as long as the gateway does.
    fn run<F>(
        &mut self,
        name: &'static str,
        work: impl Fn(Arc<LoopParts>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.ending(name, move |parts| work(parts).map(Ok));
    }

    /// Runs one that may end by itself, and the gateway with it.
    fn ending<F>(
        &mut self,
        name: &'static str,
        work: impl Fn(Arc<LoopParts>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = LoopEnd> + Send + 'static,
    {
        let (parts, stop, ended) = (Arc::clone(&self.parts), self.stop.clone(), self.ended.clone());
        self.running.push(self.parts.services.tasks.spawn(async move {
            let clock = Arc::clone(&parts.services.clock);
            let looping = restarted((name, &*clock), || work(Arc::clone(&parts)));
            tokio::select! {
                () = stop.cancelled() => {}
                // Nobody listens only when the gateway has begun to stop.
                end = looping => drop(ended.send(end)),
            }
        }));
    }

    /// Ends all of them, and gives back what they worked with.
    pub(super) async fn end(self) -> Arc<LoopParts> {
        self.stop.cancel();
        for one in self.running {
            // It cannot have panicked.
            let _ = one.await;
        }
        self.parts
    }
}
