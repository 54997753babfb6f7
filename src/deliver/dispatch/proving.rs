//! What becomes of a handshake: kept with its subscription and told to its worker, in one step.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError, WrongNonce};
use crate::event::SubscriptionId;
use crate::subscriptions::{
    Challenge, ChallengeBinding, FirstHandshake, PendingHandshake, RecipientKeys, Subscription,
    SubscriptionDocument, SubscriptionError, SubscriptionState,
};

/// How long after an answer with a shared secret the sink is asked for the first time, so that its
/// consumer can give it the secret.
const TIME_FOR_SECRET: Duration = Duration::from_secs(5);

impl SubscriptionService {
    /// The handshake that a new sink or new keys begin; nothing without a sink. The secret is the
    /// encrypted one, if keys are shared: one that is shown just now, or one that was kept.
    pub(super) fn first_handshake(
        &self,
        id: &SubscriptionId,
        document: &SubscriptionDocument,
        (new_secret, kept_secret): (Option<&str>, Option<&str>),
    ) -> Option<PendingHandshake> {
        document.sink.as_ref()?;
        let now = self.clock.now();
        let due = match (document.config.verify, new_secret) {
            (FirstHandshake::Later, _) => None,
            (FirstHandshake::Now, Some(_)) => Some(now.after(TIME_FOR_SECRET)),
            (FirstHandshake::Now, None) => Some(now),
        };
        let binding = ChallengeBinding::of(id, document, new_secret.or(kept_secret));
        let challenge = Challenge::new(now, &*self.entropy);
        Some(PendingHandshake::new(&challenge, (&binding, &self.data_key), now, due))
    }

    /// The handshake that a change begins, if it changes the sink or the keys; `new_secret` is the
    /// encrypted secret that it makes.
    pub(super) fn next_handshake(
        &self,
        current: &Subscription,
        document: &SubscriptionDocument,
        new_secret: Option<&str>,
    ) -> Option<PendingHandshake> {
        let proved = document.sink == current.document.sink
            && document.config.keys == current.document.config.keys;
        if proved {
            return None;
        }
        let kept = match &current.keys {
            RecipientKeys::Shared(kept) if document.config.keys.shared_secret => Some(&**kept),
            RecipientKeys::Shared(_) | RecipientKeys::Public(_) => None,
        };
        self.first_handshake(&current.id, document, (new_secret, kept))
    }

    /// Makes ready for an attempt: gives the subscription as it is now and its challenge, which is
    /// kept before it is sent. That of a subscription that has nothing to prove is for this attempt only.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription is gone or closed. Ours: the registry failed.
    pub async fn take_up_handshake(
        &self,
        seen: &Subscription,
        asked: bool,
    ) -> Result<(Arc<Subscription>, Challenge), SubscriptionServiceError> {
        let _changing = self.changing(&seen.id).await;
        let now = self.again(seen).await?;
        if now.state == SubscriptionState::Closed {
            let to = SubscriptionState::Active;
            return Err(SubscriptionError::Step { from: now.state, to }.into());
        }
        if !now.awaits_proof() {
            return Ok((now, Challenge::new(self.clock.now(), &*self.entropy)));
        }
        let binding = now.challenge_binding();
        let kept = now.handshake.as_ref();
        if let Some(challenge) = kept.and_then(|kept| kept.challenge(&binding, &self.data_key)) {
            // What was asked for is made after a crash, too.
            let forgotten = kept.filter(|kept| asked && kept.due.is_none()).cloned();
            return Ok(match forgotten {
                Some(kept) => (self.wait(&now, kept.again(self.clock.now())).await?, challenge),
                None => (now, challenge),
            });
        }
        let (at, with) = (self.clock.now(), (&binding, &*self.data_key));
        let challenge = Challenge::new(at, &*self.entropy);
        let begun = match now.handshake.clone() {
            Some(kept) => kept.with_another(&challenge, with),
            None => PendingHandshake::new(&challenge, with, at, Some(at)),
        };
        Ok((self.wait(&now, begun).await?, challenge))
    }

