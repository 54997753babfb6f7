//! Replaces shared secrets: how long a former one is good beside the new one.

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
}
