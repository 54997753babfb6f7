//! What a worker has given up and waits to be written, while it goes on with everything else: a full
//! disk keeps no command waiting.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::deliver::worker::DeliveryContext;
use crate::event::SubscriptionId;
use crate::eventlog::LogError;

/// The writing of what was given up, if there is something to write. Nobody waits for one that is dropped;
/// what was noted is written all the same.
#[derive(Default)]
pub(super) struct Unwritten(Option<AbortOnDropHandle<Result<(), LogError>>>);

impl Unwritten {
    /// Whether something waits to be written: nothing more is given up meanwhile, so that the writer
    /// sets the pace.
    pub(super) const fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    /// Has everything written that was noted, as soon as the disk has room.
    pub(super) fn write(&mut self, context: &DeliveryContext) {
        let (ledger, stopping) = (Arc::clone(&context.ledger), context.tasks.stopping().clone());
        // On a task of its own: who writes has to be polled, or it keeps every other writer waiting.
        self.0 = Some(AbortOnDropHandle::new(context.tasks.spawn(async move {
            tokio::select! {
                written = ledger.flush() => written,
                () = stopping.cancelled() => Ok(()),
            }
        })));
    }

    /// Waits until it is written; for ever if nothing has to be.
    ///
    /// Cancel safe.
    pub(super) async fn written(&mut self, id: &SubscriptionId) {
        let Some(writing) = &mut self.0 else { return std::future::pending().await };
        let written = writing.await;
        self.0 = None;
        if let Ok(Err(error)) = written {
            tracing::error!(
                subscription.id = %id,
                error = &error as &dyn std::error::Error,
                "What was given up for subscription {id} is not written",
            );
        }
    }
}
