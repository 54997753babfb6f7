//! Says what waits for the gateway alone.

use std::time::Duration;

use crate::deliver::dispatch::Dispatch;
use crate::event::{SubscriptionId, Timestamp};

impl Dispatch {
    /// The subscriptions with a match that could be sent if the gateway were quicker, as far as can be told,
    /// and when that match was accepted; `step` is how long work waits for its turn.
    pub fn waiting_for_gateway(&self, step: Duration) -> Vec<(SubscriptionId, Timestamp)> {
        let standings = self.standings().into_iter();
        let next = standings.filter_map(|(id, standing)| Some((id, standing.next_accepted?)));
        next.filter(|(id, _)| self.flow(id).is_some_and(|flow| !flow.keeps(step))).collect()
    }
}
