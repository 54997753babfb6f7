//! An EventBridge API destination is a producer: each kind of its connections works, its archive's
//! replays are recognized or let through, and senders that ask before they send are answered.

use std::fs;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::source::ArchiveReplays;

use crate::harness::{Guarded, Receiver, TestGateway, answer};

/// An order as an EventBridge rule pushes it.
fn envelope(id: &str, number: u64) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "OrderCreated", "source": "order-service",
        "account": "123456789012", "time": "2026-11-21T20:17:00Z", "region": "eu-west-1",
        "resources": [], "detail": { "id": number, "amount": 100 },
    })
}

/// The same as an archive's replay pushes it.
fn replayed(id: &str, number: u64, replay: &str) -> Value {
    let mut event = envelope(id, number);
    event["replay-name"] = json!(replay);
    event
}

/// A request to publish an envelope, as an API destination makes it, without its credential.
fn pushed(gateway: &TestGateway, event: &Value) -> RequestBuilder {
    gateway
        .request(Method::POST, "/events")
        .header("user-agent", "Amazon/EventBridge/ApiDestinations")
        .header("content-type", "application/json; charset=utf-8")
        .header("range", "bytes=0-1048575")
        .header("accept-encoding", "gzip,deflate")
        .header("connection", "close")
        .body(event.to_string())
}

fn token_request(gateway: &TestGateway) -> RequestBuilder {
    let request = gateway.request(Method::POST, "/oauth/token");
    request.header("content-type", "application/x-www-form-urlencoded")
}

fn form(id: &str, key: &str) -> String {
    format!("grant_type=client_credentials&client_id={id}&client_secret={key}")
}

