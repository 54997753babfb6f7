//! OAuth tokens are asked for once, before they run out, and anew when a sink refuses them; a broken
//! token endpoint delays events and loses none.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::egress::Network;

use crate::harness::{Guarded, TestGateway, TlsServer, TokenEndpoint, eventually};

/// Name and secret of the client, in a header.
const CLIENT: &str = "Basic c2hvcDpvcGVuK3Nlc2FtZQ==";

async fn at_now() -> (ManualClock, TestGateway) {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    (clock, gateway)
}

#[tokio::test]
async fn a_hundred_attempts_share_one_token_and_its_successor_comes_before_its_end() {
    let (clock, gateway) = at_now().await;
    let endpoint = TokenEndpoint::start(None).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    let mut document = consumer.document(&endpoint.credential(&json!({})));
    document["config"]["parallel"] = json!(100);
    gateway.post("/subscriptions", &document).await;
    gateway.order(1_000).await;
    consumer.wait_for_delivered(1).await;
    assert_eq!(endpoint.asked(), 1, "the handshake and the attempt share a token");

    // Not even its margin has begun: at most two minutes before its end.
    clock.advance(Duration::from_secs(479));
    gateway.order(1).await;
    consumer.wait_for_delivered(2).await;
    assert_eq!(endpoint.asked(), 1);
    clock.advance(Duration::from_secs(62));
    // All at once.
    gateway.post("/subscriptions/shop/pause", &Value::Null).await;
    gateway.orders(2..102).await;
    gateway.post("/subscriptions/shop/resume", &Value::Null).await;
    consumer.wait_for_delivered(102).await;

    assert_eq!(endpoint.asked(), 2, "a minute before its end another one was asked for, once");
    let metrics = gateway.get("/metrics").await;
    let counted = "sealway_token_requests_total{outcome=\"token\"} 2";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
    // The sink was shown nothing that it refused.
    assert!(gateway.attempts(&clock, "shop", 102).await.iter().all(|one| one["status"] == 204));
}

#[tokio::test]
async fn a_refused_token_is_replaced_at_once_and_not_again_and_again() {
    let (clock, gateway) = at_now().await;
    let endpoint = TokenEndpoint::start(None).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    consumer.subscribe(&gateway, &endpoint.credential(&json!({}))).await;

    // The sink forgets the token that it was shown.
    endpoint.forget_newest();
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;
    assert_eq!(endpoint.asked(), 2);
    let made = gateway.attempts(&clock, "shop", 1).await;
    assert_eq!((&made[0]["number"], &made[0]["verdict"]), (&json!(1), &json!("delivered")));

    // A sink that refuses every token does not make a request of each attempt.
    consumer.admit(|_| 401);
    gateway.orders(2..12).await;
    let made = gateway.attempts(&clock, "shop", 11).await;
    assert_eq!(made.iter().filter(|attempt| attempt["status"] == 401).count(), 10);
    assert_eq!(endpoint.asked(), 2);
    consumer.admit(endpoint.newest());
    clock.advance(Duration::from_secs(31));
    consumer.wait_for_delivered(11).await;
}

