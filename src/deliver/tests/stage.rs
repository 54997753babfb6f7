//! A log in memory, a subscription, and a carrier that remembers what it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::ambient::{ManualClock, SeededEntropy, Tasks};
use crate::deliver::outcome::{AttemptResult, Delivery, Ledger, Verdict};
use crate::deliver::sink::Health;
use crate::deliver::worker::Carry;
use crate::event::{
    ContentDigest, Data, EventSource, EventType, IdempotencyKey, Subject, Timestamp,
};
use crate::eventlog::{Draft, Entry, EventLog, LogLimits, MemoryLog, Page, Position};
use crate::subscriptions::{Subscription, Subscriptions, Terms};
use crate::telemetry::Metrics;

/// What is around a courier.
pub(crate) struct Stage {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) subscription: Arc<Subscription>,
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
        let terms = Terms {
            from: Position::START,
            low_watermark: Position::START,
            shared_secret: Some("encrypted".to_owned()),
            credential: None,
        };
        let pending = subscriptions.create("shop".parse().unwrap(), document, terms).await;
        let subscription = subscriptions.prove(&pending.unwrap()).await.unwrap();
        let metrics = Metrics::new();
        let ledger =
            Arc::new(Ledger::new(Arc::clone(&log) as _, Arc::new(clock.clone()), &metrics));
        Self { log, clock, ledger, metrics, tasks: Tasks::new(), subscription }
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

fn draft(word: &str) -> Draft {
    let digest: [u8; 32] = Sha256::digest(word).into();
    Draft {
        source: EventSource::new("/tests").unwrap(),
        event_type: EventType::new("Test.Happened").unwrap(),
        subject: word.split_once('.').map(|(subject, _)| Subject::new(subject).unwrap()),
        time: Timestamp::EPOCH,
        dataschema: None,
        idempotency_key: IdempotencyKey::from_bytes(digest[..16].try_into().unwrap()),
        digest: ContentDigest::from_bytes(digest),
        trace: None,
        data: Data::from_text(format!("{{\"word\":\"{word}\"}}")),
        publication: "tests/happened".into(),
        envelope_id: word.into(),
        origin: None,
        deduplicate: None,
        observed: None,
    }
}

/// What a carrier does with a delivery.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Say(Verdict),
    Panic,
    Hang,
    /// Deliver, but not before the test says so.
    Wait,
}

/// Remembers every delivery, and acts as it is told; beyond that it delivers.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) carried: Mutex<Vec<Delivery>>,
    pub(crate) acts: Mutex<VecDeque<Act>>,
    pub(crate) go_on: Notify,
}

#[async_trait]
impl Carry for Recorder {
    async fn carry(&self, delivery: &Delivery) -> AttemptResult {
        self.carried.lock().unwrap().push(delivery.clone());
        let act = self.acts.lock().unwrap().pop_front();
        let verdict = match act {
            Some(Act::Say(verdict)) => verdict,
            Some(Act::Panic) => panic!("as the test says"),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Wait) => {
                self.go_on.notified().await;
                Verdict::Delivered
            }
            None => Verdict::Delivered,
        };
        let well = verdict == Verdict::Delivered;
        let health = if well { Health::Well } else { Health::Failed };
        AttemptResult { verdict, health, retry_after: None }
    }

    fn expired(&self, _: &Subscription, _: usize) {}
}

impl Recorder {
    /// The words of what was carried, in order.
    pub(crate) fn words(&self) -> Vec<String> {
        let carried = self.carried.lock().unwrap();
        carried.iter().map(|one| one.entry.envelope_id.to_string()).collect()
    }

    /// The sequence numbers and attempt counts of what was carried, in order.
    pub(crate) fn carried(&self) -> Vec<(u64, u32)> {
        let carried = self.carried.lock().unwrap();
        carried.iter().map(|one| (one.link.map_or(0, |link| link.0), one.attempts)).collect()
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
