//! Makes the attempts of handshakes, and says what came of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::ambient::{Clock, Entropy, Tasks};
use crate::deliver::attempt::{Handshake, HandshakeError};
use crate::deliver::dispatch::{Dispatch, SubscriptionService, SubscriptionServiceError};
use crate::deliver::handshake::VerifyError;
use crate::deliver::handshake::queue::{Cooldown, HandshakeAttempt, HandshakeQueue};
use crate::deliver::outcome::{DeliverySignal, DeliverySignals, HandshakeConfig, HandshakeEnd};
use crate::deliver::sink::ChallengeAnswer;
use crate::event::{Blame as _, Fault, SubscriptionId, Timestamp};
use crate::subscriptions::{PendingHandshake, Subscription, SubscriptionError, SubscriptionState};
use crate::telemetry::{Metric, Metrics, error_chain};

/// How long nothing is looked at, at the most: the clock may have been set meanwhile.
const TICK: Duration = Duration::from_mins(1);

/// The parts of [`Handshakes`].
pub struct HandshakesParts {
    /// When a sink is asked again.
    pub config: HandshakeConfig,
    /// Asks sinks.
    pub handshake: Handshake,
    /// Knows who is pending.
    pub dispatch: Arc<Dispatch>,
    /// Keeps what came of it.
    pub subscription_service: Arc<SubscriptionService>,
    /// Tells those who watch.
    pub signals: DeliverySignals,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// Work in the background.
    pub tasks: Tasks,
}

/// Asks the sinks of pending subscriptions until they have proved themselves.
pub struct Handshakes {
    parts: HandshakesParts,
    queue: Mutex<HandshakeQueue>,
}

/// Ends an attempt however that ends, a panic included.
struct AttemptGuard<'a> {
    handshakes: &'a Handshakes,
    attempt: HandshakeAttempt,
    cooldown: Cooldown,
}

impl Drop for AttemptGuard<'_> {
    fn drop(&mut self) {
        let now = self.handshakes.parts.clock.now();
        self.handshakes.queue().end(&self.attempt, self.cooldown, now);
        self.handshakes.look_again();
    }
}

impl Handshakes {
    /// Opens with these parts; [`run`](Self::run) makes the attempts.
    pub fn new(parts: HandshakesParts) -> Self {
        Self { parts, queue: Mutex::default() }
    }

