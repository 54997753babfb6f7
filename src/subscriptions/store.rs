//! The subscriptions of a gateway, read from the registry once, and found and listed in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use crate::access::Entitlement;
use crate::ambient::Clock;
use crate::event::{
    ConsumerId, QualifiedName, SubscriptionId, SubscriptionName, SubscriptionReference,
};
use crate::eventlog::{Position, Record, RecordKey, Registry};
use crate::route::{Budget, FilterError, PatternConfig};
use crate::subscriptions::check::{check, check_price};
use crate::subscriptions::directory::Directory;
use crate::subscriptions::kept::{read, restore};
use crate::subscriptions::{
    Config, Invalid, KeptCredential, KeptWish, PendingHandshake, Subscription,
    SubscriptionDocument, SubscriptionError, SubscriptionPage, SubscriptionQuery, WishText, Wishes,
};

const KIND: &str = "subscription";

/// What the gateway adds to a document when it is created or changed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The first position that the document's filter applies to.
    pub from: Position,
    /// Up to here the log was dropped, so that nothing asks for the filters of before.
    pub low_watermark: Position,
    /// Everything up to here lies before the start of a new subscription.
    pub begins: Position,
    /// The two secret keys, encrypted under the data key, if the document asks for some.
    pub shared_secret: Option<String>,
    /// The credential that the document asks for, encrypted under the data key.
    pub credential: Option<KeptCredential>,
    /// The secret of the outer keys, encrypted under the data key; one that is there stays.
    pub outer_key_secret: Option<String>,
    /// The handshake that begins, if the sink is new or its keys are. Without it, one is begun by
    /// whoever makes the first attempt.
    pub handshake: Option<PendingHandshake>,
    /// What the consumer may hear from that position on.
    pub entitlement: Entitlement,
}

/// The subscriptions in the registry, which are read once: nobody else writes them while this is used.
#[derive(Clone)]
pub struct Subscriptions {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bounds: Config,
    /// How much work a filter may be that is made now.
    pub(super) budget: Budget,
    pub(super) shared: Arc<Shared>,
}

/// What all clones have together.
#[derive(Default)]
pub(super) struct Shared {
    directory: OnceCell<Directory>,
    pub(super) wishes: Wishes,
    /// Held from counting what a consumer has until more is written.
    pub(super) growing: Mutex<()>,
}

