//! Data is seen with the scope for it, and nothing is changed by who only looks: each route, each scope.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Receiver, Reply, TestGateway, answer, eventually, order_created};

/// What stands in the data of an order and nowhere else.
const SECRET: &str = "731173117311";
/// What the sink repeats of what it was sent.
const ECHO: &str = "amount-of-7311-is-12";

/// A gateway with an event in the log, a broken one and unreadable bytes in quarantine, and a dead letter
/// whose sink has answered with what it was sent.
struct Stage {
    gateway: TestGateway,
    event: String,
    broken: u64,
    unreadable: u64,
    receiver: Receiver,
}

impl Stage {
    async fn set() -> Self {
        let gateway = TestGateway::start().await;
        let receiver = Receiver::start(&gateway, "shop").await;
        gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
        receiver.say(|_| ECHO.to_owned());
        receiver.answer_next([Reply::Status(500)]);
        let mut order = order_created("e-1", 1);
        order["data"]["id"] = json!(SECRET.parse::<u64>().unwrap());
        let event = gateway.publish(&order).await.remove(0);
        eventually("a dead letter", async || {
            let counts = gateway.get("/dead-letters/counts").await;
            (counts["subscriptions"]["shop"]["total"] == 1).then_some(())
        })
        .await;
        order["id"] = json!("e-2");
        order["data"]["amount"] = json!("much");
        let aside = "/events?manner=asynchronous";
        let media_type = "application/cloudevents+json";
        let answer = gateway.send_text(aside, media_type, order.to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let unreadable = format!("{{\"id\": \"e-3\", \"data\": \"{SECRET}\" nothing");
        let answer = gateway.send_text(aside, media_type, unreadable).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let kept = gateway.get("/quarantine").await;
        let number = |at: usize| kept["quarantined"][at]["id"].as_u64().unwrap();
        let (broken, unreadable) = (number(0), number(1));
        Self { gateway, event, broken, unreadable, receiver }
    }

    /// Every way to what is kept of events.
    fn paths(&self) -> Vec<String> {
        vec![
            format!("/events/{}", self.event),
            "/events".to_owned(),
            format!("/events/{}/trace", self.event),
            "/quarantine".to_owned(),
            format!("/quarantine/{}", self.broken),
            format!("/quarantine/{}", self.unreadable),
            "/subscriptions/shop/dead-letters".to_owned(),
            "/subscriptions/shop/attempts".to_owned(),
            "/subscriptions/shop".to_owned(),
            "/subscriptions".to_owned(),
        ]
    }

    async fn get_as(&self, key: &str, path: &str) -> (u16, Value) {
        let answer = self.gateway.call_as(key, (Method::GET, path), None).await;
        (answer.status, answer.body)
    }

    /// What shows of the content of an event.
    async fn tells_of_content(&self) -> Vec<String> {
        let shown = self.gateway.get(&format!("/events/{}", self.event)).await;
        let key = shown["event"]["idempotencykey"].as_str().unwrap().to_owned();
        let subscription = self.gateway.get("/subscriptions/shop").await;
        let chain = subscription["progress"]["chain"].as_str().unwrap().to_owned();
        vec![SECRET.to_owned(), ECHO.to_owned(), key, chain]
    }
}

#[tokio::test]
async fn who_operates_or_audits_sees_everything_but_data_and_is_told_which_scope_shows_it() {
    let stage = Box::pin(Stage::set()).await;
    let secrets = stage.tells_of_content().await;
    for scope in ["operate", "audit"] {
        let key = stage.gateway.add_caller(scope, &[scope]).await;
        for path in stage.paths() {
            let (status, body) = stage.get_as(&key, &path).await;

            assert_eq!(status, 200, "{scope} {path}: {body}");
            let text = body.to_string();
            for secret in &secrets {
                assert!(!text.contains(secret), "{scope} {path} shows {secret}: {text}");
            }
        }
        for path in [
            format!("/events/{}", stage.event),
            "/events".to_owned(),
            format!("/events/{}/trace", stage.event),
            format!("/quarantine/{}", stage.broken),
            format!("/quarantine/{}", stage.unreadable),
            "/subscriptions/shop/dead-letters".to_owned(),
            "/subscriptions/shop/attempts".to_owned(),
        ] {
            let (_, body) = stage.get_as(&key, &path).await;
            assert_eq!(body["withheld"]["scope"], "read-data", "{scope} {path}: {body}");
        }
        let (_, found) = stage.get_as(&key, &format!("/events/{}", stage.event)).await;
        assert_eq!(found["event"]["type"], "Order.Created");
        assert_eq!(found["event"].get("data"), None);
        let (_, aside) = stage.get_as(&key, &format!("/quarantine/{}", stage.broken)).await;
        assert_eq!(aside["violations"][0]["pointer"], "/amount", "{aside}");
        let (_, letters) = stage.get_as(&key, "/subscriptions/shop/dead-letters").await;
        assert_eq!(letters["deadLetters"][0]["status"], 500, "{letters}");
    }
}

#[tokio::test]
async fn who_reads_data_sees_it_beside_what_its_other_scopes_show() {
    let stage = Box::pin(Stage::set()).await;
    let [secret, echo, key, chain] =
        <[String; 4]>::try_from(stage.tells_of_content().await).unwrap();
    for scope in ["operate", "audit"] {
        let caller = stage.gateway.add_caller(scope, &[scope, "read-data"]).await;
        for (path, shown) in [
            (format!("/events/{}", stage.event), &secret),
            ("/events".to_owned(), &secret),
            (format!("/events/{}/trace", stage.event), &key),
            (format!("/events/{}/trace", stage.event), &echo),
            (format!("/quarantine/{}", stage.broken), &secret),
            (format!("/quarantine/{}", stage.unreadable), &secret),
            ("/subscriptions/shop/dead-letters".to_owned(), &echo),
            ("/subscriptions/shop/attempts".to_owned(), &echo),
            ("/subscriptions/shop".to_owned(), &chain),
        ] {
            let (status, body) = stage.get_as(&caller, &path).await;
            assert_eq!(status, 200, "{path}: {body}");
            assert!(body.to_string().contains(shown), "{scope} {path}: {body}");
            assert_eq!(body.get("withheld"), None, "{path}: {body}");
        }
    }
    // Alone it opens nothing.
    let alone = stage.gateway.add_caller("alone", &["read-data"]).await;
    for path in stage.paths() {
        let (status, body) = stage.get_as(&alone, &path).await;
        let is_closed = matches!(status, 403 | 404) || body == json!({ "subscriptions": [] });
        assert!(is_closed, "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn a_consumer_sees_what_its_own_sink_was_sent_and_said() {
    let stage = Box::pin(Stage::set()).await;
    let consumer = stage.gateway.add_caller("shop", &["consume:shop"]).await;
    let [_, echo, key, chain] = <[String; 4]>::try_from(stage.tells_of_content().await).unwrap();
    let trace = format!("/events/{}/trace", stage.event);
    for (path, shown) in [
        ("/subscriptions/shop/dead-letters", &echo),
        ("/subscriptions/shop/attempts", &echo),
        (&trace, &echo),
        ("/subscriptions/shop", &chain),
    ] {
        let (status, body) = stage.get_as(&consumer, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(
            body.to_string().contains(shown) && body.get("withheld").is_none(),
            "{path}: {body}"
        );
        assert!(!body.to_string().contains(&key), "{path}: {body}");
    }
    for path in ["/quarantine", "/events", "/metrics", "/log", "/queues", "/dead-letters/counts"] {
        assert_eq!(stage.get_as(&consumer, path).await.0, 403, "{path}");
    }
}

#[tokio::test]
async fn an_auditor_sees_everything_and_changes_nothing() {
    let stage = Box::pin(Stage::set()).await;
    let auditor = stage.gateway.add_caller("auditor", &["audit", "read-data"]).await;
    stage.gateway.order(5).await;
    for path in [
        "/subscriptions/shop",
        "/subscriptions/shop/checkpoint",
        "/subscriptions/shop/receipts",
        "/subscriptions/shop/evidence",
        "/subscriptions/shop/dead-letters/counts",
        "/subscriptions/shop/dead-letters/redrives",
        "/subscriptions/shop/replays",
        "/quarantine/counts",
        "/dead-letters/counts",
        "/actions",
        "/log",
        "/metrics",
        "/queues",
    ] {
        let (status, body) = stage.get_as(&auditor, path).await;
        assert_eq!(status, 200, "{path}: {body}");
    }
    let document = stage.receiver.document(json!({}));
    let credential = json!({ "credentialtype": "BASIC",
        "basic": { "username": "shop", "password": "a-password" } });
    let from = json!({ "from": stage.event });
    let quarantined = format!("/quarantine/{}", stage.broken);
    let release = format!("{quarantined}/release");
    for (method, path, body) in [
        (Method::POST, "/subscriptions", Some(&document)),
        (Method::PUT, "/subscriptions/shop", Some(&document)),
        (Method::DELETE, "/subscriptions/shop", None),
        (Method::PUT, "/subscriptions/shop/sink-credential", Some(&credential)),
        (Method::DELETE, "/subscriptions/shop/sink-credential", None),
        (Method::POST, "/subscriptions/shop/verify", None),
        (Method::POST, "/subscriptions/shop/secret", None),
        (Method::POST, "/subscriptions/shop/retries/drop", None),
        (Method::POST, "/subscriptions/shop/pause", None),
        (Method::POST, "/subscriptions/shop/resume", None),
        (Method::POST, "/subscriptions/shop/poll", Some(&json!({ "returnImmediately": true }))),
        (Method::GET, "/subscriptions/shop/events", None),
        (Method::GET, "/subscriptions/shop/stream", None),
        (Method::POST, "/subscriptions/shop/dead-letters/redrive", Some(&json!({}))),
        (Method::DELETE, "/subscriptions/shop/dead-letters/1", None),
        (Method::POST, "/subscriptions/shop/replays", Some(&from)),
        (Method::POST, &release, None),
        (Method::DELETE, &quarantined, None),
        (Method::POST, "/queues/drain", Some(&json!({}))),
        (Method::GET, "/external-ids/shop", None),
        (Method::POST, "/events", Some(&order_created("o-9", 9))),
    ] {
        let request = stage.gateway.request(method.clone(), path).bearer_auth(&auditor);
        let request = request.header("if-match", "*");
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let refused = answer(request).await;
        assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{method} {path}");
        let words = refused.body["detail"].as_str().unwrap();
        assert!(words.contains("scope"), "{method} {path}: {words}");
    }
    let (_, actions) = stage.get_as(&auditor, "/actions?caller=auditor").await;
    assert_eq!(actions["actions"], json!([]), "nothing was begun");
}

#[tokio::test]
async fn a_domain_decides_on_what_its_own_publications_set_aside() {
    let stage = Box::pin(Stage::set()).await;
    let gateway = &stage.gateway;
    let own = gateway.add_caller("orders-team", &["domain:orders"]).await;
    let reader = gateway.add_caller("orders-reader", &["domain:orders", "read-data"]).await;
    let other = gateway.add_caller("other-team", &["domain:payments", "read-data"]).await;
    let broken = format!("/quarantine/{}", stage.broken);
    let unreadable = format!("/quarantine/{}", stage.unreadable);

    let (_, listed) = stage.get_as(&own, "/quarantine").await;
    let ids: Vec<_> =
        listed["quarantined"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(stage.broken)], "{listed}");
    let (_, counts) = stage.get_as(&own, "/quarantine/counts").await;
    assert_eq!(counts["publications"]["orders/Order.Created"]["total"], 1, "{counts}");
    assert_eq!(counts["unreadable"]["total"], 0, "{counts}");
    let (status, shown) = stage.get_as(&own, &broken).await;
    assert_eq!((status, &shown["withheld"]["scope"]), (200, &json!("read-data")), "{shown}");
    assert!(!shown.to_string().contains(SECRET));
    assert!(stage.get_as(&reader, &broken).await.1.to_string().contains(SECRET));

    let (_, listed) = stage.get_as(&other, "/quarantine").await;
    assert_eq!(listed["quarantined"], json!([]));
    for path in [&broken, &unreadable] {
        assert_eq!(stage.get_as(&other, path).await.0, 404, "{path}");
        let refused = gateway.call_as(&other, (Method::DELETE, path), None).await;
        assert_eq!(refused.status, 404, "{path}");
    }
    assert_eq!(stage.get_as(&own, &unreadable).await.0, 404);
    let still = gateway.call_as(&own, (Method::POST, &format!("{broken}/release")), None).await;
    assert_eq!((still.status, still.code()), (422, "contract-violated"), "{}", still.body);
    let dropped = gateway.call_as(&own, (Method::DELETE, &broken), None).await;
    assert_eq!(dropped.status, 204, "{}", dropped.body);

    let (_, actions) = stage.get_as(&own, "/actions").await;
    let told: Vec<_> = actions["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("discard-quarantined", "done"), ("release-quarantined", "refused")]);
    assert_eq!(stage.get_as(&other, "/actions").await.1["actions"], json!([]));
    let path = format!("/events/{}", stage.event);
    let (_, event) = stage.get_as(&own, &path).await;
    assert_eq!(event["event"]["id"], json!(stage.event), "what crossed is its own, too");
    assert!(!event.to_string().contains(SECRET), "{event}");
    assert_eq!(stage.get_as(&other, &path).await.0, 404);
    for path in ["/events", "/subscriptions/shop", "/metrics", "/log"] {
        let status = stage.get_as(&own, path).await.0;
        assert!(matches!(status, 403 | 404), "{path}: {status}");
    }
}
