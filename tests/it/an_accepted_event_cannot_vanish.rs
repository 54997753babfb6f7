//! Whoever asks for a signed answer can show what was accepted, and finds what is missing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, SystemClock};
use sealway::event::SentDigest;
use sealway::keys::VerifyingKeys;
use sealway::seal::AcceptedOutcome::{Accepted, Quarantined, Refused, Repeated, Unwanted};
use sealway::seal::evidence::BundleTrust;
use sealway::seal::{AcceptedOutcome, AcceptedReader, AcceptedReceipt};
use sealway::source::{OnViolation, Signatures};

use crate::harness::{
    ACCESS_SECRET, Process, Receiver, TestGateway, eventually, order_created, program,
};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCHED: &str = "application/cloudevents-batch+json";
/// The type under which orders cross.
const TYPE: &str = "Order.Created";

/// Reads a signed answer with the keys that the gateway publishes.
async fn read(gateway: &TestGateway, token: &Value) -> AcceptedReceipt {
    let jwks = gateway.get("/.well-known/jwks.json").await.to_string();
    let issuer_keys = &VerifyingKeys::from_json(jwks.as_bytes()).unwrap();
    let issuers = &[gateway.issuer()];
    let leeway = BundleTrust::LEEWAY;
    let reader = AcceptedReader { issuer_keys, issuers, now: SystemClock.now(), leeway };
    reader.read(token.as_str().unwrap()).unwrap()
}

/// Posts as a caller, with more headers; gives the status, whether a preference was heeded, and the body.
async fn post(
    gateway: &TestGateway,
    (key, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> (u16, Option<String>, Value) {
    let mut request = gateway.request(Method::POST, path).bearer_auth(key).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response: Response = request.send().await.unwrap();
    let applied = response.headers().get("preference-applied");
    let applied = applied.map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), applied, response.json().await.unwrap())
}

fn outcomes(receipt: &AcceptedReceipt) -> Vec<AcceptedOutcome> {
    receipt.entries.iter().map(|entry| entry.outcome).collect()
}

#[tokio::test]
async fn each_entry_of_a_batch_has_the_gateways_word_with_what_was_sent() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("orders-team", &["publish:order-service"]).await;
    let known = order_created("known", 1).to_string();
    gateway.publish(&order_created("known", 1)).await;
    let mut unwanted = order_created("u", 2);
    unwanted["type"] = json!("OrderCraeted");
    let mut broken = order_created("b", 3);
    broken["data"]["amount"] = json!(-1);
    let mut foreign = order_created("f", 4);
    foreign["source"] = json!("another-service");
    let new = order_created("n", 5).to_string().replacen('{', "{ \"a\": 1.50, ", 1);
    let entries = [
        known,
        new.clone(),
        unwanted.to_string(),
        broken.to_string(),
        foreign.to_string(),
        "{\"id\": NaN}".to_owned(),
        new,
    ];
    let body = format!(" [\n{} ] ", entries.join(" ,\t"));

    let headers = [("content-type", BATCHED), ("prefer", "respond-async, Receipt")];
    let (status, applied, answer) = post(&gateway, (&key, "/events"), &headers, body).await;

    assert_eq!((status, applied.as_deref()), (422, Some("receipt")), "{answer}");
    let receipt = read(&gateway, &answer["receipt"]).await;
    assert_eq!((&*receipt.issuer, &*receipt.audience), (&*gateway.issuer(), "orders-team"));
    let sent: Vec<SentDigest> = receipt.entries.iter().map(|entry| entry.sent).collect();
    let expected: Vec<_> = entries.iter().map(|entry| SentDigest::of(entry.as_bytes())).collect();
    assert_eq!(sent, expected);
    assert_eq!(
        outcomes(&receipt),
        [Repeated, Accepted, Unwanted, Refused, Refused, Refused, Repeated]
    );
    let codes: Vec<_> = receipt.entries.iter().map(|entry| entry.code.as_deref()).collect();
    let (breach, foreign) = (Some("contract-violated"), Some("source-not-allowed"));
    assert_eq!(codes, [None, None, None, breach, foreign, Some("invalid-event"), None]);
    for (index, entry) in receipt.entries.iter().enumerate() {
        let told = &answer["events"][index]["eventIds"];
        let told: Vec<_> = told.as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
        let signed: Vec<_> = entry.events.iter().map(|event| json!(event.id.to_string())).collect();
        assert_eq!(told, signed, "entry {index}");
    }
    let (earlier, new) = (&receipt.entries[0].events[0], &receipt.entries[1].events[0]);
    assert!(earlier.salt.is_none(), "another caller has brought it, whose salt is its own");
    assert!(receipt.entries[6].events[0].salt.is_none(), "its salt was told once");
    let place = new.place.as_ref().unwrap();
    assert_eq!((place.event_type.as_str(), place.position), (TYPE, 2));
    let entry = gateway.services().store.log.find(&[new.id]).await.unwrap().remove(0).unwrap();
    assert_eq!((entry.event.digest, entry.event.salt), (place.digest, new.salt));
    let head = gateway.services().store.tree.tree_head().await.unwrap();
    assert_eq!(receipt.tree, head);
}

