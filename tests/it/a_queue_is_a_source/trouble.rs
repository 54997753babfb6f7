//! A queue that fails, in part or whole, harms nobody and is told of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::a_queue_is_a_source::scene::{DEAD, FIFO, QUEUE, Scene, envelope, numbers};
use crate::harness::aws::{AwsFault, QueueCounts, StubMessage};
use crate::harness::{Number, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_deleted_is_deleted_again_or_recognized_when_it_comes_again() {
    let scene = Scene::prepared(QUEUE, ", visibility-timeout: 1s").await;
    let lost = || AwsFault::AnswerLost;
    let failing = AwsFault::entries([(0, "InternalError"), (3, "InternalError")]);
    // The SDK repeats a call; the gateway repeats that, and single entries.
    scene.stub.fail("DeleteMessageBatch", [failing.clone(), lost(), failing]);
    scene.stub.fail("ReceiveMessage", [AwsFault::unavailable(), lost()]);
    for number in 1..=10 {
        scene.queue.send(envelope(&format!("e-{number}"), number).to_string());
    }
    let mut scene = scene;
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    let mut all = numbers(&scene.events().await);
    all.sort_unstable();
    assert_eq!(all, (1..=10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_deletion_fails_for_good_comes_again_as_a_repeat() {
    let scene = Scene::prepared(QUEUE, ", visibility-timeout: 1s").await;
    let failing = || AwsFault::entries([(0, "InternalError")]);
    scene.stub.fail("DeleteMessageBatch", [failing(), failing(), failing()]);
    scene.queue.send(envelope("e-1", 1).to_string());
    let mut scene = scene;
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    assert_eq!(numbers(&scene.events().await), [1]);
    assert_eq!(scene.metric("messages_total", ",outcome=\"repeated\"").await, 1);
    let failures = scene.metric("failures_total", ",call=\"delete\",code=\"InternalError\"").await;
    assert_eq!(failures, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_tried_six_times_in_all_and_then_left_to_the_next_receipt() {
    let scene = Scene::prepared(QUEUE, ", visibility-timeout: 5s").await;
    scene.stub.fail("DeleteMessageBatch", (0..6).map(|_| AwsFault::unavailable()));
    scene.queue.send(envelope("e-1", 1).to_string());
    let mut scene = scene;
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    let deletions = scene.stub.calls_of("DeleteMessageBatch");
    let answers: Vec<_> = deletions.iter().map(|call| call.status).collect();
    assert_eq!(answers, [503, 503, 503, 503, 503, 503, 200]);
    assert_eq!(numbers(&scene.events().await), [1]);
    assert_eq!(scene.metric("messages_total", ",outcome=\"repeated\"").await, 1);
    assert_eq!(scene.metric("deleted_total", "").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_goes_away_is_told_of_once_and_read_again_when_it_is_back() {
    let scene = Scene::prepared(QUEUE, "").await;
    let gone = || {
        let code = "AWS.SimpleQueueService.NonExistentQueue";
        AwsFault::refused(400, code, "The specified queue does not exist.")
    };
    scene.stub.fail("ReceiveMessage", [gone(), gone(), AwsFault::access_denied()]);
    scene.stub.fail("GetQueueAttributes", [AwsFault::access_denied()]);
    scene.queue.send(envelope("e-1", 1).to_string());
    let mut scene = scene;
    scene.gateway.serve().await;

    let failure = eventually("the failure is shown", async || {
        let queues = scene.get("/queues").await;
        let failure = queues["queues"][0]["failure"].clone();
        (!failure.is_null()).then_some(failure)
    })
    .await;
    assert!(failure["reason"].as_str().unwrap().contains("NonExistentQueue"), "{failure}");
    let ready = reqwest::get(format!("{}/health/ready", scene.gateway.issuer())).await.unwrap();
    assert!(ready.status().is_success(), "a queue that fails stops nobody else");
    scene.queue.wait_until_empty().await;

    let shown = eventually("the queue is well", async || {
        let shown = scene.get("/queues").await["queues"][0].clone();
        shown["failure"].is_null().then_some(shown)
    })
    .await;
    assert_eq!((&shown["arn"], &shown["pollers"]), (&Value::from(QUEUE), &Value::from(1)));
    assert!(shown["polled"].is_string() && shown["received"].is_string(), "{shown}");
    assert_eq!(numbers(&scene.events().await), [1]);
    let log = scene.gateway.log();
    assert_eq!(log.matches("cannot be read").count(), 2, "one for each reason: {log}");
    assert_eq!(log.matches("can be read again").count(), 1, "{log}");
    assert_eq!(log.matches("is not known").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_a_role_is_read_as_that_role_also_after_its_session_has_ended() {
    let role = "arn:aws:iam::111122223333:role/sealway-in";
    let mut scene = Scene::prepared(QUEUE, &format!(", role: '{role}'")).await;
    let known = scene.stub.role(role);
    scene.gateway.serve().await;
    scene.queue.send(envelope("e-1", 1).to_string());
    scene.queue.wait_until_empty().await;
    known.expire_sessions();
    scene.queue.send(envelope("e-2", 2).to_string());
    scene.queue.send(envelope("e-3", 3).to_string());
    scene.queue.wait_until_empty().await;

    let mut all = numbers(&scene.events().await);
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
    for operation in ["ReceiveMessage", "DeleteMessageBatch"] {
        let calls = scene.stub.calls_of(operation);
        let answered = calls.iter().filter(|call| call.status == 200);
        assert!(answered.clone().count() > 0, "{operation}");
        for call in answered {
            assert!(call.asked.principal.contains("sealway-in"), "{:?}", call.asked.principal);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_room_holds_messages_so_that_none_is_received_too_often() {
    let scene = Scene::prepared(QUEUE, ", visibility-timeout: 1s").await;
    let dead = scene.stub.queue(DEAD);
    let queue = scene.queue.clone().with_redrive(&dead, 1);
    let mut scene = Scene { gateway: scene.gateway.with_disk(), queue, ..scene };
    scene.gateway.serve().await;
    scene.gateway.disk().set(Number::Room, 0);
    for number in 1..=25 {
        scene.queue.send(envelope(&format!("e-{number}"), number).to_string());
    }

    // Three extensions are one timeout.
    scene.stub.wait_for_calls("ChangeMessageVisibilityBatch", 15).await;
    assert_eq!(scene.stub.calls_of("DeleteMessageBatch").len(), 0);
    let polls = scene.stub.calls_of("ReceiveMessage");
    let handed = polls.iter().flat_map(|call| &call.asked.messages).count();
    assert!(handed <= 10, "more was asked for: {handed}");
    assert!(scene.metric("messages_total", ",outcome=\"left-busy\"").await >= 1);
    scene.gateway.disk().set(Number::Room, u64::MAX);
    scene.queue.wait_until_empty().await;

    let mut all = numbers(&scene.wait_for_events(25).await);
    all.sort_unstable();
    assert_eq!(all, (1..=25).collect::<Vec<_>>());
    assert_eq!(dead.messages().len(), 0, "received twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_a_full_log_holds_are_visible_as_soon_as_the_gateway_stops() {
    let scene = Scene::prepared(QUEUE, ", visibility-timeout: 1h").await;
    let mut scene = Scene { gateway: scene.gateway.with_disk(), ..scene };
    scene.gateway.serve().await;
    scene.gateway.disk().set(Number::Room, 0);
    scene.queue.send(envelope("e-1", 1).to_string());
    eventually("the message is held", async || {
        let held = scene.metric("messages_total", ",outcome=\"left-busy\"").await;
        (held == 1).then_some(())
    })
    .await;
    assert_eq!(scene.queue.counts(), QueueCounts { visible: 0, in_flight: 1, delayed: 0 });

    let ended = scene.gateway.stop().await;
    assert!(ended.success(), "{}", scene.gateway.log());
    assert_eq!(scene.queue.counts(), QueueCounts { visible: 1, in_flight: 0, delayed: 0 });
    scene.gateway.disk().set(Number::Room, u64::MAX);
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;
    assert_eq!(numbers(&scene.events().await), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_queues_one_that_fails_does_not_hold_up_the_other() {
    let scene = Scene::prepared(QUEUE, "").await;
    let settings = scene.gateway.settings_text();
    let two = format!("queues: [{{ arn: '{DEAD}', sources: [order-service] }}, ");
    std::fs::write(scene.gateway.settings(), settings.replace("queues: [", &two)).unwrap();
    let mut scene = scene;
    let failing = scene.stub.queue(DEAD);
    let is_closed = Arc::new(AtomicBool::new(true));
    let closed = Arc::clone(&is_closed);
    scene.stub.behave(move |request| {
        let is_of_failing = request.body["QueueUrl"].as_str()?.ends_with("/gateway-dead");
        let is_refused = is_of_failing && request.operation == "ReceiveMessage";
        (is_refused && closed.load(Ordering::Relaxed)).then(AwsFault::access_denied)
    });
    for number in 1..=3 {
        failing.send(envelope(&format!("e-{number}"), number).to_string());
    }
    scene.queue.send(envelope("e-4", 4).to_string());
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;
    assert_eq!(numbers(&scene.wait_for_events(1).await), [4]);
    eventually("three messages wait", async || {
        let waiting = format!("sealway_queue_waiting_messages{{queue=\"{DEAD}\"}}");
        (scene.metrics().await.get(&waiting) == Some(&3)).then_some(())
    })
    .await;
    let shown = scene.get("/queues").await;
    assert_eq!(shown["queues"][0]["waiting"], 3, "{shown}");
    assert_eq!(shown["queues"][1]["failure"], Value::Null, "{shown}");

    is_closed.store(false, Ordering::Relaxed);
    failing.wait_until_empty().await;
    let mut all = numbers(&scene.events().await);
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_quota_of_the_quarantine_a_message_goes_where_its_queue_puts_it_and_its_group_waits()
 {
    let scene = Scene::prepared(FIFO, ", visibility-timeout: 1s").await;
    let settings = scene.gateway.settings_text();
    let quota = "source: { unreadable: { max-entries: 1 }, queues";
    std::fs::write(scene.gateway.settings(), settings.replace("source: { queues", quota)).unwrap();
    let dead = scene.stub.queue("arn:aws:sqs:eu-west-1:111122223333:gateway-dead.fifo");
    let mut scene = Scene { queue: scene.queue.clone().with_redrive(&dead, 1), ..scene };
    let send = |group: &str, body: String| scene.queue.send(StubMessage::new(body).group(group));
    send("a", "{broken".into());
    send("a", envelope("e-1", 1).to_string());
    send("b", "{broken, too".into());
    send("b", envelope("e-2", 2).to_string());
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    // What waited behind the broken one was handed out as often, and goes the same way.
    assert_eq!(numbers(&scene.events().await), [1]);
    assert_eq!(scene.wait_for_quarantine(1).await.len(), 1);
    let dead: Vec<String> = dead.messages().iter().map(|message| message.body.clone()).collect();
    assert_eq!(dead, ["{broken, too".to_owned(), envelope("e-2", 2).to_string()]);
    let left = ",outcome=\"left-no-room-in-quarantine\"";
    assert_eq!(scene.metric("messages_total", left).await, 1);
    assert_eq!(scene.metric("messages_total", ",outcome=\"left-behind\"").await, 1);
}
