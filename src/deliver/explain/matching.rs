//! Says whether a subscription wanted an event, and if not, what kept it out.

use crate::deliver::dispatch::SubscriptionService;
use crate::deliver::worker::{EntryDecision, NotDecided};
use crate::eventlog::{Entry, Position};
use crate::route::Mismatch;
use crate::subscriptions::Subscription;

/// Whether a subscription wanted an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterMatching {
    /// It did.
    Matched,
    /// It did not: these parts of the filter that applied then were not met.
    Missed(Vec<Mismatch>),
    /// It takes too much work to tell, or that work is still being done.
    Undecided,
    /// The log does not hold the event any more.
    Unknown,
}

impl SubscriptionService {
    /// Whether a subscription wanted an entry, where its worker has come as far as `scanned`: what it
    /// has not come to and is much work is not decided for the asking.
    pub(super) async fn matching(
        &self,
        subscription: &Subscription,
        entry: &Entry,
        scanned: Option<Position>,
    ) -> FilterMatching {
        let decider = self.dispatch.decider();
        let Some(asked) = subscription.asked_at(entry.position) else {
            return FilterMatching::Unknown;
        };
        if !subscription.could_hear(entry) {
            let reason = "the consumer was not entitled to it when it came".to_owned();
            let path = "publication".to_owned();
            return FilterMatching::Missed(vec![Mismatch { path, reason }]);
        }
        let decided = match decider.at_once(subscription, entry).await {
            Some(decided) => Ok(decided),
            None if scanned.is_none_or(|scanned| entry.position > scanned) => Err(NotDecided),
            None => decider.decide(subscription, entry).await,
        };
        match decided {
            Ok(EntryDecision::Wanted) => FilterMatching::Matched,
            Ok(EntryDecision::GivenUp) | Err(NotDecided) => FilterMatching::Undecided,
            Ok(EntryDecision::Unwanted) => {
                let steps = decider.config().at_once().each;
                let why = asked.filter.explain(&entry.event.to_tree(), steps);
                FilterMatching::Missed(why.unwrap_or_else(|_| vec![Mismatch::untold()]))
            }
        }
    }
}
