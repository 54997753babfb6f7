//! A file proves what a consumer was sent, with the gateway gone and no network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::event::TokenDigest;
use sealway::keys::{SigningAlgorithm, SigningKey};

use crate::consumer_in_rust::chain_after;
use crate::harness::{Receiver, Reply, TestGateway, eventually, program};

/// Runs `sealway evidence verify` and gives its exit code and what it says.
fn verify(file: &Path, more: &[&str]) -> (i32, Value) {
    let ended = program()
        .args(["--output", "json", "evidence", "verify"])
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let said = serde_json::from_slice(&ended.stdout).unwrap_or_default();
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    (ended.status.code().unwrap(), said)
}

fn export(gateway: &TestGateway, key: &str, more: &[&str], file: &Path) -> i32 {
    let ended = program()
        .args(["--gateway", &gateway.issuer(), "evidence", "export", "--subscription", "shop"])
        .env("SEALWAY_CALLER_KEY", key)
        .args(more)
        .arg(file)
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains(key));
    ended.status.code().unwrap()
}

/// Answers each delivery with a receipt.
async fn subscribe_with_receipts(gateway: &TestGateway, receiver: &Receiver) {
    let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let receipts = json!({ "jwks": { "keys": [pen.public_jwk().unwrap()] } });
    gateway.subscribe(receiver, json!({ "config": { "receipts": receipts } })).await;
    let issuer = gateway.issuer();
    receiver.say(move |arrival| {
        let mut claims = json!({
            "iss": "shop", "aud": issuer, "iat": arrival.opened.claims()["iat"],
            "jti": arrival.id(), "sub_id": arrival.opened.claims()["sub_id"],
            "token_sha256": TokenDigest::of(&arrival.token).to_string(),
        });
        if let Some(sequence) = arrival.sequence() {
            claims["seq"] = json!(sequence);
            claims["chain"] = json!(chain_after(&arrival.opened).unwrap().to_string());
        }
        pen.sign("receipt+jwt", claims.to_string().as_bytes()).unwrap()
    });
    receiver.answer(Reply::Status(202));
}