/// Gets a token with the credentials in the body.
async fn token(gateway: &TestGateway, id: &str, key: &str) -> String {
    let given = answer(token_request(gateway).body(form(id, key))).await;
    assert_eq!(given.status, 200, "{}", given.body);
    given.body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_kind_of_connection_publishes() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("bus.eu", &["publish:*"]).await;
    let token = token(&gateway, "bus.eu", &key).await;

    for (number, kind) in
        ["API_KEY", "BASIC", "OAUTH_CLIENT_CREDENTIALS", "none"].iter().enumerate()
    {
        let request = pushed(&gateway, &envelope(&format!("e-{number}"), 1));
        let request = match *kind {
            "API_KEY" => request.header("x-api-key", &key),
            "BASIC" => request.basic_auth("bus.eu", Some(&key)),
            "OAUTH_CLIENT_CREDENTIALS" => request.bearer_auth(&token),
            _ => request.header("Authorization", format!("Bearer {key}")),
        };
        let pushed = answer(request).await;
        assert_eq!(pushed.status, 202, "{kind}: {}", pushed.body);
        assert_eq!(pushed.body["events"][0]["eventIds"].as_array().unwrap().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_credential_that_is_wrong_or_ambiguous_is_refused_and_the_answer_lists_what_can_be_shown()
{
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let other = gateway.add_caller("shop", &["publish:*"]).await;
    let stale = "sealway-access.1.bus.AAAA";
    let request = || pushed(&gateway, &envelope("e-1", 1));
    let cases = [
        (request(), "send one of"),
        (request().header("authorization", "Digest x"), "not valid"),
        (request().header("x-api-key", "wrong"), "not valid"),
        (request().header("x-api-key", stale), "not valid"),
        (request().basic_auth("shop", Some(&key)), "not valid"),
        (request().basic_auth("bus", Some("wrong")), "not valid"),
        (request().basic_auth("bus", Some(stale)), "not valid"),
        (request().bearer_auth(stale), "not valid"),
        (request().bearer_auth(&key).header("x-api-key", &other), "two different"),
        (request().basic_auth("bus", Some(&key)).header("x-api-key", &other), "two different"),
        (request().header("x-api-key", &key).header("x-api-key", &other), "two different"),
    ];
    for (number, (request, words)) in cases.into_iter().enumerate() {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "case {number}");
        let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("Bearer realm=") && challenge.contains("Basic realm="));
        let text = response.text().await.unwrap();
        assert!(text.contains(words), "case {number}: {text}");
        assert!(!text.contains(&key) && !text.contains(&other), "{text}");
    }
    let same = answer(request().bearer_auth(&key).header("x-api-key", &key)).await;
    assert_eq!(same.status, 202, "one credential may be shown twice: {}", same.body);
    let challenged = request().bearer_auth(stale).send().await.unwrap();
    let challenge = challenged.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[tokio::test]
async fn what_producers_show_publishes_and_opens_nothing_else() {
    let gateway = TestGateway::start().await;
    let admin = gateway.add_caller("ops", &["admin"]).await;
    let token = token(&gateway, "ops", &admin).await;

    for path in ["/events", "/subscriptions", "/quarantine", "/metrics", "/log"] {
        let request = || gateway.request(Method::GET, path);
        for request in [
            request().header("x-api-key", &admin),
            request().basic_auth("ops", Some(&admin)),
            request().bearer_auth(&token),
        ] {
            assert_eq!(answer(request).await.status, 401, "{path}");
        }
        assert_eq!(answer(request().bearer_auth(&admin)).await.status, 200, "{path}");
    }
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let refused = answer(pushed(&gateway, &envelope("e", 1)).header("x-api-key", &consumer)).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
}

#[tokio::test]
async fn a_token_is_given_for_a_name_and_a_key_however_they_are_sent() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let json =
        json!({ "grant_type": "client_credentials", "client_id": "bus", "client_secret": key });
    let grant = "grant_type=client_credentials";
    let requests = [
        token_request(&gateway).body(form("bus", &key)),
        token_request(&gateway).basic_auth("bus", Some(&key)).body(grant),
        token_request(&gateway).basic_auth("bus", Some(&key)).body(form("bus", &key)),
        token_request(&gateway).body(format!("{}&scope=publish&audience=a", form("bus", &key))),
        gateway.request(Method::POST, "/oauth/token?tenant=eu").json(&json),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "case {number}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let given: Value = response.json().await.unwrap();
        assert_eq!((&given["token_type"], &given["scope"]), (&json!("Bearer"), &json!("publish")));
        assert_eq!(given["expires_in"], 900);
        let token = given["access_token"].as_str().unwrap();
        assert!(!token.contains(key.rsplit('.').next().unwrap()));
        let request = pushed(&gateway, &envelope(&format!("e-{number}"), 1)).bearer_auth(token);
        assert_eq!(answer(request).await.status, 202);
    }
}

#[tokio::test]
async fn a_request_for_a_token_is_refused_in_the_words_of_the_rfc() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let request = || token_request(&gateway);
    let grant = "grant_type=client_credentials";
    let password = form("bus", &key).replace("client_credentials", "password");
    let cases = [
        (request().body(form("bus", "wrong")), 401, "invalid_client"),
        (request().body(form("shop", &key)), 401, "invalid_client"),
        (request().body(grant), 401, "invalid_client"),
        (request().bearer_auth(&key).body(grant), 401, "invalid_client"),
        (request().basic_auth("bus", Some("wrong")).body(grant), 401, "invalid_client"),
        (request().basic_auth("bus", Some(&key)).body(form("shop", &key)), 400, "invalid_request"),
        (request().basic_auth("bus", Some(&key)), 400, "invalid_request"),
        (request().body(format!("{}&client_id=shop", form("bus", &key))), 400, "invalid_request"),
        (request().body(password), 400, "unsupported_grant_type"),
        (request().body(format!("{}&scope=admin", form("bus", &key))), 400, "invalid_scope"),
        (request().body(form("shop", &consumer)), 400, "invalid_scope"),
        (request().body("x".repeat(16 * 1024 + 1)), 413, "invalid_request"),
    ];
    for (number, (request, status, error)) in cases.into_iter().enumerate() {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "case {number}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"], error, "case {number}: {body}");
        let words = body["error_description"].as_str().unwrap();
        // RFC 6749, appendix A.8.
        assert!(words.bytes().all(|b| matches!(b, 0x20..=0x7e) && !matches!(b, b'"' | b'\\')));
        assert!(!words.contains(&key), "{words}");
    }
    let got = answer(gateway.request(Method::GET, "/oauth/token")).await;
    assert_eq!((got.status, got.code()), (405, "method-not-allowed"));
}

