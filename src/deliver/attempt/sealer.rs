//! Seals events for subscriptions, with the keys of the moment.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::future::Cache;

use crate::access::ComingEnd;
use crate::ambient::{Clock, Entropy, Secret};
use crate::deliver::attempt::LogIncarnations;
use crate::deliver::attempt::SealerError;
use crate::deliver::attempt::from_subscription::{ends, options};
use crate::deliver::attempt::secret_overlap::SecretOverlap;
use crate::deliver::outcome::Delivery;
use crate::event::{
    AskedDigest, ChainValue, CloudEvent, EventId, EventTime, SubscriptionAsk, SubscriptionId,
    Timestamp, TraceContext,
};
use crate::eventlog::{DeliveryKey, Revision, SequenceCheckpoint};
use crate::keys::{
    DataKey, KeyRing, NextIssuer, RemoteKeys, SealingKey, SharedSecret, SigningAlgorithm,
    SigningKey,
};
use crate::seal::{
    Checkpoint, Claims, ComingAccessEnd, PlaceClaims, SaltedClaims, Sealed, TokenText,
    cloudevent_type, seal, sign_checkpoint, sign_place,
};
use crate::subscriptions::{
    Challenge, Epoch, OuterKey, RecipientKeys, Subscription, shared_secret_context,
};
use crate::transparency::TreeHead;

/// How long a sealed event is good for further attempts.
const SEALED_FOR: Duration = Duration::from_hours(1);
/// How many characters of sealed events are kept for near retries.
const KEPT_CHARACTERS: u64 = 16 * 1024 * 1024;

/// The parts of a sealer.
pub struct SealerParts {
    /// The `iss` of every token.
    pub issuer: String,
    /// How long a token is valid.
    pub lifetime: Duration,
    /// The algorithm for subscriptions that ask for none.
    pub signature: SigningAlgorithm,
    /// Our keys.
    pub ring: Arc<KeyRing>,
    /// Decrypts shared secrets.
    pub data_key: Arc<DataKey>,
    /// The incarnations of the log.
    pub incarnations: Arc<LogIncarnations>,
    /// Fetches consumers' keys.
    pub remote: Arc<RemoteKeys>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Makes the tokens of a gateway.
pub struct Sealer {
    pub(super) parts: SealerParts,
    event_type: String,
    /// What the gateway will be called, as consumers are told.
    next_issuer: ArcSwapOption<NextIssuer>,
    /// Sealed events that failed once, for attempts soon after.
    kept: Cache<DeliveryKey, SealedEvent>,
    /// Which of several shared secrets sinks take.
    pub(super) overlap: SecretOverlap,
}

/// A sealed event, and what it was sealed with.
#[derive(Clone)]
pub struct SealedEvent {
    sealed: Sealed,
    at: Timestamp,
    made_with: MadeWith,
}

impl SealedEvent {
    /// The consumer's key.
    pub(super) const fn key(&self) -> &SealingKey {
        &self.made_with.key
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.sealed.token()
    }