#[tokio::test]
async fn each_way_to_send_one_event_has_its_digest() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("orders-team", &["publish:*"]).await;
    let by = (&*key, "/events");
    let prefer = ("prefer", "receipt");
    let structured = format!(" {}\n", order_created("s", 1));
    let headers = [("content-type", STRUCTURED), prefer];
    let (status, _, answer) = post(&gateway, by, &headers, structured.clone()).await;
    assert_eq!(status, 202, "{answer}");
    let sent = read(&gateway, &answer["receipt"]).await.entries[0].sent;
    assert_eq!(sent, SentDigest::of(structured.as_bytes()));

    let data = r#"{"id":2,"amount":100,"customer":"c"}"#;
    let headers = [
        ("ce-type", "OrderCreated"),
        ("ce-specversion", "1.0"),
        ("CE-ID", "b"),
        ("ce-source", "order-service"),
        ("content-type", "application/json"),
        prefer,
    ];
    let (status, _, answer) = post(&gateway, by, &headers, data).await;
    assert_eq!(status, 202, "{answer}");
    let written = format!(
        "ce-id:b\nce-source:order-service\nce-specversion:1.0\nce-type:OrderCreated\n\
         content-type:application/json\n\n{data}"
    );
    let sent = read(&gateway, &answer["receipt"]).await.entries[0].sent;
    assert_eq!(sent, SentDigest::of(written.as_bytes()));

    for (path, expected) in
        [("/events", (400, Refused)), ("/events?manner=asynchronous", (202, Quarantined))]
    {
        let headers = [("content-type", STRUCTURED), prefer];
        let (status, applied, answer) = post(&gateway, (&key, path), &headers, "not JSON").await;
        let receipt = read(&gateway, &answer["receipt"]).await;
        assert_eq!(applied.as_deref(), Some("receipt"));
        assert_eq!((status, receipt.entries[0].outcome), expected);
        assert_eq!(receipt.entries[0].sent, SentDigest::of(b"not JSON"));
    }
}

#[tokio::test]
async fn nothing_is_signed_that_nobody_asks_for_unless_the_settings_say_so() {
    let mut gateway = TestGateway::start().await;
    let key = gateway.add_caller("orders-team", &["publish:*"]).await;
    let headers = [("content-type", STRUCTURED), ("prefer", "wait=5")];
    let body = order_created("o", 1).to_string();

    let (_, applied, answer) = post(&gateway, (&key, "/events"), &headers, body.clone()).await;
    assert_eq!((applied, answer.get("receipt")), (None, None));

    gateway.restart_with(|config| config.source.sign_answers = true).await;
    let (status, applied, answer) = post(&gateway, (&key, "/events"), &headers, body).await;
    assert_eq!((status, applied), (202, None), "it was no preference of the request");
    let receipt = read(&gateway, &answer["receipt"]).await;
    assert_eq!(outcomes(&receipt), [Repeated]);
    let dry = post(&gateway, (&key, "/events?dryRun=true"), &headers, "{}").await;
    assert!(dry.2.get("receipt").is_none(), "{}", dry.2);
}

