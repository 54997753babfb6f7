//! Says which subscriptions keep the log from being dropped, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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

/// When the first entry after a place was accepted, for the places where subscriptions stand. That
/// entry stays as long as one stands there, and to ask for it each time is a read for each of them.
#[derive(Debug, Default)]
pub(super) struct Oldest(Mutex<BTreeMap<Position, Timestamp>>);

impl Oldest {
    fn known(&self) -> BTreeMap<Position, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, places: BTreeMap<Position, Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }
}

impl Office {
    /// Finds the subscriptions that have not settled everything, those first that are farthest
    /// behind. It reads the log only for those that stand where nobody stood before.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn behind(&self) -> Result<Vec<Behind>, Error> {
        let known = self.oldest.known();
        let mut oldest = BTreeMap::new();
        let mut behind = Vec::new();
        for (id, standing) in self.standings() {
            let settled = standing.settled;
            if settled >= self.log.head() {
                continue;
            }
            let since = match oldest.get(&settled).or_else(|| known.get(&settled)) {
                Some(since) => Some(*since),
                None => accepted_after(&*self.log, settled).await?,
            };
            let (Some(since), Some(line)) = (since, self.line(&id)) else { continue };
            oldest.insert(settled, since);
            let subscription = Arc::clone(&line.subscription.borrow());
            let limit = self.dispatch.limit_of(&subscription);
            behind.push(Behind { subscription, settled, since, limit });
        }
        self.oldest.keep(oldest);
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
