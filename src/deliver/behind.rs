//! Says which subscriptions keep the log from being dropped, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::deliver::expiry::limit_of;
use crate::deliver::{BacklogLimit, Office};
use crate::event::Timestamp;
use crate::eventlog::{Error, EventLog, Page, Position};
use crate::subscriptions::Subscription;

/// A subscription that has not settled everything.
#[derive(Clone, Debug)]
pub struct Behind {
    /// Which one.
    pub subscription: Arc<Subscription>,
    /// Everything up to here is settled.
    pub settled: Position,
    /// When the oldest entry was accepted that is not.
    pub since: Timestamp,
    /// How much may wait for it.
    pub limit: BacklogLimit,
}

impl Behind {
    /// When that entry expires, if it is a match and only waits; nothing if its age has no bound.
    pub fn expires(&self) -> Option<Timestamp> {
        self.limit.age.map(|age| self.since.after(age))
    }
}

impl Office {
    /// Finds the subscriptions that have not settled everything, those first that are farthest
    /// behind. Where everyone keeps up, that reads nothing but memory.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn behind(&self) -> Result<Vec<Behind>, Error> {
        let mut oldest: BTreeMap<Position, Option<Timestamp>> = BTreeMap::new();
        let mut behind = Vec::new();
        for (id, standing) in self.standings() {
            let settled = standing.settled;
            if settled >= self.log.head() {
                continue;
            }
            let since = if let Some(known) = oldest.get(&settled) {
                *known
            } else {
                let found = accepted_after(&*self.log, settled).await?;
                oldest.insert(settled, found);
                found
            };
            let (Some(since), Some(line)) = (since, self.line(&id)) else { continue };
            let subscription = Arc::clone(&line.subscription.borrow());
            let limit = limit_of(&subscription, self.dispatch.backlog());
            behind.push(Behind { subscription, settled, since, limit });
        }
        behind.sort_by_key(|one| one.settled);
        Ok(behind)
    }
}

/// When the first entry after a place was accepted; nothing if there is none.
///
/// # Errors
///
/// Ours: the log failed.
pub async fn accepted_after(
    log: &dyn EventLog,
    place: Position,
) -> Result<Option<Timestamp>, Error> {
    let first = log.read(place, Page { items: 1, bytes: 1 }).await?;
    Ok(first.first().map(|entry| entry.accepted))
}
