//! A file proves what a consumer was sent, with the gateway gone and no network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::event::{EventId, TokenDigest};
use sealway::keys::{SigningAlgorithm, SigningKey};

use crate::consumer_in_rust::chain_after;
use crate::harness::{
    Receiver, Reply, Sink, TestGateway, assert_members_are_documented, eventually, program,
};
use crate::keys_rotate;

/// Runs `sealway evidence verify` and gives its exit code and what it says.
pub fn verify(file: &Path, more: &[&str]) -> (i32, Value) {
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

/// Runs `sealway evidence verify` and gives what it tells a person.
fn told(file: &Path, more: &[&str]) -> String {
    let ended = program().args(["evidence", "verify"]).arg(file).args(more).output().unwrap();
    String::from_utf8(ended.stdout).unwrap()
}

pub fn public(key: &SigningKey) -> Value {
    json!({ "keys": [key.public_jwk().unwrap()] })
}

/// Runs `sealway evidence export` for the subscription `shop`.
fn run_export(gateway: &TestGateway, key: &str, arguments: &[&str]) -> Output {
    let ended = program()
        .args(["--gateway", &gateway.issuer(), "evidence", "export", "--subscription", "shop"])
        .env("SEALWAY_CALLER_KEY", key)
        .args(arguments)
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains(key));
    ended
}

pub fn export(gateway: &TestGateway, key: &str, more: &[&str], file: &Path) -> i32 {
    let arguments = [more, &[file.to_str().unwrap()]].concat();
    run_export(gateway, key, &arguments).status.code().unwrap()
}

/// Subscribes with receipts under these settings, and answers each delivery with one.
pub async fn subscribe_with_receipts(
    gateway: &TestGateway,
    receiver: &Receiver,
    (pen, receipts): (SigningKey, Value),
) {
    gateway.subscribe(receiver, json!({ "config": { "receipts": receipts } })).await;
    sign_receipts(gateway, receiver, pen);
    receiver.answer(Reply::Status(202));
}

/// Answers each delivery with a receipt under a key from now on.
pub fn sign_receipts(gateway: &TestGateway, receiver: &Receiver, pen: SigningKey) {
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
}

