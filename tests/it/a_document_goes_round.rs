//! What the gateway shows of a subscription can be sent back; what it is asked for is told as it is kept.

use std::fs;

use reqwest::Method;
use reqwest::header::{ETAG, IF_MATCH};
use serde_json::{Value, json};

use sealway::keys::OpeningKeyKind;

use crate::consumers_hear_what_they_are_granted::{closed, fetched, grant, payment, pull};
use crate::harness::{Answer, Receiver, Sink, SinkKey, TestGateway, answer, eventually, program};

const SHOP: &str = "/subscriptions/shop";

/// A document with something in each of its members.
fn rich(sink: &Sink, key: &SinkKey) -> Value {
    json!({
        "id": "shop", "name": "orders", "consumer": "shop", "sink": sink.at("/hook"),
        "types": ["Order.*", "Ordr.Created"],
        "filters": [{ "pattern": { "data": { "amount": [{ "numeric": [">=", 1.50] }] } } }],
        "sinkcredential": {
            "credentialtype": "BASIC", "basic": { "username": "gw", "password": "hunter2" },
            "hmac": { "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
            "headers": [{ "name": "x-pass", "value": "hunter3", "secret": true }],
        },
        "config": {
            "keys": { "jwks": { "keys": [key.public] } }, "audience": "shop-eu", "parallel": 4,
            "ordering": "subject", "backlog": { "maximumEvents": 1000 }, "start": "latest",
            "verify": "later",
        },
    })
}

async fn stage() -> (TestGateway, Sink) {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let sink = Sink::start(|_| (202, None, String::new())).await;
    gateway.post("/subscriptions", &rich(&sink, &key)).await;
    (gateway, sink)
}

/// The subscription and its `ETag`.
async fn got(gateway: &TestGateway, key: &str) -> (Value, String) {
    let request = gateway.request(Method::GET, SHOP).bearer_auth(key);
    let response = request.send().await.unwrap();
    let etag = response.headers()[ETAG].to_str().unwrap().to_owned();
    (response.json().await.unwrap(), etag)
}

async fn put(gateway: &TestGateway, key: &str, body: &Value, etag: &str) -> Answer {
    let request = gateway.request(Method::PUT, SHOP).bearer_auth(key).header(IF_MATCH, etag);
    answer(request.json(body)).await
}

#[tokio::test]
async fn what_was_got_is_put_and_changes_nothing() {
    let (gateway, sink) = stage().await;
    gateway.post(&format!("{SHOP}/pause"), &json!({})).await;
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;

    for key in [gateway.admin(), &consumer] {
        let (shown, etag) = got(&gateway, key).await;
        assert!(!shown.to_string().contains("hunter") && shown["state"] == "paused", "{shown}");
        let same = put(&gateway, key, &shown, &etag).await;
        assert_eq!(same.status, 200, "{}", same.body);
        assert_eq!(got(&gateway, key).await.1, etag, "not even the revision is another");
    }
    // One member is edited, and secrets that are not shown are kept.
    let (mut shown, etag) = got(&gateway, &consumer).await;
    shown["types"] = json!(["Order.Created"]);
    let changed = put(&gateway, &consumer, &shown, &etag).await;
    assert_eq!((changed.status, &changed.body["state"]), (200, &json!("paused")));
    assert_eq!(changed.body["types"], json!(["Order.Created"]));
    assert!(shown["credential"].is_object(), "{shown}");
    assert_eq!(changed.body["credential"], shown["credential"]);
    gateway.call(Method::POST, &format!("{SHOP}/verify"), None).await;
    let arrived = sink.arrived().pop().unwrap();
    assert_eq!(arrived.header("x-pass"), Some("hunter3"));
    assert!(
        ["authorization", "webhook-signature"].iter().all(|name| arrived.header(name).is_some())
    );
}

#[tokio::test]
async fn what_cannot_be_put_is_refused_where_it_differs_and_says_what_to_do() {
    let (gateway, _) = stage().await;
    let (shown, etag) = got(&gateway, gateway.admin()).await;
    for (name, other, told) in [
        ("state", json!("paused"), "POST …/pause"),
        ("created", json!("2020-01-01T00:00:00Z"), "/created"),
        ("subDigest", json!("x"), "follows from the document"),
        ("asked", json!({ "epoch": 7 }), "follows from the document"),
        ("externalId", json!("mine"), "/externalId"),
        ("sharedSecret", json!({ "keys": [] }), "POST …/secret"),
    ] {
        let mut changed = shown.clone();
        changed[name] = other;
        let refused = put(&gateway, gateway.admin(), &changed, &etag).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{name}: {}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains(told), "{}", refused.body);
    }
    // What changes by itself is passed over, and what is in no answer is refused as ever.
    let mut later = shown.clone();
    later["progress"] = json!({ "sequence": 7_000 });
    later["handshake"] = json!(null);
    later["warnings"] = json!([]);
    assert_eq!(put(&gateway, gateway.admin(), &later, &etag).await.status, 200);
    later["stat"] = json!("paused");
    let unknown = put(&gateway, gateway.admin(), &later, &etag).await;
    assert_eq!((unknown.status, unknown.code()), (422, "invalid"), "{}", unknown.body);
}