#[tokio::test]
async fn an_aws_sdk_reads_the_answer_that_has_a_signature_in_it() {
    let gateway = TestGateway::with(None, |config| {
        config.source.signatures = Signatures::Off;
        config.source.on_violation = OnViolation::Quarantine;
    })
    .await;
    let sdk = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let detail = order_created("o", 1)["data"].to_string();
    let entry = PutEventsRequestEntry::builder().source("order-service");
    let entry = entry.detail_type("OrderCreated").detail(&detail).build();

    let put = sdk.put_events().entries(entry).customize().mutate_request(|request| {
        request.headers_mut().insert("prefer", "receipt");
    });
    let answer = put.send().await.unwrap();

    assert_eq!((answer.failed_entry_count(), answer.entries().len()), (0, 1));
    assert!(answer.entries()[0].event_id().is_some());

    // The same by hand, to see what the SDK passes over.
    let good = json!({ "Source": "order-service", "DetailType": "OrderCreated", "Detail": detail });
    let entries = [
        good.to_string(),
        json!({ "Source": "order-service", "DetailType": "Other", "Detail": "{}" }).to_string(),
        json!({ "Source": "aws.x", "DetailType": "Other", "Detail": "{}" }).to_string(),
        json!({ "Source": "order-service", "DetailType": "OrderCreated", "Detail": "{\"id\":1}" })
            .to_string(),
    ];
    let body = format!("{{ \"Entries\": [ {} ] }}", entries.join(" , "));
    let headers = [
        ("x-amz-target", "AWSEvents.PutEvents"),
        ("content-type", "application/x-amz-json-1.1"),
        ("prefer", "receipt"),
    ];
    let (status, _, answer) = post(&gateway, ("none", "/"), &headers, body.clone()).await;

    assert_eq!((status, &answer["FailedEntryCount"]), (200, &json!(1)), "{answer}");
    let receipt = read(&gateway, &answer["Receipt"]).await;
    let sent: Vec<_> = receipt.entries.iter().map(|entry| entry.sent).collect();
    let expected: Vec<_> = entries.iter().map(|entry| SentDigest::of(entry.as_bytes())).collect();
    assert_eq!(sent, expected);
    assert_eq!(outcomes(&receipt), [Accepted, Unwanted, Refused, Quarantined]);
    assert_eq!(receipt.entries[2].code.as_deref(), Some("NotAuthorizedForSourceException"));
    assert_eq!(receipt.audience, "(unsigned)", "nobody has signed the request");
    let plain = post(&gateway, ("none", "/"), &headers[..2], body).await.2;
    assert!(plain.get("Receipt").is_none(), "{plain}");
}

/// Publishes a file of orders by `sealway events put`.
fn put(issuer: &str, key: &str, file: &Path, more: &[&str]) -> Output {
    program()
        .args(["--gateway", issuer, "events", "put", "--format", "cloudevents", "--batch", "2"])
        .arg(file)
        .args(more)
        .env("SEALWAY_CALLER_KEY", key)
        .output()
        .unwrap()
}

fn write_orders(file: &Path, numbers: std::ops::RangeInclusive<u64>) {
    let lines: Vec<_> =
        numbers.map(|number| order_created(&format!("o-{number}"), number).to_string()).collect();
    fs::write(file, lines.join("\n")).unwrap();
}

