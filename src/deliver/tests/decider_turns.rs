//! Turns at what is much work to decide go round by consumer.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::access::Entitlement;
use crate::ambient::Tasks;
use crate::deliver::tests::stage::Stage;
use crate::deliver::worker::{Decider, EntryDecision};
use crate::eventlog::Position;
use crate::route::PatternConfig;
use crate::subscriptions::{Subscription, SubscriptionDocument, Subscriptions, Terms};
use crate::telemetry::Metrics;

/// Nothing is decided at once.
fn at_length(tasks: Tasks) -> Decider {
    Decider::new(
        PatternConfig { steps_at_once: 0, ..PatternConfig::default() },
        tasks,
        &Metrics::new(),
    )
}

/// The subscription of a stage with a filter, which takes steps.
async fn asking_for_words(stage: &Stage) -> Arc<Subscription> {
    let store = Subscriptions::new(Arc::clone(&stage.log) as _, Arc::new(stage.clock.clone()));
    let filters = vec![json!({"pattern": {"data": {"word": [{"exists": true}]}}})];
    let own = stage.subscription.document.clone();
    let document = SubscriptionDocument { filters, ..own };
    let terms = Terms {
        from: Position(1),
        low_watermark: Position::START,
        begins: Position::START,
        shared_secret: None,
        credential: None,
        outer_key_secret: None,
        entitlement: Entitlement::default(),
        handshake: None,
    };
    store.update(&stage.subscription, document, terms).await.unwrap()
}

#[tokio::test]
async fn a_consumer_with_much_to_decide_keeps_another_waiting_for_one_turn_at_the_most() {
    let stage = Stage::new().await;
    let entries = stage.append(&["a", "b", "c", "d", "e", "f"]).await;
    let decider = at_length(stage.tasks.clone());
    let asks = asking_for_words(&stage).await;
    let of = |consumer: &str| {
        let consumer = consumer.parse().unwrap();
        Arc::new(Subscription { consumer, ..Subscription::clone(&asks) })
    };
    let (busy, other) = (of("busy"), of("other"));
    let decided = Mutex::new(Vec::new());
    // Everybody stands in line before the first turn is over: all are asked by one task.
    let asking = entries.iter().enumerate().map(async |(number, entry)| {
        let subscription = if number == 5 { &other } else { &busy };
        let decision = decider.decide(subscription, entry).await;
        assert_eq!(decision, Ok(EntryDecision::Wanted));
        decided.lock().unwrap().push(number);
    });
    futures_util::future::join_all(asking).await;

    assert_eq!(*decided.lock().unwrap(), [0, 5, 1, 2, 3, 4]);
}
