//! Keeps subscriptions in the registry, and hands out checked ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::access::{EndedAccess, Entitlement};
use crate::ambient::Clock;
use crate::event::SubscriptionId;
use crate::eventlog::{LogError, Position, RecordKey, Registry, Revision};
use crate::subscriptions::check::check;
use crate::subscriptions::kept::{
    KeptEpoch, KeptSubscription, damaged, epoch, read, restore, words_while_waiting,
};
use crate::subscriptions::{
    Invalid, KeptCredential, PendingHandshake, Protocol, Subscription, SubscriptionDocument,
    SubscriptionError, SubscriptionState,
};

const KIND: &str = "subscription";
/// Filters that a subscription may have for the entries that the log still holds; each is compiled
/// wherever the subscription is read.
const MOST_EPOCHS: usize = 100;

/// Publications whose end is kept with a subscription, the newest.
const MOST_ENDED: usize = 64;

/// What the gateway adds to a document when it is created or changed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The first position that the document's filter applies to.
    pub from: Position,
    /// Up to here the log was dropped, so that nothing asks for the filters of before.
    pub low_watermark: Position,
    /// The two secret keys, encrypted under the data key, if the document asks for some.
    pub shared_secret: Option<String>,
    /// The credential that the document asks for, encrypted under the data key.
    pub credential: Option<KeptCredential>,
    /// The handshake that begins, if the sink is new or its keys are. Without it, one is begun by
    /// whoever makes the first attempt.
    pub handshake: Option<PendingHandshake>,
    /// What the consumer may hear from that position on.
    pub entitlement: Entitlement,
}

/// The subscriptions in the registry.
#[derive(Clone)]
pub struct Subscriptions {
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
}

