//! Finds the subscriptions that an event may concern, without a look at the deliveries of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::deliver::dispatch::SubscriptionService;
use crate::event::SubscriptionId;
use crate::eventlog::{Entry, LogError, Page};
use crate::route::EventTree;
use crate::subscriptions::{Subscription, SubscriptionState};

/// Attempts at one event that are looked through for the subscriptions that they were made for.
const ATTEMPTS: usize = 1000;
/// Filters that are asked before others have their turn.
const TOGETHER: usize = 64;

/// Whom an event may concern, of some subscriptions.
pub struct ConcernedSubscriptions {
    /// Those that want it, wanted it once, or were sent it, and the first that never did; in order.
    pub to_explain: Vec<Arc<Subscription>>,
    /// How many want it and began after it.
    pub before_start: usize,
}

impl SubscriptionService {
    /// Finds whom of some subscriptions an event may concern, and as many of the others as are
    /// wanted.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn concerned(
        &self,
        of: Vec<Arc<Subscription>>,
        entry: &Entry,
        mut others: usize,
    ) -> Result<ConcernedSubscriptions, LogError> {
        let page = Page { items: ATTEMPTS, ..Page::default() };
        let attempts = self.store.attempts.attempts(None, Some(entry.event.id), page).await?;
        let tried: BTreeSet<SubscriptionId> =
            attempts.into_iter().map(|attempt| attempt.key.subscription).collect();
        let wanting: BTreeSet<_> = self.dispatch.wanting(&entry.event).into_iter().collect();
        let event = entry.event.to_tree();
        let tree = EventTree::of(&event);
        let mut found = ConcernedSubscriptions { to_explain: Vec::new(), before_start: 0 };
        let mut asked = 0;
        for subscription in of {
            let was_tried = tried.contains(&subscription.id);
            let is_wanted = wanting.contains(&subscription.id)
                || unlisted(&subscription).any(|filter| {
                    asked += 1;
                    filter.matches_tree(&tree)
                });
            if asked >= TOGETHER {
                asked = 0;
                tokio::task::yield_now().await;
            }
            let began_later = subscription.begins.is_some_and(|begins| begins >= entry.position);
            if is_wanted && began_later && !was_tried {
                found.before_start += 1;
            } else if is_wanted || was_tried {
                found.to_explain.push(subscription);
            } else if others > 0 {
                others -= 1;
                found.to_explain.push(subscription);
            }
        }
        Ok(found)
    }
}

/// The filters of a subscription that the table of all does not know.
fn unlisted(subscription: &Subscription) -> impl Iterator<Item = &crate::route::Filter> {
    let is_listed = subscription.state != SubscriptionState::Closed;
    let epochs = subscription.epochs.iter().rev().skip(usize::from(is_listed));
    epochs.map(|epoch| &**epoch.wish.filter())
}
