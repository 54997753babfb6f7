//! What a subscription takes of the memory while nothing happens: there may be ten thousand.

use crate::deliver::worker::{Courier, PullWorker, WorkerCommand};
use crate::subscriptions::{Subscription, SubscriptionDocument};

/// How many bytes a future takes.
const fn size_of_what<A, F: Future>(_makes: &impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_worker_keeps_no_room_for_what_it_does_when_it_is_not_idle() {
    assert!(size_of_what(&Courier::run) <= 768, "{}", size_of_what(&Courier::run));
    assert!(size_of_what(&PullWorker::run) <= 768, "{}", size_of_what(&PullWorker::run));
    assert!(size_of::<Courier<'_>>() <= 1024, "{}", size_of::<Courier<'_>>());
    assert!(size_of::<PullWorker<'_>>() <= 512, "{}", size_of::<PullWorker<'_>>());
}

#[test]
fn the_queue_of_a_worker_has_room_for_small_commands() {
    assert_eq!(size_of::<WorkerCommand>(), 16);
}

#[test]
fn what_most_subscriptions_have_not_takes_no_room_in_the_others() {
    assert!(size_of::<SubscriptionDocument>() <= 448, "{}", size_of::<SubscriptionDocument>());
    assert!(size_of::<Subscription>() <= 960, "{}", size_of::<Subscription>());
}
