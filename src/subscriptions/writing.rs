//! Writes subscriptions: makes, changes and removes them, in the registry and in memory alike.

use std::sync::Arc;

use crate::event::{ConsumerId, SubscriptionId};
use crate::eventlog::{LogError, Position, Revision};
use crate::subscriptions::check::check_price;
use crate::subscriptions::kept::{KeptSubscription, read, restore, words_while_waiting, write};
use crate::subscriptions::store::key;
use crate::subscriptions::usage::{Usage, filters_of};
use crate::subscriptions::{
    Epoch, Invalid, PendingHandshake, Protocol, Subscription, SubscriptionDocument,
    SubscriptionError, SubscriptionState, Subscriptions, Terms,
};

/// Filters that a subscription may have for the entries that the log still holds.
const MOST_EPOCHS: usize = 100;

impl Subscriptions {
    /// Keeps a new subscription. It is pending until its sink has proved itself; one without a sink
    /// has nothing to prove, because only the holder of its key reads what is fetched.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document is not valid, the name is taken, or its consumer would have
    /// too much. Ours: the registry failed.
    pub async fn create(
        &self,
        id: SubscriptionId,
        document: SubscriptionDocument,
        terms: Terms,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let name = document.name.clone().unwrap_or_else(|| id.as_name());
        let document =
            SubscriptionDocument { id: Some(id.clone()), name: Some(name.clone()), ..document }
                .normalised()?;
        let wish = self.checked_wish(&document)?;
        check_price(&document)?;
        let mut kept = KeptSubscription {
            epochs: vec![Epoch {
                from: terms.from,
                wish,
                budget: self.budget,
                entitlement: Arc::new(terms.entitlement),
                audience: document.audience().into(),
            }],
            begins: Some(terms.begins),
            state: first_state(&document),
            reason: None,
            handshake: terms.handshake.filter(|_| document.protocol != Protocol::Pull),
            document,
            created: self.clock.now(),
            shared_secret: terms.shared_secret,
            former_secrets: Vec::new(),
            credential: terms.credential,
            outer_key_secret: terms.outer_key_secret,
            ended: Vec::new(),
            told_coming: Vec::new(),
        };
        let waits = words_while_waiting(kept.handshake.as_ref()).map(str::to_owned);
        kept.explain_doubt(waits);
        let _growing = self.shared.growing.lock().await;
        if self.named(&kept.document.consumer, &name).await?.is_some() {
            return Err(SubscriptionError::Exists(name.to_string()));
        }
        self.may_have(&kept.document.consumer, None, &kept.epochs).await?;
        self.keep(&id, None, kept).await.map_err(|error| match error {
            SubscriptionError::Stale(id) => SubscriptionError::Exists(id.to_string()),
            other => other,
        })
    }

    /// Replaces the document of a subscription; one that says the same changes nothing, not even
    /// the revision.
    ///
    /// A changed filter applies from `terms.from` on. A changed address or key has to prove itself: an
    /// active subscription is `pending` until then, and a paused one stays paused.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document is not valid, its consumer would have too much, or someone
    /// else wrote first. Ours: the registry failed.
    pub async fn update(
        &self,
        current: &Subscription,
        document: SubscriptionDocument,
        terms: Terms,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let id = current.id.clone();
        stays_the_same(current, &document)?;
        let (id_of, name) = (Some(id.clone()), Some(current.name.clone()));
        let document = SubscriptionDocument { id: id_of, name, ..document }.normalised()?;
        let wish = self.checked_wish(&document)?;
        let proved = document.sink == current.document.sink
            && document.config.keys == current.document.config.keys;
        let before = self.kept(current).await?;
        let mut kept = before.clone();
        let _growing = self.shared.growing.lock().await;
        let audience: Arc<str> = document.audience().into();
        let asks_the_same =
            |newest: &Epoch| newest.wish.says_the_same(&wish) && newest.audience == audience;
        if !current.epochs.last().is_some_and(asks_the_same) {
            check_price(&document)?;
            let entitlement = Arc::new(terms.entitlement);
            let (from, budget) = (terms.from, self.budget);
            let next = Epoch { from, wish, budget, entitlement, audience };
            begin_epoch(&mut kept.epochs, next, terms.low_watermark);
            few_epochs(current, &document, &kept.epochs)?;
            self.may_have(&current.consumer, Some(current), &kept.epochs).await?;
        }
        if terms.shared_secret.is_some() {
            kept.shared_secret = terms.shared_secret;
        }
        if document.config.keys != current.document.config.keys {
            kept.former_secrets.clear();
        }
        kept.credential = terms.credential;
        kept.outer_key_secret = kept.outer_key_secret.or(terms.outer_key_secret);
        kept.document = as_kept(document);
        if kept == before {
            return Ok(Arc::new(current.clone()));
        }
        if proved {
            kept.try_again(self.clock.now());
        } else {
            kept.prove_anew(terms.handshake);
        }
        self.keep(&id, Some(current.revision), kept).await
    }

