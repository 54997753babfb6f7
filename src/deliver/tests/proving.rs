//! A sink that takes a challenge and cannot answer it waits for its consumer's word.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::mpsc;

use crate::ambient::{Clock as _, SeededEntropy};
use crate::deliver::attempt::Handshake;
use crate::deliver::dispatch::{Dispatch, SubscriptionService, SubscriptionServiceParts};
use crate::deliver::handshake::{Handshakes, HandshakesParts};
use crate::deliver::limits::{Allowance, BacklogLimit, BreakerConfig, OperatorLimits, Sinks};
use crate::deliver::outcome::{DeliverySignal, DeliverySignals, HandshakeConfig};
use crate::deliver::sink::{
    ChallengeAnswer, ChallengeError, Destination, Destinations, EventBusPermissions, ExternalIds,
    Parcel, SinkAnswer, SinkTarget,
};
use crate::deliver::tests::stage::{Recorder, Stage, until};
use crate::deliver::worker::DeliveryContext;
use crate::egress::{Egress, EgressConfig};
use crate::event::SubscriptionId;
use crate::eventlog::{Log as _, Position, Store};
use crate::keys::DataKey;
use crate::subscriptions::{Challenge, Subscription, SubscriptionState, Subscriptions, Terms};

/// Takes every challenge, and says nothing.
#[derive(Default)]
struct Silent(Mutex<Vec<(Parcel, String)>>);

impl Silent {
    fn taken(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The number of the newest attempt, and the nonce that was in it.
    fn newest(&self) -> (u32, String) {
        let taken = self.0.lock().unwrap();
        let (parcel, nonce) = taken.last().unwrap();
        (parcel.attempt, nonce.clone())
    }
}

#[async_trait]
impl Destination for Silent {
    async fn tell(&self, _: &Arc<SinkTarget>, _: Parcel) -> bool {
        true
    }

    async fn deliver(&self, _: &Arc<SinkTarget>, _: Parcel) -> SinkAnswer {
        panic!("no event is sent before the sink has proved itself")
    }

    async fn prove(
        &self,
        _: &Arc<SinkTarget>,
        parcel: Parcel,
        challenge: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        let event = challenge.to_event("", crate::event::Timestamp::EPOCH);
        let nonce = event["data"]["challenge"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().push((parcel, nonce));
        Ok(ChallengeAnswer::Delivered)
    }
}

/// Handshakes at work over a stage.
pub(super) struct Working {
    pub(super) service: Arc<SubscriptionService>,
    handshakes: Arc<Handshakes>,
    sink: Arc<Silent>,
    told: mpsc::UnboundedReceiver<DeliverySignal>,
}

impl Working {
    pub(super) fn start(stage: &Stage) -> Self {
        let (clock, sink) = (Arc::new(stage.clock.clone()), Arc::new(Silent::default()));
        let entropy = Arc::new(SeededEntropy::new(9));
        let ((signals, told), store) = (DeliverySignals::channel(), Store::of(&stage.log));
        let breaker = BreakerConfig::default();
        let context = DeliveryContext {
            store: store.clone(),
            ledger: Arc::clone(&stage.ledger),
            attempter: stage.attempter(Arc::new(Recorder::default())),
            clock: Arc::clone(&clock) as _,
            tasks: stage.tasks.clone(),
            allowance: Allowance {
                parallel: 2,
                rate: None,
                operator_limits: OperatorLimits::default(),
            },
            backlog: BacklogLimit::default(),
            sinks: Arc::new(Sinks::new(breaker, Arc::clone(&entropy) as _, signals.clone())),
            signals: signals.clone(),
            pause_after: Duration::from_hours(5 * 24),
            decider: stage.decider(),
        };
        let dispatch = Arc::new(Dispatch::new(context, stage.log.head()));
        let ids =
            Arc::new(ExternalIds::new(Arc::clone(&stage.log) as _, Arc::clone(&entropy) as _));
        let service = Arc::new(SubscriptionService::new(SubscriptionServiceParts {
            subscriptions: Subscriptions::new(Arc::clone(&stage.log) as _, Arc::clone(&clock) as _),
            dispatch: Arc::clone(&dispatch),
            sealer: Arc::clone(&stage.sealer),
            egress: Arc::new(Egress::new(EgressConfig::loopback())),
            event_buses: Arc::new(EventBusPermissions::new(Vec::new(), Vec::new())),
            external_ids: ids,
            data_key: Arc::new(DataKey::generate(&SeededEntropy::new(3))),
            store,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy) as _,
            access: Arc::clone(&stage.access),
        }));
        let handshake = Handshake {
            destinations: Arc::new(Destinations {
                http: Arc::clone(&sink) as _,
                event_bus: Arc::clone(&sink) as _,
            }),
            sealer: Arc::clone(&stage.sealer),
            issuer: "https://gw.example/".parse().unwrap(),
            timeout: Duration::from_secs(1),
        };
        let handshakes = Arc::new(Handshakes::new(HandshakesParts {
            config: HandshakeConfig::default(),
            handshake,
            dispatch,
            subscription_service: Arc::clone(&service),
            signals,
            metrics: Arc::clone(&stage.metrics),
            clock,
            entropy,
            tasks: stage.tasks.clone(),
        }));
        let running = Arc::clone(&handshakes);
        stage.tasks.spawn(async move { running.run().await });
        Self { service, handshakes, sink, told }
    }

