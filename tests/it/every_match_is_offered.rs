//! Every match is offered until it is delivered or a dead letter; nobody waits for anybody else.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};

use crate::harness::{Receiver, Reply, TestGateway, eventually, never_within};

#[tokio::test]
async fn a_sink_that_hangs_or_fails_holds_nobody_else_up() {
    let gateway = TestGateway::start().await;
    let hanging = Receiver::start(&gateway, "hanging").await;
    let failing = Receiver::start(&gateway, "failing").await;
    let healthy = Receiver::start(&gateway, "healthy").await;
    for receiver in [&hanging, &failing, &healthy] {
        gateway.subscribe(receiver, json!({})).await;
    }
    hanging.answer(Reply::Hang);
    failing.answer(Reply::Status(500));

    // More than a subscription may have in flight at once.
    let ids = gateway.orders(1..=40).await;

    healthy.wait_for_delivered(40).await;
    let mut delivered = healthy.delivered_ids();
    delivered.sort();
    assert_eq!(delivered, ids);
    // One that fails is left alone after a few attempts, and one that hangs begins with a few.
    failing.wait_for_arrivals(5).await;
    assert!(failing.arrivals().len() < 20, "{}", failing.arrivals().len());
    assert_eq!(hanging.arrivals().len(), 4);
    hanging.answer(Reply::Status(204));
    failing.answer(Reply::Status(204));
    failing.wait_for_delivered(40).await;
    hanging.wait_for_delivered(40).await;
    assert_eq!(hanging.chain(), (40, hanging.chain().1));
}

#[tokio::test]
async fn a_sink_that_does_not_answer_in_time_is_tried_again() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.delivery.timeout = HumanDuration(Duration::from_secs(1));
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "slow").await;
    receiver.answer(Reply::Hang);
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;

    let verdict = eventually("the attempt is listed as timed out", async || {
        clock.advance(Duration::from_millis(50));
        gateway.get("/subscriptions/slow/attempts").await["attempts"].get(0).cloned()
    })
    .await;
    receiver.answer(Reply::Status(204));
    clock.advance(Duration::from_secs(6));

    assert_eq!((&verdict["verdict"], &verdict["detail"]), (&json!("retry"), &json!("timeout")));
    let again = eventually("a second attempt", async || receiver.arrivals().get(1).cloned()).await;
    assert_eq!(again.header("sealway-attempt"), Some("2"));
}

#[tokio::test]
async fn attempts_follow_the_schedule_and_end_in_a_dead_letter() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer(Reply::Status(503));
    let id = gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;
    let delays = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

    for (made, delay) in (1..).zip(delays) {
        let waiting = async || {
            let progress = gateway.get("/subscriptions/shop").await["progress"].clone();
            (progress["retrying"] == 1).then_some(())
        };
        eventually("the retry is waited for", waiting).await;
        let early = Duration::from_secs(delay) * 79 / 100;
        clock.advance(early);
        let soon = async || receiver.arrivals().get(made).cloned();
        never_within(Duration::from_millis(50), "an attempt came early", soon).await;
        clock.advance(Duration::from_secs(delay) * 42 / 100);
        receiver.wait_for_arrivals(made + 1).await;
    }

    let letter = eventually("a dead letter", async || {
        clock.advance(Duration::from_millis(50));
        gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].get(0).cloned()
    })
    .await;
    assert_eq!((&letter["event"], &letter["attempts"]), (&json!(id), &json!(10)));
    let numbers: Vec<_> = receiver
        .arrivals()
        .iter()
        .map(|arrival| arrival.header("sealway-attempt").unwrap().parse::<usize>().unwrap())
        .collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert!(receiver.arrivals().iter().all(|arrival| arrival.sequence() == Some(1)));
    clock.advance(Duration::from_hours(100));
    let more = async || receiver.arrivals().get(10).cloned();
    never_within(Duration::from_millis(100), "a dead letter is not tried", more).await;
}

#[tokio::test]
async fn a_retry_is_due_at_its_time_whatever_restarts_between() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer_next([Reply::Status(500)]);
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;

    gateway.restart().await;
    let soon = async || receiver.arrivals().get(1).cloned();
    never_within(Duration::from_millis(100), "the restart made it early", soon).await;
    clock.advance(Duration::from_secs(7));

    assert_eq!(receiver.wait_for_arrivals(2).await[1].header("sealway-attempt"), Some("2"));
}

#[tokio::test]
async fn a_sink_may_ask_for_more_time() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer_next([Reply::Later(60)]);
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;
    eventually("the retry is waited for", async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["progress"]["retrying"] == 1).then_some(())
    })
    .await;

    clock.advance(Duration::from_secs(59));
    let soon = async || receiver.arrivals().get(1).cloned();
    gateway.order(2).await;
    never_within(Duration::from_millis(100), "it was asked for a minute", soon).await;
    let progress = gateway.get("/subscriptions/shop").await["progress"].clone();
    assert!(progress["heldUntil"].is_string(), "{progress}");
    assert_eq!(progress["sequence"], 1, "the second event waits in the log");

    // At most a fifth more than it asked for.
    clock.advance(Duration::from_secs(13));
    receiver.wait_for_delivered(2).await;
}

