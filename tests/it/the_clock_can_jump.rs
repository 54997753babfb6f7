//! A clock that is set back or forward by hours or years loses no event, starts no storm, and takes
//! no key away.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};
use sealway::event::EventId;

use crate::harness::{
    Receiver, Reply, TestGateway, answer, eventually, never_within, order_created,
};

const YEAR: Duration = Duration::from_hours(24 * 365);

/// Puts the clock back by a span.
fn back(clock: &ManualClock, span: Duration) {
    clock.set(clock.now().before(span));
}

/// Puts the clock ahead by a span, in which no time passes.
fn ahead(clock: &ManualClock, span: Duration) {
    clock.set(clock.now().after(span));
}

/// Lets time pass, so that whoever looks now and then has looked.
async fn minutes_pass((gateway, clock): (&TestGateway, &ManualClock), minutes: u32) {
    for _ in 0..minutes {
        clock.advance(Duration::from_mins(1));
        gateway.get("/health/ready").await;
    }
}

/// How many entries a list of the API has.
async fn count(gateway: &TestGateway, (path, of): (&str, &str)) -> usize {
    gateway.get(path).await[of].as_array().unwrap().len()
}

/// How many entries each list of what is kept has.
async fn counts(gateway: &TestGateway) -> [usize; 4] {
    let mut counts = [0; 4];
    for (count_of, kept) in counts.iter_mut().zip(KEPT) {
        *count_of = count(gateway, kept).await;
    }
    counts
}

fn numbers(ids: &[String]) -> Vec<EventId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_grow_and_everything_is_delivered_whatever_the_clock_does() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let mut ids = Vec::new();
    let mut number = 1..;
    for jump in 0..8 {
        let orders = number.by_ref().take(5).collect::<Vec<_>>();
        ids.extend(gateway.orders(orders).await);
        // A token that is opened on the other side of a jump has expired or is not valid yet.
        receiver.wait_for_delivered(ids.len()).await;
        match jump {
            0 => back(&clock, Duration::from_hours(3)),
            1 => ahead(&clock, YEAR * 10),
            2 | 4 => gateway.restart().await,
            3 => back(&clock, YEAR * 10),
            5 => back(&clock, YEAR * 20),
            6 => ahead(&clock, YEAR * 20),
            _ => {}
        }
    }

    assert!(numbers(&ids).is_sorted_by(|one, next| one < next), "{ids:?}");
    assert_eq!(receiver.chain().0, ids.len() as u64);
    // A token is of the moment in which it is sealed, whatever the event's id says.
    for arrival in receiver.arrivals() {
        let claims = arrival.opened.claims();
        let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(expires - issued, 24 * 60 * 60);
    }
    // A replay of all of them is by id, and so is its range.
    let wish = json!({ "from": ids[5], "to": ids[24] });
    gateway.post("/subscriptions/shop/replays", &wish).await;
    let replayed = eventually("the replay", async || {
        clock.advance(Duration::from_millis(50));
        let arrivals = receiver.arrivals();
        let replayed = arrivals.iter().filter(|one| one.opened.replay().is_some());
        let mut replayed: Vec<_> = replayed.map(|one| one.id().to_owned()).collect();
        replayed.sort();
        (replayed.len() >= 20).then_some(replayed)
    })
    .await;
    assert_eq!(replayed, ids[5..25]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_forward_makes_every_retry_due_and_no_more_under_way_than_is_allowed() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "parallel": 4 } })).await;
    // A sink that declines is there, and is not spared by the breaker.
    receiver.answer(Reply::Status(404));
    let ids = gateway.orders(1..=40).await;
    eventually("all wait", async || {
        (gateway.get("/subscriptions/shop").await["progress"]["retrying"] == 40).then_some(())
    })
    .await;
    receiver.answer(Reply::Hang);

    clock.advance(YEAR);

    receiver.wait_for_arrivals(44).await;
    let fifth = async || receiver.arrivals().get(44).cloned();
    never_within(Duration::from_millis(200), "a storm", fifth).await;
    receiver.answer(Reply::Status(204));
    receiver.wait_for_delivered(40).await;
    let mut delivered = receiver.delivered_ids();
    delivered.sort();
    assert_eq!(delivered, ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_back_keeps_no_retry_waiting_for_years() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer_next([Reply::Status(503), Reply::Status(503)]);
    gateway.orders(1..=2).await;
    receiver.wait_for_arrivals(2).await;
    eventually("both wait", async || {
        (gateway.get("/subscriptions/shop").await["progress"]["retrying"] == 2).then_some(())
    })
    .await;

    back(&clock, YEAR * 5);
    gateway.restart().await;

    let delivered = eventually("the retries come", async || {
        clock.advance(Duration::from_secs(5));
        Some(receiver.delivered_ids()).filter(|ids| ids.len() == 2)
    })
    .await;
    assert_eq!(delivered.len(), 2);
}