impl Subscriptions {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, clock }
    }

    /// Reads all of them, in order of their names.
    ///
    /// One that is damaged is left out and named in the log, so that it stops no other; and
    /// [`get`](Self::get) reports it.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self) -> Result<Vec<Arc<Subscription>>, SubscriptionError> {
        let records = self.registry.list(KIND).await.map_err(SubscriptionError::Registry)?;
        let restored = records.into_iter().filter_map(|record| {
            restore(&record.id, &record.body, record.revision)
                .inspect_err(|_| {
                    // The cause may quote the document, so it stays out of the log.
                    tracing::error!(
                        subscription.id = %record.id,
                        "Subscription {} in the registry is damaged and gets no events", record.id,
                    );
                })
                .ok()
        });
        Ok(restored.map(Arc::new).collect())
    }

    /// The names of all of them, of damaged ones, too.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn names(&self) -> Result<BTreeSet<String>, SubscriptionError> {
        let records = self.registry.list(KIND).await.map_err(SubscriptionError::Registry)?;
        Ok(records.into_iter().map(|record| record.id).collect())
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &SubscriptionId) -> Result<Arc<Subscription>, SubscriptionError> {
        let record = self.registry.get(&key(id)).await.map_err(SubscriptionError::Registry)?;
        let record = record.ok_or_else(|| SubscriptionError::Unknown(id.clone()))?;
        restore(&record.id, &record.body, record.revision).map(Arc::new)
    }

    /// Checks a document without keeping it.
    ///
    /// # Errors
    ///
    /// The caller's turn: a part of it cannot work.
    pub fn check(document: &SubscriptionDocument) -> Result<(), SubscriptionError> {
        check(document).map(drop).map_err(SubscriptionError::Invalid)
    }

    /// Keeps a new subscription. It is pending until its sink has proved itself; one without a sink
    /// has nothing to prove, because only the holder of its key reads what is fetched.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document is not valid or the name is taken. Ours: the registry failed.
    pub async fn create(
        &self,
        id: SubscriptionId,
        document: SubscriptionDocument,
        terms: Terms,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let document = SubscriptionDocument { id: Some(id.clone()), ..document };
        check(&document)?;
        let kept = KeptSubscription {
            epochs: vec![epoch(&document, (terms.from, &terms.entitlement))],
            state: first_state(&document),
            reason: words_while_waiting(terms.handshake.as_ref()).map(str::to_owned),
            handshake: terms.handshake.filter(|_| document.protocol != Protocol::Pull),
            document,
            created: self.clock.now(),
            shared_secret: terms.shared_secret,
            credential: terms.credential,
            ended: Vec::new(),
        };
        self.keep(&id, None, kept).await.map_err(|error| match error {
            SubscriptionError::Stale(id) => SubscriptionError::Exists(id),
            other => other,
        })
    }

    /// Replaces the document of a subscription; one that says the same changes nothing, not even
    /// the revision.
    ///
    /// A changed filter applies from `terms.from` on. A changed address or key leads back to
    /// `pending`, because the new one has not proved itself.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document is not valid, or someone else wrote first. Ours: the
    /// registry failed.
    pub async fn update(
        &self,
        current: &Subscription,
        document: SubscriptionDocument,
        terms: Terms,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let id = current.id.clone();
        if current.state == SubscriptionState::Closed {
            return Err(SubscriptionError::Step {
                from: SubscriptionState::Closed,
                to: SubscriptionState::Pending,
            });
        }
        if document.consumer != current.consumer {
            return Err(Invalid::new("/consumer", "a subscription keeps its consumer").into());
        }
        if document.id.as_ref().is_some_and(|other| *other != id) {
            return Err(Invalid::new("/id", "a subscription keeps its name").into());
        }
        let document = SubscriptionDocument { id: Some(id.clone()), ..document };
        check(&document)?;
        let proved = document.sink == current.document.sink
            && document.config.keys == current.document.config.keys;
        let before = self.kept(current).await?;
        let mut kept = before.clone();
        if document.types != current.document.types || document.filters != current.document.filters
        {
            let next = epoch(&document, (terms.from, &terms.entitlement));
            begin_epoch(&mut kept.epochs, next, terms.low_watermark);
            if filters_of(&kept.epochs) > MOST_EPOCHS {
                let problem = "was changed a hundred times for events that the log still holds; \
                               change it when older events have left the log, or make another \
                               subscription";
                return Err(Invalid::new(changed_filter(current, &document), problem).into());
            }
        }
        if terms.shared_secret.is_some() {
            kept.shared_secret = terms.shared_secret;
        }
        kept.credential = terms.credential;
        kept.document = document.without_secrets();
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

    /// Records what the consumer of a subscription may hear from a position on, and which
    /// publications it cannot hear any more.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn entitle(
        &self,
        current: &Subscription,
        (entitlement, ended): (&Entitlement, Vec<EndedAccess>),
        (from, low_watermark): (Position, Position),
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = self.kept(current).await?;
        let next = epoch(&kept.document, (from, entitlement));
        begin_epoch(&mut kept.epochs, next, low_watermark);
        let heard = |one: &EndedAccess| entitlement.hears(&one.publication, self.clock.now());
        let anew: BTreeSet<&str> = ended.iter().map(|one| one.publication.as_str()).collect();
        kept.ended.retain(|one| !anew.contains(one.publication.as_str()) && !heard(one));
        kept.ended.extend(ended);
        let surplus = kept.ended.len().saturating_sub(MOST_ENDED);
        kept.ended.drain(..surplus);
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Notes that the sink of a subscription was told of these ends, or is not told any more.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn note_told(
        &self,
        current: &Subscription,
        ended: &[EndedAccess],
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = self.kept(current).await?;
        for one in &mut kept.ended {
            let is_it =
                |told: &EndedAccess| told.publication == one.publication && told.at == one.at;
            one.told = one.told || ended.iter().any(is_it);
        }
        self.keep(&current.id, Some(current.revision), kept).await
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
        // One that is active again needs no reason, and what its pause was for is over.
        self.set_state(current, to, reason.filter(|_| to != SubscriptionState::Active)).await
    }

    /// Notes that the sink has proved itself: a pending subscription becomes active, any other
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn prove(
        &self,
        current: &Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        if current.state != SubscriptionState::Pending {
            return Ok(Arc::new(current.clone()));
        }
        self.set_state(current, SubscriptionState::Active, None).await
    }

    /// Notes how far the handshake of a pending subscription has come, and why it has not become
    /// active, if there is something new to say; any other stays as it is.
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
        if current.state != SubscriptionState::Pending {
            return Ok(Arc::new(current.clone()));
        }
        let (handshake, reason) = (Some(handshake), reason.or_else(|| current.reason.clone()));
        let kept = KeptSubscription { reason, handshake, ..self.kept(current).await? };
        self.keep(&current.id, Some(current.revision), kept).await
    }

    /// Forgets a subscription.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn remove(&self, current: &Subscription) -> Result<(), SubscriptionError> {
        self.registry
            .remove(&key(&current.id), current.revision)
            .await
            .map_err(|error| registry_error(&current.id, error))
    }

    async fn set_state(
        &self,
        current: &Subscription,
        state: SubscriptionState,
        reason: Option<String>,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let mut kept = KeptSubscription { state, reason, ..self.kept(current).await? };
        kept.handshake.take_if(|_| state != SubscriptionState::Pending);
        self.keep(&current.id, Some(current.revision), kept).await
    }

    async fn kept(&self, current: &Subscription) -> Result<KeptSubscription, SubscriptionError> {
        let record =
            self.registry.get(&key(&current.id)).await.map_err(SubscriptionError::Registry)?;
        let record = record.ok_or_else(|| SubscriptionError::Unknown(current.id.clone()))?;
        let kept = read(&record.id, &record.body)?;
        // One of the same name may have been created in the place of the one that was seen.
        if kept.created != current.created {
            return Err(SubscriptionError::Stale(current.id.clone()));
        }
        Ok(kept)
    }

    async fn keep(
        &self,
        id: &SubscriptionId,
        expected: Option<Revision>,
        kept: KeptSubscription,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        // The one place where a document is written: no secret of it reaches the disk in the clear.
        let kept = KeptSubscription { document: kept.document.without_secrets(), ..kept };
        let body = serde_json::to_string(&kept).map_err(|error| damaged(id.as_str(), error))?;
        let revision = self
            .registry
            .put(&key(id), expected, body.clone())
            .await
            .map_err(|error| registry_error(id, error))?;
        restore(id.as_str(), &body, revision).map(Arc::new)
    }
}