// The commands block, so the gateway has threads of its own.
pub async fn receipts_are_kept(gateway: &TestGateway, count: usize) {
    eventually("all receipts are kept", async || {
        let kept = gateway.get("/subscriptions/shop/receipts?limit=1000").await;
        (kept["receipts"].as_array().unwrap().len() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_several_pages_is_verified_with_the_gateway_gone() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let receipts = json!({ "jwks": public(&pen) });
    subscribe_with_receipts(&gateway, &receiver, (pen, receipts)).await;
    receiver.answer_next([Reply::Status(503)]);
    let ids = gateway.orders(1..=70).await;
    receiver.wait_for_delivered(69).await;
    let replay = json!({ "from": ids[1], "to": ids[3] });
    gateway.post("/subscriptions/shop/replays", &replay).await;
    receiver.wait_for_delivered(72).await;
    receipts_are_kept(&gateway, 72).await;
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
    assert_eq!(said["unknown-members"], json!([]), "it knows what the gateway writes");
    assert_members_are_documented(&said, "docs/evidence.md");
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
    let turned = format!("{path}?from={}&to={}", EventId::first_of(2), EventId::first_of(1));
    let turned = gateway.call_as(&own, (Method::GET, &turned), None).await;
    assert_eq!((turned.status, turned.code()), (422, "invalid"), "{}", turned.body);
    assert!(turned.body.to_string().contains("is later than"), "{}", turned.body);
    let empty = gateway.call_as(&own, (Method::GET, path), None).await;

    assert_eq!((refused.status, refused.code()), (404, "not-found"));
    assert_eq!((malformed.status, malformed.code()), (422, "invalid"));
    assert_eq!(empty.status, 200);
    assert_eq!(empty.body.as_str().unwrap().lines().count(), 6, "no events, and yet a proof");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_rotates_within_a_bundle_is_in_it_and_is_named_where_it_lacks() {
    // Behind the time of the machine, because the command line reads tokens by that.
    let clock = ManualClock::at(SystemClock.now().before(Duration::from_hours(1)));
    let gateway = keys_rotate::gateway(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    gateway.subscribe(&receiver, json!({})).await;
    gateway.orders(1..=60).await;
    receiver.wait_for_delivered(60).await;
    let old = keys_rotate::published(&gateway).await.remove(0);
    let request = Request::get("/subscriptions/shop/evidence")
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap();

    let answer = gateway.routes().oneshot(request).await.unwrap();
    let mut lines = answer.into_body().into_data_stream();
    let mut bundle = Vec::new();
    for _ in 0..8 {
        bundle.extend_from_slice(&lines.next().await.unwrap().unwrap());
    }
    keys_rotate::keys(&gateway, &["rotate", "--now"]);
    let both = keys_rotate::published_once(&gateway, &clock, |kids| kids.len() == 2).await;
    while let Some(line) = lines.next().await {
        bundle.extend_from_slice(&line.unwrap());
    }

    let file = gateway.path("bundle.ndjson");
    fs::write(&file, &bundle).unwrap();
    let text = String::from_utf8(bundle).unwrap();
    let key_sets: Vec<&str> =
        text.lines().filter(|line| line.contains(r#""kind":"keys""#)).collect();
    assert_eq!(key_sets.len(), 2, "one for each state of the key set");
    assert!(both.iter().all(|kid| key_sets[1].contains(kid.as_str())));
    let own = gateway.path("key.json");
    fs::write(&own, receiver.private_key()).unwrap();
    let served = gateway.get("/.well-known/jwks.json").await;
    let of = |wanted: &dyn Fn(&Value) -> bool| {
        let keys = served["keys"].as_array().unwrap().iter().filter(|key| wanted(&key["kid"]));
        let path = gateway.path("jwks.json");
        fs::write(&path, json!({ "keys": keys.collect::<Vec<_>>() }).to_string()).unwrap();
        path
    };
    let verify_with = |jwks: &Path| {
        let keys = ["--jwks", jwks.to_str().unwrap(), "--key", own.to_str().unwrap()];
        verify(&file, &keys)
    };
    let (code, said) = verify_with(&of(&|_| true));
    assert_eq!(
        (code, &said["verdict"], &said["opened"]),
        (0, &json!("valid"), &json!(60)),
        "{said}"
    );
    let (code, said) = verify_with(&of(&|kid| *kid != *old));
    assert_eq!((code, &said["missing-keys"]), (1, &json!([old])), "{said}");
    let opened = said["opened"].as_u64().unwrap();
    assert!((1..60).contains(&opened), "tokens of the new key open, and those of the old do not");
    assert!(said["flaws"][0]["problem"].as_str().unwrap().contains(&old), "{said}");
    let (code, said) = verify_with(&of(&|kid| *kid == *old));
    assert_eq!((code, said["missing-keys"].as_array().unwrap().len()), (1, 1), "{said}");
    let (code, said) = verify(&file, &[]);
    assert_eq!((code, said["keys"].as_array().unwrap().len()), (4, 2), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_rotates_while_keys_for_receipts_are_fetched_leaves_the_bundle_whole() {
    let clock = ManualClock::at(SystemClock.now().before(Duration::from_hours(1)));
    let gateway = keys_rotate::gateway(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let jwks_uri = format!("http://{}/receipts.json", server.local_addr().unwrap());
    let receipts = json!({ "jwksUri": jwks_uri });
    gateway.subscribe(&receiver, json!({ "config": { "receipts": receipts } })).await;
    // The gateway looks at the files only once the clock moves.
    keys_rotate::keys(&gateway, &["rotate", "--now"]);
    let request = Request::get("/subscriptions/shop/evidence")
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap();

    let answer = gateway.routes().oneshot(request).await.unwrap();
    let fetching = server.accept().await.unwrap();
    keys_rotate::published_once(&gateway, &clock, |kids| kids.len() == 2).await;
    drop((fetching, server));
    let bundle = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();

    let text = str::from_utf8(&bundle).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let kinds: Vec<Value> = lines.map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds[..5], ["evidence", "keys", "receipt-keys", "keys", "checkpoint"]);
    let file = gateway.path("bundle.ndjson");
    fs::write(&file, &bundle).unwrap();
    let (code, said) = verify(&file, &[]);
    assert_eq!((code, &said["verdict"]), (4, &json!("consistent")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_for_receipts_behind_an_address_are_in_the_bundle_or_it_says_why_not() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let (served, kid) = (public(&pen).to_string(), pen.kid().to_owned());
    let keys = Sink::start(move |_| (200, None, served.clone())).await;
    let own = gateway.path("receipt-keys.json");
    fs::write(&own, public(&pen).to_string()).unwrap();
    let receipts = json!({ "jwksUri": keys.at("/receipts.json?secret=of-the-consumer") });
    subscribe_with_receipts(&gateway, &receiver, (pen, receipts)).await;
    gateway.orders(1..=3).await;
    receiver.wait_for_delivered(3).await;
    receipts_are_kept(&gateway, 3).await;
    let (with, without) = (gateway.path("with.ndjson"), gateway.path("without.ndjson"));

    assert_eq!(export(&gateway, &key, &[], &with), 0);
    keys.behave(|_| (404, None, String::new()));
    gateway.restart().await;
    let ended = run_export(&gateway, &key, &[without.to_str().unwrap()]);

    assert_eq!(ended.status.code(), Some(0), "that keys cannot be had is no failure");
    let remark = String::from_utf8(ended.stderr).unwrap();
    assert!(remark.contains("no keys for receipts: the key set's server answered 404"), "{remark}");
    let (_, said) = verify(&with, &[]);
    assert_eq!((&said["receipts"], &said["bundled-receipt-keys"]), (&json!(3), &json!([kid])));
    let (_, said) = verify(&without, &[]);
    assert_eq!((&said["receipts"], &said["unchecked-receipts"]), (&json!(3), &json!(0)));
    assert!(said["receipt-keys-problem"].as_str().unwrap().contains("404"), "{said}");
    let (_, said) = verify(&without, &["--receipt-keys", own.to_str().unwrap()]);
    assert_eq!((&said["receipts"], &said["bundled-receipt-keys"]), (&json!(3), &json!([])));
    assert!(told(&without, &[]).contains("use --receipt-keys"));
    let remarks = told(&without, &["--receipt-keys", own.to_str().unwrap()]);
    assert!(!remarks.contains("--receipt-keys"), "they were given: {remarks}");
    for file in [&with, &without] {
        assert!(!fs::read_to_string(file).unwrap().contains("of-the-consumer"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_gives_its_keys_name_to_another_key_does_not_make_the_bundle_wrong() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let (of_then, mut of_today) =
        (public(&pen), public(&SigningKey::generate(SigningAlgorithm::ES256).unwrap()));
    of_today["keys"][0]["kid"] = json!(pen.kid());
    let served = of_then.to_string();
    let server = Sink::start(move |_| (200, None, served.clone())).await;
    let receipts = json!({ "jwksUri": server.at("/receipts.json") });
    subscribe_with_receipts(&gateway, &receiver, (pen, receipts)).await;
    gateway.orders(1..=3).await;
    receiver.wait_for_delivered(3).await;
    receipts_are_kept(&gateway, 3).await;
    let served = of_today.to_string();
    server.behave(move |_| (200, None, served.clone()));
    gateway.restart().await;
    let file = gateway.path("bundle.ndjson");
    let own = gateway.path("key.json");
    fs::write(&own, receiver.private_key()).unwrap();

    assert_eq!(export(&gateway, &key, &[], &file), 0);

    let opened = ["--key", own.to_str().unwrap()];
    let (code, said) = verify(&file, &opened);
    assert_eq!((code, &said["verdict"]), (4, &json!("consistent")), "{said}");
    assert_eq!((&said["opened"], &said["receipts"]), (&json!(3), &json!(3)));
    let unchecked = (&said["unchecked-receipts"], &said["doubtful-receipts"]);
    assert_eq!(unchecked, (&json!(0), &json!(0)), "the key of then was kept");
    let text = fs::read_to_string(&file).unwrap();
    let without: Vec<&str> =
        text.split_inclusive('\n').filter(|line| !line.contains(r#""kept":true"#)).collect();
    let lacking = gateway.path("lacking.ndjson");
    fs::write(&lacking, without.concat()).unwrap();
    let (code, said) = verify(&lacking, &opened);
    assert_eq!((code, &said["doubtful-receipts"]), (1, &json!(3)), "{said}");
    let remarks = told(&lacking, &opened);
    assert!(remarks.contains("3 receipts do not fit the bundle's own keys"), "{remarks}");
    let given = gateway.path("receipt-keys.json");
    let arguments = [opened[0], opened[1], "--receipt-keys", given.to_str().unwrap()];
    fs::write(&given, of_then.to_string()).unwrap();
    let (code, said) = verify(&file, &arguments);
    assert_eq!((code, &said["receipts"]), (4, &json!(3)), "{said}");
    fs::write(&given, of_today.to_string()).unwrap();
    let (code, said) = verify(&file, &arguments);
    assert_eq!((code, &said["flaw-count"]), (1, &json!(3)), "{said}");
    assert_eq!(said["opened"], json!(3), "the tokens are looked at all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_it_made_and_a_file_that_is_no_bundle_is_told_in_one_line() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    gateway.subscribe(&receiver, json!({})).await;
    gateway.orders(1..=3).await;
    receiver.wait_for_delivered(3).await;
    let file = gateway.path("bundle.ndjson");

    let made = run_export(&gateway, &key, &["--output", "json", file.to_str().unwrap()]);
    let said: Value = serde_json::from_slice(&made.stdout).unwrap();
    let bytes = fs::metadata(&file).unwrap().len();
    assert_eq!((&said["events"], &said["bytes"]), (&json!(3), &json!(bytes)), "{said}");
    assert_eq!((&said["file"], &said["subscription"]), (&json!(file), &json!("shop")));
    let (earlier, later) = (EventId::first_of(1).to_string(), EventId::first_of(2).to_string());
    let turned = run_export(&gateway, &key, &["--from", &later, "--to", &earlier, "-"]);
    assert_eq!((turned.status.code(), turned.stdout.as_slice()), (Some(2), &b""[..]));
    assert!(String::from_utf8_lossy(&turned.stderr).contains("--from is later than --to"));
    let streamed = run_export(&gateway, &key, &["--output", "json", "-"]);
    let beside: Value = serde_json::from_slice(&streamed.stderr).unwrap();
    assert_eq!((&beside["events"], &beside["file"]), (&json!(3), &Value::Null));
    fs::write(&file, &streamed.stdout).unwrap();
    assert_eq!(verify(&file, &[]).0, 4, "what is on standard output is the bundle");
    let piped = program()
        .args(["evidence", "verify", "-"])
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert_eq!(piped.status.code(), Some(4), "{piped:?}");
    assert!(!Path::new("-").exists());

    for text in ["", "hello", "{}\n", "{\"kind\":\"event\"}\n", "a\nb\nc\n"] {
        fs::write(&file, text).unwrap();
        let ended = program().args(["evidence", "verify"]).arg(&file).output().unwrap();
        let complaint = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), complaint.lines().count()), (Some(2), 1), "{complaint}");
        assert!(complaint.contains("is no evidence bundle") && ended.stdout.is_empty());
    }
    fs::write(&file, "{\"kind\":\"evidence\",\"version\":2}\n{}\n{}\n").unwrap();
    let (code, said) = verify(&file, &[]);
    assert_eq!((code, &said["flaw-count"]), (1, &json!(1)), "{said}");
    assert_eq!(said["flaws"][0]["problem"], "this version of bundles is not known");
}
