//! Finds and lists subscriptions, all of which stand in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::event::{ConsumerId, QualifiedName, SubscriptionId, SubscriptionReference};
use crate::subscriptions::{Subscription, SubscriptionPage, SubscriptionQuery, Wishes};

impl SubscriptionService {
    /// Lists all subscriptions.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self) -> Result<Vec<Arc<Subscription>>, SubscriptionServiceError> {
        Ok(self.subscriptions.list().await?)
    }

    /// Lists a page of those that are wanted; no filter is read for it.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn page(
        &self,
        query: &SubscriptionQuery<'_>,
    ) -> Result<SubscriptionPage, SubscriptionServiceError> {
        Ok(self.subscriptions.page(query).await?)
    }

    /// Lists all that may be seen after a place: those of some consumers, and then of all others if
    /// they are seen, too.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn seen(
        &self,
        whose: (&BTreeSet<ConsumerId>, bool),
        after: Option<&QualifiedName>,
    ) -> Result<Vec<Arc<Subscription>>, SubscriptionServiceError> {
        Ok(self.subscriptions.seen(whose, after).await?)
    }

    /// What all of them want, each wish once.
    pub fn wishes(&self) -> &Wishes {
        self.subscriptions.wishes()
    }

    /// Reads one subscription.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(
        &self,
        id: &SubscriptionId,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        Ok(self.subscriptions.get(id).await?)
    }

    /// Finds what somebody means who sees the subscriptions of some consumers, or of all.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, or there are several. Ours: the registry failed.
    pub async fn find(
        &self,
        reference: &SubscriptionReference,
        whose: (&BTreeSet<ConsumerId>, bool),
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        Ok(self.subscriptions.find(reference, whose).await?)
    }
}
