//! Credentials of callers end, are seen to be used, and are replaced under one name.

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock, SystemEntropy};
use sealway::api::{CallerChange, Callers};

use crate::harness::{Process, TestGateway, answer, eventually};

const DAY: Duration = Duration::from_hours(24);

async fn status(gateway: &TestGateway, key: &str) -> u16 {
    gateway.call_as(key, (Method::GET, "/actions"), None).await.status
}

#[tokio::test]
async fn a_caller_is_told_before_its_end_and_refused_after_it_with_the_date() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let callers = &gateway.services().callers;
    let (name, end) = ("auditor".parse().unwrap(), clock.now().after(3 * DAY));
    let scopes = vec!["audit".parse().unwrap()];
    let key = callers.add_until(&name, scopes, Some(end), &SystemEntropy).await.unwrap();
    let key = key.expose();

    assert_eq!(status(&gateway, key).await, 200);
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let left = format!("sealway_caller_ends_seconds{{caller=\"auditor\"}} {}\n", 3 * 86_400);
    assert!(metrics.as_str().unwrap().contains(&left), "{metrics}");

    clock.advance(3 * DAY);
    let refused = gateway.call_as(key, (Method::GET, "/actions"), None).await;
    assert_eq!(refused.status, 401);
    let told = refused.body["detail"].as_str().unwrap();
    assert!(told.contains(&format!("this key ended {end}")), "{told}");
    let stranger = gateway.call_as("sealway.auditor.wrong", (Method::GET, "/actions"), None).await;
    assert_eq!(stranger.status, 401);
    assert!(!stranger.body.to_string().contains("ended"), "a wrong key is told nothing");

    callers.change(&name, CallerChange { scopes: None, until: Some(None) }).await.unwrap();
    assert_eq!(status(&gateway, key).await, 200);
}

#[tokio::test]
async fn a_stream_ends_with_the_credentials_of_its_reader() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let callers = &gateway.services().callers;
    let (name, end) = ("shop".parse().unwrap(), clock.now().after(DAY));
    let scopes = vec!["consume:shop".parse().unwrap()];
    let key = callers.add_until(&name, scopes, Some(end), &SystemEntropy).await.unwrap();
    let document = json!({
        "id": "orders", "consumer": "shop", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    gateway.post("/subscriptions", &document).await;
    let request = gateway.request(Method::GET, "/subscriptions/orders/stream");
    let mut stream = request.bearer_auth(key.expose()).send().await.unwrap();
    assert_eq!(stream.status(), 200);

    clock.advance(2 * DAY);
    eventually("the stream ends", async || {
        clock.advance(Duration::from_secs(30));
        let next = tokio::time::timeout(Duration::from_millis(50), stream.chunk()).await;
        matches!(next, Ok(Ok(None) | Err(_))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_that_comes_again_under_the_new_key_is_answered_as_it_was() {
    let gateway = TestGateway::start().await;
    let callers = &gateway.services().callers;
    let first = gateway.add_caller("shop", &["consume:shop"]).await;
    let document = json!({
        "name": "orders", "consumer": "shop", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    let create = async |key: &str| {
        let request = gateway.request(Method::POST, "/subscriptions").bearer_auth(key);
        answer(request.header("idempotency-key", "one").json(&document)).await
    };
    let made = create(&first).await;
    assert_eq!(made.status, 201, "{}", made.body);

    let second = callers.rotate(&"shop".parse().unwrap(), DAY, &SystemEntropy).await.unwrap();
    let again = create(second.expose()).await;
    assert_eq!((again.status, &again.body["id"]), (201, &made.body["id"]));
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_key_is_rotated_by_command_while_the_gateway_runs() {
    let mut gateway = Process::prepare();
    let first = gateway.add_caller("auditor", "audit");
    gateway.serve().await;
    let ask = async |key: &str| gateway.call_as(key, (Method::GET, "/actions"), None).await.status;
    let listed = |gateway: &Process| {
        let listed = told(&gateway.run(&["--output", "json", "callers", "list"]));
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed[0].clone()
    };
    assert_eq!(ask(&first).await, 200);

    let second = told(&gateway.run(&["callers", "rotate", "auditor", "--overlap", "7days"]));
    eventually("both keys are good", async || (ask(&second).await == 200).then_some(())).await;
    assert_eq!(ask(&first).await, 200);
    assert!(listed(&gateway)["formerKeyUntil"].is_string());

    let third = told(&gateway.run(&["callers", "rotate", "auditor", "--overlap", "0s"]));
    for gone in [&first, &second] {
        eventually("it is refused", async || (ask(gone).await == 401).then_some(())).await;
    }
    assert_eq!(ask(&third).await, 200);
    let kinds = told(&gateway.run(&["--output", "json", "callers", "list"]));
    assert!(!kinds.contains("sha256") && !kinds.contains(&third), "{kinds}");
}

#[tokio::test]
async fn the_last_use_of_a_caller_is_kept_each_minute_and_survives_a_restart() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let key = gateway.add_caller("auditor", &["audit"]).await;
    // As another process reads it.
    let last_use = async |gateway: &TestGateway| {
        let registry = Arc::clone(&gateway.services().store.registry);
        let remembered = HumanDuration(Duration::from_secs(5));
        let callers = Callers::new(registry, remembered, gateway.clock());
        let listed = callers.list().await.unwrap();
        listed.into_iter().find(|caller| caller.id == "auditor").unwrap().last_use
    };
    assert_eq!(status(&gateway, &key).await, 200);
    let used = clock.now();
    assert_eq!(last_use(&gateway).await, None, "it is not written for each request");

    eventually("the last use is kept", async || {
        clock.advance(Duration::from_mins(1));
        last_use(&gateway).await
    })
    .await;
    gateway.restart().await;
    assert_eq!(last_use(&gateway).await, Some(used));
}

#[test]
fn a_change_says_what_it_changes() {
    let gateway = Process::prepare();
    gateway.add_caller("auditor", "audit");
    let nothing = gateway.run(&["callers", "change", "auditor"]);
    assert_eq!(nothing.status.code(), Some(2));
    told(&gateway.run(&["callers", "change", "auditor", "--until", "2099-01-01T00:00:00Z"]));
    let listed = told(&gateway.run(&["callers", "list"]));
    assert!(listed.contains("2099-01-01") && listed.contains("audit"), "{listed}");
    told(&gateway.run(&["callers", "change", "auditor", "--no-end", "--scope", "operate"]));
    let listed = told(&gateway.run(&["callers", "list"]));
    assert!(!listed.contains("2099") && listed.contains("operate"), "{listed}");
}
