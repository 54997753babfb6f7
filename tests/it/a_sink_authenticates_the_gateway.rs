//! The gateway shows itself to a sink as the sink asks for, and nobody else learns how.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Guarded, Posted, TestGateway, TlsServer, eventually};

/// Lets in who sends this header with this value.
fn shows(name: &'static str, value: &'static str) -> impl Fn(&Posted) -> u16 + Send + Sync {
    move |posted| if posted.header(name) == Some(value) { 200 } else { 401 }
}

/// Replaces the credential alone, whatever it was.
async fn rotate(gateway: &TestGateway, credential: &Value) -> Answer {
    gateway.put("/subscriptions/shop/sink-credential", credential).await
}

#[tokio::test]
async fn basic_and_api_key_and_parameters_arrive_with_every_request() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |posted| {
        let is_basic = posted.header("authorization") == Some("Basic c2hvcDpvcGVuIHNlc2FtZQ==");
        let is_tenant = posted.header("x-tenant") == Some("shop");
        let is_query = posted.query == "fixed=1&code=a%26b+c";
        if is_basic && is_tenant && is_query { 200 } else { 401 }
    })
    .await;
    let mut document = consumer.document(&json!({
        "credentialtype": "BASIC",
        "basic": { "username": "shop", "password": "open sesame" },
        "headers": [{ "name": "X-Tenant", "value": "shop" }],
        "query": [{ "name": "code", "value": "a&b c", "secret": true }],
    }));
    document["sink"] = json!(consumer.sink.at("/events?fixed=1"));

    gateway.post("/subscriptions", &document).await;
    let id = gateway.order(1).await;
    assert_eq!(consumer.wait_for_delivered(1).await, [id]);

    consumer.admit(shows("x-api-key", "open-sesame"));
    let key = json!({
        "credentialtype": "API_KEY", "apiKey": { "name": "X-Api-Key", "value": "open-sesame" },
    });
    assert_eq!(rotate(&gateway, &key).await.status, 200);
    gateway.order(2).await;
    consumer.wait_for_delivered(2).await;

    // The question of consent was one of the requests, and none was refused.
    let arrived = consumer.sink.arrived();
    assert_eq!(arrived[0].method, Method::OPTIONS);
    assert_eq!(arrived.len(), 4, "{arrived:?}");
    assert_eq!(arrived[3].header("authorization"), None);
}

#[tokio::test]
async fn secrets_are_encrypted_at_rest_and_shown_to_nobody() {
    let mut gateway = TestGateway::start().await;
    let secrets = ["confidential-one", "confidential-two", "confidential-three"];
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let credential = json!({
        "credentialtype": "BASIC",
        "basic": { "username": "shop", "password": secrets[0] },
        "headers": [{ "name": "x-key", "value": secrets[1], "secret": true }],
        "query": [
            { "name": "code", "value": secrets[2], "secret": true },
            { "name": "tenant", "value": "shop" },
        ],
    });
    let created = gateway.post("/subscriptions", &consumer.document(&credential)).await;
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;
    // A careless sink repeats what it was sent.
    consumer.admit(|_| 403);
    gateway.order(2).await;
    let attempt = eventually("the refused attempt", async || {
        let attempts = gateway.get("/subscriptions/shop/attempts").await;
        let refused = attempts["attempts"].as_array().unwrap().iter();
        refused.clone().find(|attempt| attempt["status"] == 403).cloned()
    })
    .await;

    assert!(attempt["detail"].as_str().unwrap().starts_with("not with"), "{attempt}");
    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(
        shown["sinkcredential"],
        json!({
            "credentialtype": "BASIC",
            "basic": { "username": "shop" },
            "headers": [{ "name": "x-key", "secret": true }],
            "query": [
                { "name": "code", "secret": true },
                { "name": "tenant", "value": "shop" },
            ],
        })
    );
    assert!(shown["credential"]["changed"].is_string(), "{shown}");
    let listed = gateway.get("/subscriptions").await;
    gateway.stop().await;
    let mut places =
        vec![attempt.to_string(), created.to_string(), shown.to_string(), listed.to_string()];
    for file in fs::read_dir(gateway.path("data")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        places.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    assert!(places.iter().any(|place| place.contains("sinkcredential")));
    let basic = "c2hvcDpjb25maWRlbnRpYWwtb25l";
    for secret in secrets.into_iter().chain([basic]) {
        assert!(places.iter().all(|place| !place.contains(secret)), "{secret} is somewhere");
    }
}

#[tokio::test]
async fn a_secret_that_is_left_out_is_kept_where_it_goes_to_the_same_place_only() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, shows("x-key", "open-sesame")).await;
    let key = json!({ "name": "x-key", "value": "open-sesame" });
    let credential = json!({ "credentialtype": "API_KEY", "apiKey": key });
    let active = consumer.subscribe(&gateway, &credential).await;

    // What was shown can be sent back.
    let mut document = consumer.document(&json!({
        "credentialtype": "API_KEY", "apiKey": { "name": "x-key" },
    }));
    let same = gateway.put("/subscriptions/shop", &document).await;
    assert_eq!(same.status, 200, "{same:?}");
    assert_eq!(same.body["credential"], active["credential"]);
    assert_eq!(same.body["state"], "active");
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;

    document["sink"] = json!(consumer.sink.at("/elsewhere"));
    let moved = gateway.put("/subscriptions/shop", &document).await;
    assert_eq!((moved.status, moved.code()), (422, "invalid"));
    let detail = moved.body["detail"].as_str().unwrap();
    assert!(detail.contains("/sinkcredential/apiKey/value: send the secret"), "{detail}");
    let renamed = json!({ "credentialtype": "API_KEY", "apiKey": { "name": "x-other" } });
    assert_eq!(rotate(&gateway, &renamed).await.status, 422);
    assert_eq!(gateway.get("/subscriptions/shop").await["sink"], active["sink"]);
}