fn key(id: &SubscriptionId) -> RecordKey {
    RecordKey { kind: KIND, id: id.to_string() }
}

/// Begins an epoch in the place of those that would begin with it or after it.
fn begin_epoch(epochs: &mut Vec<KeptEpoch>, next: KeptEpoch, low_watermark: Position) {
    epochs.retain(|epoch| epoch.from < next.from);
    epochs.push(next);
    drop_epochs(epochs, low_watermark);
}

/// How many filters there are, each as often as it was changed to: who may hear what is not the
/// consumer's to bound.
fn filters_of(epochs: &[KeptEpoch]) -> usize {
    let changes = epochs.windows(2).filter(|pair| match pair {
        [before, after] => !before.wants_the_same(after),
        _ => false,
    });
    1 + changes.count()
}

/// Drops the filters whose successors hold for everything that the log still has.
fn drop_epochs(epochs: &mut Vec<KeptEpoch>, low_watermark: Position) {
    let needless = epochs.iter().skip(1).take_while(|next| next.from <= low_watermark.0).count();
    epochs.drain(..needless);
}

fn changed_filter(current: &Subscription, document: &SubscriptionDocument) -> &'static str {
    if document.types == current.document.types { "/filters" } else { "/types" }
}

fn first_state(document: &SubscriptionDocument) -> SubscriptionState {
    match document.protocol {
        Protocol::Http | Protocol::EventBridge => SubscriptionState::Pending,
        Protocol::Pull => SubscriptionState::Active,
    }
}

