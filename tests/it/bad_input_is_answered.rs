//! Whatever comes in is answered as documented, and no accepted event is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::Method;
use serde_json::json;

use sealway::ambient::Size;

use crate::harness::{ACCESS_SECRET, Answer, Process, Receiver, TestGateway, order_created};

/// Asserts that a gateway still has its one event and takes another.
async fn assert_untouched(gateway: &TestGateway, receiver: &Receiver, accepted: &str) {
    let next = gateway.order(2).await;
    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.delivered_ids(), [accepted, &next]);
    let events = gateway.get("/events").await["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), 2);
}

/// A gateway with small limits, one consumer, and one event accepted.
async fn small() -> (TestGateway, Receiver, String) {
    let gateway = TestGateway::with(None, |config| {
        config.source.max_body = Size(16 * 1024);
        config.largest_event = Size(1024);
        config.api.max_body = Size(8 * 1024);
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let accepted = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    (gateway, receiver, accepted)
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_with_a_reason() {
    let (gateway, receiver, accepted) = small().await;
    let event = order_created("bad", 9).to_string();
    let truncated = event.as_bytes()[..event.len() - 3].to_vec();
    let deep = event.replace("100", &format!("{}1{}", "[".repeat(1001), "]".repeat(1001)));
    let doubled = event.replace("\"amount\":100", "\"amount\":100,\"amount\":1");
    let mut garbled = event.clone().into_bytes();
    garbled[event.find("confidential").unwrap()] = 0xff;
    let long = event.replace("confidential", &"x".repeat(20_000));
    let huge = event.replace("100", "1e999");

    for (what, body, status, code) in [
        ("truncated", truncated, 400, "invalid-event"),
        ("deep", deep.into_bytes(), 400, "invalid-event"),
        ("a member twice", doubled.into_bytes(), 400, "invalid-event"),
        ("not UTF-8", garbled, 400, "invalid-event"),
        ("empty", Vec::new(), 400, "invalid-event"),
        ("not an event", b"[]".to_vec(), 400, "invalid-event"),
        ("a number beyond all numbers", huge.into_bytes(), 422, "patch-failed"),
        ("too long", long.into_bytes(), 413, "too-large"),
    ] {
        let answer = gateway.send_text("/events", "application/cloudevents+json", body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{what}: {}", answer.body);
        assert!(!answer.body.to_string().contains("confidential"), "{what}: {}", answer.body);
    }
    assert_untouched(&gateway, &receiver, &accepted).await;
}

#[tokio::test]
async fn an_event_beyond_the_largest_that_may_cross_is_refused() {
    let gateway = TestGateway::with(None, |config| {
        config.largest_event = Size(1024);
        let file = config.contracts.join("orders.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let note =
            "      properties:\n        note: { type: string }\n        orderId:\n          $ref";
        let noted = text.replacen("      properties:\n        orderId:\n          $ref", note, 1);
        fs::write(file, noted).unwrap();
        let file = config.publications.join("orders.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let copy = "    patch:\n      - { op: copy, from: /detail/note, path: /data/note }\n";
        fs::write(file, text.replacen("    patch:\n", copy, 1)).unwrap();
    })
    .await;
    let mut event = order_created("o-1", 1);

    event["data"]["note"] = json!("x".repeat(2000));
    let large = gateway.send(&event).await;
    event["data"]["note"] = json!("x".repeat(500));
    let fits = gateway.send(&event).await;

    assert!((400..500).contains(&large.status), "{large:?}");
    assert!(large.body.to_string().contains("1024"), "{}", large.body);
    assert_eq!(fits.status, 202, "{}", fits.body);
}

#[tokio::test]
async fn requests_that_no_path_takes_are_answered_with_problems() {
    let (gateway, receiver, accepted) = small().await;
    let big = json!({ "id": "x".repeat(10_000) });
    let admin = gateway.add_caller("second-admin", &["admin"]).await;
    let raw = async |method, path: &str, media_type: &str, body: &str| {
        let request = gateway.request(method, path).bearer_auth(&admin);
        let request = request.header("content-type", media_type).body(body.to_owned());
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        Answer { status: response.status().as_u16(), body: response.json().await.unwrap() }
    };
    let json_type = "application/json";

    for (answer, status) in [
        (raw(Method::GET, "/nowhere", json_type, "").await, 404),
        (raw(Method::PATCH, "/events", json_type, "").await, 405),
        (raw(Method::POST, "/events", "text/plain", "x").await, 415),
        (raw(Method::POST, "/subscriptions", "text/plain", "{}").await, 415),
        (raw(Method::POST, "/subscriptions", json_type, "{").await, 400),
        (raw(Method::POST, "/subscriptions", json_type, "{\"ids\":1}").await, 422),
        (raw(Method::POST, "/subscriptions", json_type, &big.to_string()).await, 413),
        (raw(Method::GET, "/events/not-a-ulid", json_type, "").await, 404),
        (raw(Method::GET, "/events?limit=0", json_type, "").await, 422),
        (raw(Method::GET, "/events?limit=x", json_type, "").await, 400),
        (raw(Method::GET, "/quarantine/999", json_type, "").await, 404),
        (raw(Method::GET, "/quarantine/x", json_type, "").await, 400),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(!answer.code().is_empty(), "{}", answer.body);
    }
    assert_untouched(&gateway, &receiver, &accepted).await;
}

#[tokio::test]
async fn subscriptions_that_cannot_work_are_refused_at_their_place() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    for (wish, place) in [
        (json!({ "sink": "ftp://example.com/" }), "/sink"),
        (json!({ "sink": "not an address" }), "/sink"),
        (json!({ "config": { "parallel": 0 } }), "/config/parallel"),
        (json!({ "config": { "encryption": "A1" } }), "/config/encryption"),
        (json!({ "config": { "keys": { "jwks": { "keys": [] } } } }), "/config/keys"),
        (json!({ "config": { "signature": "none" } }), "/config/signature"),
        (json!({ "config": { "start": "yesterday" } }), "/config/start"),
        (json!({ "filters": [{ "pattern": { "type": "not-a-list" } }] }), "/filters"),
        (json!({ "filters": [{ "near": { "type": "x" } }] }), "/filters"),
    ] {
        let document = receiver.document(wish);
        let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{place}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains(place), "{}", answer.body);
    }
    assert_eq!(gateway.get("/subscriptions").await["subscriptions"], json!([]));
}

#[tokio::test]
async fn a_subscription_that_asks_for_more_than_its_operator_allows_is_refused_at_its_place() {
    let mut gateway = TestGateway::with(None, |config| {
        config.delivery.maximum_parallel = 32;
        config.delivery.maximum_rate = Some(100);
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    for (name, asked) in [("parallel", 33), ("rate", 101)] {
        let document = receiver.document(json!({ "config": { name: asked } }));
        let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        for part in [&format!("/config/{name}"), &format!("delivery.maximum-{name}")] {
            assert!(detail.contains(part.as_str()), "{detail}");
        }
    }
    gateway.subscribe(&receiver, json!({ "config": { "parallel": 32, "rate": 100 } })).await;

    gateway.restart_with(|config| config.delivery.maximum_rate = Some(50)).await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    let path = "/subscriptions/shop/sink-credential";
    let credential = json!({
        "credentialtype": "API_KEY", "apiKey": { "name": "X-Api-Key", "value": "new" },
    });
    let answer = gateway.put(path, &credential).await;
    assert_eq!(answer.status, 200, "a leaked credential can be replaced: {}", answer.body);
    let answer = gateway.call(Method::DELETE, path, None).await;
    assert!(answer.status < 300, "and taken away: {}", answer.body);
    for (rate, status) in [(100, 200), (99, 422)] {
        let document = receiver.document(json!({ "config": { "parallel": 31, "rate": rate } }));
        let answer = gateway.put("/subscriptions/shop", &document).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test]
async fn an_sdk_is_told_in_its_own_words() {
    let (gateway, receiver, accepted) = small().await;
    let entry = |bus: &str| {
        PutEventsRequestEntry::builder()
            .source("order-service")
            .detail_type("OrderCreated")
            .detail(json!({ "id": 3, "amount": 1 }).to_string())
            .event_bus_name(bus)
            .build()
    };

    let stranger = TestGateway::sdk_through(&gateway.issuer(), "another secret");
    let forged = stranger.put_events().entries(entry("default")).send().await.unwrap_err();
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let lost = client.put_events().entries(entry("nowhere")).send().await.unwrap();
    let mut broken = json!({ "id": 3, "amount": 1 });
    broken["amount"] = json!("many");
    let broken = PutEventsRequestEntry::builder()
        .source("order-service")
        .detail_type("OrderCreated")
        .detail(broken.to_string())
        .build();
    let violating = client.put_events().entries(broken).send().await.unwrap();

    assert_eq!(forged.code(), Some("InvalidSignatureException"));
    assert_eq!(lost.failed_entry_count(), 1);
    assert_eq!(violating.failed_entry_count(), 1);
    assert!(violating.entries()[0].error_code().is_some());
    assert_untouched(&gateway, &receiver, &accepted).await;
}

#[tokio::test]
async fn a_disk_without_room_says_later_and_keeps_what_was_accepted() {
    let (mut gateway, receiver, accepted) = small().await;
    gateway.stop().await;
    gateway.change(|config| config.log.disk_reserve = Size(u64::MAX));
    gateway.start_again().await;

    let request = gateway.request(Method::POST, "/events");
    let key = gateway.add_caller("producer", &["publish:*"]).await;
    let request = request.header("content-type", "application/cloudevents+json").bearer_auth(key);
    let refused = request.body(order_created("o-2", 2).to_string()).send().await.unwrap();
    let (status, later) =
        (refused.status().as_u16(), refused.headers().get("retry-after").cloned());
    let problem = Answer { status, body: refused.json().await.unwrap() };
    gateway.stop().await;
    gateway.change(|config| config.log.disk_reserve = Size(1024 * 1024));
    gateway.start_again().await;

    assert_eq!((problem.status, problem.code()), (503, "busy"));
    assert!(later.is_some());
    assert_untouched(&gateway, &receiver, &accepted).await;
}

/// Asserts that a command ended with this code and named `cause` on its error output.
fn assert_ended(output: &Output, code: i32, cause: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(cause), "{told}");
}

#[tokio::test]
async fn a_gateway_that_cannot_start_says_why_and_ends() {
    let process = Process::prepare();
    let settings = fs::read_to_string(process.settings()).unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().to_string();

    let port = settings.lines().find(|line| line.starts_with("listen")).unwrap();
    fs::write(process.settings(), settings.replace(port, &format!("listen: {taken}"))).unwrap();
    assert_ended(&process.run(&["serve"]), 2, &taken);

    fs::write(process.settings(), settings.replace("listen", "lisen")).unwrap();
    assert_ended(&process.run(&["serve"]), 2, "lisen");

    fs::write(process.settings(), &settings).unwrap();
    let contract = process.directory().join("asyncapi/orders.yaml");
    let text = fs::read_to_string(&contract).unwrap();
    fs::write(&contract, text.replace("asyncapi: 3.0.0", "asyncapi: 9.9.9")).unwrap();
    assert_ended(&process.run(&["serve"]), 2, "orders.yaml");
    fs::write(&contract, text).unwrap();

    assert!(process.run(&["keys", "generate"]).status.success());
    let file = a_file_below(&process.directory().join("keys"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_ended(&process.run(&["serve"]), 2, file.file_name().unwrap().to_str().unwrap());
    drop(busy);
}

fn a_file_below(directory: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.is_file() && file.extension().is_some());
    files.sort();
    files.remove(0)
}

#[tokio::test]
async fn a_body_that_never_comes_ends_with_its_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let short = |config: &mut sealway::config::Config| {
        config.api.request_timeout = "500ms".parse().unwrap();
    };
    let gateway = TestGateway::with(None, short).await;
    let key = gateway.add_caller("slow", &["publish:*"]).await;
    let mut connection =
        tokio::net::TcpStream::connect(gateway.issuer().trim_start_matches("http://"))
            .await
            .unwrap();
    let headers = format!(
        "POST /events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
         content-type: application/cloudevents+json\r\ncontent-length: 10\r\n\r\n"
    );
    connection.write_all(headers.as_bytes()).await.unwrap();

    let mut answer = String::new();
    let whole = connection.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), whole).await.expect("it ends").unwrap();

    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
}

#[tokio::test]
async fn a_stranger_is_refused_before_its_body_is_read() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let gateway = TestGateway::start().await;
    let mut connection =
        tokio::net::TcpStream::connect(gateway.issuer().trim_start_matches("http://"))
            .await
            .unwrap();
    let headers = "POST / HTTP/1.1\r\nhost: gateway\r\nx-amz-target: AWSEvents.PutEvents\r\n\
                   content-length: 8000000\r\n\r\n";
    connection.write_all(headers.as_bytes()).await.unwrap();

    let mut answer = vec![0; 4096];
    let read = connection.read(&mut answer);
    let read =
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();

    assert!(answer.contains("MissingAuthenticationToken"), "{answer}");
}