impl Subscriptions {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        Self {
            registry,
            clock,
            bounds: Config::default(),
            budget: PatternConfig::default().budget(),
            shared: Arc::default(),
        }
    }

    /// Gives filters that are made from now on this much work.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The same, with these bounds for each consumer.
    #[must_use]
    pub fn bounded(self, bounds: Config) -> Self {
        Self { bounds, ..self }
    }

    /// Gives all of them, in order of their ids.
    ///
    /// One that is damaged is left out and named in the log when it is read, so that it stops no
    /// other; and [`get`](Self::get) reports it.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self) -> Result<Vec<Arc<Subscription>>, SubscriptionError> {
        Ok(self.directory().await?.all())
    }

    /// Gives a page of those that are wanted, own ones first, then by consumer and name.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn page(
        &self,
        query: &SubscriptionQuery<'_>,
    ) -> Result<SubscriptionPage, SubscriptionError> {
        Ok(self.directory().await?.page(query))
    }

    /// Gives all that may be seen after a place, in the order of a page.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn seen(
        &self,
        whose: (&BTreeSet<ConsumerId>, bool),
        after: Option<&QualifiedName>,
    ) -> Result<Vec<Arc<Subscription>>, SubscriptionError> {
        Ok(self.directory().await?.seen(whose, after))
    }

    /// The ids of all of them, of damaged ones, too.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn ids(&self) -> Result<BTreeSet<String>, SubscriptionError> {
        Ok(self.directory().await?.ids())
    }

    /// Finds one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &SubscriptionId) -> Result<Arc<Subscription>, SubscriptionError> {
        let directory = self.directory().await?;
        if let Some(known) = directory.get(id) {
            return Ok(known);
        }
        let absent = || SubscriptionError::Unknown(id.clone());
        if !directory.is_damaged(id) {
            return Err(absent());
        }
        let record = self.registry.get(&key(id)).await.map_err(SubscriptionError::Registry)?;
        self.restored(&record.ok_or_else(absent)?)
    }

    /// Finds the one that a consumer calls so.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn named(
        &self,
        consumer: &ConsumerId,
        name: &SubscriptionName,
    ) -> Result<Option<Arc<Subscription>>, SubscriptionError> {
        Ok(self.directory().await?.named(consumer, name))
    }

    /// Finds what somebody means who sees the subscriptions of some consumers, or of all: by id before
    /// by name, and its own before those of others. Whatever it does not see is looked up alike.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, or there are several. Ours: the registry failed, or it is
    /// damaged.
    pub async fn find(
        &self,
        reference: &SubscriptionReference,
        (own, others): (&BTreeSet<ConsumerId>, bool),
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let directory = self.directory().await?;
        let found = directory.find(reference, (own, others));
        match (found.as_slice(), reference) {
            ([one], _) => Ok(Arc::clone(one)),
            ([], SubscriptionReference::Plain(name)) if others => self.get(&name.as_id()).await,
            ([], _) => Err(SubscriptionError::NotFound),
            (several, _) => {
                let names = several.iter().map(|one| one.qualified_name()).collect();
                Err(SubscriptionError::Ambiguous(names))
            }
        }
    }

    /// Finds all of a consumer.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn of(
        &self,
        consumer: &ConsumerId,
    ) -> Result<Vec<Arc<Subscription>>, SubscriptionError> {
        Ok(self.directory().await?.of(consumer))
    }

    /// What all of them want, each wish once.
    pub fn wishes(&self) -> &Wishes {
        &self.shared.wishes
    }

    /// Checks a document without keeping it.
    ///
    /// # Errors
    ///
    /// The caller's turn: a part of it cannot work.
    pub fn check(document: &SubscriptionDocument) -> Result<(), SubscriptionError> {
        document.clone().normalised()?;
        check(document).map(drop)?;
        Wishes::default().of(wish_of(document)).map(drop).map_err(|error| unusable(&error))?;
        check_price(document).map_err(SubscriptionError::Invalid)
    }

    /// Checks a document that is about to be kept, and gives what it wants.
    ///
    /// # Errors
    ///
    /// The caller's turn: a part of it cannot work.
    pub fn checked_wish(
        &self,
        document: &SubscriptionDocument,
    ) -> Result<Arc<KeptWish>, SubscriptionError> {
        check(document).map(drop)?;
        self.shared.wishes.of(wish_of(document)).map_err(|error| unusable(&error))
    }

    /// All of them, read from the registry when they are needed for the first time.
    pub(super) async fn directory(&self) -> Result<&Directory, SubscriptionError> {
        self.shared.directory.get_or_try_init(|| self.read_all()).await
    }

    async fn read_all(&self) -> Result<Directory, SubscriptionError> {
        let records = self.registry.list(KIND).await.map_err(SubscriptionError::Registry)?;
        let directory = Directory::default();
        for record in records {
            if let Ok(subscription) = self.restored(&record) {
                directory.put(&subscription);
                continue;
            }
            // The cause may quote the document, so it stays out of the log.
            tracing::error!(
                subscription.id = %record.id,
                "Subscription {} in the registry is damaged and gets no events", record.id,
            );
            directory.put_damaged(record.id);
        }
        Ok(directory)
    }

    pub(super) fn restored(&self, record: &Record) -> Result<Arc<Subscription>, SubscriptionError> {
        let kept = read(&record.id, &record.body, &self.shared.wishes)?;
        restore(&record.id, kept, record.revision).map(Arc::new)
    }
}

fn wish_of(document: &SubscriptionDocument) -> WishText {
    WishText::new(&document.types, &document.filters)
}

