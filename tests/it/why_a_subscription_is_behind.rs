//! One question tells whether a subscription is behind, why, since when, whose turn it is and what helps;
//! and a consumer that takes nothing does not look healthy, wherever one looks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::telemetry::Metric;

use crate::consumers_hear_what_they_are_granted::{closed, pull};
use crate::harness::{Receiver, Reply, TestGateway, eventually, program};

/// What is expected of a cause.
struct Expected {
    /// Its word for operators, and for the consumer.
    words: [&'static str; 2],
    /// Whose turn it is for the two.
    turns: [&'static str; 2],
    /// How the command begins that operators are told, and the consumer; empty: there is none.
    commands: [&'static str; 2],
    /// A part of what is said.
    says: &'static str,
}

/// The same for operators and the consumer, but for whose turn it is.
const fn both(
    word: &'static str,
    turns: [&'static str; 2],
    command: &'static str,
    says: &'static str,
) -> Expected {
    Expected { words: [word; 2], turns, commands: [command; 2], says }
}

/// Waits until operators and the consumer `shop` are told of a cause; gives what operators are told.
async fn told(gateway: &TestGateway, id: &str, expected: &Expected) -> Value {
    let admin = gateway.admin().to_owned();
    let consumer = gateway.add_caller("shop-alone", &["consume:shop"]).await;
    let mut answers = Vec::new();
    for (index, key) in [admin, consumer].iter().enumerate() {
        let word = expected.words[index];
        let (why, cause) = eventually(format!("{id} is told to be {word}"), async || {
            let path = format!("/subscriptions/{id}/why");
            let answer = gateway.call_as(key, (Method::GET, &path), None).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let causes = answer.body["causes"].as_array().unwrap().clone();
            let cause = causes.into_iter().find(|one| one["cause"] == word)?;
            Some((answer.body, cause))
        })
        .await;
        assert!(!why.to_string().contains("confidential-customer"), "{why}");
        assert_eq!(cause["turn"], expected.turns[index], "{cause}");
        let command = cause["command"].as_str().unwrap_or_default();
        let begins = expected.commands[index];
        assert!(command.starts_with(begins) && command.is_empty() == begins.is_empty(), "{cause}");
        let says = cause["says"].as_str().unwrap();
        assert!(index == 1 || says.contains(expected.says), "{cause}");
        answers.push((why, cause));
    }
    gateway.remove_caller("shop-alone").await;
    let (why, mut cause) = answers.remove(0);
    cause["why"] = why;
    cause
}

async fn subscribed(gateway: &TestGateway, wish: Value) -> Receiver {
    let receiver = Receiver::start(gateway, "shop").await;
    gateway.subscribe(&receiver, wish).await;
    receiver
}

/// The value of a series of the subscription `shop`; nothing if there is none.
async fn level(gateway: &TestGateway, id: &str, metric: &str) -> Option<f64> {
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let start = format!("sealway_{metric}{{subscription=\"{id}\"}} ");
    metrics.as_str()?.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

/// What the list shows of the one subscription that there is.
async fn listed(gateway: &TestGateway) -> Value {
    gateway.get("/subscriptions").await["subscriptions"][0].clone()
}

#[tokio::test]
async fn a_consumer_that_refuses_everything_is_seen_in_list_metrics_and_why() {
    let gateway = TestGateway::start().await;
    let receiver = subscribed(&gateway, json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    receiver.answer(Reply::Status(422));
    gateway.order(1).await;

    let given_up = both(
        "given-up",
        ["yours", "yours"],
        "sealway dead-letters list shop/shop",
        "one delivery was given up",
    );
    let cause = told(&gateway, "shop", &given_up).await;
    assert_eq!(
        (&cause["why"]["isBehind"], &cause["why"]["counts"]["deadLetters"]),
        (&json!(false), &json!(1))
    );
    let failing = both(
        "sink-failing",
        ["consumer", "yours"],
        "sealway subscriptions attempts shop/shop",
        "it answered 422",
    );
    let cause = told(&gateway, "shop", &failing).await;
    assert_eq!(cause["lastFailure"]["status"], 422);
    let shown = listed(&gateway).await;
    assert_eq!(shown["deadLetters"], 1, "{shown}");
    assert!(shown["progress"]["failingSince"].is_string(), "{shown}");
    assert_eq!(gateway.get("/subscriptions/shop").await["deadLetters"], 1);
    assert_eq!(level(&gateway, "shop", "dead_letters_waiting").await, Some(1.0));
    assert!(level(&gateway, "shop", "failing_seconds").await.is_some());
}

#[tokio::test]
async fn what_fails_and_is_tried_again_counts_as_behind_from_the_moment_it_came() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = subscribed(&gateway, json!({})).await;
    receiver.answer(Reply::Status(500));
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;
    eventually("the failure is known", async || {
        listed(&gateway).await["progress"]["failingSince"].is_string().then_some(())
    })
    .await;
    // Whoever asks why has nothing written for it.
    gateway.get("/subscriptions/shop/why").await;
    let attempts = gateway.get("/subscriptions/shop/attempts").await;
    assert_eq!(attempts["attempts"], json!([]), "no time has passed in which they are written");
    written(&gateway, &clock, "attempts").await;
    let failing = both(
        "sink-failing",
        ["consumer", "yours"],
        "sealway subscriptions attempts shop/shop",
        "it answered 500",
    );
    let cause = told(&gateway, "shop", &failing).await;
    assert_eq!(cause["why"]["isBehind"], true);
    assert_eq!(cause["why"]["counts"]["retrying"], 1);
    assert!(cause["since"].is_string() && cause["why"]["since"].is_string(), "{cause}");
    let shown = listed(&gateway).await;
    assert_eq!(
        (&shown["progress"]["behind"], &shown["progress"]["unread"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(level(&gateway, "shop", "lag_events").await, Some(1.0));

    // Left alone, so that no attempt is due: the event goes on to wait.
    receiver.answer(Reply::Later(3600));
    clock.advance(Duration::from_mins(10));
    let lag = eventually("the age of what waits shows", async || {
        level(&gateway, "shop", "lag_seconds").await.filter(|lag| *lag >= 600.0)
    })
    .await;
    assert!(level(&gateway, "shop", "failing_seconds").await >= Some(600.0), "{lag}");

    let left_alone = both(
        "sink-left-alone",
        ["consumer", "yours"],
        "sealway subscriptions attempts shop/shop",
        "left alone until",
    );
    let cause = told(&gateway, "shop", &left_alone).await;
    assert!(cause["until"].is_string(), "{cause}");
}

#[tokio::test]
async fn what_is_not_fetched_is_the_consumers_turn() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let id = pull(&gateway, &receiver, "latest").await;
    gateway.orders(1..=3).await;

    let not_fetched = both(
        "not-fetched",
        ["consumer", "yours"],
        "sealway subscriptions pull shop/",
        "3 events are ready",
    );
    let cause = told(&gateway, &id, &not_fetched).await;
    assert_eq!(cause["why"]["counts"]["underWay"], 3);
    assert_eq!(listed(&gateway).await["progress"]["behind"], 3);
    assert_eq!(level(&gateway, &id, "lag_events").await, Some(3.0));
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let shown = gateway.call_as(&consumer, (Method::GET, "/subscriptions"), None).await.body;
    let progress = &shown["subscriptions"][0]["progress"];
    assert_eq!((&progress["behind"], &progress["unread"]), (&json!(3), &Value::Null));
}

/// Lets so little time pass that nothing is tried again, until a list of the subscription `shop` has something:
/// what became of attempts is written together after a moment.
async fn written(gateway: &TestGateway, clock: &ManualClock, list: &str) {
    eventually(format!("{list} are written"), async || {
        clock.advance(Duration::from_millis(10));
        let answer = gateway.get(&format!("/subscriptions/shop/{list}")).await;
        let is_there = |one: &Value| one.as_array().is_some_and(|list| !list.is_empty());
        answer.as_object()?.values().any(is_there).then_some(())
    })
    .await;
}

/// What a subscription asks for, how its sink answers, how many events come, and what is told then.
type Scene = (Value, Vec<Reply>, u64, Expected);

async fn held_up(scenes: impl IntoIterator<Item = Scene>) {
    for (config, replies, events, expected) in scenes {
        // Time stands still, so that nothing that waits goes on.
        let clock = ManualClock::at(SystemClock.now());
        let gateway = TestGateway::at(&clock).await;
        let receiver = subscribed(&gateway, json!({ "config": config })).await;
        receiver.answer_next(replies);
        for number in 1..=events {
            gateway.order(number).await;
            if expected.words[0] == "retrying" {
                receiver.wait_for_arrivals(usize::try_from(number).unwrap()).await;
            }
        }
        if expected.words[0] == "behind-dead-letter" {
            written(&gateway, &clock, "dead-letters").await;
        }
        let cause = told(&gateway, "shop", &expected).await;
        assert_eq!(cause["why"]["isBehind"], true, "{cause}");
        receiver.answer(Reply::Status(204));
    }
}

#[tokio::test]
async fn what_holds_up_the_events_of_a_subject_is_told() {
    let blocked = json!({
        "ordering": "subject", "onDeadLetter": "block", "maximumRetryAttempts": 0,
    });
    let behind_letter = both(
        "behind-dead-letter",
        ["yours", "yours"],
        "sealway dead-letters redrive shop/shop --id ",
        "holds up the later events",
    );
    let ordered = json!({ "ordering": "subject" });
    let behind_event =
        both("behind-event", ["gateway", "gateway"], "sealway events trace ", "wait behind it");
    held_up([
        (blocked, vec![Reply::Status(500)], 2, behind_letter),
        (ordered, vec![Reply::Status(500); 4], 2, behind_event),
    ])
    .await;
}

#[tokio::test]
async fn what_a_sink_does_not_keep_up_with_is_told() {
    let rate = both(
        "rate",
        ["yours", "yours"],
        "sealway subscriptions replace shop/shop FILE",
        "one attempt per second",
    );
    let slow = both(
        "slow-sink",
        ["consumer", "yours"],
        "sealway subscriptions attempts shop/shop",
        "one attempt is in flight",
    );
    let on_its_way = both("catching-up", ["gateway", "gateway"], "", "on their way");
    let retrying = both(
        "retrying",
        ["gateway", "gateway"],
        "sealway subscriptions attempts shop/shop",
        "one delivery has failed",
    );
    held_up([
        (json!({ "rate": 1 }), Vec::new(), 30, rate),
        (json!({ "parallel": 1 }), vec![Reply::Hang; 8], 3, slow),
        (json!({}), vec![Reply::Hang; 8], 1, on_its_way),
        (json!({}), vec![Reply::Status(500), Reply::Status(204)], 2, retrying),
    ])
    .await;
}

#[tokio::test]
async fn each_state_in_which_nothing_is_sent_is_told() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let later = receiver.document(json!({ "config": { "verify": "later" } }));
    gateway.post("/subscriptions", &later).await;
    let pending = both(
        "pending",
        ["consumer", "yours"],
        "sealway subscriptions verify shop/shop",
        "has not proved itself",
    );
    let cause = told(&gateway, "shop", &pending).await;
    assert!(cause["since"].is_string(), "{cause}");

    let verified = gateway.call(Method::POST, "/subscriptions/shop/verify", None).await;
    assert_eq!(verified.status, 200, "{}", verified.body);
    let idle = both("nothing-published", ["producer", "producer"], "", "nothing that it wants");
    told(&gateway, "shop", &idle).await;

    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    let paused = both(
        "paused",
        ["yours", "yours"],
        "sealway subscriptions resume shop/shop",
        "caller admin has paused it",
    );
    let cause = told(&gateway, "shop", &paused).await;
    assert!(cause["since"].is_string(), "{cause}");
    // Whatever others have tried since.
    let other = gateway.add_caller("other", &["operate"]).await;
    for _ in 0..21 {
        let again = (Method::POST, "/subscriptions/shop/pause");
        gateway.call_as(&other, again, None).await;
    }
    let why = gateway.get("/subscriptions/shop/why").await;
    assert!(why["causes"][0]["since"].is_string(), "{why}");

    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    receiver.answer(Reply::Status(410));
    gateway.order(1).await;
    let closed =
        both("closed", ["yours", "yours"], "sealway subscriptions remove shop/shop", "for ever");
    told(&gateway, "shop", &closed).await;
}

#[tokio::test]
async fn a_gateway_that_delivers_nothing_says_so() {
    let mut gateway = TestGateway::start().await;
    let _receiver = subscribed(&gateway, json!({})).await;
    gateway.restart_with(|config| config.no_delivery = true).await;
    let still = both("no-delivery", ["operator", "operator"], "sealway serve", "--no-delivery");
    told(&gateway, "shop", &still).await;
}

#[tokio::test]
async fn who_may_not_hear_is_not_told_whether_there_is_something_to_hear() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    for (name, types, word, command) in [
        (
            "barred",
            "Payment.Succeeded",
            "not-entitled",
            "sealway grants give shop payments/Payment.Succeeded",
        ),
        ("lost", "Nothing.Known", "no-publication", "sealway subscriptions replace shop/lost FILE"),
    ] {
        let document = receiver.document(json!({ "id": name, "types": [types] }));
        gateway.post("/subscriptions", &document).await;
        let expected = Expected {
            words: [word, "nothing-to-hear"],
            turns: ["yours", "yours"],
            commands: [command, "sealway access request shop PUBLICATION"],
            says: "`types`",
        };
        told(&gateway, name, &expected).await;
    }
    let stranger = gateway.add_caller("bank", &["consume:bank"]).await;
    let path = "/subscriptions/barred/why";
    let refused = gateway.call_as(&stranger, (Method::GET, path), None).await;
    assert_eq!(refused.status, 404, "a stranger learns nothing");
}

// The command blocks, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_tells_it_on_one_screen() {
    let gateway = TestGateway::start().await;
    let receiver = subscribed(&gateway, json!({})).await;
    receiver.answer(Reply::Status(503));
    gateway.order(1).await;
    let key = gateway.add_caller("operator", &["operate"]).await;
    let screen = eventually("the command says that the sink fails", async || {
        let ended = program()
            .args(["--gateway", &gateway.issuer(), "subscriptions", "why", "shop"])
            .env("SEALWAY_CALLER_KEY", &key)
            .output()
            .unwrap();
        let told = String::from_utf8(ended.stdout).unwrap();
        told.contains("sink-failing: every attempt fails (it answered 503").then_some(told)
    })
    .await;
    assert!(
        screen.starts_with("shop/shop (active) is behind: 1 failed and tried again"),
        "{screen}"
    );
    assert!(screen.contains("\n  turn   the consumer's\n"), "{screen}");
    assert!(screen.contains("\n  try    sealway subscriptions attempts shop/shop\n"), "{screen}");
    assert!(screen.lines().count() < 24, "{screen}");
}

#[tokio::test]
async fn the_series_of_a_subscription_are_there_from_its_creation_and_go_with_it() {
    let gateway = TestGateway::start().await;
    let _receiver = subscribed(&gateway, json!({})).await;
    let metrics = async || {
        let page = gateway.call(Method::GET, "/metrics", None).await.body;
        page.as_str().unwrap().to_owned()
    };
    let page = metrics().await;
    for series in [
        "delivered_total{subscription=\"shop\"} 0",
        "attempts_total{subscription=\"shop\",verdict=\"delivered\"} 0",
        "attempts_total{subscription=\"shop\",verdict=\"retry\"} 0",
        "dead_letters_total{subscription=\"shop\",reason=\"refused\"} 0",
        "sinks_left_alone_total{subscription=\"shop\"} 0",
        "lag_events{subscription=\"shop\"} 0",
        "failing_seconds{subscription=\"shop\"} 0",
        "dead_letters_waiting{subscription=\"shop\"} 0",
    ] {
        assert!(page.contains(&format!("\nsealway_{series}\n")), "{series}: {page}");
    }
    assert!(!page.contains("reason=\"refused-by-consumer\""), "{page}");
    // None of them is kept.
    let kept = gateway.services().metrics.render();
    for metric in ["delivered_total", "attempts_total", "dead_letters_total", "lag_events"] {
        assert!(!kept.contains(&format!("sealway_{metric}{{")), "{kept}");
    }

    gateway.order(1).await;
    let counted = "sealway_delivered_total{subscription=\"shop\"} ";
    eventually("the delivery is counted", async || {
        metrics().await.contains(&format!("\n{counted}1\n")).then_some(())
    })
    .await;
    let page = metrics().await;
    assert_eq!(page.matches(counted).count(), 1, "once, and no zero beside it: {page}");
    assert_eq!(page.matches("# TYPE sealway_delivered_total counter").count(), 1);

    gateway.call(Method::DELETE, "/subscriptions/shop", None).await;
    let left = metrics().await;
    let left: Vec<_> = left.lines().filter(|line| line.contains("subscription=\"shop\"")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_alert_rules_and_the_page_name_metrics_that_there_are() {
    let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    for file in ["docs/examples/alerts.yml", "docs/why.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let named = text.split(|c| !is_of_name(c)).filter(|word| word.starts_with("sealway_"));
        let mut count = 0;
        for name in named {
            let is_known = known.contains(&name.trim_end_matches("_bucket"));
            assert!(is_known, "{file} names {name}");
            count += 1;
        }
        assert!(count > 5, "{file}");
    }
}