    /// Notes that the sink has proved itself, with the challenge that it was seen with.
    ///
    /// # Errors
    ///
    /// The caller's turn: sink, keys or challenge have changed meanwhile. Ours: the registry failed.
    pub async fn proved(
        &self,
        seen: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let _changing = self.changing(&seen.id).await;
        let now = self.same(seen).await?;
        self.prove(&now).await
    }

    /// Notes how an attempt has ended that did not prove the sink: what `after` makes of what was
    /// kept, and the reason. After too many wrong answers the next attempt has another challenge. One
    /// that has nothing to prove any more stays as it is.
    ///
    /// # Errors
    ///
    /// As [`proved`](Self::proved).
    pub async fn not_proved(
        &self,
        seen: &Subscription,
        after: impl FnOnce(PendingHandshake) -> PendingHandshake + Send,
        reason: impl FnOnce(&PendingHandshake) -> String + Send,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let _changing = self.changing(&seen.id).await;
        let now = self.same(seen).await?;
        let Some(kept) = now.handshake.clone().filter(|_| now.awaits_proof()) else {
            return Ok(now);
        };
        let handshake = self.unspent(&now, after(kept));
        let reason = reason(&handshake);
        self.doubt(&now, handshake, Some(reason)).await
    }

    /// Takes the nonce from the consumer itself, whose sink cannot or does not echo it.
    ///
    /// # Errors
    ///
    /// The caller's turn: the sink has nothing to prove, or it is another nonce. Ours: the registry
    /// failed.
    pub async fn answer_challenge(
        &self,
        current: &Arc<Subscription>,
        nonce: &str,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let _changing = self.changing(&current.id).await;
        let now = self.again(current).await?;
        if !now.awaits_proof() {
            let (from, to) = (now.state, SubscriptionState::Active);
            return Err(SubscriptionError::Step { from, to }.into());
        }
        let kept = now.handshake.clone().filter(|kept| kept.attempts > 0 || kept.due.is_some());
        let binding = now.challenge_binding();
        let challenge = kept.as_ref().and_then(|kept| kept.challenge(&binding, &self.data_key));
        let Some((kept, challenge)) = kept.zip(challenge) else {
            return Err(WrongNonce::NoneSent.into());
        };
        if challenge.is(nonce) {
            return self.prove(&now).await;
        }
        if !Challenge::may_have(nonce) {
            return Err(WrongNonce::NoNonce.into());
        }
        let kept = kept.answered_wrongly();
        let left = kept.answers_left();
        let kept = self.unspent(&now, kept);
        self.wait(&now, kept).await?;
        Err(if left == 0 { WrongNonce::Last } else { WrongNonce::Another { left } }.into())
    }

    /// Gives what has had too many wrong answers another challenge.
    fn unspent(&self, of: &Subscription, kept: PendingHandshake) -> PendingHandshake {
        if kept.answers_left() > 0 {
            return kept;
        }
        let challenge = Challenge::new(self.clock.now(), &*self.entropy);
        kept.with_another(&challenge, (&of.challenge_binding(), &self.data_key))
    }

    /// Reads a subscription again whose handshake is still the one that was seen, if it has one.
    async fn same(
        &self,
        seen: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let now = self.again(seen).await?;
        let same_place =
            now.sink == seen.sink && now.document.config.keys == seen.document.config.keys;
        let same_challenge = match (&now.handshake, &seen.handshake) {
            (Some(now), Some(seen)) => now.carries_the_same(seen),
            // Proved meanwhile.
            (None, _) => true,
            (Some(_), None) => false,
        };
        if same_place && same_challenge {
            Ok(now)
        } else {
            Err(SubscriptionError::Stale(seen.id.clone()).into())
        }
    }

    async fn prove(
        &self,
        now: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let proved = self.subscriptions.prove(now).await?;
        self.dispatch.changed(&proved).await;
        Ok(proved)
    }

    async fn wait(
        &self,
        now: &Subscription,
        handshake: PendingHandshake,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        self.doubt(now, handshake, None).await
    }

    async fn doubt(
        &self,
        now: &Subscription,
        handshake: PendingHandshake,
        reason: Option<String>,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let doubted = self.subscriptions.doubt(now, handshake, reason).await?;
        self.dispatch.changed(&doubted).await;
        Ok(doubted)
    }
}