#[tokio::test]
async fn a_rotation_loses_no_attempt_in_either_order() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, shows("x-key", "old")).await;
    let key = |value: &str| json!({ "credentialtype": "API_KEY", "apiKey": { "name": "x-key", "value": value } });
    consumer.subscribe(&gateway, &key("old")).await;

    let changed = rotate(&gateway, &key("new")).await;
    assert_eq!(changed.body["state"], "active", "no second handshake");
    assert!(changed.body["credential"]["formerUntil"].is_string(), "{changed:?}");
    // The sink knows the old one only, then the new one only.
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;
    consumer.admit(shows("x-key", "new"));
    gateway.order(2).await;
    consumer.wait_for_delivered(2).await;

    let attempts = eventually("both attempts", async || {
        let attempts = gateway.get("/subscriptions/shop/attempts").await;
        Some(attempts).filter(|all| all["attempts"].as_array().unwrap().len() == 2)
    })
    .await;
    for attempt in attempts["attempts"].as_array().unwrap() {
        assert_eq!((&attempt["number"], &attempt["verdict"]), (&json!(1), &json!("delivered")));
    }
    let metrics = gateway.get("/metrics").await;
    let counted = "sealway_former_credential_attempts_total{subscription=\"shop\"} 1";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
    // Without an overlap, the former one is gone.
    let mut sudden = key("newest");
    sudden["overlap"] = json!(0);
    let changed = rotate(&gateway, &sudden).await;
    assert!(changed.body["credential"].get("formerUntil").is_none(), "{changed:?}");
    gateway.order(3).await;
    eventually("a refusal", async || {
        let attempts = gateway.get("/subscriptions/shop/attempts").await;
        (attempts["attempts"][0]["status"] == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_credential_that_cannot_work_is_refused_at_its_place() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let basic = json!({ "username": "shop", "password": "p" });
    let header =
        |name: &str| json!({ "headers": [{ "name": name, "value": "v", "secret": true }] });
    let oauth = |change: Value| {
        let mut oauth = json!({
            "endpoint": "https://id.example/token", "clientId": "shop", "clientSecret": "s",
        });
        oauth.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": oauth })
    };
    for (credential, pointer) in [
        (json!({}), "/credentialtype"),
        (json!({ "credentialtype": "BASIC" }), "/basic"),
        (json!({ "credentialtype": "NONE", "basic": basic }), "/basic"),
        (json!({ "credentialtype": "BASIC", "basic": { "username": "a:b" } }), "/basic/username"),
        (json!({ "credentialtype": "BASIC", "basic": { "username": "a" } }), "/basic/password"),
        (header("content-type"), "/headers/0/name"),
        (header("Ce-Id"), "/headers/0/name"),
        (header("webhook-signature"), "/headers/0/name"),
        (header("host"), "/headers/0/name"),
        (header("transfer-encoding"), "/headers/0/name"),
        (header("a b"), "/headers/0/name"),
        (json!({ "headers": [{ "name": "authorization", "value": "v" }] }), "/headers/0/secret"),
        (json!({ "headers": [{ "name": "x", "value": "a\r\nb: c" }] }), "/headers/0/value"),
        (
            json!({ "query": [{ "name": "a", "value": { "file": "/etc/passwd" } }] }),
            "/query/0/value",
        ),
        (json!({ "query": vec![json!({ "name": "a", "value": "b" }); 101] }), "/query"),
        (json!({ "tls": { "authorities": "no certificate" } }), "/tls"),
        (
            oauth(json!({ "method": "GET", "clientAuthentication": "body" })),
            "/oauth/clientAuthentication",
        ),
        (oauth(json!({ "endpoint": "https://169.254.169.254/token" })), "/oauth/endpoint"),
        (oauth(json!({ "endpoint": "ftp://id.example/" })), "/oauth/endpoint"),
        (oauth(json!({ "body": [{ "name": "scope", "value": "a" }] })), "/oauth/body/0/name"),
    ] {
        let document = consumer.document(&credential);
        let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;

        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{credential}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        let expected = format!("/sinkcredential{pointer}: ");
        assert!(detail.contains(&expected), "{credential}: {detail}");
    }
    // What stands in a wrong place may be a secret, and is not repeated.
    let misplaced = consumer.document(&json!({ "credentialtype": "BASIC", "basic": "hunter2" }));
    let answer = gateway.call(Method::POST, "/subscriptions", Some(&misplaced)).await;
    assert!(answer.status == 422 && !answer.body.to_string().contains("hunter2"), "{answer:?}");
}

#[tokio::test]
async fn a_sink_with_a_private_authority_asks_for_the_clients_certificate() {
    let gateway = TestGateway::start().await;
    let (server, stranger) = (TlsServer::new(true), TlsServer::new(true));
    let consumer = Guarded::start(&gateway, Some(&server), |_| 200).await;
    let (certificates, key) = server.client();
    let tls = json!({
        "certificates": certificates, "privateKey": key, "authorities": server.authority(),
    });

    consumer.subscribe(&gateway, &json!({ "tls": tls })).await;
    let shown = gateway.get("/subscriptions/shop").await;
    assert!(!shown.to_string().contains("PRIVATE KEY"), "{shown}");
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;

    // A certificate that the sink does not know yet: the former one is tried.
    let (others, other_key) = stranger.client();
    let early = json!({ "tls": {
        "certificates": others, "privateKey": other_key, "authorities": server.authority(),
    }});
    assert_eq!(rotate(&gateway, &early).await.status, 200);
    gateway.order(2).await;
    consumer.wait_for_delivered(2).await;

    // A key of another certificate, and an authority that did not sign the server's.
    let mismatched = json!({ "tls": { "certificates": others, "privateKey": key } });
    let answer = rotate(&gateway, &mismatched).await;
    assert!(answer.body["detail"].as_str().unwrap().contains("/tls/privateKey: "), "{answer:?}");
    let mut distrusting = tls.clone();
    distrusting["authorities"] = json!(stranger.authority());
    let distrusting = json!({ "tls": distrusting, "overlap": 0 });
    assert_eq!(rotate(&gateway, &distrusting).await.status, 200);
    gateway.order(3).await;
    let detail = eventually("an attempt without a connection", async || {
        let attempts = gateway.get("/subscriptions/shop/attempts").await;
        let newest = attempts["attempts"][0].clone();
        newest["detail"].as_str().filter(|_| newest["status"].is_null()).map(str::to_owned)
    })
    .await;
    assert_eq!(detail, "connect-failed: tls");
}
