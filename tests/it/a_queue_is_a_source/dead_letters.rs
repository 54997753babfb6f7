//! The dead-letter queue of a rule is drained into the gateway by the rules of its queue.

use reqwest::Method;
use serde_json::{Value, json};

use crate::a_queue_is_a_source::scene::{DEAD, FIFO, QUEUE, Scene, envelope, numbers};
use crate::harness::aws::{AwsFault, QueueCounts, StubMessage};

fn dead_letter(body: String, code: &str) -> StubMessage {
    StubMessage::new(body)
        .attribute("RULE_ARN", "arn:aws:events:eu-west-1:111122223333:rule/eda-demo/gateway")
        .attribute("TARGET_ARN", QUEUE)
        .attribute("ERROR_CODE", code)
        .attribute("ERROR_MESSAGE", "the target said no")
        .attribute("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts")
        .attribute("RETRY_ATTEMPTS", "185")
}

async fn scene() -> Scene {
    Scene::with(QUEUE, &format!(", dead-letter-queues: ['{DEAD}']")).await
}

/// Runs the command and reads its JSON; says how it ended.
fn drain(scene: &Scene, arguments: &[&str]) -> (Option<i32>, Value) {
    let (issuer, key) = (scene.gateway.issuer(), &*scene.key);
    let gateway = ["--gateway", issuer, "--caller-key", key, "--output", "json", "aws", "drain"];
    let output = scene.gateway.run(&[&gateway, arguments].concat());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(json!(words)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_counted_by_their_errors_and_then_cross_once() {
    let scene = scene().await;
    let dead = scene.stub.queue(DEAD);
    scene.queue.send(envelope("e-1", 1).to_string());
    scene.wait_for_events(1).await;
    for number in 1..=12 {
        let body = envelope(&format!("e-{number}"), number).to_string();
        dead.send(dead_letter(body, "SDK_CLIENT_ERROR"));
    }
    dead.send(dead_letter("{broken".into(), "NO_PERMISSIONS"));
    dead.send(envelope("e-13", 13).to_string());

    let (code, counted) = drain(&scene, &["--dry-run"]);
    assert_eq!(code, Some(0), "{counted}");
    assert_eq!((&counted["received"], &counted["left"]), (&json!(14), &json!(14)));
    assert_eq!(counted["queue"], DEAD);
    let failures = counted["failures"].as_array().unwrap();
    let codes: Vec<_> = failures.iter().map(|one| (&one["code"], &one["count"])).collect();
    let expected =
        [(json!("SDK_CLIENT_ERROR"), 12), (Value::Null, 1), (json!("NO_PERMISSIONS"), 1)];
    for (code, count) in &expected {
        assert!(codes.contains(&(code, &json!(count))), "{codes:?}");
    }
    assert_eq!(failures[0]["message"], "the target said no");
    assert_eq!(failures[0]["condition"], "MaximumRetryAttempts");
    assert_eq!(dead.counts(), QueueCounts { visible: 14, in_flight: 0, delayed: 0 });
    assert_eq!(scene.events().await.len(), 1);

    let (code, drained) = drain(&scene, &["--queue", QUEUE]);
    assert_eq!(code, Some(0), "{drained}");
    let counts = ["received", "admitted", "repeated", "quarantined", "unwanted", "left"];
    let counts = counts.map(|name| drained[name].as_u64().unwrap());
    assert_eq!(counts, [14, 12, 1, 1, 0, 0]);
    assert_eq!(drained["isEmpty"], true);
    assert_eq!(dead.counts(), QueueCounts::default());
    let mut all = numbers(&scene.events().await);
    all.sort_unstable();
    assert_eq!(all, (1..=13).collect::<Vec<_>>());
    let entry = &scene.wait_for_quarantine(1).await[0];
    let entry = scene.get(&format!("/quarantine/{}", entry["id"])).await;
    assert_eq!(entry["producer"]["name"], QUEUE, "released by the settings of its queue");
    assert!(entry.to_string().contains("NO_PERMISSIONS"), "{entry}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_dead_letter_queues_the_one_that_is_named_is_drained() {
    let of_fifo = "arn:aws:sqs:eu-west-1:111122223333:gateway-unwritten.fifo";
    let scene = Scene::with(FIFO, &format!(", dead-letter-queues: ['{DEAD}', '{of_fifo}']")).await;
    let (of_rule, of_queue) = (scene.stub.queue(DEAD), scene.stub.queue(of_fifo));
    of_rule.send(dead_letter(envelope("e-1", 1).to_string(), "SDK_CLIENT_ERROR"));
    of_queue.send(StubMessage::new(envelope("e-2", 2).to_string()).group("a"));

    for unclear in [&[] as &[&str], &["--queue", FIFO]] {
        let (code, words) = drain(&scene, unclear);
        assert_eq!(code, Some(2), "{words}");
        let words = words.to_string();
        assert!(words.contains(DEAD) && words.contains(of_fifo), "{words}");
    }
    let (code, drained) = drain(&scene, &["--queue", of_fifo]);
    assert_eq!((code, &drained["admitted"]), (Some(0), &json!(1)), "{drained}");
    assert_eq!((of_rule.messages().len(), of_queue.messages().len()), (1, 0));
    let (code, drained) = drain(&scene, &["--queue", DEAD]);
    assert_eq!((code, &drained["queue"]), (Some(0), &json!(DEAD)), "{drained}");
    assert_eq!(numbers(&scene.events().await), [2, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_drained_is_held_to_the_sources_of_its_queue() {
    let settings = format!(", sources: ['payment-*'], dead-letter-queues: ['{DEAD}']");
    let scene = Scene::with(QUEUE, &settings).await;
    let dead = scene.stub.queue(DEAD);
    let mut payment = envelope("e-1", 1);
    payment["source"] = json!("payment-service");
    payment["detail-type"] = json!("PaymentFailed");
    dead.send(dead_letter(payment.to_string(), "NO_PERMISSIONS"));
    dead.send(dead_letter(envelope("e-2", 2).to_string(), "NO_PERMISSIONS"));

    let (code, drained) = drain(&scene, &["--queue", QUEUE]);

    assert_eq!(code, Some(0), "{drained}");
    assert_eq!((&drained["admitted"], &drained["quarantined"]), (&json!(1), &json!(1)));
    let entry = &scene.wait_for_quarantine(1).await[0];
    assert_eq!(entry["violations"][0]["code"], "forbidden", "{entry}");
    let operator = scene.gateway.add_caller("releaser", "operate");
    let path = format!("/quarantine/{}/release", entry["id"]);
    let refused = scene.gateway.call_as(&operator, (Method::POST, &path), None).await;
    assert_eq!((refused.status, refused.code()), (409, "wrong-state"), "{}", refused.body);
    assert_eq!(scene.events().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_queue_that_the_settings_name_is_drained_and_only_by_operators() {
    let scene = scene().await;
    let other = "arn:aws:sqs:eu-west-1:111122223333:somebody-elses";
    let stranger = scene.stub.queue(other);
    stranger.send("{}");
    let request = json!({ "queue": other });
    let refused = scene.call(Method::POST, "/queues/drain", Some(&request)).await;
    assert_eq!((refused.status, refused.code()), (404, "not-found"), "{}", refused.body);
    let (code, words) = drain(&scene, &["--queue", other]);
    assert_eq!(code, Some(2), "{words}");
    assert_eq!(stranger.messages().len(), 1);

    let publisher = scene.gateway.add_caller("shop", "publish:*");
    let request = json!({ "queue": DEAD });
    let path = format!("{}/queues/drain", scene.gateway.issuer());
    let post = reqwest::Client::new().post(path).bearer_auth(publisher).json(&request);
    assert_eq!(post.send().await.unwrap().status(), 403);

    scene.stub.queue(DEAD);
    let denied = || AwsFault::access_denied();
    scene.stub.fail("ReceiveMessage", [denied(), denied()]);
    let mut codes = Vec::new();
    for _ in 0..2 {
        let answer = scene.call(Method::POST, "/queues/drain", Some(&request)).await;
        codes.push((answer.status, answer.code().to_owned()));
    }
    assert!(codes.contains(&(503, "queue-unavailable".to_owned())), "{codes:?}");
}
