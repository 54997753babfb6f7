//! Which shared secret a token is made with while a former one is good beside the new one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::event::{SubscriptionId, Timestamp};
use crate::subscriptions::Subscription;

/// Which secrets the sinks have taken last, of those that have several, each as long as it has several.
///
/// The oldest that is good comes first, because its consumer has it for sure, until the sink takes a token
/// that was made with another. After a restart that is found out again.
#[derive(Default)]
pub(super) struct SecretOverlap(Mutex<HashMap<SubscriptionId, TakenSecret>>);

/// A secret that a sink has taken, encrypted, and until when there are others beside it.
struct TakenSecret {
    secret: Box<str>,
    until: Timestamp,
}

impl SecretOverlap {
    /// All secrets that are good at a moment, encrypted, in the order in which they are tried.
    pub(super) fn in_order<'a>(
        &self,
        subscription: &'a Subscription,
        newest: &'a str,
        now: Timestamp,
    ) -> Vec<&'a str> {
        let former = subscription.former_secrets(now).map(|former| &*former.sealed);
        let mut all: Vec<&str> = former.chain([newest]).collect();
        if all.len() == 1 {
            return all;
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = known.get(&subscription.id) {
            // Stable: the others stay in their order.
            all.sort_by_key(|secret| *taken.secret != **secret);
        }
        all
    }

    /// Notes that the sink has taken a token that was made with this secret.
    pub(super) fn note_taken(&self, subscription: &Subscription, secret: &str, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, taken| taken.until > now);
        if let Some(until) = subscription.former_secret_until(now) {
            known.insert(subscription.id.clone(), TakenSecret { secret: secret.into(), until });
        }
    }
}

/// The secrets that are good at a moment in the order in which challenges are made with them: who has a
/// new sink was shown the newest, and each further attempt, counted from 1, begins with the next older one.
pub(super) fn for_challenge<'a>(
    subscription: &'a Subscription,
    newest: &'a str,
    (now, attempt): (Timestamp, u32),
) -> Vec<&'a str> {
    let former = subscription.former_secrets(now).map(|former| &*former.sealed);
    let mut all: Vec<&str> = former.chain([newest]).collect();
    all.reverse();
    let turn = attempt.saturating_sub(1) as usize % all.len();
    all.rotate_left(turn);
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deliver::tests::stage::Stage;
    use crate::subscriptions::FormerSecret;

    #[tokio::test]
    async fn what_a_sink_has_taken_is_known_for_as_long_as_it_has_several() {
        let stage = Stage::new().await;
        let subscription = |id: &str, until: u64| {
            let until = Timestamp::EPOCH.after(Duration::from_secs(until));
            let former_secrets = vec![FormerSecret { sealed: "former".to_owned(), until }];
            let id = id.parse().unwrap();
            Subscription { id, former_secrets, ..(*stage.subscription).clone() }
        };
        let (one, other) = (subscription("one", 10), subscription("other", 30));
        let (overlap, at) = (SecretOverlap::default(), |s| Timestamp::from_unix_seconds(s));

        assert_eq!(overlap.in_order(&one, "newest", at(5)), ["former", "newest"]);
        overlap.note_taken(&one, "newest", at(5));
        assert_eq!(overlap.in_order(&one, "newest", at(6)), ["newest", "former"]);
        assert_eq!(overlap.in_order(&one, "newest", at(10)), ["newest"]);
        overlap.note_taken(&other, "former", at(11));

        assert_eq!(overlap.0.lock().unwrap().keys().collect::<Vec<_>>(), [&other.id]);
        overlap.note_taken(&other, "newest", at(30));
        assert!(overlap.0.lock().unwrap().is_empty(), "it has one alone");
    }

    #[tokio::test]
    async fn a_challenge_begins_with_the_newest_secret_and_the_others_follow_by_attempt() {
        let stage = Stage::new().await;
        let former = ["oldest", "older"].map(|sealed| FormerSecret {
            sealed: sealed.to_owned(),
            until: Timestamp::from_unix_seconds(9),
        });
        let subscription =
            Subscription { former_secrets: former.into(), ..(*stage.subscription).clone() };
        let first = |attempt, second| {
            let at = (Timestamp::from_unix_seconds(second), attempt);
            for_challenge(&subscription, "newest", at)[0]
        };

        assert_eq!([1, 2, 3, 4].map(|n| first(n, 8)), ["newest", "older", "oldest", "newest"]);
        assert_eq!([0, 1, 2, u32::MAX].map(|n| first(n, 9)), ["newest"; 4]);
    }
}
