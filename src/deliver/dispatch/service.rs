//! What can be asked about subscriptions and their deliveries: the one place that keeps the
//! registry, the table and the workers in step.

use std::sync::Arc;

use crate::access::Access;
use crate::ambient::{Clock, Entropy, Secret, Turn, Turns};
use crate::deliver::attempt::{Sealer, SealerError};
use crate::deliver::dispatch::newest_heard::NewestHeard;
use crate::deliver::dispatch::oldest::Oldest;
use crate::deliver::dispatch::{Dispatch, WorkerHandle, WrongNonce};
use crate::deliver::limits::Flow;
use crate::deliver::sink::{EventBusPermissions, ExternalIds};
use crate::deliver::worker::{Decider, SequenceReader, WorkerStanding};
use crate::egress::Egress;
use crate::event::{Blame, ConsumerId, EventId, Fault, SubscriptionId};
use crate::eventlog::{LogError, Position, Store};
use crate::keys::DataKey;
use crate::subscriptions::{
    KeptCredential, KeptWish, OuterKeySecret, Protocol, Subscription, SubscriptionDocument,
    SubscriptionError, SubscriptionState, Subscriptions, Terms,
};

/// Why something could not be done for a subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionServiceError {
    /// The subscription was not read or written.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The consumer has answered a challenge with another nonce.
    #[error(transparent)]
    Nonce(#[from] WrongNonce),
    /// A dead letter that was named is not there.
    #[error("there is no such dead letter")]
    NoDeadLetter,
    /// A checkpoint could not be signed.
    #[error("cannot sign a checkpoint")]
    Checkpoint(#[from] SealerError),
}

impl Blame for SubscriptionServiceError {
    fn fault(&self) -> Fault {
        match self {
            Self::Subscription(error) => error.fault(),
            Self::Log(error) => error.fault(),
            Self::Nonce(_) | Self::NoDeadLetter => Fault::Caller,
            Self::Checkpoint(_) => Fault::Ours,
        }
    }
}

/// Serves the API, the files under `config/subscriptions`, and the start of the gateway.
pub struct SubscriptionService {
    pub(in crate::deliver) subscriptions: Subscriptions,
    pub(in crate::deliver) dispatch: Arc<Dispatch>,
    sealer: Arc<Sealer>,
    egress: Arc<Egress>,
    event_buses: Arc<EventBusPermissions>,
    external_ids: Arc<ExternalIds>,
    pub(super) data_key: Arc<DataKey>,
    pub(in crate::deliver) store: Store,
    reader: SequenceReader,
    pub(super) oldest: Oldest,
    pub(in crate::deliver) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    access: Arc<Access>,
    pub(super) newest_heard: NewestHeard,
    /// Had while a subscription changes, so that registry, table and courier change in one order. A
    /// worker that keeps one change waiting keeps no other.
    changing: Turns<SubscriptionId>,
}

/// The parts of a subscription service.
pub struct SubscriptionServiceParts {
    /// The registry of subscriptions.
    pub subscriptions: Subscriptions,
    /// The workers.
    pub dispatch: Arc<Dispatch>,
    /// Seals challenges and signs checkpoints.
    pub sealer: Arc<Sealer>,
    /// Judges addresses.
    pub egress: Arc<Egress>,
    /// Judges event buses.
    pub event_buses: Arc<EventBusPermissions>,
    /// What their roles ask for.
    pub external_ids: Arc<ExternalIds>,
    /// Encrypts the credentials of sinks.
    pub data_key: Arc<DataKey>,
    /// Everything that is kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// Says who may hear what.
    pub access: Arc<Access>,
}

impl SubscriptionService {
    /// Opens with these parts.
    pub fn new(parts: SubscriptionServiceParts) -> Self {
        let SubscriptionServiceParts { store, clock, entropy, .. } = parts;
        let decider = parts.dispatch.decider().clone();
        let reader = SequenceReader::new(Arc::clone(&store.log), Arc::clone(&store.state), decider);
        Self {
            subscriptions: parts.subscriptions,
            dispatch: parts.dispatch,
            sealer: parts.sealer,
            egress: parts.egress,
            event_buses: parts.event_buses,
            external_ids: parts.external_ids,
            reader,
            oldest: Oldest::default(),
            data_key: parts.data_key,
            store,
            clock,
            entropy,
            access: parts.access,
            newest_heard: NewestHeard::new(),
            changing: Turns::default(),
        }
    }

    pub(super) async fn changing(&self, id: &SubscriptionId) -> Turn<SubscriptionId> {
        self.changing.take(id).await
    }

    /// Reads a subscription again once nobody else can change it.
    pub(super) async fn again(
        &self,
        seen: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let now = self.subscriptions.get(&seen.id).await?;
        // Another subscription may have taken the name meanwhile; it is not the caller's.
        if now.created == seen.created {
            Ok(now)
        } else {
            Err(SubscriptionError::Unknown(seen.id.clone()).into())
        }
    }

    /// Creates a subscription and starts its courier; it is pending until its sink has proved
    /// itself. A shared secret that was made for it is returned and never shown again.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document is not valid, or the name is taken. Ours: the log failed.
    pub async fn create(
        &self,
        document: SubscriptionDocument,
    ) -> Result<(Arc<Subscription>, Option<Secret>), SubscriptionServiceError> {
        let document = document.normalised()?;
        // Referred to until it is kept, so that it is compiled once.
        let _wish = self.check(&document, None)?;
        self.make_external_id(&document).await?;
        let id = match &document.id {
            Some(id) => id.clone(),
            None => self.new_id()?,
        };
        let changing = self.changing(&id).await;
        let with = (&*self.data_key, self.clock.now());
        let credential = KeptCredential::create(&id, document.sinkcredential.as_deref(), with)?;
        let (shared_secret, shown) = self.shared_secret(&id, &document);
        let low_watermark = self.store.log.low_watermark().position;
        let handshake = self.first_handshake(&id, &document, (shared_secret.as_deref(), None));
        let (from, begins) = (Position::START, self.start_of(&document).await?);
        let outer_key_secret = Some(self.new_outer_key_secret(&id));
        let terms = Terms {
            from,
            low_watermark,
            begins,
            shared_secret,
            credential,
            outer_key_secret,
            handshake,
            entitlement: self.access.entitlement(&document.consumer),
        };
        let subscription = self.subscriptions.create(id.clone(), document, terms).await?;
        let cursor = self.begin(&id, &subscription.document).await?;
        self.dispatch.open(&subscription, cursor, Vec::new());
        drop(changing);
        // A grant may have begun or ended meanwhile, and has not seen this subscription. What cannot be
        // recorded now is with the next look.
        let recorded = self.entitle(&subscription).await.ok().flatten();
        let subscription = recorded.unwrap_or(subscription);
        Ok((subscription, shown))
    }

    /// Checks a document by itself, and against what the operator allows of what is not as in the
    /// current one; gives what it wants.
    fn check(
        &self,
        document: &SubscriptionDocument,
        current: Option<&SubscriptionDocument>,
    ) -> Result<Arc<KeptWish>, SubscriptionError> {
        let wish = self.subscriptions.checked_wish(document)?;
        self.egress.check(document)?;
        self.event_buses.check(document)?;
        self.dispatch.caps().check(document, current)?;
        Ok(wish)
    }

    /// Whoever owns a bus is shown the external id with the subscription.
    async fn make_external_id(&self, document: &SubscriptionDocument) -> Result<(), LogError> {
        if document.protocol == Protocol::EventBridge {
            self.external_ids.of(&document.consumer).await?;
        }
        Ok(())
    }

    /// Whether the operator lists a bus for a consumer.
    pub fn lists_bus_of(&self, consumer: &ConsumerId) -> bool {
        self.event_buses.list(consumer)
    }

    /// What roles of consumers ask for that the gateway takes.
    pub fn external_ids(&self) -> &ExternalIds {
        &self.external_ids
    }

    fn new_id(&self) -> Result<SubscriptionId, SubscriptionError> {
        let unix_ms = u64::try_from(self.clock.now().unix_ms()).unwrap_or(0);
        let name = EventId::from_parts(unix_ms, self.entropy.next_u128()).to_string();
        name.to_lowercase()
            .parse()
            .map_err(|error| SubscriptionError::Damaged { id: name, source: Box::new(error) })
    }

    fn shared_secret(
        &self,
        id: &SubscriptionId,
        document: &SubscriptionDocument,
    ) -> (Option<String>, Option<Secret>) {
        if !document.config.keys.shared_secret {
            return (None, None);
        }
        let (kept, shown) = self.sealer.new_shared_secret(id, &*self.entropy);
        (Some(kept), Some(shown))
    }

    /// A secret for the outer keys of a subscription, encrypted.
    pub(super) fn new_outer_key_secret(&self, id: &SubscriptionId) -> String {
        OuterKeySecret::generate(&*self.entropy).seal(id, &self.data_key)
    }

    /// Replaces the document of a subscription; a changed filter applies to events from now on.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document is not valid, or someone else wrote first. Ours: the log
    /// failed.
    pub async fn update(
        &self,
        current: &Arc<Subscription>,
        document: SubscriptionDocument,
    ) -> Result<(Arc<Subscription>, Option<Secret>), SubscriptionServiceError> {
        let document = document.normalised()?;
        let _changing = self.changing(&current.id).await;
        let _wish = self.check(&document, Some(&current.document))?;
        self.make_external_id(&document).await?;
        if self.again(current).await?.revision != current.revision {
            return Err(SubscriptionError::Stale(current.id.clone()).into());
        }
        let wanted = document.sinkcredential.as_deref();
        let with = (&*self.data_key, self.clock.now());
        let credential = KeptCredential::replace(current, document.sink.as_deref(), wanted, with)?;
        let asks_anew = document.config.keys != current.document.config.keys;
        let (shared_secret, shown) =
            if asks_anew { self.shared_secret(&current.id, &document) } else { (None, None) };
        let handshake = self.next_handshake(current, &document, shared_secret.as_deref());
        if document.sink.is_none() != current.is_pulled() {
            // The next worker goes on from what is written: a full disk is told before anything changes.
            self.dispatch.write_outcomes().await?;
        }
        self.dispatch.hold(&current.id).await;
        let updated = match self.store.log.fresh_head().await {
            Ok(head) => {
                let (from, low_watermark) =
                    (Position(head.0 + 1), self.store.log.low_watermark().position);
                let terms = Terms {
                    from,
                    low_watermark,
                    // One that is there keeps its start.
                    begins: Position::START,
                    shared_secret,
                    credential,
                    outer_key_secret: Some(self.new_outer_key_secret(&current.id)),
                    handshake,
                    entitlement: self.access.entitlement(&current.consumer),
                };
                let updated = self.subscriptions.update(current, document, terms).await;
                updated.map_err(SubscriptionServiceError::from)
            }
            Err(error) => Err(error.into()),
        };
        match &updated {
            Ok(updated) if updated.is_pulled() != current.is_pulled() => {
                self.dispatch.reopen(updated).await?;
            }
            Ok(updated) => self.dispatch.changed(updated).await,
            Err(_) => self.dispatch.release(&current.id).await,
        }
        Ok((updated?, shown))
    }

    /// Pauses, resumes or closes a subscription.
    ///
    /// # Errors
    ///
    /// The caller's turn: the step is not allowed, or someone else wrote first. Ours: the registry
    /// failed.
    pub async fn step(
        &self,
        current: &Arc<Subscription>,
        to: SubscriptionState,
        reason: Option<String>,
    ) -> Result<Arc<Subscription>, SubscriptionServiceError> {
        let _changing = self.changing(&current.id).await;
        let current = self.again(current).await?;
        let changed = self.subscriptions.step(&current, to, reason).await?;
        self.dispatch.changed(&changed).await;
        Ok(changed)
    }

    /// Ends a subscription and forgets it with its cursor, retries and dead letters.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the log failed.
    pub async fn remove(
        &self,
        current: &Arc<Subscription>,
    ) -> Result<(), SubscriptionServiceError> {
        let _changing = self.changing(&current.id).await;
        let current = self.again(current).await?;
        self.subscriptions.remove(&current).await?;
        self.dispatch.close(&current.id).await;
        self.dispatch.forget(&current.id).await?;
        Ok(self.store.state.forget(&current.id).await?)
    }

    /// Where the courier of a subscription stands; nothing for one that is closed.
    pub fn standing(&self, id: &SubscriptionId) -> Option<WorkerStanding> {
        self.dispatch.standing(id)
    }

    /// How a sink is served at the moment; nothing for a subscription that is closed or has no sink.
    pub fn flow(&self, id: &SubscriptionId) -> Option<Flow> {
        self.dispatch.flow(id)
    }

    /// Makes tokens, with the keys of the moment.
    pub const fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// Where every courier stands.
    pub fn standings(&self) -> Vec<(SubscriptionId, WorkerStanding)> {
        self.dispatch.standings()
    }

    /// Gives a handle of the worker of a subscription; nothing for one that is closed.
    pub fn worker(&self, id: &SubscriptionId) -> Option<WorkerHandle> {
        self.dispatch.worker(id)
    }

    /// Says who may hear what, now.
    pub const fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Reads what a subscription was or will be sent.
    pub const fn reader(&self) -> &SequenceReader {
        &self.reader
    }

    /// Decides whether subscriptions want entries.
    pub const fn decider(&self) -> &Decider {
        self.reader.decider()
    }
}
