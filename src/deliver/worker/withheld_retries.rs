//! What waits for another attempt and its consumer may not hear any more.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::outcome::Delivery;
use crate::deliver::worker::{DeliveryContext, recall};
use crate::eventlog::Retry;
use crate::subscriptions::Subscription;

/// So many deliveries are given up before the ledger is written: it sets the pace where many are.
pub(super) const SLICE: usize = 256;
/// How long it waits before it reads again what could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Deliveries that may not be made.
pub(super) struct Unheard {
    pub(super) deliveries: Vec<(Retry, Delivery)>,
    /// Whether there may be more of them.
    pub(super) has_more: bool,
}

/// Holds what waits against what its consumer may hear.
pub(super) async fn find_unheard(
    context: Arc<DeliveryContext>,
    subscription: Arc<Subscription>,
    waiting: Vec<Retry>,
) -> Unheard {
    let mut deliveries = Vec::new();
    for retry in waiting {
        let entry = loop {
            match recall(&context.store, &retry).await {
                Ok(entry) => break entry,
                Err(_) => context.clock.sleep(AFTER_FAILURE).await,
            }
        };
        let Some(entry) = entry else { continue };
        if !context.attempter.may_send(&subscription, &entry) {
            let delivery = Delivery::of_retry(&subscription, entry, &retry);
            deliveries.push((retry, delivery));
        }
        if deliveries.len() == SLICE {
            return Unheard { deliveries, has_more: true };
        }
    }
    Unheard { deliveries, has_more: false }
}