#[tokio::test]
async fn a_token_ends_with_its_time_its_caller_and_the_process_and_another_is_given() {
    let clock = ManualClock::at(SystemClock.now());
    let mut gateway = TestGateway::at(&clock).await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let status = async |gateway: &TestGateway, token: &str| {
        answer(pushed(gateway, &envelope("e-1", 1)).bearer_auth(token)).await.status
    };

    let first = token(&gateway, "bus", &key).await;
    clock.advance(Duration::from_secs(899));
    assert_eq!(status(&gateway, &first).await, 202);
    clock.advance(Duration::from_secs(1));
    assert_eq!(status(&gateway, &first).await, 401);

    let second = token(&gateway, "bus", &key).await;
    assert_eq!(status(&gateway, &second).await, 202);
    gateway.restart().await;
    assert_eq!(status(&gateway, &second).await, 401);

    let third = token(&gateway, "bus", &key).await;
    assert_eq!(status(&gateway, &third).await, 202);
    gateway.remove_caller("bus").await;
    assert_eq!(status(&gateway, &third).await, 401);
    let another = gateway.add_caller("bus", &["publish:*"]).await;
    assert_eq!(status(&gateway, &third).await, 401);
    assert_eq!(status(&gateway, &token(&gateway, "bus", &another).await).await, 202);
}

/// The gateway is an OAuth client too, towards sinks: here it asks itself.
#[tokio::test]
async fn a_client_that_knows_only_the_rfc_gets_a_token_that_publishes() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("shop", &["publish:*"]).await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let credential = json!({ "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": {
        "endpoint": format!("{}/oauth/token", gateway.issuer()),
        "clientId": "shop", "clientSecret": key, "scope": "publish",
    }});
    consumer.subscribe(&gateway, &credential).await;
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;

    let arrived = consumer.sink.arrived();
    let shown = arrived.last().unwrap().header("authorization").unwrap().to_owned();
    let request = pushed(&gateway, &envelope("e-1", 2)).header("authorization", shown);

    assert_eq!(answer(request).await.status, 202);
}

/// Sends bytes and gives everything that comes back before the connection ends.
async fn raw(gateway: &TestGateway, request: &str) -> String {
    let address = gateway.issuer();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.to_ascii_lowercase()
}

#[tokio::test]
async fn a_sender_that_asks_before_it_sends_is_told_that_it_may() {
    let gateway = TestGateway::start().await;
    let options = |headers: &str| {
        format!("OPTIONS /events HTTP/1.1\r\nHost: gateway\r\n{headers}Connection: close\r\n\r\n")
    };

    let grid = "WebHook-Request-Origin: eventgrid.azure.net\r\n\
                WebHook-Request-Callback: https://rp.example/validate?id=1\r\n";
    let asked = raw(&gateway, &options(grid)).await;
    assert!(asked.starts_with("http/1.1 200 "), "{asked}");
    assert!(asked.contains("\r\nwebhook-allowed-origin: eventgrid.azure.net\r\n"), "{asked}");
    assert!(asked.contains("\r\nwebhook-allowed-rate: *\r\n"), "{asked}");
    assert!(asked.contains("\r\nallow: get, head, options, post\r\n"), "{asked}");

    let rate = "WebHook-Request-Origin: a.example\r\nWebHook-Request-Rate: 120\r\n";
    let asked = raw(&gateway, &options(rate)).await;
    assert!(asked.contains("\r\nwebhook-allowed-rate: 120\r\n"), "{asked}");

    let nobody = raw(&gateway, &options("")).await;
    assert!(nobody.starts_with("http/1.1 204 ") && nobody.contains("allow: "), "{nobody}");
    assert!(!nobody.contains("webhook-"), "{nobody}");

    for wrong in [
        "WebHook-Request-Origin: a b\r\n",
        "WebHook-Request-Origin: a\r\nWebHook-Request-Origin: b\r\n",
        "WebHook-Request-Origin: a\r\nWebHook-Request-Rate: 0\r\n",
    ] {
        let refused = raw(&gateway, &options(wrong)).await;
        assert!(refused.starts_with("http/1.1 400 "), "{refused}");
        assert!(!refused.contains("webhook-allowed"), "{refused}");
    }
}