// The commands block, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_several_pages_is_verified_with_the_gateway_gone() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    subscribe_with_receipts(&gateway, &receiver).await;
    receiver.answer_next([Reply::Status(503)]);
    let ids = gateway.orders(1..=70).await;
    receiver.wait_for_delivered(69).await;
    let replay = json!({ "from": ids[1], "to": ids[3] });
    gateway.post("/subscriptions/shop/replays", &replay).await;
    receiver.wait_for_delivered(72).await;
    eventually("all receipts are kept", async || {
        let kept = gateway.get("/subscriptions/shop/receipts?limit=1000").await;
        (kept["receipts"].as_array().unwrap().len() >= 72).then_some(())
    })
    .await;
    let (whole, part) = (gateway.path("whole.ndjson"), gateway.path("part.ndjson"));
    let own = gateway.path("key.json");
    fs::write(&own, receiver.private_key()).unwrap();
    let jwks = gateway.path("jwks.json");
    fs::write(&jwks, gateway.get("/.well-known/jwks.json").await.to_string()).unwrap();

    assert_eq!(export(&gateway, &key, &[], &whole), 0);
    let range = ["--from", &ids[10], "--to", &ids[19]];
    assert_eq!(export(&gateway, &key, &range, &part), 0);
    gateway.stop().await;

    let keys = ["--jwks", jwks.to_str().unwrap(), "--key", own.to_str().unwrap()];
    let (code, said) = verify(&whole, &keys);
    assert_eq!(code, 0, "{said}");
    assert_eq!((&said["valid"], &said["events"]), (&json!(true), &json!(70)));
    assert_eq!((&said["opened"], &said["unvalidated"]), (&json!(70), &json!(0)));
    assert_eq!((&said["receipts"], &said["unchecked-receipts"]), (&json!(72), &json!(0)));
    let (code, said) = verify(&part, &keys);
    assert_eq!((code, &said["events"]), (0, &json!(10)), "{said}");
    let (code, said) = verify(&whole, &[]);
    assert_eq!((code, &said["opened"]), (4, &json!(0)), "{said}");
    assert_eq!((&said["verdict"], &said["valid"]), (&json!("consistent"), &json!(false)));
    let keys: Value = serde_json::from_str(&fs::read_to_string(&jwks).unwrap()).unwrap();
    assert_eq!(said["keys"], json!([keys["keys"][0]["kid"]]), "their thumbprints are shown");
    assert_eq!(said["bundled-receipt-keys"].as_array().unwrap().len(), 1);
    let mode = fs::metadata(&whole).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&whole).unwrap();
    assert_eq!(text.matches(r#""kind":"contract""#).count(), 1);
    assert!(text.len() < 1_000_000 && !text.contains(r#""amount":100,"#), "events are sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_altered_is_named_by_line_number_and_id() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("operator", &["operate"]).await;
    gateway.subscribe(&receiver, json!({})).await;
    let ids = gateway.orders(1..=4).await;
    receiver.wait_for_delivered(4).await;
    let file = gateway.path("bundle.ndjson");
    assert_eq!(export(&gateway, &key, &[], &file), 0);
    assert_eq!(export(&gateway, &key, &[], &file), 2, "nothing is overwritten");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let second = lines.iter().position(|line| line.contains(&ids[1])).unwrap();
    let said_of = |lines: Vec<&str>| {
        fs::write(&file, lines.concat()).unwrap();
        let (code, said) = verify(&file, &[]);
        assert_eq!((code, &said["valid"]), (1, &json!(false)), "{said}");
        said["flaws"].clone()
    };

    let mut removed = lines.clone();
    removed.remove(second);
    let flaw = said_of(removed)[0].clone();
    assert_eq!((&flaw["line"], &flaw["sequence"]), (&json!(second + 1), &json!(3)));
    assert_eq!(flaw["id"], json!(ids[2]));
    let problem = format!("missing: 2, before 3 ({})", ids[2]);
    assert_eq!(flaw["problem"], json!(problem));

    let flaws = said_of(lines[..lines.len() - 1].to_vec());
    assert_eq!(flaws[0]["problem"], "the bundle is cut: its closing line is missing");

    let mut swapped = lines.clone();
    swapped.swap(second, second + 1);
    assert_eq!(said_of(swapped)[1]["problem"], "out of order: number 4 was expected");

    let altered = lines[second].replace(r#""receipts":[]"#, r#""receipts":[ ]"#);
    let mut changed = lines.clone();
    changed[second] = &altered;
    let flaws = said_of(changed);
    assert_eq!(flaws[0]["problem"], "lines before this one were added, removed or altered");
    assert_eq!(flaws[0]["line"], json!(lines.len()));
}

#[tokio::test]
async fn a_consumer_exports_its_own_and_nothing_of_another() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let stranger = gateway.add_caller("stranger", &["consume:stranger"]).await;
    let own = gateway.add_caller("shop", &["consume:shop"]).await;
    gateway.subscribe(&receiver, json!({})).await;

    let puller = Receiver::start(&gateway, "puller").await;
    let pulls = gateway.add_caller("puller", &["consume:puller"]).await;
    gateway.subscribe(&puller, json!({ "sink": null, "protocol": "PULL" })).await;
    gateway.post("/subscriptions/puller/pause", &Value::Null).await;
    let held = "/subscriptions/puller/evidence";
    let held_back = gateway.call_as(&pulls, (Method::GET, held), None).await;
    assert_eq!((held_back.status, held_back.code()), (409, "wrong-state"));
    assert_eq!(gateway.call(Method::GET, held, None).await.status, 200, "operators may");

    let path = "/subscriptions/shop/evidence";
    let refused = gateway.call_as(&stranger, (Method::GET, path), None).await;
    let unknown = format!("{path}?from=yesterday");
    let malformed = gateway.call_as(&own, (Method::GET, &unknown), None).await;
    let empty = gateway.call_as(&own, (Method::GET, path), None).await;

    assert_eq!((refused.status, refused.code()), (404, "not-found"));
    assert_eq!((malformed.status, malformed.code()), (422, "invalid"));
    assert_eq!(empty.status, 200);
    assert_eq!(empty.body.as_str().unwrap().lines().count(), 5, "no events, and yet a proof");
}
