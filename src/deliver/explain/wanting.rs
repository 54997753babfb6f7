//! Says where an event would go that is not in the log.

use crate::deliver::dispatch::SubscriptionService;
use crate::event::{CloudEvent, SubscriptionId};

impl SubscriptionService {
    /// The subscriptions that want an event now, whatever their state.
    pub fn wanting(&self, event: &CloudEvent) -> Vec<SubscriptionId> {
        self.dispatch.wanting(event)
    }
}
