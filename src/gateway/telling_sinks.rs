//! Tells sinks of what their consumers cannot hear any more, or soon cannot, a few times, until they take it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::Services;
use crate::event::{SubscriptionId, Timestamp};
use crate::subscriptions::Subscription;
use crate::telemetry::error_chain;

/// The delays between attempts; then the sink is told no more, and the checkpoint says it all the same.
const DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(12),
];

/// The attempts at each sink that is to be told, since the start of the gateway.
#[derive(Default)]
pub(super) struct SinkTelling {
    tries: Mutex<BTreeMap<SubscriptionId, Try>>,
}

struct Try {
    /// Attempts that were made.
    made: usize,
    /// When the next is due.
    due: Timestamp,
    is_under_way: bool,
}

impl SinkTelling {
    fn tries(&self) -> MutexGuard<'_, BTreeMap<SubscriptionId, Try>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the attempts that are due; says when the next one is.
    pub(super) fn begin(self: &Arc<Self>, services: &Arc<Services>) -> Option<Timestamp> {
        let (untold, now) = (services.subscription_service.untold(), services.clock.now());
        let mut tries = self.tries();
        tries.retain(|id, one| one.is_under_way || untold.iter().any(|untold| untold.id == *id));
        for subscription in untold {
            let one = tries.entry(subscription.id.clone());
            let one = one.or_insert(Try { made: 0, due: now, is_under_way: false });
            if one.is_under_way || one.due > now {
                continue;
            }
            one.is_under_way = true;
            let (telling, of) = (Arc::clone(self), Arc::clone(services));
            services.tasks.spawn(async move { telling.attempt(&of, subscription).await });
        }
        tries.values().filter(|one| !one.is_under_way).map(|one| one.due).min()
    }

    async fn attempt(&self, services: &Services, subscription: Arc<Subscription>) {
        let told = services.subscription_service.tell_end(&subscription).await;
        let is_told = told.as_ref().is_ok_and(|is_taken| *is_taken);
        if let Err(error) = &told {
            tracing::error!(
                subscription.id = %subscription.id, error = %error_chain(error),
                "The sink of subscription {} cannot be told of an end", subscription.shown(),
            );
        }
        let is_over = {
            let (mut tries, now) = (self.tries(), services.clock.now());
            let Some(one) = tries.get_mut(&subscription.id) else { return };
            one.is_under_way = false;
            one.made += 1;
            let delay = DELAYS.get(one.made - 1).copied();
            one.due = now.after(delay.unwrap_or_default());
            if is_told {
                tries.remove(&subscription.id);
            }
            !is_told && delay.is_none()
        };
        if is_over {
            tracing::warn!(
                subscription.id = %subscription.id,
                "The sink of subscription {} has not taken word of an end; its checkpoint says it",
                subscription.shown(),
            );
            // Should it fail, the next attempts find it so.
            let service = &services.subscription_service;
            let _ = service.note_told(&subscription, service.coming_ends(&subscription)).await;
        }
    }
}
