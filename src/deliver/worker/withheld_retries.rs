//! What waits for another attempt and its consumer may not hear any more.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::outcome::Delivery;
use crate::deliver::worker::aside::Aside;
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

/// Has what waits held against what its consumer may hear.
pub(super) fn begin_to_look(
    looking: &mut Aside<Unheard>,
    (context, subscription): (&Arc<DeliveryContext>, &Arc<Subscription>),
    waiting: Vec<Retry>,
) {
    let (reader, subscription) = (Arc::clone(context), Arc::clone(subscription));
    looking.begin(&context.tasks, async move {
        let mut deliveries = Vec::new();
        for retry in waiting {
            let entry = loop {
                match recall(&reader.store, &retry).await {
                    Ok(entry) => break entry,
                    Err(_) => reader.clock.sleep(AFTER_FAILURE).await,
                }
            };
            let Some(entry) = entry else { continue };
            if !reader.attempter.may_send(&subscription, &entry) {
                let delivery = Delivery::of_retry(&subscription, entry, &retry);
                deliveries.push((retry, delivery));
            }
            if deliveries.len() == SLICE {
                return Unheard { deliveries, has_more: true };
            }
        }
        Unheard { deliveries, has_more: false }
    });
}