/// Runs a command and gives its exit code and what it says to programs.
fn run(issuer: &str, arguments: &[&str]) -> (i32, Value) {
    let ended =
        program().args(["--output", "json", "--gateway", issuer]).args(arguments).output().unwrap();
    let said = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&ended.stderr));
    });
    (ended.status.code().unwrap(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_answer_was_signed_is_there_after_a_kill() {
    let mut process = Process::prepare();
    let key = process.add_caller("orders-team", "publish:*");
    process.serve().await;
    let (orders, answers) =
        (process.directory().join("orders.ndjson"), process.directory().join("answers.jwt"));
    write_orders(&orders, 1..=5);

    let ended = put(process.issuer(), &key, &orders, &["--receipts", answers.to_str().unwrap()]);
    process.kill();

    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(fs::metadata(&answers).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(&answers).unwrap();
    assert_eq!(first.lines().count(), 3);
    process.serve().await;
    let proof = ["log", "proof", "accepted", answers.to_str().unwrap()];
    let (code, said) = run(process.issuer(), &proof);
    assert_eq!((code, &said["proved"]), (0, &json!(true)), "{said}");
    assert_eq!((&said["found"]["receipts"], &said["found"]["events"]), (&json!(3), &json!(5)));

    // The same again is added, and is told as repeats.
    let ended = put(process.issuer(), &key, &orders, &["--receipts", answers.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let both = fs::read_to_string(&answers).unwrap();
    assert!(both.starts_with(&first) && both.lines().count() == 6);
    assert_eq!(run(process.issuer(), &proof).0, 0);

    // The answers of another gateway are no proof against this one.
    let mut other = Process::prepare();
    other.add_caller("orders-team", "publish:*");
    other.serve().await;
    let (code, said) = run(other.issuer(), &proof);
    assert_eq!((code, &said["proved"]), (1, &json!(false)), "{said}");
    other.stop().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_lacks_what_was_accepted_is_found_out() {
    let gateway = TestGateway::start().await;
    let (all, few) =
        (Receiver::start(&gateway, "shop").await, Receiver::start(&gateway, "other").await);
    gateway.subscribe(&all, json!({})).await;
    // Stands for a consumer from whom an operator keeps an event.
    let without = json!({ "filters": [{ "not": { "exact": { "source": "/orders" } } }] });
    gateway.subscribe(&few, without).await;
    let key = gateway.add_caller("orders-team", &["publish:*"]).await;
    let (orders, answers) = (gateway.path("orders.ndjson"), gateway.path("answers.jwt"));
    write_orders(&orders, 1..=5);
    let ended = put(&gateway.issuer(), &key, &orders, &["--receipts", answers.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    all.wait_for_delivered(5).await;
    let jwks = gateway.path("jwks.json");
    fs::write(&jwks, gateway.get("/.well-known/jwks.json").await.to_string()).unwrap();
    let bundle = async |name: &str| {
        let path = format!("/subscriptions/{name}/evidence");
        let text = eventually("the bundle is whole", async || {
            let response = gateway.request(Method::GET, &path).bearer_auth(gateway.admin());
            let text = response.send().await.unwrap().text().await.unwrap();
            text.contains("\"closing\"").then_some(text)
        })
        .await;
        let file = gateway.path(&format!("{name}.ndjson"));
        fs::write(&file, text).unwrap();
        file
    };
    let verify = |file: &Path, more: &[&str]| {
        let mut arguments = vec!["evidence", "verify", file.to_str().unwrap()];
        arguments.extend(["--jwks", jwks.to_str().unwrap(), "--accepted"]);
        arguments.push(answers.to_str().unwrap());
        arguments.extend(more);
        run(&gateway.issuer(), &arguments)
    };
    let (whole, lacking) = (bundle("shop").await, bundle("other").await);

    let (code, said) = verify(&whole, &["--accepted-producer", "orders-team"]);
    assert_eq!((code, &said["verdict"]), (0, &json!("valid")), "{said}");
    let accepted = &said["accepted"];
    let counted = ["receipts", "events", "found", "missing-count"].map(|name| &accepted[name]);
    assert_eq!(counted, [&json!(3), &json!(5), &json!(5), &json!(0)]);

    let (code, said) = verify(&lacking, &[]);
    assert_eq!((code, &said["verdict"]), (1, &json!("wrong")), "{said}");
    assert_eq!(said["flaw-count"], 0, "the bundle agrees with itself");
    assert_eq!(said["accepted"]["missing-count"], 5);
    let missing = &said["accepted"]["missing"][0];
    let sent = SentDigest::of(order_created("o-1", 1).to_string().as_bytes());
    assert_eq!(missing["sha256"], sent.to_string());
    let told = program()
        .args(["evidence", "verify", lacking.to_str().unwrap(), "--jwks"])
        .args([jwks.as_path(), Path::new("--accepted"), answers.as_path()])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("missing: event ") && !told.contains("valid: "), "{told}");

    let (code, said) = verify(&lacking, &["--accepted-type", "Order.Paid"]);
    assert_eq!((code, &said["accepted"]["other-types"]), (0, &json!(5)), "{said}");
    let (code, said) = verify(&whole, &["--accepted-producer", "another"]);
    assert_eq!((code, &said["accepted"]["flaw-count"]), (1, &json!(3)), "{said}");
    let no_keys = ["evidence", "verify", "x", "--accepted", answers.to_str().unwrap()];
    let refused = program().args(no_keys).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "keys from elsewhere are needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_the_gateways_word_stops_events_put() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("orders-team", &["publish:*"]).await;
    let (orders, answers) = (gateway.path("orders.ndjson"), gateway.path("answers.jwt"));
    write_orders(&orders, 1..=3);
    let stranger = sealway::keys::SigningKey::generate(sealway::keys::SigningAlgorithm::ES256);
    let jwks = gateway.path("stranger.json");
    let public = json!({ "keys": [stranger.unwrap().public_jwk().unwrap()] });
    fs::write(&jwks, public.to_string()).unwrap();

    let more = ["--receipts", answers.to_str().unwrap(), "--jwks", jwks.to_str().unwrap()];
    let ended = put(&gateway.issuer(), &key, &orders, &more);

    let remarks = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{remarks}");
    assert!(remarks.contains("not to be believed"), "{remarks}");
    assert_eq!(fs::read_to_string(&answers).unwrap(), "");
}