fn unusable(error: &FilterError) -> SubscriptionError {
    Invalid::new("/filters", &error.to_string()).into()
}

/// Where one is kept.
pub(super) fn key(id: &SubscriptionId) -> RecordKey {
    RecordKey { kind: KIND, id: id.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::Timestamp;
    use crate::eventlog::{LogLimits, MemoryLog};
    use crate::subscriptions::SubscriptionState;

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
        Terms {
            from: Position(from),
            low_watermark,
            begins: Position::START,
            shared_secret: None,
            credential: None,
            outer_key_secret: Some("sealed".to_owned()),
            handshake: None,
            entitlement: Entitlement::default(),
        }
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
    async fn filters_of_dropped_events_are_forgotten_without_a_change() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let wish = |number: u64| document(serde_json::json!({"types": [format!("Type{number}")]}));
        let mut current = subscriptions.create(id.clone(), wish(1), terms(1)).await.unwrap();
        for number in 2..=4 {
            current = subscriptions.update(&current, wish(number), terms(number)).await.unwrap();
        }
        assert_eq!(subscriptions.wishes().kept(), 4);
        assert!(subscriptions.drop_old_epochs(&current, Position(1)).await.unwrap().is_none());

        let dropped = subscriptions.drop_old_epochs(&current, Position(3)).await.unwrap().unwrap();

        drop(current);
        let from: Vec<u64> = dropped.epochs.iter().map(|epoch| epoch.from.0).collect();
        assert_eq!((from, subscriptions.wishes().kept()), (vec![3, 4], 2));
        let again = Subscriptions::new(subscriptions.registry, subscriptions.clock);
        assert_eq!(again.get(&id).await.unwrap().epochs.len(), 2, "it is written");
    }

    #[tokio::test]
    async fn every_address_that_was_kept_in_another_form_is_restored_in_its_one_form() {
        let (subscriptions, id) = (subscriptions(), "a".parse::<SubscriptionId>().unwrap());
        let new = document(serde_json::json!({"sink": "https://shop.example/sink"}));
        let current = subscriptions.create(id.clone(), new, terms(1)).await.unwrap();
        let record = subscriptions.registry.get(&key(&id)).await.unwrap().unwrap();
        let older = record.body.replace("https://shop.example/", "HTTPS://Shop.example:443/");
        assert_ne!(older, record.body);
        subscriptions.registry.put(&key(&id), Some(record.revision), older).await.unwrap();

        let again = Subscriptions::new(subscriptions.registry, subscriptions.clock);
        let restored = again.get(&id).await.unwrap();

        assert_eq!(restored.document.sink, current.document.sink);
        assert_eq!(restored.document.config.keys, current.document.config.keys);
    }

    #[tokio::test]
    async fn whoever_wrote_first_is_seen_by_who_was_refused() {
        let subscriptions = subscriptions();
        let id = "a".parse::<SubscriptionId>().unwrap();
        let new = document(serde_json::json!({}));
        let seen = subscriptions.create(id.clone(), new, terms(1)).await.unwrap();
        let (registry, clock) =
            (Arc::clone(&subscriptions.registry), Arc::clone(&subscriptions.clock));
        Subscriptions::new(registry, clock).prove(&seen).await.unwrap();

        assert!(matches!(subscriptions.prove(&seen).await, Err(SubscriptionError::Stale(_))));
        assert_eq!(subscriptions.get(&id).await.unwrap().state, SubscriptionState::Active);
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

        // What is in memory is what was written; the damage shows after the next start.
        assert_eq!(subscriptions.list().await.unwrap().len(), 3);
        let clock = Arc::clone(&subscriptions.clock);
        let subscriptions = Subscriptions::new(subscriptions.registry, clock);
        let listed = subscriptions.list().await.unwrap();

        let ids: Vec<&str> = listed.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["a", "c"]);
        assert!(
            matches!(subscriptions.get(&b).await, Err(SubscriptionError::Damaged { id, .. }) if id == "b")
        );
    }
}