    pub(super) async fn create(&self, verify: &str) -> Arc<Subscription> {
        let document = json!({
            "id": "bus", "consumer": "shop", "sink": "http://127.0.0.1:1/",
            "config": { "keys": { "sharedSecret": true }, "verify": verify },
        });
        self.service.create(serde_json::from_value(document).unwrap()).await.unwrap().0
    }

    pub(super) async fn now(&self) -> Arc<Subscription> {
        self.service.get(&"bus".parse().unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn it_is_pending_with_the_way_out_as_reason_and_is_sent_the_same_rarely() {
    let stage = Stage::new().await;
    let working = Working::start(&stage);
    let pending = working.create("later").await;

    let delivered = working.handshakes.verify(&pending).await.unwrap();
    assert_eq!(delivered.state, SubscriptionState::Pending);
    let reason = delivered.reason.as_ref().unwrap();
    assert!(reason.contains("cannot answer") && reason.contains("/verify"), "{reason}");
    let due = delivered.handshake.as_ref().unwrap().due.unwrap();
    assert!(due.since(stage.clock.now()) >= Duration::from_mins(48));
    let (attempt, nonce) = working.sink.newest();
    assert!(!reason.contains(&nonce));
    stage.clock.set(due);
    until("it is sent again", || working.sink.taken() == 2).await;
    assert_eq!(working.sink.newest(), (attempt + 1, nonce.clone()));

    // The consumer may be quicker than the note of the attempt.
    let told = working.service.answer_challenge(&delivered, &nonce).await.unwrap();
    assert_eq!((told.state, &told.reason), (SubscriptionState::Active, &None));
    stage.clock.advance(Duration::from_hours(100));
    let asked = working.handshakes.verify(&working.now().await).await.unwrap();
    assert_eq!(asked.state, SubscriptionState::Active);
    let (_, other) = working.sink.newest();
    assert_eq!((working.sink.taken(), other != nonce), (3, true));
}

#[tokio::test]
async fn one_that_was_kept_before_handshakes_were_is_asked_at_the_start() {
    let stage = Stage::new().await;
    let document = json!({
        "consumer": "shop", "sink": "http://127.0.0.1:1/",
        "config": { "keys": { "sharedSecret": true } },
    });
    let id: SubscriptionId = "bus".parse().unwrap();
    let (kept, _) = stage.sealer.new_shared_secret(&id, &SeededEntropy::new(2));
    let terms = Terms {
        from: Position::START,
        low_watermark: Position::START,
        begins: Position::START,
        shared_secret: Some(kept),
        credential: None,
        outer_key_secret: None,
        handshake: None,
        entitlement: crate::access::Entitlement::default(),
    };
    let subscriptions =
        Subscriptions::new(Arc::clone(&stage.log) as _, Arc::new(stage.clock.clone()));
    subscriptions.create(id, serde_json::from_value(document).unwrap(), terms).await.unwrap();

    let working = Working::start(&stage);
    working.service.resume().await.unwrap();
    until("the sink is asked", || working.sink.taken() == 1).await;
    let now = working.now().await;
    let told = working.service.answer_challenge(&now, &working.sink.newest().1).await.unwrap();
    assert_eq!(told.state, SubscriptionState::Active);
}

#[tokio::test]
async fn a_change_that_waits_for_someone_is_told_at_once_and_once() {
    let stage = Stage::new().await;
    let mut working = Working::start(&stage);
    let pending = working.create("later").await;
    working.handshakes.verify(&pending).await.unwrap();
    let nonce = working.sink.newest().1;
    let active = working.service.answer_challenge(&working.now().await, &nonce).await.unwrap();
    assert!(working.told.try_recv().is_err());

    let mut document = active.whole_document();
    document.sink = Some("http://127.0.0.1:2/".to_owned());
    let (moved, _) = working.service.update(&active, document).await.unwrap();
    let told = working.told.recv().await.unwrap();
    let DeliverySignal::ProofMissing { subscription } = told else { panic!("{told:?}") };
    assert_eq!(subscription.reason, moved.reason);
    let asked = working.handshakes.verify(&moved).await.unwrap();
    assert_eq!(asked.handshake.as_ref().unwrap().attempts, 1);
    // Given up, it is told once more.
    let mut due = asked.handshake.as_ref().unwrap().due;
    while let Some(next) = due {
        let taken = working.sink.taken();
        stage.clock.set(next);
        until("the sink is asked", || working.sink.taken() > taken).await;
        due = loop {
            let now = working.now().await.handshake.clone().unwrap();
            if now.due != Some(next) {
                break now.due;
            }
            tokio::task::yield_now().await;
        };
    }
    let told = working.told.recv().await.unwrap();
    let DeliverySignal::ProofMissing { subscription } = told else { panic!("{told:?}") };
    assert!(subscription.reason.as_ref().unwrap().contains("given up after"));
    assert!(working.told.try_recv().is_err());
}

#[tokio::test]
async fn nothing_can_be_answered_that_was_not_sent() {
    let stage = Stage::new().await;
    let working = Working::start(&stage);
    let pending = working.create("later").await;

    let early = working.service.answer_challenge(&pending, "guessed").await.unwrap_err();
    assert!(early.to_string().contains("no challenge was sent"), "{early}");
    working.service.remove(&pending).await.unwrap();
    assert!(working.handshakes.verify(&pending).await.is_err());
    assert_eq!(working.sink.taken(), 0);
}
