//! Checkpoints and evidence say what a subscription asks for, and what became of each of its events.

use std::fs;
use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::event::{DocumentAsk, GatewayAsk};
use sealway::keys::{OpeningKey, OpeningKeyKind};

use crate::consumers_hear_what_they_are_granted::{closed, grant};
use crate::harness::{Process, Receiver, Reply, TestGateway, eventually, order_created, program};

/// The lines of a bundle.
async fn bundle(gateway: &TestGateway, of: &str) -> Vec<Value> {
    let path = format!("/subscriptions/{of}/evidence");
    let text = gateway.call(Method::GET, &path, None).await.body;
    let lines = text.as_str().unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// The `state` of each event, with the reason of its dead letter.
fn states(lines: &[Value]) -> Vec<(String, Value)> {
    let events = of_kind(lines, "event").into_iter();
    let state = |line: &Value| line["state"].as_str().unwrap().to_owned();
    events.map(|line| (state(line), line["dead_letter"]["reason"].clone())).collect()
}

fn payload(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap()
}

fn said(ended: &Output) -> Value {
    serde_json::from_slice(&ended.stdout).unwrap_or_default()
}

/// What `wish` changes in the document of a receiver, written to a file.
fn document(gateway: &TestGateway, receiver: &Receiver, (name, wish): (&str, Value)) -> String {
    let file = gateway.path(name);
    fs::write(&file, receiver.document(wish).to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The gateway's keys and the consumer's, in files, as arguments.
async fn keys(gateway: &TestGateway, receiver: &Receiver) -> Vec<String> {
    let (jwks, own) = (gateway.path("jwks.json"), gateway.path("own.json"));
    fs::write(&jwks, gateway.get("/.well-known/jwks.json").await.to_string()).unwrap();
    fs::write(&own, receiver.private_key()).unwrap();
    let path = |file: &std::path::Path| file.to_str().unwrap().to_owned();
    vec!["--jwks".to_owned(), path(&jwks), "--key".to_owned(), path(&own)]
}

async fn change(gateway: &TestGateway, receiver: &Receiver, wish: Value) {
    let changed = gateway.put("/subscriptions/shop", &receiver.document(wish)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_filter_that_stood_under_a_consumer_for_a_while_shows() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let own = json!({ "types": ["Order.*"] });
    gateway.subscribe(&receiver, own.clone()).await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;
    let before = bundle(&gateway, "shop").await;
    change(&gateway, &receiver, json!({ "types": ["Payment.*"] })).await;
    let lost = gateway.order(3).await;
    change(&gateway, &receiver, own.clone()).await;
    let last = gateway.order(4).await;
    receiver.wait_for_delivered(3).await;
    gateway.restart().await;

    let lines = bundle(&gateway, "shop").await;

    let texts: Vec<&Value> = of_kind(&lines, "event").into_iter().map(|line| &line["id"]).collect();
    assert_eq!((texts.len(), texts[2]), (3, &json!(last)), "{lost} was not wanted");
    let changes = of_kind(&lines, "subscription");
    let types: Vec<&Value> = changes.iter().map(|line| &line["asked"]["types"]).collect();
    assert_eq!(types, [&json!(["Payment.*"]), &json!(["Order.*"])]);
    assert_eq!(lines[0]["asked"]["types"], json!(["Order.*"]));
    assert_eq!(lines[0]["sub_digest"], before[0]["sub_digest"], "the past stays what it was");
    let places = of_kind(&lines, "checkpoint");
    let digests =
        places.iter().chain(&changes).map(|line| payload(&line["token"])["sub_digest"].clone());
    let digests: Vec<Value> = digests.collect();
    assert_eq!((&digests[0], &digests[1]), (&lines[0]["sub_digest"], &digests[3]));
    assert!(digests[2] != digests[0] && digests[3] != digests[0], "{digests:?}");

    let file = gateway.path("bundle.ndjson");
    let text = gateway.call(Method::GET, "/subscriptions/shop/evidence", None).await.body;
    fs::write(&file, text.as_str().unwrap()).unwrap();
    let (trusted, mine) =
        (keys(&gateway, &receiver).await, document(&gateway, &receiver, ("mine.json", own)));
    let others = json!({ "types": ["Payment.*"] });
    let theirs = document(&gateway, &receiver, ("theirs.json", others));
    let verify = |more: &[&str]| {
        let mut command = program();
        command
            .args(["--output", "json", "evidence", "verify"])
            .arg(&file)
            .args(&trusted)
            .args(more);
        let ended = command.output().unwrap();
        (ended.status.code().unwrap(), said(&ended))
    };
    let (code, told) = verify(&[]);
    assert_eq!((code, &told["asked-count"]), (0, &json!(3)), "{told}");
    assert_eq!(
        (&told["taken"], &told["given-up"], &told["unjudged"]),
        (&json!(3), &json!(0), &json!(0))
    );
    let (code, told) = verify(&["--subscription", &mine]);
    assert_eq!((code, told["flaw-count"].as_u64()), (1, Some(1)), "{told}");
    let problem = told["flaws"][0]["problem"].as_str().unwrap();
    let of_theirs = DocumentAsk {
        audience: "shop".to_owned(),
        filters: Vec::new(),
        types: vec!["Payment.*".to_owned()],
    };
    let known: GatewayAsk = serde_json::from_value(json!({
        "epoch": changes[0]["asked"]["epoch"], "grants": null,
    }))
    .unwrap();
    let of_mine = DocumentAsk { types: vec!["Order.*".to_owned()], ..of_theirs.clone() };
    for named in [of_theirs.with(&known).digest(), of_mine.with(&known).digest()] {
        assert!(problem.contains(&named.to_string()), "{problem}");
    }
    assert!(problem.contains("which has other types"), "{problem}");
    let both = ["--subscription", &*mine, "--subscription", &*theirs];
    assert_eq!(verify(&both).0, 0, "the consumer asked for both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_says_what_the_subscription_asks_for_now() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let own = json!({ "types": ["Order.*"], "filters": [{ "prefix": { "type": "Order" } }] });
    gateway.subscribe(&receiver, own.clone()).await;
    gateway.order(1).await;
    let token = receiver.wait_for_delivered(1).await.remove(0).token;
    let mut trusted = keys(&gateway, &receiver).await;
    let (stored, checkpoint) = (gateway.path("token.jwt"), gateway.path("checkpoint.jwt"));
    fs::write(&stored, token).unwrap();
    let mine = document(&gateway, &receiver, ("mine.json", own));
    trusted.extend([
        "--issuer".to_owned(),
        gateway.issuer(),
        "--audience".to_owned(),
        "shop".to_owned(),
    ]);
    let verify = async |more: &[&str]| {
        let signed = gateway.get("/subscriptions/shop/checkpoint").await;
        fs::write(&checkpoint, signed.as_str().unwrap()).unwrap();
        let mut command = program();
        command.args(["--output", "json", "verify-chain"]).arg(&stored).args(&trusted);
        command.args(["--subscription", "shop", "--checkpoint", checkpoint.to_str().unwrap()]);
        let ended = command.args(more).output().unwrap();
        (ended.status.code().unwrap(), said(&ended))
    };

    let (code, told) = verify(&["--subscription-document", &mine]).await;
    assert_eq!(code, 0, "{told}");
    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["subDigest"], told["checkpoint"]["sub-digest"]);
    assert_eq!(
        (&shown["asked"], &told["checkpoint"]["asked"]["epoch"]),
        (&json!({ "epoch": 0, "grants": null }), &json!(0),)
    );
    let listed = gateway.get("/subscriptions").await;
    assert_eq!(listed["subscriptions"][0].get("subDigest"), None, "a list reads no filter");

    change(&gateway, &receiver, json!({ "types": ["Order.*"] })).await;
    let (code, told) = verify(&["--subscription-document", &mine]).await;
    assert_eq!((code, &told["findings"][0]["kind"]), (1, &json!("other-ask")), "{told}");
    let problem = told["findings"][0]["problem"].as_str().unwrap();
    let now = gateway.get("/subscriptions/shop").await["subDigest"].clone();
    assert!(problem.contains(now.as_str().unwrap()), "{problem}");
    assert_eq!(verify(&[]).await.0, 0, "without the document there is nothing to compare with");
}

#[tokio::test]
async fn another_audience_is_another_ask() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({})).await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;

    change(&gateway, &receiver, json!({ "config": { "audience": "https://shop.example" } })).await;

    gateway.order(2).await;
    eventually("the second is numbered", async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["progress"]["sequence"] == 2).then_some(())
    })
    .await;
    let lines = bundle(&gateway, "shop").await;
    let changes = of_kind(&lines, "subscription");
    assert_eq!(lines[0]["asked"]["audience"], "shop");
    assert_eq!(
        (changes.len(), &changes[0]["asked"]["audience"]),
        (1, &json!("https://shop.example"))
    );
}