#[tokio::test]
async fn the_answer_with_a_shared_secret_can_be_put_and_no_other_secret_can() {
    let gateway = TestGateway::start().await;
    let document = json!({
        "id": "shop", "consumer": "shop", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    let mut made = gateway.post("/subscriptions", &document).await;

    assert_eq!(gateway.put(SHOP, &made).await.status, 200);
    made["sharedSecret"]["keys"][0]["k"] = json!("bWluZQ");
    let refused = gateway.put(SHOP, &made).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
}

/// Runs a command; gives its exit code, standard output and remarks.
fn run(gateway: &TestGateway, key: &str, arguments: &[&str]) -> (i32, String, String) {
    let ended = program()
        .args(["--gateway", &gateway.issuer()])
        .args(arguments)
        .env("SEALWAY_CALLER_KEY", key)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_back_what_it_got() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let wish = json!({ "name": "orders", "types": ["Order.*"] });
    gateway.subscribe(&receiver, wish).await;
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let folder = tempfile::tempdir().unwrap();
    for (format, key) in [("human", gateway.admin()), ("json", &*consumer)] {
        let (code, text, _) =
            run(&gateway, key, &["--output", format, "subscriptions", "get", "shop/orders"]);
        assert_eq!(code, 0);
        let file = folder.path().join(format!("{format}.yaml"));
        fs::write(&file, &text).unwrap();
        let file = file.to_str().unwrap();

        let (_, etag) = got(&gateway, gateway.admin()).await;
        let (code, _, told) =
            run(&gateway, key, &["subscriptions", "replace", "shop/orders", file]);
        assert_eq!(code, 0, "{told}");
        let (code, applied, told) = run(&gateway, key, &["apply", file]);
        assert!(code == 0 && applied.contains("as it was"), "{applied}{told}");
        assert_eq!(got(&gateway, gateway.admin()).await.1, etag);
        let other = folder.path().join("other.yaml");
        fs::write(&other, text.replace("orders", &format!("orders-{format}"))).unwrap();
        let (code, made, told) =
            run(&gateway, key, &["subscriptions", "create", other.to_str().unwrap()]);
        assert_eq!(code, 0, "{made}{told}");
        fs::remove_file(other).unwrap();
    }
    let listed = gateway.get("/subscriptions?consumer=shop").await;
    let names: Vec<_> = listed["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap().to_owned(), one["id"] == "shop"))
        .collect();
    let expected = [("orders", true), ("orders-human", false), ("orders-json", false)];
    assert_eq!(names, expected.map(|(name, is)| (name.to_owned(), is)));
}

#[tokio::test]
async fn a_start_at_the_earliest_has_what_the_consumer_may_hear_and_no_more() {
    let gateway = closed().await;
    let (paid, ordered) = (payment(&gateway, 1).await, gateway.order(2).await);
    let [all, some] =
        [Receiver::start(&gateway, "all").await, Receiver::start(&gateway, "some").await];
    grant(&gateway, "all", json!({ "history": "all" })).await;

    let all = pull(&gateway, &all, "earliest").await;
    let some = pull(&gateway, &some, "earliest").await;

    assert_eq!(fetched(&gateway, &all, 2).await, [paid, ordered.clone()]);
    let later = gateway.order(3).await;
    assert_eq!(fetched(&gateway, &some, 2).await, [ordered, later], "payments are not its own");
    let latest = Receiver::start(&gateway, "new").await;
    let latest = pull(&gateway, &latest, "latest").await;
    let newest = gateway.order(4).await;
    assert_eq!(fetched(&gateway, &latest, 1).await, [newest]);
    let wrong = json!({
        "consumer": "x", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true }, "start": "first" },
    });
    let refused = gateway.call(Method::POST, "/subscriptions", Some(&wrong)).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("`earliest`"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_nobody_publishes_is_warned_of_with_the_nearest_that_may_be_heard() {
    let gateway = closed().await;
    let wish = |name: &str, types: Value| {
        json!({
            "name": name, "consumer": "shop", "protocol": "PULL", "types": types,
            "config": { "keys": { "sharedSecret": true } },
        })
    };
    let made = gateway
        .post("/subscriptions", &wish("a", json!(["Order.Creatd", "Order.Created", "Ordr.*"])))
        .await;
    let warnings = made["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{made}");
    assert_eq!(warnings[0]["type"], "Order.Creatd");
    assert_eq!(warnings[0]["nearest"][0], "Order.Created");
    assert_eq!(warnings[1]["nearest"], json!(["Order.*"]));

    let by_filter = |name: &str, filters: Value| {
        let mut wish = wish(name, json!([]));
        wish["filters"] = filters;
        wish
    };
    let exact = |name: &str| json!({ "exact": { "type": name } });
    let filters = json!([{ "any": [exact("Order.Creatd"), exact("Order.Created")] },
        { "not": exact("No.Such") }, { "prefix": { "type": "No." } }]);
    let made = gateway.post("/subscriptions", &by_filter("filtered", filters)).await;
    assert_eq!(made["warnings"].as_array().unwrap().len(), 1, "{made}");
    assert_eq!(made["warnings"][0]["nearest"][0], "Order.Created", "{made}");
    // A filter compares text, so it stands for nothing below.
    let made = gateway.post("/subscriptions", &by_filter("star", json!([exact("Order.*")]))).await;
    assert_eq!(made["warnings"][0]["type"], "Order.*", "{made}");

    // What others may hear is not named, nor whether it is there.
    let type_of = |name: &str| json!([name]);
    let close = gateway.post("/subscriptions", &wish("b", type_of("Payment.Succeded"))).await;
    let exact = gateway.post("/subscriptions", &wish("c", type_of("Payment.Succeeded"))).await;
    for told in [&close["warnings"], &exact["warnings"]] {
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        assert!(!told[0]["nearest"].to_string().contains("Payment"), "{told}");
    }
    grant(&gateway, "shop", json!({})).await;
    let id = close["id"].as_str().unwrap();
    let again = wish("b", type_of("Payment.Succeded"));
    let changed = gateway.put(&format!("/subscriptions/{id}"), &again).await;
    assert_eq!(changed.body["warnings"][0]["nearest"][0], "Payment.Succeeded", "{}", changed.body);
    let right = wish("b", type_of("Payment.Succeeded"));
    let changed = gateway.put(&format!("/subscriptions/{id}"), &right).await;
    assert!(changed.body.get("warnings").is_none(), "{}", changed.body);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.json");
    fs::write(&file, wish("d", type_of("Order.Cancelld")).to_string()).unwrap();
    let file = file.to_str().unwrap();
    let (code, _, told) = run(&gateway, gateway.admin(), &["subscriptions", "create", file]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("warning: ") && told.contains("`Order.Cancelled`"), "{told}");
    fs::write(file, wish("e", type_of("Order.Cancelld")).to_string()).unwrap();
    let (code, _, told) = run(&gateway, gateway.admin(), &["apply", file]);
    assert!(code == 0 && told.contains("`Order.Cancelled`"), "{told}");
}

#[tokio::test]
async fn an_address_is_kept_shown_and_compared_in_its_normal_form() {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let opener = std::sync::Arc::clone(&key);
    let sink = Sink::start(move |posted| opener.answer(posted)).await;
    let document = |sink: &str| {
        let keys = json!({ "jwks": { "keys": [key.public] } });
        json!({ "id": "shop", "consumer": "shop", "sink": sink, "config": { "keys": keys } })
    };
    let odd = sink.at("/x/../hook").replace("http://", "HTTP://");
    let made = gateway.post("/subscriptions", &document(&odd)).await;
    assert_eq!(made["sink"], sink.at("/hook"), "{made}");
    eventually("it is active", async || {
        (gateway.get(SHOP).await["state"] == "active").then_some(())
    })
    .await;
    let asked = sink.arrived().len();

    for same in [odd.clone(), sink.at("/hook"), sink.at("/./hook")] {
        let put = gateway.put(SHOP, &document(&same)).await;
        let body = (&put.body["state"], &put.body["sink"]);
        assert_eq!((put.status, body), (200, (&json!("active"), &json!(sink.at("/hook")))));
    }
    assert_eq!(sink.arrived().len(), asked, "nothing has to be proved again");
    for (wrong, pointer) in [
        (document("http:///x"), "/sink"),
        (document(&(sink.at("/hook") + "\n")), "/sink"),
        (document(&format!(" {}", sink.at("/hook"))), "/sink"),
        (document("https:\\\\shop.example\\x"), "/sink"),
        (document("https://user@shop.example/"), "/sink"),
    ] {
        let refused = gateway.put(SHOP, &wrong).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains(pointer), "{}", refused.body);
    }
    let mut by_address = document(&sink.at("/hook"));
    by_address["config"]["keys"] = json!({ "jwksUri": "http:///jwks.json" });
    let refused = gateway.put(SHOP, &by_address).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
}
