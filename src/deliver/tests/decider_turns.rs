//! Turns at what is much work to decide go round by consumer.

use std::sync::{Arc, Mutex};

use crate::ambient::Tasks;
use crate::deliver::tests::stage::Stage;
use crate::deliver::worker::{Decider, EntryDecision};
use crate::route::PatternConfig;
use crate::subscriptions::Subscription;

/// Nothing is decided at once.
fn at_length(tasks: Tasks) -> Decider {
    Decider::new(PatternConfig { steps_at_once: 0, ..PatternConfig::default() }, tasks)
}

#[tokio::test]
async fn a_consumer_with_much_to_decide_keeps_another_waiting_for_one_turn_at_the_most() {
    let stage = Stage::new().await;
    let entries = stage.append(&["a", "b", "c", "d", "e", "f"]).await;
    let decider = at_length(stage.tasks.clone());
    let of = |consumer: &str| {
        let own = Subscription::clone(&stage.subscription);
        Arc::new(Subscription { consumer: consumer.parse().unwrap(), ..own })
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