#[tokio::test]
async fn an_archives_replay_is_a_repeat_unless_the_settings_say_otherwise() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let push = async |event: &Value| {
        let answer = answer(pushed(&gateway, event).header("x-api-key", &key)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["events"][0].clone()
    };

    let live = push(&envelope("e-1", 1)).await;
    let again = push(&replayed("e-1", 1, "of-may")).await;
    let other = push(&replayed("e-2", 2, "of-may")).await;

    assert_eq!(again["eventIds"], live["eventIds"]);
    assert_eq!((&again["repeated"], &other["repeated"]), (&json!(true), &json!(false)));
    let ids = [live, other].map(|one| one["eventIds"][0].as_str().unwrap().to_owned());
    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.delivered_ids(), ids);
}

#[tokio::test]
async fn an_archives_replay_that_is_let_through_crosses_once_for_each_name() {
    let mut gateway = TestGateway::with(None, |config| {
        config.source.archive_replays = ArchiveReplays::Replay;
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let key = gateway.add_caller("bus", &["publish:*"]).await;
    let push = async |gateway: &TestGateway, event: &Value| {
        let answer = answer(pushed(gateway, event).header("x-api-key", &key)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["events"][0]["eventIds"][0].as_str().unwrap().to_owned()
    };

    let live = push(&gateway, &envelope("e-1", 1)).await;
    let may = push(&gateway, &replayed("e-1", 1, "of-may")).await;
    let june = push(&gateway, &replayed("e-1", 1, "of-june")).await;
    assert_eq!(push(&gateway, &replayed("e-1", 1, "of-may")).await, may);
    gateway.restart().await;
    assert_eq!(push(&gateway, &replayed("e-1", 1, "of-june")).await, june);
    assert_eq!(push(&gateway, &envelope("e-1", 1)).await, live);

    let arrivals = receiver.wait_for_delivered(3).await;
    assert_eq!(receiver.delivered_ids(), [live, may, june]);
    let key = |number: usize| arrivals[number].opened.event()["idempotencykey"].clone();
    assert_eq!((key(0), key(0)), (key(1), key(2)), "consumers see the same fact again");
}

#[tokio::test]
async fn a_replay_passes_a_business_key_and_neither_deduplicate_nor_a_pattern_that_leaves_replays_out()
 {
    let gateway = TestGateway::with(None, |config| {
        config.source.archive_replays = ArchiveReplays::Replay;
        let file = config.publications.join("orders.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let keyed = "    key: [/data/orderId]\n    patch:";
        let once = "    deduplicate: 5m\n    patch:";
        // Of the three publications of this file, each gets its own rule.
        let text = text.replacen("    patch:", keyed, 1);
        let (first, rest) = text.split_once("  - event: Order.Completed").unwrap();
        let rest = rest.replacen("    patch:", once, 1);
        let (second, third) = rest.split_once("  - event: Order.Cancelled").unwrap();
        let third = third.replacen(
            "detail-type: [OrderCancelled]",
            "detail-type: [OrderCancelled], replay-name: [{ exists: false }]",
            1,
        );
        assert!(third.contains("replay-name"), "{third}");
        let text =
            format!("{first}  - event: Order.Completed{second}  - event: Order.Cancelled{third}");
        fs::write(file, text).unwrap();
    })
    .await;
    let push = async |detail_type: &str, replay: Option<&str>| {
        let mut event = envelope(&format!("e-{detail_type}"), 1);
        event["detail-type"] = json!(detail_type);
        if let Some(replay) = replay {
            event["replay-name"] = json!(replay);
        }
        let answer = gateway.send_text("/events", "application/json", event.to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["events"][0]["eventIds"].clone()
    };

    let live = push("OrderCreated", None).await;
    let again = push("OrderCreated", Some("of-may")).await;
    assert_ne!(live, again);
    let shown = gateway.get(&format!("/events/{}", again[0].as_str().unwrap())).await;
    assert!(shown.get("conflict").is_none(), "the same key with the same content: {shown}");

    let live = push("OrderCompleted", None).await;
    assert_eq!(push("OrderCompleted", Some("of-may")).await, live);

    assert_eq!(push("OrderCancelled", None).await.as_array().unwrap().len(), 1);
    assert_eq!(push("OrderCancelled", Some("of-may")).await, json!([]));
}
