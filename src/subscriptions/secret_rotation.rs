//! Replaces shared secrets: how long a former one is good beside the new one, and kept.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Timestamp;
use crate::subscriptions::bounds::within;
use crate::subscriptions::{
    FormerSecret, Invalid, PendingHandshake, RecipientKeys, Subscription, SubscriptionError,
    SubscriptionState, Subscriptions,
};

/// How long a former secret is good if nothing else is said, and at the most.
const USUAL_OVERLAP: u32 = 24 * 60 * 60;
const LONGEST_OVERLAP: u32 = 7 * USUAL_OVERLAP;
/// Former secrets that are good at the same time.
const MOST: usize = 3;

impl Subscription {
    /// The former secrets that are good at a moment, oldest first.
    pub fn former_secrets(&self, now: Timestamp) -> impl Iterator<Item = &FormerSecret> {
        self.former_secrets.iter().filter(move |former| former.until > now)
    }

    /// Whether a former secret is kept that is good no more.
    pub fn has_ended_secret(&self, now: Timestamp) -> bool {
        self.former_secrets(now).count() < self.former_secrets.len()
    }

    /// Until when a former secret is good; nothing if none is.
    pub fn former_secret_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.former_secrets(now).map(|former| former.until).max()
    }
}

impl Subscriptions {
    /// Checks that a subscription has a shared secret that can be replaced with this overlap, in seconds,
    /// and says until when the former one is then good.
    ///
    /// # Errors
    ///
    /// The caller's turn: its keys are its consumer's own, it is closed, the overlap is out of bounds, or
    /// several former secrets are good as it is.
    pub fn overlap_of(
        current: &Subscription,
        overlap: Option<u32>,
        now: Timestamp,
    ) -> Result<Timestamp, SubscriptionError> {
        if current.state == SubscriptionState::Closed {
            let to = SubscriptionState::Active;
            return Err(SubscriptionError::Step { from: current.state, to });
        }
        if matches!(current.keys, RecipientKeys::Public(_)) {
            let problem = "the keys are the consumer's own: it replaces them with a PUT";
            return Err(Invalid::new("/config/keys", problem).into());
        }
        within("/overlap", overlap, 0, LONGEST_OVERLAP)?;
        let overlap = overlap.unwrap_or(USUAL_OVERLAP);
        if overlap > 0 && current.former_secrets(now).count() >= MOST {
            let problem = "three former secrets are good already: wait until one has ended, or use 0, \
                           which ends them all";
            return Err(Invalid::new("/overlap", problem).into());
        }
        Ok(now.after(Duration::from_secs(overlap.into())))
    }

    /// Gives a subscription another shared secret, encrypted. The former one is good beside it until a
    /// moment, and those before it as long as they were; where that is no time, none is good any more,
    /// because somebody else may know them. `handshake` is the one that begins anew, if the sink has
    /// yet to prove itself.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn rotate_secret(
        &self,
        current: &Subscription,
        secret: String,
        (now, until): (Timestamp, Timestamp),
        handshake: Option<PendingHandshake>,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = self.kept(current).await?;
        let before = kept.shared_secret.replace(secret);
        kept.former_secrets.retain(|former| former.until > now && until > now);
        let was_used = kept.handshake.as_ref().is_none_or(|unproved| unproved.had_proved);
        if let Some(sealed) = before.filter(|_| until > now && was_used) {
            kept.former_secrets.push(FormerSecret { sealed, until });
        }
        if let (Some(begun), Some(unproved)) = (handshake, &mut kept.handshake) {
            let had_proved = unproved.had_proved;
            *unproved = begun;
            unproved.had_proved = had_proved;
        }
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Drops the former secrets of a subscription that are good no more.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn drop_ended_secrets(
        &self,
        current: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        // Whatever is written leaves them out.
        let kept = self.kept(current).await?;
        self.keep(&current.id, Some(current.revision), kept).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Entitlement;
    use crate::ambient::{Clock, ManualClock, SeededEntropy};
    use crate::event::SubscriptionId;
    use crate::eventlog::{LogLimits, MemoryLog, Position};
    use crate::keys::DataKey;
    use crate::subscriptions::store::key;
    use crate::subscriptions::{Terms, shared_secret_context};

    const HOUR: Duration = Duration::from_hours(1);

    /// Subscriptions, one of which has a shared secret, sealed under this key.
    async fn stage() -> (Subscriptions, ManualClock, Arc<Subscription>, DataKey) {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let entropy = Arc::new(SeededEntropy::new(1));
        let log = MemoryLog::new(LogLimits::default(), Arc::new(clock.clone()), entropy);
        let subscriptions = Subscriptions::new(log, Arc::new(clock.clone()));
        let document = serde_json::json!({
            "consumer": "shop", "protocol": "PULL", "config": { "keys": { "sharedSecret": true } },
        });
        let id: SubscriptionId = "a".parse().unwrap();
        let data_key = DataKey::generate(&SeededEntropy::new(2));
        let terms = Terms {
            from: Position(1),
            low_watermark: Position::START,
            begins: Position::START,
            shared_secret: Some(data_key.seal(&shared_secret_context(&id), b"first")),
            credential: None,
            outer_key_secret: None,
            handshake: None,
            entitlement: Entitlement::default(),
        };
        let document = serde_json::from_value(document).unwrap();
        let made = subscriptions.create(id, document, terms).await.unwrap();
        (subscriptions, clock, made, data_key)
    }

    async fn rotate(
        (subscriptions, clock): (&Subscriptions, &ManualClock),
        current: &Subscription,
        sealed: &str,
    ) -> Arc<Subscription> {
        let now = clock.now();
        let times = (now, now.after(HOUR));
        subscriptions.rotate_secret(current, sealed.to_owned(), times, None).await.unwrap()
    }

    #[tokio::test]
    async fn a_former_secret_that_has_ended_leaves_the_record_with_the_next_write() {
        let (subscriptions, clock, made, _) = stage().await;
        let rotated = rotate((&subscriptions, &clock), &made, "second").await;
        let kept = async || {
            let record = subscriptions.registry.get(&key(&made.id)).await.unwrap().unwrap();
            record.body.contains("formerSecrets")
        };
        assert!(kept().await && !rotated.has_ended_secret(clock.now()));
        clock.advance(HOUR);
        assert!(kept().await && rotated.has_ended_secret(clock.now()));

        let paused = subscriptions.step(&rotated, SubscriptionState::Paused, None).await.unwrap();

        assert!(!kept().await && !paused.has_ended_secret(clock.now()));
        let again = rotate((&subscriptions, &clock), &paused, "third").await;
        clock.advance(HOUR);
        let tidied = subscriptions.drop_ended_secrets(&again).await.unwrap();
        assert!(!kept().await && tidied.former_secrets.is_empty());
    }

    #[tokio::test]
    async fn a_former_secret_that_has_ended_need_not_open() {
        let (subscriptions, clock, made, data_key) = stage().await;
        let newest = data_key.seal(&shared_secret_context(&made.id), b"third");
        let damaged = rotate((&subscriptions, &clock), &made, "damaged").await;
        let rotated = rotate((&subscriptions, &clock), &damaged, &newest).await;

        assert!(!rotated.opens_under(&data_key, clock.now()));
        clock.advance(HOUR);
        assert!(rotated.opens_under(&data_key, clock.now()));
    }
}