#[tokio::test]
async fn a_paused_subscription_keeps_its_events_for_later() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;

    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    gateway.orders(2..=5).await;
    let more = async || receiver.arrivals().get(1).cloned();
    never_within(Duration::from_millis(200), "it is paused", more).await;
    gateway.restart().await;
    gateway.orders(6..=8).await;
    let more = async || receiver.arrivals().get(1).cloned();
    never_within(Duration::from_millis(200), "it is still paused", more).await;
    gateway.post("/subscriptions/shop/resume", &json!({})).await;

    receiver.wait_for_delivered(8).await;
    assert_eq!(receiver.chain().0, 8);
    assert_eq!(receiver.arrivals().len(), 8);
}

/// Replaces what a subscription wants.
async fn replace(gateway: &TestGateway, receiver: &Receiver, wish: Value) {
    let key = gateway.add_caller("replacer", &["operate"]).await;
    let path = format!("/subscriptions/{}", receiver.name());
    let put = gateway.request(Method::PUT, &path).bearer_auth(key).header("if-match", "*");
    let answer = put.json(&receiver.document(wish)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_changed_filter_takes_effect_at_a_place_and_leaves_no_gap() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let small = json!({ "filters": [{ "pattern": { "data": { "orderId": [{ "numeric": ["<", 100] }] } } }] });
    let large = json!({ "filters": [{ "pattern": { "data": { "orderId": [{ "numeric": [">=", 100] }] } } }] });
    gateway.subscribe(&receiver, small).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    // Matched by the filter of their time, though they are read under the next one.
    for number in 1..=5 {
        gateway.order(number).await;
        gateway.order(100 + number).await;
    }

    replace(&gateway, &receiver, large).await;
    for number in 6..=10 {
        gateway.order(number).await;
        gateway.order(100 + number).await;
    }
    gateway.restart().await;
    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    gateway.order(111).await;

    receiver.wait_for_delivered(11).await;
    let mut arrivals = receiver.arrivals();
    arrivals.sort_by_key(crate::harness::Arrival::sequence);
    let orders: Vec<_> =
        arrivals.iter().map(|arrival| arrival.data()["orderId"].as_u64().unwrap()).collect();
    assert_eq!(orders, [1, 2, 3, 4, 5, 106, 107, 108, 109, 110, 111]);
    assert_eq!(receiver.chain().0, 11);
}

#[tokio::test]
async fn filters_that_change_under_load_give_each_event_one_number() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let (mut wanted, key) = (0, gateway.add_caller("operator", &["operate"]).await);

    for round in 0..10_u64 {
        let everything = round % 2 == 1;
        let publish = async {
            for number in 0..20 {
                gateway.order(1 + round * 100 + number).await;
            }
        };
        let change = async {
            let types = if everything { json!(["*"]) } else { json!(["Order.*"]) };
            let document = receiver.document(json!({ "types": types }));
            let put = gateway.request(Method::PUT, "/subscriptions/shop").bearer_auth(&key);
            let answer = put.header("if-match", "*").json(&document).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
        };
        futures_util::join!(publish, change);
        wanted += 20;
    }

    receiver.wait_for_delivered(wanted).await;
    assert_eq!(receiver.chain().0, wanted as u64);
    assert_eq!(receiver.arrivals().len(), wanted);
}

#[tokio::test]
async fn subscriptions_that_begin_under_load_miss_nothing_from_their_start_on() {
    let gateway = TestGateway::start().await;
    let first = gateway.order(1).await;
    let mut receivers = Vec::new();
    for number in 0..8 {
        receivers.push(Receiver::start(&gateway, &format!("consumer-{number}")).await);
    }
    let publish = gateway.orders(2..=200);
    let subscribe = async {
        for receiver in &receivers {
            gateway.subscribe(receiver, json!({ "config": { "start": first } })).await;
        }
    };
    futures_util::join!(publish, subscribe);

    for receiver in &receivers {
        receiver.wait_for_delivered(200).await;
        assert_eq!(receiver.chain().0, 200);
        assert_eq!(receiver.arrivals().len(), 200);
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_deliveries_had_come_to() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=10).await;
    receiver.wait_for_delivered(10).await;

    gateway.restart().await;
    gateway.orders(11..=20).await;

    receiver.wait_for_delivered(20).await;
    assert_eq!(receiver.arrivals().len(), 20, "a clean stop repeats nothing");
    assert_eq!(receiver.chain().0, 20);
}