#[tokio::test]
async fn the_grants_by_which_a_consumer_hears_stand_in_what_it_asks_for() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({})).await;
    let before = gateway.get("/subscriptions/shop").await;
    assert_eq!(before["asked"]["grants"], Value::Null);

    grant(&gateway, "shop", json!({ "id": "yearly" })).await;

    let shown = eventually("the grant is recorded", async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["asked"]["grants"] == json!(["payments/yearly"])).then_some(shown)
    })
    .await;
    assert_ne!(shown["subDigest"], before["subDigest"]);
}

#[tokio::test]
async fn what_was_given_up_stands_in_a_bundle_with_its_reason_and_stays_there() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer_next([Reply::Status(500), Reply::Status(500), Reply::Status(204)]);
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;
    gateway.order(2).await;
    receiver.wait_for_arrivals(2).await;
    gateway.order(3).await;
    receiver.wait_for_delivered(1).await;
    let letters = eventually("two dead letters", async || {
        let listed = gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].clone();
        (listed.as_array().unwrap().len() == 2).then_some(listed)
    })
    .await;
    let given_up = || ("given-up".to_owned(), json!("attempts-exhausted"));
    let taken = || ("taken".to_owned(), Value::Null);
    let told = eventually("all are settled", async || {
        let lines = bundle(&gateway, "shop").await;
        (states(&lines) == [given_up(), given_up(), taken()]).then_some(lines)
    })
    .await;
    assert_eq!(of_kind(&told, "event")[0]["dead_letter"]["at"], letters[0]["at"]);

    let dismissed = format!("/subscriptions/shop/dead-letters/{}", letters[0]["id"]);
    assert_eq!(gateway.call(Method::DELETE, &dismissed, None).await.status, 204);
    let body = json!({ "ids": [letters[1]["id"]] });
    gateway.post("/subscriptions/shop/dead-letters/redrive", &body).await;
    receiver.wait_for_delivered(2).await;
    gateway.restart().await;

    let expected = [given_up(), taken(), taken()];
    eventually("the redriven one is taken, and the dismissed one is not", async || {
        (states(&bundle(&gateway, "shop").await) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_consumer_fetches_is_offered_until_it_says_so() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "sink": null, "protocol": "PULL" })).await;
    let ids = gateway.orders(1..=3).await;
    eventually("all are numbered", async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["progress"]["sequence"] == 3).then_some(())
    })
    .await;
    let refused = json!({ ids[1].as_str(): { "err": "invalid_request" } });
    let word = json!({ "ack": [ids[0]], "setErrs": refused, "maxEvents": 0 });

    gateway.post("/subscriptions/shop/poll", &word).await;

    let expected = || {
        [
            ("taken".to_owned(), Value::Null),
            ("given-up".to_owned(), json!("refused-by-consumer")),
            ("offered".to_owned(), Value::Null),
        ]
    };
    assert_eq!(states(&bundle(&gateway, "shop").await), expected());
    let listed = gateway.get("/subscriptions/shop/dead-letters").await["deadLetters"].clone();
    let dismissed = format!("/subscriptions/shop/dead-letters/{}", listed[0]["id"]);
    assert_eq!(gateway.call(Method::DELETE, &dismissed, None).await.status, 204);
    assert_eq!(states(&bundle(&gateway, "shop").await), expected(), "it was not taken");
}

