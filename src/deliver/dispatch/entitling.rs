//! Records what consumers may hear with the epochs of their subscriptions, wherever that has changed.

use std::sync::Arc;

use crate::access::{ComingEnd, EndedAccess, Entitlement};
use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError};
use crate::event::ConsumerId;
use crate::eventlog::Position;
use crate::subscriptions::{Subscription, SubscriptionError};

impl SubscriptionService {
    /// Records it for every subscription that is served; says for how many.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the log or the registry failed. Whoever is not recorded then is
    /// with the next call, and hears nothing that it may not hear meanwhile.
    pub async fn entitle_all(&self) -> Result<usize, SubscriptionServiceError> {
        self.entitle_some(|_| true).await
    }

    /// Records it for the subscriptions of one consumer.
    ///
    /// # Errors
    ///
    /// As [`entitle_all`](Self::entitle_all).
    pub async fn entitle_consumer(
        &self,
        consumer: &ConsumerId,
    ) -> Result<usize, SubscriptionServiceError> {
        self.entitle_some(|subscription| subscription.consumer == *consumer).await
    }

    async fn entitle_some(
        &self,
        is_chosen: impl Fn(&Subscription) -> bool + Send,
    ) -> Result<usize, SubscriptionServiceError> {
        let mut recorded = 0;
        for subscription in self.dispatch.subscriptions() {
            if is_chosen(&subscription) && self.entitle(&subscription).await?.is_some() {
                recorded += 1;
            }
        }
        Ok(recorded)
    }

    /// Records it for one subscription, from the position that nobody has passed; gives the
    /// subscription if there was something to record.
    pub(super) async fn entitle(
        &self,
        seen: &Arc<Subscription>,
    ) -> Result<Option<Arc<Subscription>>, SubscriptionServiceError> {
        if self.is_entitled(seen) {
            return Ok(None);
        }
        let _changing = self.changing(&seen.id).await;
        let current = match self.again(seen).await {
            Err(SubscriptionServiceError::Subscription(SubscriptionError::Unknown(_))) => {
                return Ok(None);
            }
            other => other?,
        };
        if self.is_entitled(&current) {
            return Ok(None);
        }
        self.dispatch.hold(&current.id).await;
        let recorded = self.record_entitlement(&current).await;
        match &recorded {
            Ok(recorded) => self.dispatch.changed(recorded).await,
            Err(_) => self.dispatch.release(&current.id).await,
        }
        recorded.map(Some)
    }

    /// Whether what a subscription has recorded last is what its consumer may hear.
    pub(super) fn is_entitled(&self, subscription: &Subscription) -> bool {
        let now = self.access().entitlement(&subscription.consumer);
        subscription.newest_entitlement().is_some_and(|recorded| **recorded == now)
    }

    /// Writes a new epoch, while nobody takes matches.
    pub(super) async fn record_entitlement(
        &self,
        current: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let head = self.store.log.fresh_head().await?;
        let from = Position(head.0 + 1);
        let entitlement = self.access().entitlement(&current.consumer);
        let ended = self.ended(current, &entitlement, from);
        let low_watermark = self.store.log.low_watermark().position;
        let recorded = self
            .subscriptions
            .entitle(current, (&entitlement, ended), (from, low_watermark))
            .await?;
        tracing::info!(
            subscription.id = %current.id,
            "What subscription {} hears has changed, from position {from} on", current.shown(),
        );
        Ok(recorded)
    }

    /// The publications that the consumer could hear by the newest epoch and that this subscription
    /// may want, and which it cannot hear now.
    fn ended(
        &self,
        current: &Subscription,
        next: &Entitlement,
        from: Position,
    ) -> Vec<EndedAccess> {
        let now = self.clock.now();
        // By the moment of the record: an end that comes by itself is not over in the epoch of before.
        let heard = |publication: &str| {
            let Some(before) = current.newest_entitlement() else { return false };
            before.hears(publication, crate::event::Timestamp::EPOCH)
        };
        let lost = self.access().publications().into_iter().filter(|publication| {
            heard(&publication.name)
                && !next.hears(&publication.name, now)
                && current.may_want(&publication.event_name)
        });
        lost.map(|one| self.access().end_of(&current.consumer, &one.name, from)).collect()
    }

    /// What a subscription hears and soon cannot any more.
    pub fn coming_ends(&self, subscription: &Subscription) -> Vec<ComingEnd> {
        self.access().coming_ends(&subscription.consumer, |event| subscription.may_want(event))
    }

    /// Whether its consumer may hear nothing any more of what a subscription may want.
    pub fn hears_nothing(&self, subscription: &Subscription) -> bool {
        !self.access().hears_any(&subscription.consumer, |event| subscription.may_want(event))
    }
}