    /// Drops the filters of a subscription that nothing in the log is asked for any more; nothing if
    /// there are none.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn drop_old_epochs(
        &self,
        current: &Subscription,
        low_watermark: Position,
    ) -> Result<Option<Arc<Subscription>>, SubscriptionError> {
        let mut epochs = current.epochs.clone();
        drop_epochs(&mut epochs, low_watermark);
        if epochs.len() == current.epochs.len() {
            return Ok(None);
        }
        let kept = KeptSubscription { epochs, ..self.kept(current).await? };
        self.keep(&current.id, Some(current.revision), kept).await.map(Some)
    }

    /// Moves a subscription to another state for a caller.
    ///
    /// # Errors
    ///
    /// The caller's turn: the step is not allowed, or someone else wrote first. Ours: the registry
    /// failed.
    pub async fn step(
        &self,
        current: &Subscription,
        to: SubscriptionState,
        reason: Option<String>,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        if !current.state.allows(to) {
            return Err(SubscriptionError::Step { from: current.state, to });
        }
        if to != SubscriptionState::Active {
            return self.set_state(current, to, reason).await;
        }
        // What its pause was for is over; what its sink has to prove is not.
        let doubt = current.handshake.as_ref().filter(|_| current.awaits_proof());
        let next = if doubt.is_some() { SubscriptionState::Pending } else { to };
        self.set_state(current, next, doubt.and_then(|doubt| doubt.reason.clone())).await
    }

    /// Notes that the sink has proved itself: a pending subscription becomes active, a paused one stays
    /// paused and has nothing to prove any more, and any other stays as it is.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn prove(
        &self,
        current: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        if !current.awaits_proof() {
            return Ok(Arc::new(current.clone()));
        }
        let mut kept = KeptSubscription { handshake: None, ..self.kept(current).await? };
        if kept.state == SubscriptionState::Pending {
            (kept.state, kept.reason) = (SubscriptionState::Active, None);
        }
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Notes how far the handshake of a subscription has come whose sink has not proved itself, and why,
    /// if there is something new to say; any other stays as it is.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn doubt(
        &self,
        current: &Subscription,
        handshake: PendingHandshake,
        reason: Option<String>,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        if !current.awaits_proof() {
            return Ok(Arc::new(current.clone()));
        }
        let mut kept = KeptSubscription { handshake: Some(handshake), ..self.kept(current).await? };
        kept.explain_doubt(reason);
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Forgets a subscription.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn remove(&self, current: &Subscription) -> Result<(), SubscriptionError> {
        let directory = self.directory().await?;
        match self.registry.remove(&key(&current.id), current.revision).await {
            Ok(()) => {
                directory.remove(&current.id);
                Ok(())
            }
            Err(error) => Err(self.refused(&current.id, error).await),
        }
    }

    async fn set_state(
        &self,
        current: &Subscription,
        state: SubscriptionState,
        reason: Option<String>,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = KeptSubscription { state, reason, ..self.kept(current).await? };
        // A pause proves nothing, and its end does not either.
        let waits = matches!(state, SubscriptionState::Pending | SubscriptionState::Paused);
        kept.handshake.take_if(|_| !waits);
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Refuses what gives a consumer more than it may have: one subscription with these filters, a
    /// new one or one in another's place.
    async fn may_have(
        &self,
        consumer: &ConsumerId,
        changed: Option<&Subscription>,
        epochs: &[Epoch],
    ) -> Result<(), SubscriptionError> {
        let all = self.directory().await?.of(consumer);
        let before = Usage::of_all(all.iter().map(|one| &*one.epochs));
        Ok(self.bounds.check(before, Usage::with(&all, changed, epochs))?)
    }

    pub(super) async fn kept(
        &self,
        current: &Subscription,
    ) -> Result<KeptSubscription, SubscriptionError> {
        let record =
            self.registry.get(&key(&current.id)).await.map_err(SubscriptionError::Registry)?;
        let record = record.ok_or_else(|| SubscriptionError::Unknown(current.id.clone()))?;
        let kept = read(&record.id, &record.body, &self.shared.wishes)?;
        // One of the same name may have been created in the place of the one that was seen.
        if kept.created != current.created {
            return Err(SubscriptionError::Stale(current.id.clone()));
        }
        Ok(kept)
    }

    pub(super) async fn keep(
        &self,
        id: &SubscriptionId,
        expected: Option<Revision>,
        mut kept: KeptSubscription,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let directory = self.directory().await?;
        // The one place where a document is written: no secret of it reaches the disk in the clear, and
        // none stays there that is good no more.
        let now = self.clock.now();
        kept.document = as_kept(kept.document);
        kept.former_secrets.retain(|former| former.until > now);
        let body = write(id.as_str(), &kept)?;
        let revision = match self.registry.put(&key(id), expected, body).await {
            Ok(revision) => revision,
            Err(error) => return Err(self.refused(id, error).await),
        };
        let subscription = Arc::new(restore(id.as_str(), kept, revision)?);
        directory.put(&subscription);
        Ok(subscription)
    }

    /// What a refused write means. Whoever wrote first is read, so that memory does not stay behind.
    async fn refused(&self, id: &SubscriptionId, error: LogError) -> SubscriptionError {
        if !matches!(error, LogError::Stale { .. }) {
            return SubscriptionError::Registry(error);
        }
        if let (Ok(directory), Ok(record)) =
            (self.directory().await, self.registry.get(&key(id)).await)
        {
            match record.map(|record| self.restored(&record)) {
                Some(Ok(now)) => directory.put(&now),
                Some(Err(_)) => directory.put_damaged(id.to_string()),
                None => directory.remove(id),
            }
        }
        SubscriptionError::Stale(id.clone())
    }
}

