//! Drops what waits for another attempt: it becomes dead letters, which can be brought back.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::deliver::worker::{RetriesToDrop, WorkerCommand, recall};
use crate::eventlog::{DeliveryKey, Entry, Retry};
use crate::route::Filter;
use crate::subscriptions::Subscription;

/// Deliveries that are given up at once, so that few of their events are in memory.
const SLICE: usize = 64;

impl SubscriptionService {
    /// Gives up the deliveries of a subscription that wait for another attempt and whose events a filter
    /// wants; says of how many. It is durable once this returns. Attempts that are in flight are left
    /// alone.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription is closed. Later: the disk is full. Ours: the log failed.
    pub async fn drop_retries(
        &self,
        subscription: &Subscription,
        wanted: &Filter,
    ) -> Result<usize, SubscriptionServiceError> {
        let _changing = self.changing(&subscription.id).await;
        let worker = self.open_worker(subscription)?;
        // What failed a moment ago is there to be found.
        self.dispatch.write_outcomes().await?;
        let (_, mut waiting) = self.store.state.load_one(&subscription.id).await?;
        // Dead letters are numbered in the order of the log.
        waiting.sort_by_key(|retry| retry.position);
        let mut dropped = 0;
        for some in waiting.chunks(SLICE) {
            let (answer, answered) = oneshot::channel();
            let deliveries = self.wanted_of(some, wanted).await?;
            let command = WorkerCommand::Drop(Box::new(RetriesToDrop { deliveries, answer }));
            worker.command(command).await;
            // A worker that has ended keeps them for the next start.
            dropped += answered.await.unwrap_or_default();
        }
        self.dispatch.write_outcomes().await?;
        Ok(dropped)
    }

    /// Those whose events are wanted, with their events.
    async fn wanted_of(
        &self,
        waiting: &[Retry],
        wanted: &Filter,
    ) -> Result<Vec<(DeliveryKey, Arc<Entry>)>, SubscriptionServiceError> {
        let mut found = Vec::new();
        for retry in waiting {
            // What is kept nowhere any more is settled by its next attempt.
            let Some(entry) = recall(&self.store, retry).await? else { continue };
            if wanted.matches(&wanted.tree_of(&entry.event)) {
                found.push((retry.key.clone(), entry));
            }
        }
        Ok(found)
    }
}