    fn queue(&self) -> MutexGuard<'_, HandshakeQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_again(&self) {
        self.parts.dispatch.pending_changed().notify_one();
    }

    /// Makes every attempt when it is due, for ever.
    ///
    /// Cancel safe: attempts in flight end when the tasks are told to stop, and are made again after a
    /// restart.
    pub async fn run(self: &Arc<Self>) {
        let mut told = BTreeMap::new();
        loop {
            let (now, pending) = (self.parts.clock.now(), self.parts.dispatch.pending());
            self.tell_once(&pending, &mut told);
            let (attempts, next) = self.queue().take(pending, now);
            for attempt in attempts {
                let handshakes = Arc::clone(self);
                self.parts.tasks.spawn(async move { handshakes.serve(attempt).await });
            }
            let tick = now.after(TICK);
            let next = next.map_or(tick, |next| next.min(tick));
            tokio::select! {
                () = self.parts.dispatch.pending_changed().notified() => {}
                () = self.parts.clock.sleep_until(next) => {}
            }
        }
    }

    /// Tells of each that had proved itself before and was tried in vain, or is not tried before someone
    /// asks. After a restart it is told again, because the end may have come before anyone was told; the
    /// operational event is known by its id.
    fn tell_once(
        &self,
        pending: &[Arc<Subscription>],
        told: &mut BTreeMap<SubscriptionId, Timestamp>,
    ) {
        let mut still = BTreeMap::new();
        for subscription in pending {
            let kept = subscription.handshake.as_ref().filter(|kept| kept.had_proved);
            let Some(kept) = kept else { continue };
            let is_told = told.get(&subscription.id) == Some(&kept.since);
            if !is_told && (kept.attempts > 0 || kept.due.is_none()) {
                self.tell(subscription);
            } else if !is_told {
                continue;
            }
            still.insert(subscription.id.clone(), kept.since);
        }
        *told = still;
    }

    /// Has a sink asked now, and waits for what came of it: the subscription as it is then, proved or,
    /// where its sink cannot answer, pending. One that is not pending is asked as well and stays as it
    /// is.
    ///
    /// Cancel safe: the attempt is made all the same.
    ///
    /// # Errors
    ///
    /// The caller's turn: the sink did not prove itself, there is none, or it has changed meanwhile.
    /// Later: the gateway stops. Ours: the registry failed.
    pub async fn verify(
        &self,
        current: &Arc<Subscription>,
    ) -> Result<Arc<Subscription>, VerifyError> {
        if current.is_pulled() {
            let (id, source) = (current.id.clone(), Arc::new(HandshakeError::NoSink));
            return Err(VerifyError::Unproved { id, source });
        }
        if current.state == SubscriptionState::Closed {
            let (from, to) = (current.state, SubscriptionState::Active);
            return Err(SubscriptionServiceError::from(SubscriptionError::Step { from, to }).into());
        }
        let (tell, told) = oneshot::channel();
        self.queue().ask(current, tell);
        self.look_again();
        tokio::select! {
            outcome = told => outcome.unwrap_or(Err(VerifyError::Stopping)),
            () = self.parts.tasks.stopping().cancelled() => Err(VerifyError::Stopping),
        }
    }

    async fn serve(&self, attempt: HandshakeAttempt) {
        let mut guard = AttemptGuard { handshakes: self, attempt, cooldown: Cooldown::Long };
        let mut asked = std::mem::take(&mut guard.attempt.asked);
        let outcome = self.attempt(&guard.attempt.subscription, !asked.is_empty()).await;
        guard.cooldown = match &outcome {
            Ok(subscription) if is_served(subscription) => {
                asked.extend(self.queue().take_waiting(&subscription.id));
                Cooldown::None
            }
            Err(VerifyError::Service(error)) if error.fault() != Fault::Caller => {
                tell_of_trouble(&guard.attempt.subscription, error);
                Cooldown::Long
            }
            // It was removed or changed while its sink was asked, or has not proved itself.
            Ok(_) | Err(_) => Cooldown::Short,
        };
        for waiting in asked {
            // Whoever has asked may have gone.
            let _ = waiting.send(outcome.clone());
        }
    }

    /// Makes one attempt and has kept what came of it.
    async fn attempt(
        &self,
        seen: &Subscription,
        asked: bool,
    ) -> Result<Arc<Subscription>, VerifyError> {
        let parts = &self.parts;
        let service = &parts.subscription_service;
        let (subscription, challenge) = service.take_up_handshake(seen, asked).await?;
        if is_served(&subscription) && !asked {
            // Its consumer has told the nonce meanwhile.
            return Ok(subscription);
        }
        let attempts = subscription.handshake.as_ref().map_or(0, |kept| kept.attempts);
        let number = if asked { 1 } else { attempts.saturating_add(1) };
        let answer = tokio::select! {
            biased;
            () = parts.tasks.stopping().cancelled() => return Err(VerifyError::Stopping),
            answer = parts.handshake.perform(&subscription, &challenge, number) => answer,
        };
        let outcome = match &answer {
            Ok(ChallengeAnswer::Proved) => "proved",
            Ok(ChallengeAnswer::Delivered) => "delivered",
            Err(_) => "failed",
        };
        parts.metrics.counter(Metric::Handshakes, &[subscription.id.as_str(), outcome]).increment();
        match answer {
            Ok(ChallengeAnswer::Proved) => Ok(service.proved(&subscription).await?),
            Ok(ChallengeAnswer::Delivered) => {
                let end = HandshakeEnd { asked, delivered: true, retry_after: None };
                self.note(&subscription, end, None).await
            }
            Err(source) => {
                let end =
                    HandshakeEnd { asked, delivered: false, retry_after: source.retry_after() };
                let source = Arc::new(source);
                let noted = self.note(&subscription, end, Some(&source)).await?;
                if is_served(&noted) && !is_served(&subscription) {
                    // Its consumer has told the nonce meanwhile.
                    return Ok(noted);
                }
                Err(VerifyError::Unproved { id: subscription.id.clone(), source })
            }
        }
    }

    /// Has kept how an attempt ended that did not prove the sink, and tells who should know.
    async fn note(
        &self,
        subscription: &Subscription,
        end: HandshakeEnd,
        error: Option<&Arc<HandshakeError>>,
    ) -> Result<Arc<Subscription>, VerifyError> {
        let parts = &self.parts;
        let wrong = error.is_some_and(|error| error.is_wrong_answer());
        let words = error.map(|error| error_chain(&**error).to_string());
        let after = |kept: PendingHandshake| {
            let random = (parts.clock.now(), &*parts.entropy);
            let kept = if wrong { kept.answered_wrongly() } else { kept };
            parts.config.after_attempt(kept, end, random)
        };
        let reason = |kept: &PendingHandshake| reason(words.as_deref(), kept);
        let noted = parts.subscription_service.not_proved(subscription, after, reason).await?;
        let Some(kept) = noted.handshake.as_ref() else { return Ok(noted) };
        let (id, shown, attempt) = (&noted.id, noted.shown(), kept.attempts);
        if let Some(error) = words.as_deref() {
            tracing::info!(
                subscription.id = %id,
                error,
                "The sink of subscription {shown} has not proved itself in attempt {attempt}",
            );
        } else {
            tracing::info!(
                subscription.id = %id,
                "The sink of subscription {shown} has taken the challenge in attempt {attempt}; its consumer \
                 has to answer",
            );
        }
        // The first time is told by the next look.
        if kept.had_proved && kept.due.is_none() && kept.attempts > 1 {
            self.tell(&noted);
        }
        Ok(noted)
    }

    fn tell(&self, subscription: &Arc<Subscription>) {
        self.parts
            .signals
            .tell(DeliverySignal::ProofMissing { subscription: Arc::clone(subscription) });
    }
}