fn registry_error(id: &SubscriptionId, error: LogError) -> SubscriptionError {
    match error {
        LogError::Stale { .. } => SubscriptionError::Stale(id.clone()),
        other => SubscriptionError::Registry(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::Timestamp;
    use crate::eventlog::{LogLimits, MemoryLog};

    fn subscriptions() -> Subscriptions {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let entropy = Arc::new(SeededEntropy::new(1));
        let log = MemoryLog::new(LogLimits::default(), Arc::clone(&clock), entropy);
        Subscriptions::new(log, clock)
    }

    fn document(changes: Value) -> SubscriptionDocument {
        let keys = serde_json::json!({"jwksUri": "https://shop.example/jwks.json"});
        let mut document = serde_json::json!({
            "consumer": "shop", "sink": "https://shop.example", "config": {"keys": keys},
        });
        if let (Value::Object(members), Value::Object(changes)) = (&mut document, changes) {
            members.extend(changes);
        }
        serde_json::from_value(document).unwrap()
    }

    fn terms(from: u64) -> Terms {
        let low_watermark = Position::START;
        let (shared_secret, credential, handshake) = (None, None, None);
        let (from, entitlement) = (Position(from), Entitlement::default());
        Terms { from, low_watermark, shared_secret, credential, handshake, entitlement }
    }

    fn handshake() -> PendingHandshake {
        let kept = serde_json::json!({
            "challenge": "sealed", "since": Timestamp::EPOCH, "began": Timestamp::EPOCH,
            "attempts": 1, "due": Timestamp::EPOCH,
        });
        serde_json::from_value(kept).unwrap()
    }

    #[tokio::test]
    async fn a_subscription_keeps_its_name_and_its_consumer() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let new = document(serde_json::json!({}));
        let current = subscriptions.create(id, new, terms(1)).await.unwrap();

        for (change, pointer) in [("id", "/id"), ("consumer", "/consumer")] {
            let other = document(serde_json::json!({ change: "other" }));
            let refused = subscriptions.update(&current, other, terms(2)).await;
            assert!(
                matches!(refused, Err(SubscriptionError::Invalid(at)) if at.pointer == pointer)
            );
        }
        let same = document(serde_json::json!({"id": "a"}));
        assert!(subscriptions.update(&current, same, terms(2)).await.is_ok());
    }

    #[tokio::test]
    async fn another_address_has_to_prove_itself_and_another_filter_applies_from_its_position() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let new = document(serde_json::json!({}));
        let pending = subscriptions.create(id, new, terms(1)).await.unwrap();
        let active = subscriptions.prove(&pending).await.unwrap();

        let narrower = document(serde_json::json!({"types": ["Payment.*"]}));
        let narrowed = subscriptions.update(&active, narrower, terms(7)).await.unwrap();
        let elsewhere = document(serde_json::json!({"sink": "https://elsewhere.example"}));
        let moved = subscriptions.update(&narrowed, elsewhere, terms(9)).await.unwrap();

        assert_eq!(
            [active.state, narrowed.state, moved.state].map(SubscriptionState::delivers),
            [true, true, false]
        );
        let from: Vec<u64> = moved.epochs.iter().map(|epoch| epoch.from.0).collect();
        assert_eq!(from, [1, 7, 9]);
        let stale = subscriptions.update(&active, document(serde_json::json!({})), terms(9)).await;
        assert!(matches!(stale, Err(SubscriptionError::Stale(_))));
    }

    #[tokio::test]
    async fn another_address_begins_a_handshake_and_any_other_change_has_it_tried_again() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let subscriptions = Subscriptions { clock: Arc::new(clock.clone()), ..subscriptions() };
        let begun = || Terms { handshake: Some(handshake()), ..terms(1) };
        let id = "a".parse::<SubscriptionId>().unwrap();
        let new = document(serde_json::json!({}));
        let pending = subscriptions.create(id, new.clone(), begun()).await.unwrap();
        clock.advance(std::time::Duration::from_mins(1));

        let typed = document(serde_json::json!({"types": ["A"]}));
        let tried = subscriptions.update(&pending, typed.clone(), terms(2)).await.unwrap();
        let kept = tried.handshake.as_ref().unwrap();
        assert_eq!((kept.attempts, kept.due, kept.had_proved), (0, Some(clock.now()), false));
        assert!(kept.carries_the_same(&handshake()));
        let same = subscriptions.update(&tried, typed, terms(2)).await.unwrap();
        assert_eq!(same.revision, tried.revision);

        let active = subscriptions.prove(&same).await.unwrap();
        let elsewhere = |verify: &str| {
            let mut document = document(serde_json::json!({"sink": "https://other.example"}));
            document.config.verify = serde_json::from_value(verify.into()).unwrap();
            document
        };
        let mut not_due = handshake();
        (not_due.due, not_due.attempts) = (None, 0);
        let waits = Terms { handshake: Some(not_due), ..terms(3) };
        let moved = subscriptions.update(&active, elsewhere("later"), waits).await.unwrap();
        assert!(moved.handshake.as_ref().unwrap().had_proved);
        assert!(moved.reason.as_ref().unwrap().contains("verify"), "{:?}", moved.reason);
        // Nothing is sent before someone asks, or the document no longer says so.
        let mut also_typed = elsewhere("later");
        also_typed.types = vec!["A".to_owned()];
        let waiting = subscriptions.update(&moved, also_typed, terms(4)).await.unwrap();
        assert_eq!(waiting.handshake.as_ref().unwrap().due, None);
        let asked = subscriptions.update(&waiting, elsewhere("now"), terms(5)).await.unwrap();
        assert_eq!(asked.handshake.as_ref().unwrap().due, Some(clock.now()));
        assert!(asked.handshake.as_ref().unwrap().had_proved);
    }

    #[tokio::test]
    async fn filters_of_dropped_events_are_forgotten_and_others_are_bounded() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let wish = |number: u64| document(serde_json::json!({"types": [format!("Type{number}")]}));
        let mut current = subscriptions.create(id, wish(1), terms(1)).await.unwrap();
        for number in 2..=100 {
            current = subscriptions.update(&current, wish(number), terms(number)).await.unwrap();
        }

        let refused = subscriptions.update(&current, wish(101), terms(101)).await;
        assert!(matches!(refused, Err(SubscriptionError::Invalid(at)) if at.pointer == "/types"));
        // What changes no filter is not refused, and no event between: the last one is replaced.
        let mut other = wish(100);
        other.config.audience = Some("shop".to_owned());
        current = subscriptions.update(&current, other, terms(101)).await.unwrap();
        current = subscriptions.update(&current, wish(101), terms(100)).await.unwrap();
        assert_eq!(current.epochs.len(), 100);

        let dropped = Terms { low_watermark: Position(98), ..terms(101) };
        current = subscriptions.update(&current, wish(102), dropped).await.unwrap();
        let from: Vec<u64> = current.epochs.iter().map(|epoch| epoch.from.0).collect();
        assert_eq!(from, [98, 99, 100, 101]);
    }

    #[tokio::test]
    async fn without_a_sink_there_is_nothing_to_prove_and_nothing_to_attempt() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let pulled = |changes: Value| {
            let mut document = document(serde_json::json!({"protocol": "PULL"}));
            document.sink = None;
            let mut document = serde_json::to_value(document).unwrap();
            let config = document["config"].as_object_mut().unwrap();
            config.extend(changes.as_object().unwrap().clone());
            serde_json::from_value::<SubscriptionDocument>(document).unwrap()
        };
        let pointer = |document: &SubscriptionDocument| match Subscriptions::check(document) {
            Err(SubscriptionError::Invalid(invalid)) => invalid.pointer,
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer(&document(serde_json::json!({"protocol": "PULL"}))), "/sink");
        let lost = SubscriptionDocument { sink: None, ..document(serde_json::json!({})) };
        assert_eq!(pointer(&lost), "/sink");
        let tries = pulled(serde_json::json!({"maximumRetryAttempts": 3}));
        assert_eq!(pointer(&tries), "/config/maximumRetryAttempts");

        let new = pulled(serde_json::json!({}));
        let pull = subscriptions.create(id, new.clone(), terms(1)).await.unwrap();
        let push = subscriptions.update(&pull, document(serde_json::json!({})), terms(2)).await;
        let push = push.unwrap();
        let again = subscriptions.update(&push, new, terms(3)).await.unwrap();

        let states = [pull.state, push.state, again.state];
        assert_eq!(
            states,
            [SubscriptionState::Active, SubscriptionState::Pending, SubscriptionState::Active]
        );
        assert!(pull.is_pulled() && !push.is_pulled() && again.reason.is_none());
    }

    #[tokio::test]
    async fn only_a_pending_subscription_is_proved_or_doubted() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let new = document(serde_json::json!({}));
        let pending = subscriptions.create(id.clone(), new, terms(1)).await.unwrap();

        let said = || Some("no answer".to_owned());
        let doubted = subscriptions.doubt(&pending, handshake(), said()).await.unwrap();
        assert_eq!(
            (doubted.state, doubted.reason.as_deref()),
            (SubscriptionState::Pending, Some("no answer"))
        );
        let later = subscriptions.doubt(&doubted, handshake(), None).await.unwrap();
        assert_eq!(later.reason, doubted.reason);
        let active = subscriptions.prove(&later).await.unwrap();
        assert_eq!((&later.handshake, &active.handshake), (&Some(handshake()), &None));
        let again = subscriptions.prove(&active).await.unwrap();
        let late = subscriptions.doubt(&active, handshake(), said()).await.unwrap();

        for unchanged in [again, late, subscriptions.get(&id).await.unwrap()] {
            assert_eq!((unchanged.state, &unchanged.reason), (SubscriptionState::Active, &None));
            assert_eq!(unchanged.revision, active.revision);
        }
    }

    #[tokio::test]
    async fn who_saw_a_subscription_that_was_removed_does_not_change_the_next_of_its_name() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let subscriptions = Subscriptions { clock: Arc::new(clock.clone()), ..subscriptions() };
        let (id, new) = ("a".parse::<SubscriptionId>().unwrap(), document(serde_json::json!({})));
        let old = subscriptions.create(id.clone(), new.clone(), terms(1)).await.unwrap();
        subscriptions.remove(&old).await.unwrap();
        clock.advance(std::time::Duration::from_secs(1));
        let next = subscriptions.create(id.clone(), new.clone(), terms(2)).await.unwrap();

        assert!(matches!(subscriptions.prove(&old).await, Err(SubscriptionError::Stale(_))));
        // Not even were the revision the same.
        let disguised = Subscription { revision: next.revision, ..Subscription::clone(&old) };
        assert!(matches!(subscriptions.prove(&disguised).await, Err(SubscriptionError::Stale(_))));
        let updated = subscriptions.update(&disguised, new, terms(3)).await;
        assert!(matches!(updated, Err(SubscriptionError::Stale(_))));
        assert_eq!(subscriptions.get(&id).await.unwrap().state, SubscriptionState::Pending);
    }

    #[tokio::test]
    async fn a_damaged_subscription_is_left_out_of_the_list_and_reported_by_name() {
        let (subscriptions, new) = (subscriptions(), document(serde_json::json!({})));
        for id in ["a", "b", "c"] {
            let terms = terms(1);
            subscriptions.create(id.parse().unwrap(), new.clone(), terms).await.unwrap();
        }
        let b: SubscriptionId = "b".parse().unwrap();
        let revision = subscriptions.get(&b).await.unwrap().revision;
        let damage = "{\"document\":".to_owned();
        subscriptions.registry.put(&key(&b), Some(revision), damage).await.unwrap();

        let listed = subscriptions.list().await.unwrap();

        let ids: Vec<&str> = listed.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["a", "c"]);
        assert!(
            matches!(subscriptions.get(&b).await, Err(SubscriptionError::Damaged { id, .. }) if id == "b")
        );
    }
}
