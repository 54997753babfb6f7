//! A log in memory, a subscription, and a destination that remembers what it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::access::{Access, AccessParts};
use crate::ambient::{Clock as _, Entropy, ManualClock, SeededEntropy, Tasks};
use crate::deliver::attempt::{Attempter, Sealer, SealerParts};
use crate::deliver::outcome::{DeliverySignals, Ledger, Ownership, ReceiptChecker, Schedule};
use crate::deliver::sink::{
    AnswerKind, ChallengeAnswer, ChallengeError, Destination, Destinations, Parcel, SinkAnswer,
    SinkTarget,
};
use crate::deliver::worker::Decider;
use crate::event::{
    ContentDigest, Data, EventSource, EventType, IdempotencyKey, Subject, Timestamp,
};
use crate::eventlog::{Draft, Entry, Log as _, LogLimits, MemoryLog, Page, Position, Protection};
use crate::keys::{
    DataKey, KeyRing, MemoryKeyStore, OpeningKeys, PublicKeys, RemoteKeys, SharedSecret,
    SigningAlgorithm, VerifyingKeys,
};
use crate::route::PatternConfig;
use crate::seal::{Opened, Opening, open};
use crate::subscriptions::{Challenge, OuterKeySecret, Subscription, Subscriptions, Terms};
use crate::telemetry::Metrics;

/// The `iss` of every token.
const ISSUER: &str = "https://gw.example";

/// Entropy that makes no delay longer or shorter.
struct Even;

impl Entropy for Even {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
        buffer[0] = 20;
    }
}

/// What is around a courier.
pub(crate) struct Stage {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: Tasks,
    pub(crate) access: Arc<Access>,
    pub(crate) subscription: Arc<Subscription>,
    /// The delay before each further attempt.
    pub(crate) delay: Duration,
    pub(super) sealer: Arc<Sealer>,
    secret: SharedSecret,
}

impl Stage {
    /// A log without entries and an active subscription to everything.
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_795_282_931));
        let log = MemoryLog::new(
            LogLimits::default(),
            Arc::new(clock.clone()),
            Arc::new(SeededEntropy::new(1)),
        );
        let subscriptions = Subscriptions::new(Arc::clone(&log) as _, Arc::new(clock.clone()));
        let document = json!({
            "consumer": "shop",
            "sink": "http://127.0.0.1:1/",
            "config": { "keys": { "sharedSecret": true } },
        });
        let document = serde_json::from_value(document).unwrap();
        let sealer = Arc::new(sealer(&clock));
        let id = "shop".parse().unwrap();
        let (kept, secret) = sealer.new_shared_secret(&id, &SeededEntropy::new(2));
        let terms = Terms {
            from: Position::START,
            low_watermark: Position::START,
            begins: Position::START,
            shared_secret: Some(kept),
            credential: None,
            outer_key_secret: Some(
                OuterKeySecret::generate(&SeededEntropy::new(4)).seal(&id, &data_key()),
            ),
            handshake: None,
            entitlement: crate::access::Entitlement::default(),
        };
        let pending = subscriptions.create(id, document, terms).await;
        let subscription = subscriptions.prove(&pending.unwrap()).await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let ledger = Arc::new(Ledger::new(
            Arc::clone(&log) as _,
            Ownership::default(),
            Arc::new(clock.clone()),
            &metrics,
        ));
        let access = Arc::new(Access::public(AccessParts {
            config: crate::access::Config::default(),
            registry: Arc::clone(&log) as _,
            log: Arc::clone(&log) as _,
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(3)),
        }));
        Self {
            log,
            clock,
            ledger,
            metrics,
            tasks: Tasks::new(),
            access,
            subscription,
            delay: Duration::from_secs(5),
            sealer,
            secret: SharedSecret::from_jwks(secret.expose().as_bytes()).unwrap(),
        }
    }

    /// Decides with little work at once.
    pub(crate) fn decider(&self) -> Decider {
        Decider::new(PatternConfig::default(), self.tasks.clone(), &self.metrics)
    }

    /// Makes real attempts, at sinks that this destination speaks to.
    pub(crate) fn attempter(&self, destination: Arc<dyn Destination>) -> Arc<Attempter> {
        let clock = Arc::new(self.clock.clone());
        Arc::new(Attempter {
            sealer: Arc::clone(&self.sealer),
            destinations: Arc::new(Destinations {
                http: Arc::clone(&destination),
                event_bus: destination,
            }),
            receipts: ReceiptChecker {
                issuer: ISSUER.to_owned(),
                aliases: Vec::new(),
                remote: no_remote_keys(&self.clock),
                clock: Arc::clone(&clock) as _,
            },
            ledger: Arc::clone(&self.ledger),
            schedule: Schedule::new([self.delay; 9]),
            timeout: Duration::from_secs(10),
            clock,
            entropy: Arc::new(Even),
            metrics: Arc::clone(&self.metrics),
            signals: DeliverySignals::channel().0,
            access: Arc::clone(&self.access),
        })
    }

    /// Opens what a sink was handed, as the consumer does.
    pub(crate) fn open(&self, parcel: &Parcel) -> Opened {
        let keys = OpeningKeys::from_iter([self.secret.opening_key()]);
        let issuer_keys = VerifyingKeys::from_iter([self.secret.verifying_key()]);
        let audience = &self.subscription.audience;
        let opening = Opening::new(&keys, &issuer_keys, ISSUER, audience, self.clock.now());
        open(&parcel.token, &opening).unwrap()
    }

    /// The subscription, now with this order.
    pub(crate) fn in_order(&mut self, config: &serde_json::Value) {
        let mut subscription = Subscription::clone(&self.subscription);
        let mut document = serde_json::to_value(&subscription.document).unwrap();
        document["config"].as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        subscription.document = serde_json::from_value(document).unwrap();
        self.subscription = Arc::new(subscription);
    }

    /// Appends an event for each word and gives their entries. The subject is what stands before a
    /// full stop, if there is one.
    pub(crate) async fn append(&self, words: &[&str]) -> Vec<Arc<Entry>> {
        let before = self.log.head();
        self.log.append(words.iter().map(|word| draft(word)).collect()).await.unwrap();
        let page = Page { items: words.len(), ..Page::default() };
        self.log.read(before, page).await.unwrap()
    }
}