fn tell_of_trouble(subscription: &Subscription, error: &SubscriptionServiceError) {
    tracing::error!(
        subscription.id = %subscription.id,
        error = %error_chain(error),
        "What came of the handshake of subscription {} could not be kept", subscription.shown(),
    );
}

fn is_served(subscription: &Subscription) -> bool {
    !subscription.awaits_proof()
}

/// What is said of a subscription whose sink has not proved itself, in these words or, if it has taken
/// the challenge, without any.
fn reason(words: Option<&str>, kept: &PendingHandshake) -> String {
    let happened = words.unwrap_or(
        "the sink has taken the challenge and cannot answer it: its consumer tells the nonce with \
         `POST /subscriptions/{id}/verify`",
    );
    match kept.due {
        Some(due) => {
            // To the second, for people; `handshake` shows it whole.
            let due = Timestamp::from_unix_seconds(due.unix_seconds());
            format!("{happened}; attempt {} is due at {due}", kept.attempts + 1)
        }
        None => format!(
            "{happened}; given up after {} attempts: `POST /subscriptions/{{id}}/verify` asks again",
            kept.attempts,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_happened_and_what_happens_next() {
        let kept = |due: Option<i64>| -> PendingHandshake {
            serde_json::from_value(serde_json::json!({
                "challenge": "sealed", "since": Timestamp::EPOCH, "began": Timestamp::EPOCH,
                "attempts": 2, "due": due.map(Timestamp::from_unix_seconds),
            }))
            .unwrap()
        };

        assert_eq!(
            reason(Some("no"), &kept(Some(60))),
            "no; attempt 3 is due at 1970-01-01T00:01:00Z"
        );
        assert!(reason(Some("no"), &kept(None)).starts_with("no; given up after 2 attempts"));
        assert!(reason(None, &kept(Some(60))).contains("`POST /subscriptions/{id}/verify`"));
    }
}