    /// The token, shared.
    pub fn sealed_token(&self) -> TokenText {
        self.sealed.shared()
    }
}

/// The keys and settings of a moment: a token made with others is not sent again.
#[derive(Clone, PartialEq)]
struct MadeWith {
    /// Of our key ring, as it was before the keys were taken.
    generation: u64,
    /// Of the subscription.
    revision: Revision,
    /// The consumer's key; its name alone would not do, because the consumer chooses that.
    key: SealingKey,
}

/// The pair of keys for one token.
pub(super) struct Pair {
    signing: SigningKey,
    pub(super) sealing: SealingKey,
}

impl Pair {
    /// That of a shared secret.
    pub(super) fn of_secret(secret: &SharedSecret) -> Self {
        Self { signing: secret.signing_key(), sealing: secret.sealing_key() }
    }
}

impl Sealer {
    /// Starts with these parts.
    pub fn new(parts: SealerParts) -> Self {
        let characters = |_: &DeliveryKey, kept: &SealedEvent| {
            u32::try_from(kept.token().len()).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .weigher(characters)
            .max_capacity(KEPT_CHARACTERS)
            .time_to_live(SEALED_FOR)
            .build();
        let (event_type, next_issuer) = (cloudevent_type(&parts.issuer), ArcSwapOption::empty());
        Self { parts, event_type, next_issuer, kept, overlap: SecretOverlap::default() }
    }

    /// Tells consumers in their checkpoints what the gateway will be called, or that it keeps its name.
    pub fn tell_next_issuer(&self, next: Option<NextIssuer>) {
        self.next_issuer.store(next.map(Arc::new));
    }

    /// Seals the event of a delivery, or takes what was sealed for an attempt shortly before.
    ///
    /// # Errors
    ///
    /// Later: a key is missing for now.
    pub async fn seal(&self, delivery: &Delivery) -> Result<SealedEvent, SealerError> {
        let generation = self.parts.ring.generation();
        let pair = self.pair(&delivery.subscription, None).await?;
        self.seal_with(delivery, pair, generation).await
    }

    /// Seals it with this pair of keys, taken when our key ring was of this generation.
    pub(super) async fn seal_with(
        &self,
        delivery: &Delivery,
        pair: Pair,
        generation: u64,
    ) -> Result<SealedEvent, SealerError> {
        let made_with = MadeWith {
            generation,
            revision: delivery.subscription.revision,
            key: pair.sealing.clone(),
        };
        let now = self.parts.clock.now();
        if delivery.attempts > 0
            && let Some(kept) = Box::pin(self.kept.get(&delivery.key())).await
            && kept.made_with == made_with
            && now < kept.at.after(SEALED_FOR)
        {
            return Ok(kept);
        }
        let event = &delivery.entry.event;
        let CloudEvent { id, time, trace, salt, .. } = event;
        let place = delivery.link.map(|(sequence, previous)| PlaceClaims { sequence, previous });
        let version = event.publication_version();
        let claims = Claims {
            place,
            replay: delivery.replay.as_ref(),
            transaction: trace.as_ref().map(TraceContext::trace_id),
            incarnation: self
                .parts
                .incarnations
                .of(&delivery.subscription, delivery.entry.position),
            salted: salt.map(|salt| SaltedClaims { salt, publication_version: version.as_deref() }),
            event: &event.to_json(),
            ..self.claims(&delivery.subscription, *id, time.epoch_seconds())
        };
        let sealed = seal(&claims, &pair.signing, &pair.sealing, &options(&delivery.subscription))?;
        Ok(SealedEvent { sealed, at: now, made_with })
    }

    /// What stands outside of the token for the idempotency key of a delivery; nothing where nothing
    /// does.
    ///
    /// # Errors
    ///
    /// Ours: its secret does not open.
    pub fn outer_key(&self, delivery: &Delivery) -> Result<Option<OuterKey>, SealerError> {
        let (subscription, key) = (&delivery.subscription, delivery.entry.event.idempotency_key);
        if !subscription.shows_outer_keys() {
            return Ok(None);
        }
        subscription.outer_key(key, &self.parts.data_key).map_err(SealerError::OuterKey)
    }

    /// The `iss` of every token.
    pub fn issuer(&self) -> &str {
        &self.parts.issuer
    }

    /// Keeps a sealed event whose attempt failed, for the next one.
    pub async fn keep(&self, delivery: &Delivery, sealed: SealedEvent) {
        self.kept.insert(delivery.key(), sealed).await;
    }

    /// Fetches the consumer's keys again and forgets what was sealed with the old ones, because the
    /// sink said that it has others.
    pub async fn renew(&self, delivery: &Delivery) {
        self.kept.invalidate(&delivery.key()).await;
        self.renew_keys(&delivery.subscription).await;
    }

    /// Fetches the consumer's keys again, because the sink said that it has others.
    pub async fn renew_keys(&self, subscription: &Subscription) {
        if let RecipientKeys::Public(keys) = &subscription.keys {
            // What cannot be fetched now is told by the next attempt.
            let _ = keys.renewed(&self.parts.remote).await;
        }
    }

    /// Seals a challenge for the key of a subscription; where several shared secrets are good, it is that
    /// of the attempt, which counts from 1.
    ///
    /// # Errors
    ///
    /// Later: a key is missing for now.
    pub async fn seal_challenge(
        &self,
        subscription: &Subscription,
        challenge: &Challenge,
        attempt: u32,
    ) -> Result<Sealed, SealerError> {
        let now = self.parts.clock.now();
        let pair = self.pair(subscription, Some(attempt)).await?;
        let claims = Claims {
            event: &challenge.to_event(&self.parts.issuer, now).to_string(),
            ..self.claims(subscription, challenge.id(), EventTime::from(now).epoch_seconds())
        };
        Ok(seal(&claims, &pair.signing, &pair.sealing, &options(subscription))?)
    }

    fn claims<'a>(
        &'a self,
        subscription: &'a Subscription,
        id: EventId,
        occurred_at: Option<u64>,
    ) -> Claims<'a> {
        let now = self.parts.clock.now();
        Claims {
            issuer: &self.parts.issuer,
            audience: &subscription.audience,
            issued_at: now,
            expires_at: now.after(self.parts.lifetime),
            id,
            transaction: None,
            occurred_at,
            subscription: &subscription.id,
            place: None,
            replay: None,
            salted: None,
            incarnation: 1,
            event_type: &self.event_type,
            event: "{}",
        }
    }

