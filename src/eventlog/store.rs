//! Everything that is kept, seam by seam.

use std::sync::Arc;

use crate::eventlog::{
    Actions, Attempts, DeadLetters, DeliveryState, Leases, Log, LogTree, Quarantine, Receipts,
    Registry, Schemas, SignatureStore, SoleOwner, Tailed,
};

/// The seams of one store. Whoever uses one seam alone takes only that.
#[derive(Clone)]
pub struct Store {
    /// The record of events.
    pub log: Arc<dyn Log>,
    /// The tree over it.
    pub tree: Arc<dyn LogTree>,
    /// How far deliveries have come.
    pub state: Arc<dyn DeliveryState>,
    /// Small documents.
    pub registry: Arc<dyn Registry>,
    /// Deliveries that were given up.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Events that broke their contract.
    pub quarantine: Arc<dyn Quarantine>,
    /// What consumers have signed for.
    pub receipts: Arc<dyn Receipts>,
    /// The schemas that events name, and their contracts.
    pub schemas: Arc<dyn Schemas>,
    /// The signatures of producers that were seen lately.
    pub signatures: Arc<dyn SignatureStore>,
    /// What was tried.
    pub attempts: Arc<dyn Attempts>,
    /// What callers changed.
    pub actions: Arc<dyn Actions>,
    /// Who delivers.
    pub leases: Arc<dyn Leases>,
}

impl Store {
    /// The store of an engine that keeps everything for one process.
    pub fn of<E>(engine: &Arc<E>) -> Self
    where
        E: Log
            + LogTree
            + DeliveryState
            + Registry
            + DeadLetters
            + Quarantine
            + Receipts
            + Schemas
            + SignatureStore
            + Attempts
            + Actions
            + 'static,
    {
        Self {
            log: Arc::clone(engine) as _,
            tree: Arc::clone(engine) as _,
            state: Arc::clone(engine) as _,
            registry: Arc::clone(engine) as _,
            dead_letters: Arc::clone(engine) as _,
            quarantine: Arc::clone(engine) as _,
            receipts: Arc::clone(engine) as _,
            schemas: Arc::clone(engine) as _,
            signatures: Arc::clone(engine) as _,
            attempts: Arc::clone(engine) as _,
            actions: Arc::clone(engine) as _,
            leases: Arc::new(SoleOwner),
        }
    }

    /// Keeps at most so many bytes of the newest entries in memory.
    #[must_use]
    pub fn tailed(self, bytes: usize) -> Self {
        Self { log: Tailed::over(self.log, bytes), ..self }
    }
}