#[tokio::test]
async fn a_broken_token_endpoint_delays_events_and_is_left_alone() {
    let (clock, gateway) = at_now().await;
    let endpoint = TokenEndpoint::start(None).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    consumer.subscribe(&gateway, &endpoint.credential(&json!({}))).await;

    // The token is good for a while yet.
    endpoint.answers(500);
    clock.advance(Duration::from_secs(560));
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;
    clock.advance(Duration::from_mins(1));
    gateway.orders(2..22).await;
    let made = gateway.attempts(&clock, "shop", 21).await;

    let failed: Vec<&Value> = made.iter().filter(|attempt| attempt["status"].is_null()).collect();
    assert!(failed.len() >= 20, "{made:?}");
    for attempt in &failed {
        assert_eq!(attempt["verdict"], "retry");
        let detail = "authorization-failed: the token endpoint answered 500 instead of 200 \
                      (invalid_client)";
        assert_eq!(attempt["detail"], detail);
    }
    assert!(endpoint.asked() < 10, "{} requests", endpoint.asked());
    endpoint.answers(200);
    eventually("everything is delivered", async || {
        clock.advance(Duration::from_secs(1));
        (consumer.delivered().len() == 21).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_request_says_what_the_credential_says() {
    let gateway = TestGateway::start().await;
    let endpoint = TokenEndpoint::start(None).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    let more = json!({
        "scope": "events.write other", "audience": "https://shop.example",
        "headers": [{ "name": "x-tenant", "value": "7" }],
        "query": [{ "name": "realm", "value": "a b" }],
        "body": [{ "name": "resource", "value": "x&y", "secret": true }],
    });
    consumer.subscribe(&gateway, &endpoint.credential(&more)).await;

    let asked = &endpoint.sink.arrived()[0];
    assert_eq!((&asked.method, asked.query.as_str()), (&Method::POST, "realm=a+b"));
    assert_eq!(asked.header("authorization"), Some(CLIENT));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("x-tenant"), Some("7"));
    let form = "grant_type=client_credentials&scope=events.write+other\
                &audience=https%3A%2F%2Fshop.example&resource=x%26y";
    assert_eq!(asked.body, form);

    for (change, method, query, form) in [
        (
            json!({ "method": "PUT", "clientAuthentication": "body" }),
            Method::PUT,
            "",
            "grant_type=client_credentials&client_id=shop&client_secret=open+sesame",
        ),
        (json!({ "method": "GET" }), Method::GET, "grant_type=client_credentials", ""),
    ] {
        let before = endpoint.asked();
        let credential = endpoint.credential(&change);
        let changed = gateway.put("/subscriptions/shop/sink-credential", &credential).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        gateway.order(before as u64).await;
        consumer.wait_for_delivered(before).await;
        let asked = &endpoint.sink.arrived()[before];
        assert_eq!((&asked.method, asked.query.as_str()), (&method, query));
        assert_eq!(asked.body, form);
    }
}

#[tokio::test]
async fn a_new_client_secret_that_the_endpoint_does_not_know_yet_stops_nothing() {
    let gateway = TestGateway::start().await;
    let endpoint = TokenEndpoint::start(None).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    consumer.subscribe(&gateway, &endpoint.credential(&json!({}))).await;

    // Only the former secret's token is there, and no other secret is taken.
    endpoint.answers(401);
    let credential = endpoint.credential(&json!({ "clientSecret": "open barley" }));
    let changed = gateway.put("/subscriptions/shop/sink-credential", &credential).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;

    let shown = gateway.get("/subscriptions/shop").await.to_string();
    assert!(!shown.contains("sesame") && !shown.contains("barley"), "{shown}");
}

#[tokio::test]
async fn a_token_endpoint_may_have_a_private_authority_and_ask_for_a_certificate() {
    let gateway = TestGateway::start().await;
    let server = TlsServer::new(true);
    let endpoint = TokenEndpoint::start(Some(&server)).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    let (certificates, key) = server.client();
    let tls = json!({
        "certificates": certificates, "privateKey": key, "authorities": server.authority(),
    });

    consumer.subscribe(&gateway, &endpoint.credential(&json!({ "tls": tls }))).await;

    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn a_token_endpoint_is_dialed_where_the_operator_allows_it_only() {
    let clock = ManualClock::at(SystemClock.now());
    let block = "127.0.0.2".parse::<Network>().unwrap();
    let blocked = |config: &mut sealway::config::Config| {
        config.delivery.egress.block.push(block);
    };
    let mut gateway = TestGateway::at(&clock).await;
    let endpoint = TokenEndpoint::start(None).await;
    let consumer = Guarded::start(&gateway, None, endpoint.newest()).await;
    // The endpoint is at the same place under another address.
    let mut credential = endpoint.credential(&json!({}));
    let address = endpoint.sink.at("/token").replace("127.0.0.1", "127.0.0.2");
    let answers = reqwest::get(&address).await.is_ok();
    assert!(!answers, "nobody listens there, so that a request would be seen as such");
    credential["oauth"]["endpoint"] = json!(address);

    gateway.restart_with(blocked).await;
    let refused =
        gateway.call(Method::POST, "/subscriptions", Some(&consumer.document(&credential))).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"));
    let detail = refused.body["detail"].as_str().unwrap();
    let expected = "/sinkcredential/oauth/endpoint: this gateway sends nothing to that address";
    assert!(detail.contains(expected), "{detail}");

    // A subscription from before is refused at each attempt.
    consumer.subscribe(&gateway, &endpoint.credential(&json!({}))).await;
    let closed = "127.0.0.1".parse::<Network>().unwrap();
    let asked = endpoint.asked();
    gateway
        .restart_with(|config| {
            config.delivery.egress.block = vec![closed];
        })
        .await;
    gateway.order(1).await;
    let made = gateway.attempts(&clock, "shop", 1).await;
    let detail = "address-not-allowed: the token endpoint: this gateway sends nothing to that \
                  address";
    assert_eq!((&made[0]["verdict"], &made[0]["detail"]), (&json!("retry"), &json!(detail)));
    assert_eq!(endpoint.asked(), asked);
}
