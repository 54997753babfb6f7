//! Starts every courier where the log says that it stood.

use std::collections::BTreeMap;

use crate::deliver::{Office, OfficeError};
use crate::event::{EventId, SubscriptionId};
use crate::eventlog::{Cursor, DeliveryState, Error as LogError, Position, Retry};
use crate::subscriptions::Document;

impl Office {
    /// Starts the courier of every subscription where the log says that it stood.
    ///
    /// What a subscription has left whose removal a crash has cut short is forgotten first: its
    /// cursor would keep every event for ever.
    ///
    /// # Errors
    ///
    /// Ours: the log or the registry failed.
    pub async fn resume(&self) -> Result<usize, OfficeError> {
        let state = self.log.load().await?;
        self.forget_leftovers(&state).await?;
        let mut cursors: BTreeMap<_, _> = state.cursors.into_iter().collect();
        let mut waiting: BTreeMap<_, Vec<Retry>> = BTreeMap::new();
        for retry in state.retries {
            waiting.entry(retry.key.subscription.clone()).or_default().push(retry);
        }
        let subscriptions = self.subscriptions.list().await?;
        for subscription in &subscriptions {
            let id = &subscription.id;
            let cursor = match cursors.remove(id) {
                Some(cursor) => cursor,
                // The gateway ended between keeping the subscription and keeping its cursor.
                None => Cursor::starting(id, self.start_of(&subscription.document).await?),
            };
            self.dispatch.open(subscription, cursor, waiting.remove(id).unwrap_or_default());
        }
        Ok(subscriptions.len())
    }

    /// Forgets the owners of cursors and retries that the registry does not know; a damaged
    /// subscription is known, and keeps what it has.
    async fn forget_leftovers(&self, state: &DeliveryState) -> Result<(), OfficeError> {
        let known = self.subscriptions.names().await?;
        let cursors = state.cursors.iter().map(|(id, _)| id);
        let owners = cursors.chain(state.retries.iter().map(|retry| &retry.key.subscription));
        let mut gone: Vec<&SubscriptionId> =
            owners.filter(|id| !known.contains(id.as_str())).collect();
        gone.sort_unstable();
        gone.dedup();
        for id in gone {
            tracing::info!(subscription.id = %id, "Subscription {id} was removed; what it left goes");
            self.log.forget(id).await?;
        }
        Ok(())
    }

    /// Where a new subscription begins.
    pub(super) async fn start_of(&self, document: &Document) -> Result<Position, LogError> {
        match document.config.start.parse::<EventId>() {
            Ok(first) => self.log.seek(first).await,
            Err(_) => Ok(self.log.head()),
        }
    }
}