    /// The pair for an event, or for the challenge of an attempt.
    async fn pair(
        &self,
        subscription: &Subscription,
        challenge: Option<u32>,
    ) -> Result<Pair, SealerError> {
        match &subscription.keys {
            RecipientKeys::Public(keys) => Ok(Pair {
                signing: self.signing_key(subscription)?,
                sealing: keys.current(&self.parts.remote).await.map_err(SealerError::Remote)?,
            }),
            RecipientKeys::Shared(newest) => {
                Ok(Pair::of_secret(&self.first_secret(subscription, newest, challenge)?))
            }
        }
    }

    /// The key pair that signs for a subscription.
    ///
    /// # Errors
    ///
    /// Later: there is none for now.
    pub fn signing_key(&self, subscription: &Subscription) -> Result<SigningKey, SealerError> {
        let algorithm = subscription.signature.unwrap_or(self.parts.signature);
        self.parts.ring.active(algorithm).ok_or(SealerError::NoSigningKey(algorithm))
    }

    /// Makes the two secret keys of a subscription: encrypted, to be kept, and as a JWK Set, to be
    /// shown once.
    pub fn new_shared_secret(
        &self,
        id: &SubscriptionId,
        entropy: &dyn Entropy,
    ) -> (String, Secret) {
        let shown = SharedSecret::generate(entropy).to_jwks();
        let kept = self.parts.data_key.seal(&shared_secret_context(id), shown.expose().as_bytes());
        (kept, shown)
    }

    /// Signs how far a subscription has come.
    ///
    /// # Errors
    ///
    /// Ours: there is no key to sign with.
    pub fn sign_standing(
        &self,
        subscription: &Subscription,
        newest: (u64, ChainValue),
        (head, closing): (Option<EventId>, bool),
        ending: &[ComingEnd],
        tree: TreeHead,
    ) -> Result<String, SealerError> {
        let asked = subscription.epochs.last().map(Epoch::asks_for);
        let coming = |end: &ComingEnd| ComingAccessEnd {
            publication: end.publication.clone(),
            at: end.at.unix_seconds(),
        };
        let checkpoint = Checkpoint {
            ended: ends(subscription),
            ending: ending.iter().map(coming).collect(),
            closing,
            sub_digest: asked.as_ref().map(SubscriptionAsk::digest),
            asked: asked.as_ref().map(SubscriptionAsk::of_gateway),
            ..self.checkpoint(subscription, newest, (head, Some(tree)))
        };
        let key = match &subscription.keys {
            RecipientKeys::Public(_) => self.signing_key(subscription)?,
            RecipientKeys::Shared(newest) => {
                self.first_secret(subscription, newest, None)?.signing_key()
            }
        };
        Ok(sign_checkpoint(&checkpoint, &key)?)
    }

    /// Signs a place of an evidence bundle: where it begins or ends, or where the subscription asks for
    /// something else.
    ///
    /// # Errors
    ///
    /// Ours: there is no key to sign with.
    pub fn sign_place(
        &self,
        subscription: &Subscription,
        place: SequenceCheckpoint,
        at: (Option<EventId>, Option<TreeHead>),
        asked: Option<AskedDigest>,
    ) -> Result<String, SealerError> {
        let place = Checkpoint {
            sub_digest: asked,
            ..self.checkpoint(subscription, (place.sequence, place.chain), at)
        };
        Ok(sign_place(&place, &self.signing_key(subscription)?)?)
    }

    fn checkpoint(
        &self,
        subscription: &Subscription,
        (sequence, chain): (u64, ChainValue),
        (head, tree): (Option<EventId>, Option<TreeHead>),
    ) -> Checkpoint {
        Checkpoint {
            issuer: self.parts.issuer.clone(),
            issuer_next: self.next_issuer.load_full().map(|next| NextIssuer::clone(&next)),
            audience: subscription.audience.clone(),
            issued_at: self.parts.clock.now(),
            subscription: subscription.id.clone(),
            sequence,
            chain,
            head,
            ended: Vec::new(),
            ending: Vec::new(),
            closing: false,
            tree,
            incarnation: self.incarnations().current(),
            sub_digest: None,
            asked: None,
        }
    }
}
