//! Answers are not guessed at, not kept by others, named, counted, and given again after a restart.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use sealway::ambient::HumanDuration;
use sealway::api::{CallerChange, Callers};

use crate::harness::{Answer, TestGateway, answer, order_created};

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn as_caller(gateway: &TestGateway, key: &str, method: Method, path: &str) -> Response {
    let url = format!("{}{path}", gateway.issuer());
    reqwest::Client::new().request(method, url).bearer_auth(key).send().await.unwrap()
}

#[tokio::test]
async fn every_answer_has_an_id_is_taken_for_what_it_says_and_is_not_kept() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("someone", &["admin"]).await;
    let id = gateway.order(1).await;
    for (path, status, kept) in [
        ("/.well-known/jwks.json", 200, "public, max-age=600"),
        ("/health/live", 200, "no-store"),
        ("/subscriptions", 200, "no-store"),
        ("/events?limit=1", 200, "no-store"),
        (&*format!("/events/{id}"), 200, "no-store"),
        ("/nowhere", 404, "no-store"),
        ("/quarantine/seven", 400, "no-store"),
        ("/%ff", 404, "no-store"),
        ("/events?limit=x", 400, "no-store"),
        ("/oauth/token", 405, "no-store"),
    ] {
        let answer = as_caller(&gateway, &key, Method::GET, path).await;

        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header(&answer, "cache-control"), Some(kept), "{path}");
        assert_eq!(header(&answer, "x-request-id").map(str::len), Some(32), "{path}");
        if status >= 400 {
            assert_eq!(header(&answer, "content-type"), Some("application/problem+json"), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_at_all_is_answered_with_a_problem_and_an_id() {
    let gateway = TestGateway::start().await;
    let address = gateway.issuer().strip_prefix("http://").unwrap().to_owned();
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(300_000));
    for (sent, status, word) in [
        ("no request\r\n\r\n", "400", "bad-request"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "400", "bad-request"),
        (&*long, "431", "head-too-large"),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // The gateway may answer and hang up before all of it is sent.
        let _ = stream.write_all(sent.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();

        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{word}: {answer}");
        assert!(answer.contains("\r\nx-request-id: "), "{answer}");
        assert!(answer.contains(&format!("/problems/{word}")), "{answer}");
    }
}

#[tokio::test]
async fn a_caller_that_asks_too_much_is_told_when_to_come_again_and_costs_nobody_else() {
    let gateway = TestGateway::with(None, |config| {
        config.api.caller_rate = 4.try_into().unwrap();
    })
    .await;
    let greedy = gateway.add_caller("greedy", &["operate"]).await;
    let other = gateway.add_caller("other", &["operate"]).await;
    for left in (0..4).rev() {
        let answer = as_caller(&gateway, &greedy, Method::GET, "/log").await;
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(header(&answer, "ratelimit-policy"), Some("\"caller\";q=4;w=60"));
        let limit = header(&answer, "ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"caller\";r={left};t=")), "{limit}");
    }

    let refused = as_caller(&gateway, &greedy, Method::GET, "/log").await;

    assert_eq!(refused.status().as_u16(), 429);
    let wait: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    assert!(header(&refused, "ratelimit").unwrap().starts_with("\"caller\";r=0;t="));
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["type"], "/problems/rate-limited");
    assert_eq!(as_caller(&gateway, &other, Method::GET, "/log").await.status().as_u16(), 200);
    let live = gateway.request(Method::GET, "/health/live").send().await.unwrap();
    assert_eq!(live.status().as_u16(), 200);

    for number in 1..=4 {
        gateway.order(number).await;
    }
    let fifth = gateway.send(&order_created("order-5", 5)).await;
    assert_eq!((fifth.status, fifth.code()), (429, "rate-limited"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_an_idempotency_key_is_answered_alike_after_a_restart() {
    let mut gateway = TestGateway::start().await;
    let key = gateway.add_caller("someone", &["admin"]).await;
    let document = json!({
        "id": "quiet", "consumer": "quiet", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    let ask = async |gateway: &TestGateway, document: &Value| {
        let request = gateway.request(Method::POST, "/subscriptions").bearer_auth(&key);
        let request = request.header("idempotency-key", "one").json(document);
        let answer = request.send().await.unwrap();
        let replayed = header(&answer, "idempotency-replayed").is_some();
        (answer.status().as_u16(), replayed, answer.text().await.unwrap())
    };
    let (status, replayed, body) = ask(&gateway, &document).await;
    assert_eq!((status, replayed), (201, false), "{body}");
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert!(shown.to_string().contains("\"k\":"), "the secret is shown once: {shown}");

    gateway.restart().await;

    assert_eq!(ask(&gateway, &document).await, (201, true, body.clone()));
    let other = json!({ "id": "other", "consumer": "quiet", "protocol": "PULL" });
    assert_eq!(ask(&gateway, &other).await.0, 422, "the key is of another request");
    gateway.stop().await;
    let secret = body.split("\"k\":\"").nth(1).unwrap().split('"').next().unwrap();
    let database = fs::read(gateway.path("data/sealway.db")).unwrap();
    let found = database.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!found, "the secret is not in the database");
}

/// Sends a request under an `Idempotency-Key`.
async fn once(gateway: &TestGateway, key: &str, (path, body): (&str, &Value)) -> Answer {
    let request = gateway.request(Method::POST, path).bearer_auth(key);
    answer(request.header("idempotency-key", "one").json(body)).await
}

/// Gives a caller other scopes as another process does, which the gateway may not know of yet.
async fn give_scopes(gateway: &TestGateway, caller: &str, scopes: &[&str]) {
    let registry = Arc::clone(&gateway.services().store.registry);
    let callers = Callers::new(registry, HumanDuration(Duration::from_secs(5)), gateway.clock());
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    let change = CallerChange { scopes: Some(scopes), until: None };
    callers.change(&caller.parse().unwrap(), change).await.unwrap();
}

fn pulled(id: &str, consumer: &str) -> Value {
    json!({
        "id": id, "consumer": consumer, "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    })
}

#[tokio::test]
async fn an_answer_with_a_secret_is_given_again_to_whom_it_would_be_given_today() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let document = json!({ "name": "quiet", "consumer": "shop", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } } });
    let wish = ("/subscriptions", &document);
    let first = once(&gateway, &key, wish).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let refused = async |status, code| {
        let again = once(&gateway, &key, wish).await;
        assert_eq!((again.status, again.code()), (status, code), "{}", again.body);
        assert!(!again.body.to_string().contains("\"k\""), "no secret: {}", again.body);
        again.body.to_string()
    };

    give_scopes(&gateway, "shop", &["consume:other", "publish:*"]).await;
    assert!(refused(403, "forbidden").await.contains("consume:shop"));
    give_scopes(&gateway, "shop", &["consume:shop"]).await;
    let again = once(&gateway, &key, wish).await;
    assert_eq!((again.status, &again.body), (201, &first.body), "it may be told again");

    // Nothing is left of it, and another of its name is not it.
    let path = format!("/subscriptions/{}", first.body["id"].as_str().unwrap());
    assert_eq!(gateway.call(Method::DELETE, &path, None).await.status, 204);
    refused(404, "not-found").await;
    gateway.post("/subscriptions", &pulled(first.body["id"].as_str().unwrap(), "shop")).await;
    refused(404, "not-found").await;
    gateway.remove_caller("shop").await;
    refused(401, "unauthorized").await;
}

#[tokio::test]
async fn every_answer_that_is_kept_is_asked_for_its_caller_again() {
    let gateway = TestGateway::start().await;
    let scopes = ["consume:shop", "domain:orders"];
    let key = gateway.add_caller("shop", &scopes).await;
    gateway.post("/subscriptions", &pulled("quiet", "shop")).await;
    let event = gateway.order(1).await;
    let redrive = json!({ "reason": "expired" });
    let replay = json!({ "from": event, "dryRun": true });
    let grant = json!({ "consumer": "shop", "publication": "orders/Order.Created" });
    for (path, body, status) in [
        ("/subscriptions/quiet/dead-letters/redrive", &redrive, 404),
        ("/subscriptions/quiet/replays", &replay, 404),
        ("/grants", &grant, 403),
    ] {
        let first = once(&gateway, &key, (path, body)).await;
        assert!(first.status < 300, "{path}: {}", first.body);

        give_scopes(&gateway, "shop", &["consume:other", "domain:other"]).await;
        let refused = once(&gateway, &key, (path, body)).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.body);
        give_scopes(&gateway, "shop", &["audit"]).await;
        let refused = once(&gateway, &key, (path, body)).await;
        assert_eq!(refused.status, 403, "{path}: who may only see it: {}", refused.body);

        give_scopes(&gateway, "shop", &scopes).await;
        let again = once(&gateway, &key, (path, body)).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
    }
}