#[tokio::test]
async fn a_jump_forward_and_back_takes_no_key_away_and_what_was_signed_still_opens() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.order(1).await;
    let token = receiver.wait_for_delivered(1).await[0].token.clone();
    let kids = async || {
        let set = gateway.get("/.well-known/jwks.json").await;
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = kids().await;

    clock.advance(YEAR);
    eventually("a successor is published", async || (kids().await.len() == 2).then_some(())).await;
    back(&clock, YEAR);
    clock.advance(Duration::from_secs(30));
    gateway.order(2).await;
    let arrivals = receiver.wait_for_delivered(2).await;

    let after = kids().await;
    assert!(before.iter().all(|kid| after.contains(kid)), "{before:?} {after:?}");
    assert!(receiver.open(&token).await.is_some(), "what was signed before the jump opens");
    assert_eq!(receiver.signed_with(&arrivals[1].token), before[0]);
}

/// What is kept for a while, and where the API lists it.
const KEPT: [(&str, &str); 4] = [
    ("/events", "events"),
    ("/subscriptions/shop/dead-letters", "deadLetters"),
    ("/quarantine", "quarantined"),
    ("/subscriptions/shop/attempts", "attempts"),
];

/// Has an event delivered to a sink that refuses it, and another one break its contract.
async fn set_aside(gateway: &TestGateway, number: u64) {
    gateway.order(number).await;
    let mut broken = order_created(&format!("broken-{number}"), number);
    broken["data"]["amount"] = json!("none");
    let key = gateway.add_caller(&format!("depot-{number}"), &["publish:*"]).await;
    let request = gateway.request(Method::POST, "/events?manner=asynchronous").bearer_auth(key);
    let request = request.header("content-type", "application/cloudevents+json");
    assert_eq!(answer(request.body(broken.to_string())).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leap_ahead_deletes_nothing_and_what_is_kept_goes_when_its_time_has_passed() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let config = json!({ "giveUpAfterRefusals": 1 });
    gateway.subscribe(&receiver, json!({ "config": config })).await;
    receiver.answer(Reply::Status(422));
    set_aside(&gateway, 1).await;
    eventually("all of it is kept", async || {
        // Outcomes gather for a moment.
        clock.advance(Duration::from_secs(1));
        (counts(&gateway).await == [1; 4]).then_some(())
    })
    .await;

    ahead(&clock, YEAR);
    minutes_pass((&gateway, &clock), 30).await;
    assert_eq!(counts(&gateway).await, [1; 4]);
    back(&clock, 2 * YEAR);
    minutes_pass((&gateway, &clock), 30).await;
    assert_eq!(counts(&gateway).await, [1; 4]);
    // Nor do the days count in which no gateway ran.
    gateway.stop().await;
    ahead(&clock, 3 * YEAR);
    gateway.start_again().await;
    minutes_pass((&gateway, &clock), 30).await;
    assert_eq!(counts(&gateway).await, [1; 4]);

    clock.advance(Duration::from_hours(29 * 24));
    minutes_pass((&gateway, &clock), 5).await;
    assert_eq!(counts(&gateway).await, [1; 4]);
    clock.advance(Duration::from_hours(24));
    eventually("the event goes after thirty days", async || {
        minutes_pass((&gateway, &clock), 5).await;
        (counts(&gateway).await[..3] == [0, 1, 1]).then_some(())
    })
    .await;
    clock.advance(Duration::from_hours(60 * 24));
    eventually("what was set aside goes after ninety", async || {
        minutes_pass((&gateway, &clock), 5).await;
        (counts(&gateway).await[..3] == [0, 0, 0]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leap_ahead_and_back_does_not_keep_events_for_years() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = Some(HumanDuration(Duration::from_hours(24)));
    })
    .await;
    gateway.order(1).await;
    ahead(&clock, YEAR * 10);
    gateway.order(2).await;
    back(&clock, YEAR * 10);
    gateway.order(3).await;
    back(&clock, YEAR);
    gateway.order(4).await;
    ahead(&clock, YEAR);
    minutes_pass((&gateway, &clock), 3).await;
    assert_eq!(count(&gateway, KEPT[0]).await, 4, "none is older than its age");

    clock.advance(Duration::from_hours(25));

    eventually("all of them go", async || {
        minutes_pass((&gateway, &clock), 1).await;
        (count(&gateway, KEPT[0]).await == 0).then_some(())
    })
    .await;
}
