//! Which shared secret a token is made with while a former one is good beside the new one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::event::{SubscriptionId, Timestamp};
use crate::subscriptions::Subscription;

/// Which secrets the sinks have taken last, of those that have several.
///
/// The oldest that is good comes first, because its consumer has it for sure, until the sink takes a token
/// that was made with another. After a restart that is found out again.
#[derive(Default)]
pub(super) struct SecretOverlap(Mutex<HashMap<SubscriptionId, Box<str>>>);

impl SecretOverlap {
    /// The secret that a token is made with at a moment, encrypted.
    pub(super) fn first<'a>(
        &self,
        subscription: &'a Subscription,
        newest: &'a str,
        now: Timestamp,
    ) -> &'a str {
        self.in_order(subscription, newest, now).first().copied().unwrap_or(newest)
    }

    /// All secrets that are good at a moment, encrypted, in the order in which they are tried.
    pub(super) fn in_order<'a>(
        &self,
        subscription: &'a Subscription,
        newest: &'a str,
        now: Timestamp,
    ) -> Vec<&'a str> {
        let former = subscription.former_secrets(now).map(|former| &*former.sealed);
        let mut all: Vec<&str> = former.chain([newest]).collect();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == 1 {
            taken.remove(&subscription.id);
        } else if let Some(taken) = taken.get(&subscription.id) {
            // Stable: the others stay in their order.
            all.sort_by_key(|secret| **taken != **secret);
        }
        all
    }

    /// Notes that the sink has taken a token that was made with this secret.
    pub(super) fn note_taken(&self, subscription: &Subscription, secret: &str) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(subscription.id.clone(), secret.into());
    }
}