/// A document as it is kept and shown: without secrets, and with its filters elsewhere.
fn as_kept(document: SubscriptionDocument) -> SubscriptionDocument {
    SubscriptionDocument { filters: Vec::new(), ..document }.without_secrets()
}

/// Refuses a document that makes another subscription of one, or one that is closed.
fn stays_the_same(
    current: &Subscription,
    document: &SubscriptionDocument,
) -> Result<(), SubscriptionError> {
    if current.state == SubscriptionState::Closed {
        let (from, to) = (SubscriptionState::Closed, SubscriptionState::Pending);
        return Err(SubscriptionError::Step { from, to });
    }
    if document.consumer != current.consumer {
        return Err(Invalid::new("/consumer", "a subscription keeps its consumer").into());
    }
    let is_other = |id: &SubscriptionId| *id != current.id && id.as_name() != current.name;
    if document.id.as_ref().is_some_and(is_other) {
        return Err(Invalid::new("/id", "a subscription keeps its id").into());
    }
    if document.name.as_ref().is_some_and(|other| *other != current.name) {
        return Err(Invalid::new("/name", "a subscription keeps its name").into());
    }
    Ok(())
}

/// Begins an epoch in the place of those that would begin with it or after it.
pub(super) fn begin_epoch(epochs: &mut Vec<Epoch>, next: Epoch, low_watermark: Position) {
    epochs.retain(|epoch| epoch.from < next.from);
    epochs.push(next);
    drop_epochs(epochs, low_watermark);
}

/// Drops the filters whose successors hold for everything that the log still has.
fn drop_epochs(epochs: &mut Vec<Epoch>, low_watermark: Position) {
    let needless = epochs.iter().skip(1).take_while(|next| next.from <= low_watermark).count();
    epochs.drain(..needless);
}

/// Refuses one filter too many for events that the log still holds.
fn few_epochs(
    current: &Subscription,
    document: &SubscriptionDocument,
    epochs: &[Epoch],
) -> Result<(), Invalid> {
    if filters_of(epochs) <= MOST_EPOCHS {
        return Ok(());
    }
    let changed = if document.types != current.document.types {
        "/types"
    } else if document.audience() == current.audience {
        "/filters"
    } else {
        "/config/audience"
    };
    let problem = "was changed a hundred times for events that the log still holds; change it when \
                   older events have left the log, or make another subscription";
    Err(Invalid::new(changed, problem))
}

fn first_state(document: &SubscriptionDocument) -> SubscriptionState {
    match document.protocol {
        Protocol::Http | Protocol::EventBridge => SubscriptionState::Pending,
        Protocol::Pull => SubscriptionState::Active,
    }
}