#[tokio::test]
async fn what_was_asked_for_is_kept_when_the_gateway_is_killed() {
    let mut gateway = Process::prepare();
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let own = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
    let document = |types: &str| {
        json!({
            "id": "shop", "consumer": "shop", "protocol": "PULL", "types": [types],
            "config": { "keys": { "jwks": { "keys": [own.public_jwk().unwrap()] } } },
        })
    };
    let path = "/subscriptions/shop";
    let wish = document("Order.*");
    let created = gateway.call_as(&admin, (Method::POST, "/subscriptions"), Some(&wish)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    gateway.publish(&admin, &order_created("order-1", 1)).await;
    let wish = document("Payment.*");
    let changed = gateway.call_as(&admin, (Method::PUT, path), Some(&wish)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    gateway.kill();

    gateway.serve().await;

    let shown = gateway.get(&admin, path).await;
    assert_eq!(shown["subDigest"], changed.body["subDigest"]);
    gateway.publish(&admin, &order_created("order-2", 2)).await;
    eventually("the change is in the bundle", async || {
        let text = gateway.get(&admin, &format!("{path}/evidence")).await;
        let lines = text.as_str().unwrap().lines();
        let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let changes = of_kind(&lines, "subscription");
        let said = changes.first().map(|change| payload(&change["token"])["sub_digest"].clone());
        assert_eq!(lines[0]["asked"]["types"], json!(["Order.*"]));
        (said == Some(shown["subDigest"].clone())).then_some(())
    })
    .await;
}
