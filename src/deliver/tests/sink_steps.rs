//! What a sink has done moves on the subscription that has it, and no other.

use std::sync::Arc;

use crate::ambient::{Clock as _, SeededEntropy};
use crate::deliver::tests::proving::Working;
use crate::deliver::tests::stage::Stage;
use crate::keys::DataKey;
use crate::subscriptions::{OuterKeySecret, Subscription, SubscriptionState};

/// An active subscription, as it is seen by an attempt at its sink.
async fn active(stage: &Stage) -> (Working, Arc<Subscription>) {
    let working = Working::start(stage);
    let pending = working.create("later").await;
    working.service.proved(&pending).await.unwrap();
    let seen = working.now().await;
    (working, seen)
}

async fn step(
    working: &Working,
    seen: &Subscription,
    to: SubscriptionState,
) -> Option<Arc<Subscription>> {
    working.service.step_for_sink(seen, to, "as the test says".to_owned()).await.unwrap()
}

#[tokio::test]
async fn what_a_sink_has_done_says_nothing_of_the_sink_that_has_taken_its_place() {
    let stage = Stage::new().await;
    let (working, seen) = active(&stage).await;
    let mut document = seen.whole_document();
    document.sink = Some("http://127.0.0.1:2/".to_owned());
    let (moved, _) = working.service.update(&seen, document).await.unwrap();
    let proved = working.service.proved(&moved).await.unwrap();
    assert_eq!(proved.state, SubscriptionState::Active);

    for to in [SubscriptionState::Closed, SubscriptionState::Paused] {
        assert!(step(&working, &seen, to).await.is_none());
    }

    assert_eq!(working.now().await.state, SubscriptionState::Active);
    let closed = step(&working, &proved, SubscriptionState::Closed).await.unwrap();
    assert_eq!(closed.reason.as_deref(), Some("as the test says"));
    assert!(step(&working, &proved, SubscriptionState::Closed).await.is_none(), "once is enough");
}

#[tokio::test]
async fn another_change_of_the_subscription_does_not_keep_its_sink_from_being_gone() {
    let stage = Stage::new().await;
    let (working, seen) = active(&stage).await;
    let mut document = seen.whole_document();
    document.types = vec!["Payment.*".to_owned()];
    working.service.update(&seen, document).await.unwrap();

    let paused = step(&working, &seen, SubscriptionState::Paused).await.unwrap();
    assert_eq!(paused.state, SubscriptionState::Paused);
    assert!(step(&working, &seen, SubscriptionState::Paused).await.is_none());
    assert!(step(&working, &seen, SubscriptionState::Closed).await.is_some());
    working.service.remove(&working.now().await).await.unwrap();
    assert!(step(&working, &seen, SubscriptionState::Closed).await.is_none());
}

#[tokio::test]
async fn a_secret_is_rotated_with_its_overlap_whatever_else_does_not_open() {
    let stage = Stage::new().await;
    let (working, seen) = active(&stage).await;
    // The secret of its outer keys is none of this data key.
    let other = OuterKeySecret::generate(&SeededEntropy::new(5))
        .seal(&seen.id, &DataKey::generate(&SeededEntropy::new(6)));
    let damaged = working.service.subscriptions.give_outer_key_secret(&seen, other).await.unwrap();

    let (rotated, _) = working.service.rotate_secret(&damaged, Some(60)).await.unwrap();

    assert_eq!(rotated.former_secrets(stage.clock.now()).count(), 1);
}
