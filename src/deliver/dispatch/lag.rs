//! Says which subscriptions keep the log from being dropped, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::deliver::dispatch::SubscriptionService;
use crate::deliver::limits::BacklogLimit;
use crate::deliver::worker::WorkerStanding;
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{Log, LogError, Page, Position};
use crate::subscriptions::Subscription;

/// A subscription that has not settled everything.
#[derive(Clone, Debug)]
pub struct Lag {
    /// Which one.
    pub subscription: Arc<Subscription>,
    /// Everything up to here is settled.
    pub settled: Position,
    /// When the oldest entry was accepted that is not.
    pub since: Timestamp,
    /// How much may wait for it.
    pub limit: BacklogLimit,
}

impl Lag {
    /// When that entry expires, if it is a match and only waits; nothing if its age has no bound.
    pub fn expires(&self) -> Option<Timestamp> {
        self.limit.age.map(|age| self.since.after(age))
    }
}

impl SubscriptionService {
    /// Finds the subscriptions that have not settled everything, those first that are farthest
    /// behind. It reads the log only for those that stand where nobody stood before.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn lags(&self) -> Result<Vec<Lag>, LogError> {
        let known = self.oldest.known();
        let mut oldest = BTreeMap::new();
        let mut behind = Vec::new();
        for (id, standing) in self.standings() {
            let settled = standing.settled;
            if settled >= self.store.log.head() {
                continue;
            }
            let since = match oldest.get(&settled).or_else(|| known.get(&settled)) {
                Some(since) => Some(*since),
                None => accepted_after(&*self.store.log, settled).await?,
            };
            let (Some(since), Some(worker)) = (since, self.worker(&id)) else { continue };
            oldest.insert(settled, since);
            let subscription = Arc::clone(&worker.subscription.borrow());
            let limit = self.dispatch.limit_of(&subscription);
            behind.push(Lag { subscription, settled, since, limit });
        }
        self.oldest.keep(oldest);
        behind.sort_by_key(|one| one.settled);
        Ok(behind)
    }
}

impl SubscriptionService {
    /// For each subscription that does not have everything, when the oldest event was accepted that it
    /// does not have: not settled, or waiting for another attempt.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn waiting_since(&self) -> Result<BTreeMap<SubscriptionId, Timestamp>, LogError> {
        let unsettled = self.lags().await?;
        let mut since: BTreeMap<_, _> =
            unsettled.into_iter().map(|one| (one.subscription.id.clone(), one.since)).collect();
        for (id, standing) in self.standings() {
            let Some(retry) = standing.oldest_retry else { continue };
            let oldest = since.entry(id).or_insert(retry.since);
            *oldest = retry.since.min(*oldest);
        }
        Ok(since)
    }

    /// When the oldest event was accepted that a subscription does not have; nothing if it has all.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn oldest_missing(
        &self,
        standing: &WorkerStanding,
    ) -> Result<Option<Timestamp>, LogError> {
        let unsettled = if standing.settled < self.store.log.head() {
            accepted_after(&*self.store.log, standing.settled).await?
        } else {
            None
        };
        let retry = standing.oldest_retry.map(|retry| retry.since);
        Ok(unsettled.into_iter().chain(retry).min())
    }
}

/// When the first entry after a place was accepted; nothing if there is none.
///
/// # Errors
///
/// Ours: the log failed.
pub async fn accepted_after(log: &dyn Log, place: Position) -> Result<Option<Timestamp>, LogError> {
    let first = log.read(place, Page { items: 1, bytes: 1 }).await?;
    Ok(first.first().map(|entry| entry.accepted))
}
