//! Starts every worker where the log says that it stood.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::event::{Blame as _, EventId, Fault, SubscriptionId};
use crate::eventlog::{Changes, Cursor, LogError, Position, Retry, SavedDeliveries};
use crate::subscriptions::{Subscription, SubscriptionDocument, SubscriptionState};
use crate::telemetry::error_chain;

/// Subscriptions that are written at the same time, so that the log syncs once for many.
const AT_ONCE: usize = 256;

impl SubscriptionService {
    /// Starts the courier of every subscription where the log says that it stood.
    ///
    /// What a subscription has left whose removal a crash has cut short is forgotten first: its
    /// cursor would keep every event for ever.
    ///
    /// # Errors
    ///
    /// Ours: the log or the registry failed.
    pub async fn resume(&self) -> Result<usize, SubscriptionServiceError> {
        let state = self.store.state.load().await?;
        self.forget_leftovers(&state).await?;
        let mut cursors: BTreeMap<_, _> = state.cursors.into_iter().collect();
        let mut waiting: BTreeMap<_, Vec<Retry>> = BTreeMap::new();
        for retry in state.retries {
            waiting.entry(retry.key.subscription.clone()).or_default().push(retry);
        }
        let subscriptions = self.with_outer_key_secrets(self.subscriptions.list().await?).await?;
        // All at once, because each that comes alone has the index built anew.
        self.dispatch.list_all(&subscriptions);
        for subscription in &subscriptions {
            let id = &subscription.id;
            let cursor = match cursors.remove(id) {
                Some(cursor) => cursor,
                // The gateway ended between keeping the subscription and keeping its cursor.
                None => self.begin(id, &subscription.document).await?,
            };
            // Before anything is served: a grant may have ended just before the gateway did.
            let is_closed = subscription.state == SubscriptionState::Closed;
            let recorded = if is_closed || self.is_entitled(subscription) {
                Arc::clone(subscription)
            } else {
                self.record_entitlement(subscription).await?
            };
            self.dispatch.open(&recorded, cursor, waiting.remove(id).unwrap_or_default());
        }
        Ok(subscriptions.len())
    }

    /// Forgets the owners of cursors and retries that the registry does not know; a damaged
    /// subscription is known, and keeps what it has.
    async fn forget_leftovers(
        &self,
        state: &SavedDeliveries,
    ) -> Result<(), SubscriptionServiceError> {
        let known = self.subscriptions.ids().await?;
        let cursors = state.cursors.iter().map(|(id, _)| id);
        let owners = cursors.chain(state.retries.iter().map(|retry| &retry.key.subscription));
        let mut gone: Vec<&SubscriptionId> =
            owners.filter(|id| !known.contains(id.as_str())).collect();
        gone.sort_unstable();
        gone.dedup();
        for id in gone {
            tracing::info!(subscription.id = %id, "Subscription {id} was removed; what it left goes");
            match self.store.state.forget(id).await {
                // A disk that is full keeps no gateway from starting.
                Err(error) if error.fault() == Fault::Later => break,
                other => other?,
            }
        }
        Ok(())
    }

    /// Gives a secret for outer keys to each subscription that was kept before there was one, and has it
    /// kept before anything is delivered under it.
    async fn with_outer_key_secrets(
        &self,
        subscriptions: Vec<Arc<Subscription>>,
    ) -> Result<Vec<Arc<Subscription>>, SubscriptionServiceError> {
        let given = subscriptions.iter().filter(|one| one.outer_key_secret.is_none()).count();
        if given == 0 {
            return Ok(subscriptions);
        }
        let kept = stream::iter(subscriptions)
            .map(|one| self.with_outer_key_secret(one))
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        tracing::info!(
            subscription.count = given,
            "{given} subscriptions have a secret for what stands outside of tokens as \
             idempotency-key; that value changes this once",
        );
        Ok(kept)
    }

    async fn with_outer_key_secret(
        &self,
        subscription: Arc<Subscription>,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        if subscription.outer_key_secret.is_some() {
            return Ok(subscription);
        }
        let sealed = self.new_outer_key_secret(&subscription.id);
        match self.subscriptions.give_outer_key_secret(&subscription, sealed).await {
            // A disk that is full keeps no gateway from starting: without a secret nothing is shown.
            Err(error) if error.fault() == Fault::Later => {
                tracing::warn!(
                    subscription.id = %subscription.id,
                    error = %error_chain(&error),
                    "Subscription {} shows no idempotency-key until the next start", subscription.shown(),
                );
                Ok(subscription)
            }
            given => Ok(given?),
        }
    }

    /// Keeps where a new subscription begins: nowhere below what retention has dropped, also if it
    /// drops something while this is written. Once it is written, it holds what lies after it.
    pub(super) async fn begin(
        &self,
        id: &SubscriptionId,
        document: &SubscriptionDocument,
    ) -> Result<Cursor, LogError> {
        loop {
            // A subscription of the same name may have ended before; its cursor is not this one's.
            self.store.state.forget(id).await?;
            let cursor = Cursor::starting(id, self.start_of(document).await?);
            let sequence_checkpoints = vec![(id.clone(), cursor.place())];
            let cursors = vec![(id.clone(), cursor.clone())];
            let epoch = self.dispatch.epoch();
            let changes = Changes { epoch, cursors, sequence_checkpoints, ..Changes::default() };
            self.store.state.commit(changes).await?;
            self.store.log.fresh_head().await?;
            if cursor.settled >= self.store.log.low_watermark().position {
                return Ok(cursor);
            }
        }
    }

    pub(super) async fn start_of(
        &self,
        document: &SubscriptionDocument,
    ) -> Result<Position, LogError> {
        let head = self.store.log.fresh_head().await?;
        let start = match document.config.start.parse::<EventId>() {
            Ok(first) => self.store.log.seek(first).await?,
            Err(_) if document.config.start == "earliest" => Position::START,
            Err(_) => head,
        };
        // Below the low watermark an entry may be left that waits for another attempt elsewhere.
        Ok(start.max(self.store.log.low_watermark().position))
    }
}
