//! What somebody meets who is new here: each slip is answered with what helps, and nothing is said too much.

use std::fs;
use std::process::Output;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::event::{EventId, Timestamp};

use crate::harness::{Process, Receiver, TestGateway, answer, program};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_credential_that_came_is_never_asked_for_again() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("ops", &["operate", "publish:*"]).await;
    let mut damaged = key.clone();
    damaged.pop();
    let ask = async |method: &Method, path: &str, shown: Option<&str>| {
        let mut request = gateway.request(method.clone(), path);
        if let Some(shown) = shown {
            request = request.header("authorization", shown);
        }
        let answer = answer(request).await;
        assert_eq!(answer.status, 401, "{method} {path} {shown:?}");
        answer.body["detail"].as_str().unwrap().to_owned()
    };

    for (method, path) in [(Method::GET, "/subscriptions"), (Method::POST, "/events")] {
        let missing = ask(&method, path, None).await;
        assert!(missing.starts_with("send "), "{missing}");
        for shown in
            [&*format!("Bearer {damaged}"), "Bearer", "Bearer ", &key, "Basic ?", "Digest x"]
        {
            let told = ask(&method, path, Some(shown)).await;
            assert!(told.starts_with("the credential is not valid"), "{shown}: {told}");
            assert!(!told.contains(&damaged), "{told}");
        }
    }
}

#[tokio::test]
async fn a_replay_begins_and_ends_at_times() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let mut ids: Vec<EventId> = Vec::new();
    for number in 1..=3 {
        ids.push(gateway.order(number).await.parse().unwrap());
        clock.advance(Duration::from_secs(1));
    }
    receiver.wait_for_delivered(3).await;
    let moment = |id: EventId| {
        let ms = i64::try_from(id.unix_ms()).unwrap();
        Timestamp::from_unix_ms(ms).to_string()
    };
    let count = async |body: serde_json::Value| {
        let path = "/subscriptions/shop/replays";
        let answer = gateway.call(Method::POST, path, Some(&body)).await;
        (answer.status, answer.body)
    };

    let (status, counted) = count(json!({ "from": moment(ids[1]), "dryRun": true })).await;
    assert_eq!((status, &counted["matched"]), (200, &json!(2)), "{counted}");
    assert_eq!(counted["from"], json!(EventId::first_of(ids[1].unix_ms()).to_string()));
    let range = json!({ "from": moment(ids[0]), "to": moment(ids[1]), "dryRun": true });
    let (_, counted) = count(range).await;
    assert_eq!(counted["matched"], 2, "both ends are in it: {counted}");
    let (status, refused) = count(json!({ "from": "yesterday", "dryRun": true })).await;
    assert_eq!((status, &refused["type"]), (422, &json!("/problems/invalid")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("RFC 3339"), "{refused}");

    let (status, started) = count(json!({ "from": moment(ids[2]) })).await;
    assert_eq!(status, 201, "{started}");
    receiver.wait_for_delivered(4).await;
    let path = format!("/events?from={}&to={}", moment(ids[1]), moment(ids[1]));
    let listed = gateway.get(&path).await;
    assert_eq!(listed["events"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn a_grant_of_what_everybody_hears_says_so() {
    let gateway = TestGateway::start().await;
    let given =
        gateway.post("/grants", &json!({ "consumer": "shop", "publication": "orders/*" })).await;

    let warning = given["warning"].as_str().unwrap();
    assert!(warning.contains("`orders/*` is public: every consumer hears it"), "{warning}");
}

#[test]
fn settings_that_cannot_work_are_told_with_what_can_and_each_once() {
    let settings = |text: &str| Process::prepare().with_settings(text);
    for (text, told) in [
        ("source: { max-batch: 0 }", "use 1 to 10,000"),
        ("source: { max-batch: -1 }", "use 1 to 10,000"),
        ("api: { max-body: 8 }", "use 1.0 KiB to 64.0 MiB"),
        ("access: { grants-per-consumer: 4294967296 }", "use 1 to 1,000,000"),
        ("replay: { patience: 1s }", "use 1m to 3650days"),
    ] {
        let checked = settings(text).run(&["check"]);
        let words = said(&checked);
        assert_eq!(checked.status.code(), Some(2), "{words}");
        assert!(words.contains(told), "{words}");
        assert_eq!(words.matches("gateway.yaml:").count(), 1, "{words}");
    }
    let listening = settings("").run(&["serve", "--listen", "localhost:18482"]);
    let words = said(&listening);
    assert!(words.contains("use an IP address and a port, such as 127.0.0.1:8080"), "{words}");
    assert!(!words.contains("syntax"), "{words}");
}

#[test]
fn the_usage_of_a_slip_names_no_option_that_a_variable_has_set() {
    let slip = program()
        .env("SEALWAY_GATEWAY", "http://127.0.0.1:1")
        .env("SEALWAY_CALLER_KEY", "k")
        .args(["subscriptions", "get"])
        .output()
        .unwrap();

    let words = said(&slip);
    assert!(words.contains("Usage: sealway subscriptions get"), "{words}");
    assert!(!words.contains("--gateway") && !words.contains("--caller-key"), "{words}");
}

#[test]
fn check_says_who_hears_a_publication_that_says_nothing_and_mistakes_come_first() {
    let gateway = Process::prepare();
    let place = gateway.directory().join("publications/orders.yaml");
    let text = fs::read_to_string(&place).unwrap();
    let silent = text.replace("\naccess: public\n", "\n");
    assert_ne!(text, silent);
    fs::write(&place, &silent).unwrap();

    let checked = gateway.run(&["check", "--files-only"]);
    let words = said(&checked);
    assert!(checked.status.success(), "{words}");
    assert!(words.contains("every consumer may hear what `orders` publishes"), "{words}");
    assert!(words.contains("rehearsed with"), "{words}");
    assert_eq!(words.matches("every consumer may hear").count(), 1, "once for a domain: {words}");

    fs::write(&place, silent.replace("/data/orderId", "/data/ordreId")).unwrap();
    let checked = gateway.run(&["check", "--files-only"]);
    let words = said(&checked);
    assert_eq!(checked.status.code(), Some(1), "{words}");
    assert!(!words.contains("rehearsed with"), "{words}");
    let verbose = said(&gateway.run(&["check", "--files-only", "--verbose"]));
    assert!(verbose.contains("rehearsed with"), "{verbose}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_does_not_fit_is_an_error_of_the_start_at_its_place() {
    let mut gateway = Process::prepare();
    let place = gateway.directory().join("publications/orders.yaml");
    let text = fs::read_to_string(&place).unwrap();
    fs::write(&place, text.replace("/data/orderId", "/data/ordreId")).unwrap();
    gateway.serve().await;

    let log = gateway.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    let shown = place.display().to_string();
    assert!(errors.iter().any(|line| line.contains(&format!("{shown}:"))), "{log}");
    assert!(errors.iter().any(|line| line.contains("orders/Order.Created")), "{log}");
}
