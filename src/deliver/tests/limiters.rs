//! Limiters know how a sink is from the attempts of one consumer, and how long everything has failed.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::{Clock as _, SeededEntropy};
use crate::deliver::limits::{
    Allowance, AttemptLimiter, BacklogLimit, BreakerConfig, BreakerPhase, OperatorLimits, Sinks,
    Traffic,
};
use crate::deliver::outcome::{Delivery, DeliverySignals};
use crate::deliver::sink::AnswerKind;
use crate::deliver::tests::couriers::FAILS;
use crate::deliver::tests::stage::{Act, Recorder, Stage};
use crate::subscriptions::Subscription;

fn sinks() -> Arc<Sinks> {
    let entropy = Arc::new(SeededEntropy::new(1));
    Arc::new(Sinks::new(BreakerConfig::default(), entropy, DeliverySignals::channel().0))
}

fn limiter(subscription: &Arc<Subscription>, sinks: &Arc<Sinks>) -> Arc<AttemptLimiter> {
    let allowance =
        Allowance { parallel: 4, rate: None, operator_limits: OperatorLimits::default() };
    Arc::new(AttemptLimiter::new(subscription, sinks, allowance, None))
}

/// Makes one attempt of the first event, which ends as the recorder is told.
async fn attempt(stage: &Stage, limiter: &Arc<AttemptLimiter>, act: Act) {
    let recorder = Recorder::default();
    recorder.acts.lock().unwrap().push_back(act);
    let delivery = Delivery {
        subscription: Arc::clone(&stage.subscription),
        entry: stage.append(&["a"]).await.remove(0),
        link: None,
        replay: None,
        attempts: 0,
        first_attempt: None,
        redriven: false,
    };
    let permit = limiter.enter(Traffic::Live, stage.clock.now()).ok().unwrap();
    let attempter = stage.attempter(Arc::new(recorder));
    let attempt = attempter.attempt(&delivery);
    permit.run(delivery.entry.event.id, attempt, &stage.clock).await;
}

#[tokio::test]
async fn consumers_with_the_same_address_know_nothing_of_each_other() {
    let (stage, sinks) = (Stage::new().await, sinks());
    let other = Subscription { id: "other".parse().unwrap(), ..(*stage.subscription).clone() };
    let stranger = Subscription { consumer: "stranger".parse().unwrap(), ..other.clone() };
    let first = limiter(&stage.subscription, &sinks);
    let second = limiter(&Arc::new(other), &sinks);
    let strange = limiter(&Arc::new(stranger), &sinks);

    for _ in 0..5 {
        attempt(&stage, &first, FAILS).await;
    }

    let phase = |limiter: &AttemptLimiter| limiter.flow(stage.clock.now()).phase;
    assert!(matches!(phase(&first), BreakerPhase::Open { .. }));
    assert_eq!(phase(&second), phase(&first), "a consumer's subscriptions share what they learn");
    assert_eq!(phase(&strange), BreakerPhase::Closed);
    strange.nudge();
    attempt(&stage, &strange, Act::Say(AnswerKind::Delivered)).await;
    assert!(first.look(Traffic::Live, stage.clock.now()).is_err(), "nobody else ends its pause");
}

#[tokio::test]
async fn what_was_asked_for_once_gives_way_to_what_the_operator_allows_now() {
    let mut stage = Stage::new().await;
    let general = |operator_limits| Allowance { parallel: 4, rate: None, operator_limits };
    let low = general(OperatorLimits { parallel: 8, rate: Some(5), ..OperatorLimits::default() });
    assert_eq!(low.operator_limits.bound(&stage.subscription, low), (4, Some(5)));

    stage.in_order(&serde_json::json!({ "rate": 100 }));
    let asks = Subscription { parallel: Some(64), ..(*stage.subscription).clone() };

    assert_eq!(low.operator_limits.bound(&asks, low), (8, Some(5)));
    let none = general(OperatorLimits::default());
    assert_eq!(none.operator_limits.bound(&asks, none), (64, Some(100)));
}

#[tokio::test]
async fn who_waits_for_a_sink_hears_that_the_subscription_has_another_one() {
    let (stage, sinks) = (Stage::new().await, sinks());
    let moved = Subscription {
        sink: Some("http://127.0.0.1:2/".parse().unwrap()),
        ..(*stage.subscription).clone()
    };
    let other = limiter(&stage.subscription, &sinks);
    let limiter = limiter(&stage.subscription, &sinks);
    let health = limiter.watch();

    limiter.change(&Arc::new(moved));

    assert!(health.has_changed().unwrap());
    drop(other);
}

#[tokio::test]
async fn a_backlog_that_was_asked_for_once_gives_way_to_what_the_operator_allows_now() {
    let mut stage = Stage::new().await;
    let hours = |hours| Some(Duration::from_hours(hours));
    let general = BacklogLimit { age: hours(24), events: None };
    let operator_limits = OperatorLimits {
        backlog: BacklogLimit { age: hours(48), events: Some(9) },
        ..OperatorLimits::default()
    };
    assert_eq!(operator_limits.limit(&stage.subscription, general).age, hours(24));

    let year = serde_json::json!({ "maximumAge": 31_536_000, "maximumEvents": 100 });
    stage.in_order(&serde_json::json!({ "backlog": year }));
    assert_eq!(operator_limits.limit(&stage.subscription, general), operator_limits.backlog);

    let less = serde_json::json!({ "maximumAge": 3600, "maximumEvents": 3 });
    stage.in_order(&serde_json::json!({ "backlog": less }));
    let own = BacklogLimit { age: hours(1), events: Some(3) };
    assert_eq!(operator_limits.limit(&stage.subscription, general), own);
}