fn data_key() -> DataKey {
    DataKey::generate(&SeededEntropy::new(3))
}

fn sealer(clock: &ManualClock) -> Sealer {
    let lifecycle = crate::keys::Config::default().lifecycle();
    let ring = KeyRing::read(Arc::new(MemoryKeyStore::new()), lifecycle).unwrap();
    Sealer::new(SealerParts {
        issuer: ISSUER.to_owned(),
        lifetime: Duration::from_hours(1),
        signature: SigningAlgorithm::ES256,
        ring: Arc::new(ring),
        data_key: Arc::new(data_key()),
        incarnations: Arc::default(),
        remote: no_remote_keys(clock),
        clock: Arc::new(clock.clone()),
    })
}

fn no_remote_keys<S: PublicKeys>(clock: &ManualClock) -> Arc<RemoteKeys<S>> {
    let client_for = Box::new(|_: &url::Url| panic!("no keys are fetched"));
    let clock = Arc::new(clock.clone());
    Arc::new(RemoteKeys::new(client_for, clock, Arc::new(SeededEntropy::new(4))))
}

/// An event whose word is also in an attribute that every sink sees.
fn draft(word: &str) -> Draft {
    let digest: [u8; 32] = Sha256::digest(word).into();
    Draft {
        source: EventSource::new("/tests").unwrap(),
        event_type: EventType::new("Test.Happened").unwrap(),
        subject: word.split_once('.').map(|(subject, _)| Subject::new(subject).unwrap()),
        time: Timestamp::EPOCH.into(),
        dataschema: Some(word.into()),
        idempotency_key: IdempotencyKey::from_bytes(digest[..16].try_into().unwrap()),
        digest: ContentDigest::from_bytes(digest),
        trace: None,
        context: None,
        data: Data::from_text(format!("{{\"word\":\"{word}\"}}")),
        publication: "tests/happened".into(),
        envelope_id: word.into(),
        origin: None,
        deduplicate: None,
        observed: None,
        protection: Protection::default(),
    }
}

/// A sink that takes what it is given.
pub(crate) const DELIVERED: AnswerKind = AnswerKind::Delivered;

/// What a sink does with an event.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Say(AnswerKind),
    Panic,
    Hang,
    /// Take it, but not before the test says so.
    Wait,
}

/// Remembers every parcel, and acts as it is told; beyond that it takes them.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) attempted: Mutex<Vec<Parcel>>,
    pub(crate) acts: Mutex<VecDeque<Act>>,
    pub(crate) go_on: Notify,
}

#[async_trait]
impl Destination for Recorder {
    async fn tell(&self, _: &Arc<SinkTarget>, _: Parcel) -> bool {
        true
    }

    async fn deliver(&self, _: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer {
        self.attempted.lock().unwrap().push(parcel);
        let act = self.acts.lock().unwrap().pop_front();
        let kind = match act {
            Some(Act::Say(kind)) => kind,
            Some(Act::Panic) => panic!("as the test says"),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Wait) => {
                self.go_on.notified().await;
                AnswerKind::Delivered
            }
            None => AnswerKind::Delivered,
        };
        SinkAnswer::new(kind)
    }

    async fn prove(
        &self,
        _: &Arc<SinkTarget>,
        _: Parcel,
        _: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        panic!("no sink is proved here")
    }
}

impl Recorder {
    /// The words of what was attempted, in order.
    pub(crate) fn words(&self) -> Vec<String> {
        let attempted = self.attempted.lock().unwrap();
        attempted.iter().map(|one| one.attribute("dataschema").unwrap().to_owned()).collect()
    }

    /// The sequence numbers of what was attempted and how often it was attempted before, in order.
    pub(crate) fn attempted(&self) -> Vec<(u64, u32)> {
        let attempted = self.attempted.lock().unwrap();
        attempted.iter().map(|one| (one.sequence.unwrap_or(0), one.attempt - 1)).collect()
    }
}

/// Lets tasks do what they can do at once.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Lets background work run until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect(what);
}
