//! docs/verify.md says what is true: its numbers are recomputed, and its programs open real tokens.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use md5::{Digest as _, Md5};
use sealway::ambient::{Clock as _, SystemClock};
use sealway::event::{
    ChainValue, CloudEvent, Content, Data, EventDigest, EventId, EventSource, EventType,
    IdempotencyKey, Salt, Subject, SubscriptionId, TokenDigest,
};
use sealway::keys::{
    OpeningKey, OpeningKeyKind, OpeningKeys, SealingKey, SigningAlgorithm, SigningKey,
    VerifyingKeys,
};
use sealway::seal::{
    ClaimFault, Claims, Delivered, Options, PlaceClaims, ReceiptReader, SaltedClaims,
    cloudevent_type, seal,
};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::consumer_in_rust::{chain_after, open_event};
use crate::harness::{Sink, assert_members_are_documented, eventually, free_port, program};
use crate::other_ecosystems::{harness, node, python, said};

const ISSUER: &str = "https://events.example.com";
const IDS: [&str; 2] = ["01KAKR4ABCDEFGHJKMNPQRSTV1", "01KAKR4ABCDEFGHJKMNPQRSTV2"];

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.md")).unwrap()
}

/// The one block of the guide in a language.
fn block(language: &str) -> String {
    let guide = guide();
    let (_, rest) = guide.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```\n").unwrap().0.to_owned()
}

/// The events of the worked example, as they are before they get an id.
fn data() -> [Value; 2] {
    [json!({"amount": 100, "orderId": 101}), json!({"amount": 600, "orderId": 102})]
}

fn content(data: &Value) -> Content {
    Content::of(
        &EventSource::new("/orders").unwrap(),
        &EventType::new("Order.Created").unwrap(),
        Some(&Subject::new("Order.Created").unwrap()),
        data,
    )
    .unwrap()
}

/// The chain values before, between and after the two events.
fn chain() -> [ChainValue; 3] {
    let data = data().map(|data| content(&data).data_text().to_owned());
    chain_over([&data[0], &data[1]]).try_into().unwrap()
}

/// The salt of the second event; the first is of before there were salts.
fn salt() -> Salt {
    "EBESExQVFhcYGRobHB0eHw".parse().unwrap()
}

const SCHEMA: &str = "https://events.example.com/schemas/orders/Order.Created/1.0.0";

/// The event of a token, by its number and its data in canonical text.
fn event(at: usize, data: &str) -> CloudEvent {
    CloudEvent {
        id: IDS[at].parse().unwrap(),
        source: EventSource::new("/orders").unwrap(),
        event_type: EventType::new("Order.Created").unwrap(),
        subject: Some(Subject::new("Order.Created").unwrap()),
        time: "2026-11-21T20:17:00Z".parse().unwrap(),
        dataschema: Some(SCHEMA.into()),
        idempotency_key: IdempotencyKey::from_bytes(Md5::digest(content_text(data)).into()),
        digest: EventDigest::from_bytes(Sha256::digest(content_text(data)).into()),
        salt: None,
        trace: None,
        context: None,
        data: Data::from_text(data.to_owned()),
    }
}

/// What is digested of the second event, written out.
fn digested(data: &str) -> String {
    let event = event(1, data);
    format!(
        r#"{{"event":{{"data":{data},"datacontenttype":"application/json","dataschema":"{SCHEMA}","id":"{}","idempotencykey":"{}","source":"/orders","specversion":"1.0","subject":"Order.Created","time":"2026-11-21T20:17:00Z","type":"Order.Created"}},"pub_ver":"1.0.0"}}"#,
        event.id, event.idempotency_key,
    )
}

/// Data in its canonical text: numbers that no binary64 holds, others that one does, and texts in which
/// a careless program would find numbers, members or the end of the text.
const EXACT: &str = concat!(
    r#"{"-1e5":"1152921506151679042","amount":789.34,"digits":0.1234567890123456789012,"#,
    r#""id":1152921504606846976,"large":1e+21,"#,
    r#""list":[1152921506151679042,-820982911946154508,[-0.10000000000000000000001,0,-1.5e-9]],"#,
    r#""note":"\\\"18446744073709551617\",\\","orderId":820982911946154508,"small":1e-7,"#,
    r#""wide":12345678901234567890123456789012345678901234567890.5}"#,
);

/// Members whose order is that of UTF-16 units and not that of characters (RFC 8785, section 3.2.3), and
/// numbers again, for the other form of digests.
const ORDERED: &str = concat!(
    r#"{"\r":"Carriage Return","1":"One","digits":0.1234567890123456789012,"#,
    r#""id":1152921504606846976,"orderId":7,"small":1e-7,"#,
    "\"\u{80}\":\"Control\u{7f}\",\"\u{f6}\":",
    r#""\u001f\b\t\n\f","#,
    "\"\u{20ac}\":\"Euro\",\"\u{1f600}\":\"Emoji\",\"\u{fb33}\":\"Dalet\"}",
);

/// The canonical content of an event with this data.
fn content_text(data: &str) -> String {
    format!(
        r#"{{"data":{data},"source":"/orders","subject":"Order.Created","type":"Order.Created"}}"#
    )
}

/// The chain values before, between and after events with these data, computed from their texts: the
/// digest of the first is of form 1, that of the second of form 2.
fn chain_over([first, second]: [&str; 2]) -> Vec<ChainValue> {
    let mut chain = vec![ChainValue::start(&"orders".parse::<SubscriptionId>().unwrap())];
    let first = EventDigest::from_bytes(Sha256::digest(content_text(first)).into());
    for (id, digest) in IDS.iter().zip([first, second_digest(second)]) {
        chain.push(chain.last().unwrap().next(id.parse::<EventId>().unwrap(), digest));
    }
    chain
}

/// The digest of the second event, by the library of another.
fn second_digest(data: &str) -> EventDigest {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salt().to_bytes());
    let digest = hmac::sign(&key, digested(data).as_bytes());
    EventDigest::from_bytes(digest.as_ref().try_into().unwrap())
}

/// Two tokens, with the keys that open them.
struct Example {
    tokens: Vec<String>,
    my_keys: Value,
    gateway_keys: Value,
    receipt_key: Value,
}

impl Example {
    /// Those of the worked example.
    fn new() -> Self {
        let [one, two] = data().map(|data| data.to_string());
        Self::with([&one, &two])
    }

    /// Those of two events with these data, in canonical text.
    fn with(data: [&str; 2]) -> Self {
        Self::from(ISSUER, data)
    }

    /// The same from a gateway of another name.
    fn from(issuer: &str, data: [&str; 2]) -> Self {
        let chain = chain_over(data);
        let signing = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        let pair = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let sealing = SealingKey::from_jwk(pair.public_jwk().unwrap()).unwrap();
        let (subscription, now) = ("orders".parse().unwrap(), SystemClock.now());
        let tokens = [0, 1].map(|at| {
            let event = event(at, data[at]).to_json();
            let salted = SaltedClaims { salt: salt(), publication_version: Some("1.0.0") };
            let claims = Claims {
                issuer,
                audience: "shop",
                issued_at: now,
                expires_at: now.after(Duration::from_hours(1)),
                id: IDS[at].parse().unwrap(),
                transaction: None,
                occurred_at: Some(1_795_292_220),
                subscription: &subscription,
                place: Some(PlaceClaims { sequence: at as u64 + 1, previous: chain[at] }),
                replay: None,
                salted: (at == 1).then_some(salted),
                incarnation: 1,
                event_type: &cloudevent_type(issuer),
                event: &event,
            };
            seal(&claims, &signing, &sealing, &Options::default()).unwrap().into_token()
        });
        let private: Value = serde_json::from_str(pair.private_jwk().expose()).unwrap();
        Self {
            tokens: tokens.into(),
            my_keys: json!({ "keys": [private] }),
            gateway_keys: json!({ "keys": [signing.public_jwk().unwrap()] }),
            receipt_key: private_p256("mine"),
        }
    }

    /// Runs a command of `sealway` that opens tokens, with the keys in files; gives what it prints.
    fn told_by_sealway(&self, arguments: &[&str]) -> String {
        let directory = tempfile::tempdir().unwrap();
        said(&mut self.sealway(&directory, arguments))
    }

    /// The same where the answer is no, with what it says to a person.
    fn refused_by_sealway(&self, arguments: &[&str]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let ended = self.sealway(&directory, arguments).output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap()
    }

    fn sealway(&self, directory: &tempfile::TempDir, arguments: &[&str]) -> Command {
        let [mine, keys] = ["mine.json", "keys.json"].map(|name| directory.path().join(name));
        fs::write(&mine, self.my_keys.to_string()).unwrap();
        fs::write(&keys, self.gateway_keys.to_string()).unwrap();
        let mut program = program();
        program.args(arguments).args(["--issuer", ISSUER, "--audience", "shop"]);
        program.arg("--key").arg(mine).arg("--jwks").arg(keys);
        program
    }

    /// Checks the receipt for the first token that a program has made.
    fn check(&self, receipt: &Value) {
        let mut public = self.receipt_key.clone();
        public.as_object_mut().unwrap().remove("d");
        let keys = VerifyingKeys::from_json(public.to_string().as_bytes()).unwrap();
        let reader = ReceiptReader {
            keys: &keys,
            issuer: "shop",
            audience: ISSUER,
            now: SystemClock.now(),
            leeway: Duration::from_mins(1),
        };
        let receipt = reader.read(receipt.as_str().unwrap().as_bytes()).unwrap();
        let delivered = Delivered {
            event: IDS[0].parse().unwrap(),
            subscription: &"orders".parse().unwrap(),
            place: Some((1, chain()[1])),
            token: TokenDigest::of(&self.tokens[0]),
        };
        assert_eq!(receipt.answers(&delivered), Ok(()));
        assert_eq!(receipt.chain, Some(chain()[1]));
    }

    /// Runs a program of the guide on the example; it prints what it found.
    fn given_to(&self, language: &str, file: &str, ending: &str) -> Value {
        // Below the harness, where Node finds its libraries.
        let directory = tempfile::tempdir_in(harness()).unwrap();
        let example = directory.path().join("example.json");
        let content = json!({
            "tokens": self.tokens, "mine": self.my_keys, "gateway": self.gateway_keys,
            "receipts": self.receipt_key,
        });
        fs::write(&example, content.to_string()).unwrap();
        let program = directory.path().join(file);
        fs::write(&program, format!("{}\n{ending}", block(language))).unwrap();
        let run = if language == "js" { node } else { python };
        serde_json::from_str(&said(run(&program).arg(&example))).unwrap()
    }
}

/// A private key on P-256, which is also one for signatures.
fn private_p256(kid: &str) -> Value {
    let pair = OpeningKey::generate(OpeningKeyKind::P256).unwrap();
    let mut jwk: Value = serde_json::from_str(pair.private_jwk().expose()).unwrap();
    jwk.as_object_mut()
        .unwrap()
        .retain(|name, _| ["kty", "crv", "x", "y", "d"].contains(&name.as_str()));
    jwk["kid"] = json!(kid);
    jwk
}

/// What each program must find: the orders, the chain value after each, and that a token whose
/// signature was made by a stranger is refused.
fn expected() -> Value {
    let [_, first, second] = chain();
    json!({ "orders": [101, 102], "after": [first.to_string(), second.to_string()], "refused": true })
}

#[test]
fn the_worked_example_holds() {
    let guide = guide();
    let row = |what: &str, value: &dyn std::fmt::Display| {
        assert!(guide.contains(&format!("| {what} | `{value}` |")), "{what}: {value}");
    };
    let ([start, first, second], [one, two]) = (chain(), data().map(|data| content(&data)));

    row("value before the first, its `prv`", &start);
    row("`jti` of the first", &IDS[0]);
    row("its canonical content", &one.text());
    row("its digest, in hex", &one.digest());
    row("value after it, the `prv` of the second", &first);
    row("`jti` of the second", &IDS[1]);
    row("its `slt`", &salt().to_text());
    row("its `pub_ver`", &"1.0.0");
    row("what is digested of it", &digested(two.data_text()));
    row("its digest, in hex", &second_digest(two.data_text()));
    assert_eq!(event(1, two.data_text()).salted_digest(salt()), second_digest(two.data_text()));
    row("value after it", &second);
}

#[test]
fn the_command_line_says_the_digest_of_an_event_in_a_file() {
    let data = data()[1].to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event.json");
    fs::write(&file, event(1, &data).to_json()).unwrap();

    let mut program = program();
    program.args(["events", "key"]).arg(&file);
    program.args(["--salt", &salt().to_text(), "--publication-version", "1.0.0"]);

    let told = said(&mut program);
    let printed: Value = serde_json::from_str(&said(program.args(["--output", "json"]))).unwrap();
    assert_eq!(printed["event-digest"], json!(second_digest(&data).to_string()));
    assert_members_are_documented(&printed, "docs/verify.md");
    assert!(told.contains(&format!("form 2  {}", second_digest(&data))), "{told}");
}

#[test]
fn the_program_in_rust_opens_and_follows_the_chain() {
    let source = include_str!("consumer_in_rust.rs");
    assert_eq!(source.split_once("\n\n").unwrap().1, block("rust"), "the guide shows this file");
    let (example, stranger) = (Example::new(), Example::new());
    let mine = OpeningKeys::from_json(example.my_keys.to_string().as_bytes()).unwrap();
    let keys =
        |of: &Example| VerifyingKeys::from_json(of.gateway_keys.to_string().as_bytes()).unwrap();
    let now = SystemClock.now();

    let opened = |token: &String| open_event(token, &mine, &keys(&example), now).unwrap();
    let opened: Vec<_> = example.tokens.iter().map(opened).collect();

    let found = json!({
        "orders": opened.iter().map(|one| &one.event()["data"]["orderId"]).collect::<Vec<_>>(),
        "after": opened.iter().map(|one| chain_after(one).unwrap().to_string()).collect::<Vec<_>>(),
        "refused": open_event(&example.tokens[0], &mine, &keys(&stranger), now).is_err(),
    });
    assert_eq!(found, expected());
}

#[test]
fn the_program_in_javascript_opens_and_follows_the_chain() {
    let ending = "
import { readFileSync } from 'node:fs'
import { createLocalJWKSet, exportJWK, generateKeyPair } from 'jose'
const { tokens, mine, gateway, receipts } = JSON.parse(readFileSync(process.argv[2]))
const opened = await Promise.all(tokens.map((token) => openEvent(token, mine.keys, createLocalJWKSet(gateway))))
const stranger = { ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid: gateway.keys[0].kid }
const refused = await openEvent(tokens[0], mine.keys, createLocalJWKSet({ keys: [stranger] })).then(
  () => false,
  (error) => error.code === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
)
console.log(JSON.stringify({
  orders: opened.map(({ event }) => event.data.orderId), after: opened.map(chainAfter), refused,
  receipt: await receiptFor(tokens[0], opened[0], receipts),
}))
";
    let example = Example::new();

    let mut found = example.given_to("js", "guide.mjs", ending);

    example.check(&found.as_object_mut().unwrap().remove("receipt").unwrap());
    assert_eq!(found, expected());
}

/// What each program must find in events with data that a careless one changes.
fn unchanged() -> Value {
    let data = [EXACT, ORDERED];
    let contents = data.map(content_text);
    let keys = contents
        .each_ref()
        .map(|content| IdempotencyKey::from_bytes(Md5::digest(content).into()).to_string());
    let after: Vec<_> = chain_over(data)[1..].iter().map(ToString::to_string).collect();
    json!({
        "orders": ["820982911946154508", "7"], "contents": contents, "keys": keys, "after": after,
    })
}

#[test]
fn the_program_in_rust_keeps_every_digit() {
    let example = Example::with([EXACT, ORDERED]);
    let mine = OpeningKeys::from_json(example.my_keys.to_string().as_bytes()).unwrap();
    let keys = VerifyingKeys::from_json(example.gateway_keys.to_string().as_bytes()).unwrap();

    let opened = |token: &String| open_event(token, &mine, &keys, SystemClock.now()).unwrap();
    let opened: Vec<_> = example.tokens.iter().map(opened).collect();

    let contents: Vec<_> = opened.iter().map(|one| content(&one.event()["data"])).collect();
    let found = json!({
        "orders": opened.iter().map(|one| one.event()["data"]["orderId"].to_string()).collect::<Vec<_>>(),
        "contents": contents.iter().map(Content::text).collect::<Vec<_>>(),
        "keys": contents.iter().map(|one| one.idempotency_key().to_string()).collect::<Vec<_>>(),
        "after": opened.iter().map(|one| chain_after(one).unwrap().to_string()).collect::<Vec<_>>(),
    });
    assert_eq!(found, unchanged());
}

/// The numbers of the data, as they are to be shown.
const SHOWN: [&str; 8] = [
    "789.34",
    "0.1234567890123456789012",
    "1152921504606846976",
    "1e+21",
    "1152921506151679042",
    "-0.10000000000000000000001",
    "1e-7",
    "12345678901234567890123456789012345678901234567890.5",
];

#[test]
fn the_command_line_shows_and_chains_every_digit() {
    let example = Example::with([EXACT, ORDERED]);

    let directory = tempfile::tempdir().unwrap();
    let stored = directory.path().join("stored.jwt");
    fs::write(&stored, example.tokens.join("\n")).unwrap();
    let stored = stored.to_str().unwrap();

    let shown = example.told_by_sealway(&["open", &example.tokens[0]]);
    let chained = ["--output", "json", "verify-chain", stored, "--subscription", "orders"];
    let chained = example.told_by_sealway(&chained);

    for number in SHOWN {
        assert!(shown.contains(number), "{number} is not in {shown}");
    }
    let after = &unchanged()["after"][1];
    assert!(chained.contains(after.as_str().unwrap()), "{after} is not in {chained}");
}

/// Numbers that no gateway writes so, each beside what a careless program would make of it.
const FOREIGN: &str = r#"{"large":1E+21,"orderId":7,"point":300.0,"short":1e5,"zero":-0}"#;

/// A chain value after the first token, as a program of the guide computes it.
fn after_first(example: &Example, language: &str) -> String {
    let (file, ending) = if language == "js" {
        let ending = "
import { readFileSync } from 'node:fs'
import { createLocalJWKSet } from 'jose'
const { tokens, mine, gateway } = JSON.parse(readFileSync(process.argv[2]))
console.log(JSON.stringify(chainAfter(await openEvent(tokens[0], mine.keys, createLocalJWKSet(gateway)))))
";
        ("foreign.mjs", ending)
    } else {
        let ending = "
import sys
example = json.load(open(sys.argv[1]))
keys = jwk.KeySet.import_key_set
print(json.dumps(chain_after(*open_event(example['tokens'][0], keys(example['mine']), keys(example['gateway'])))))
";
        ("foreign.py", ending)
    };
    example.given_to(language, file, ending).as_str().unwrap().to_owned()
}

#[test]
fn numbers_that_no_gateway_writes_have_one_digest_in_each_program_or_none() {
    let example = Example::with([FOREIGN, FOREIGN]);
    let after = chain_over([FOREIGN, FOREIGN])[1].to_string();

    assert_eq!(after_first(&example, "js"), after, "the characters as they came");
    assert_eq!(after_first(&example, "python"), after, "the characters as they came");

    let mine = OpeningKeys::from_json(example.my_keys.to_string().as_bytes()).unwrap();
    let keys = VerifyingKeys::from_json(example.gateway_keys.to_string().as_bytes()).unwrap();
    for token in &example.tokens {
        let refused = open_event(token, &mine, &keys, SystemClock.now()).unwrap_err();
        assert_eq!(refused.claim(), Some(ClaimFault::Number));
        let told = example.refused_by_sealway(&["open", token]);
        assert!(told.contains("a number is not written in its one canonical text"), "{told}");
    }
    let directory = tempfile::tempdir().unwrap();
    let stored = directory.path().join("stored.jwt");
    fs::write(&stored, example.tokens.join("\n")).unwrap();
    let chained = ["--output", "json", "verify-chain", stored.to_str().unwrap()];
    let told = example.refused_by_sealway(&[&chained[..], &["--subscription", "orders"]].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["findings"].as_array().unwrap().len(), 2);
    let problem = told["findings"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("a number is not written"), "{told}");
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn the_sink_for_trying_things_out_shows_every_digit() {
    let keys = Arc::new(Mutex::new(String::new()));
    let published = Arc::clone(&keys);
    let gateway = Sink::start(move |_| (200, None, published.lock().unwrap().clone())).await;
    let example = Example::from(&gateway.at(""), [EXACT, ORDERED]);
    *keys.lock().unwrap() = example.gateway_keys.to_string();
    let directory = tempfile::tempdir().unwrap();
    let mine = directory.path().join("mine.json");
    fs::write(&mine, example.my_keys.to_string()).unwrap();
    let port = free_port().to_string();

    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/receiver.py");
    let mut sink = python(&program);
    sink.arg(&port).arg(&mine).args([&gateway.at(""), "shop"]);
    sink.env("PATH", Path::new(env!("CARGO_BIN_EXE_sealway")).parent().unwrap());
    let mut sink = Running(sink.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let client = reqwest::Client::new();
    let answer = eventually("the sink answers", async || {
        let posted =
            client.post(format!("http://127.0.0.1:{port}")).body(example.tokens[0].clone());
        posted.send().await.ok()
    })
    .await;

    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let damaged = client.post(format!("http://127.0.0.1:{port}")).body("no.token");
    assert_eq!(damaged.send().await.unwrap().status(), 400);
    let said = BufReader::new(sink.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = said.take(2).collect();
    assert!(said[0].starts_with("listening on "), "{said:?}");
    assert!(said[1].starts_with("refused: ") && said[1].len() > 20, "{said:?}");
    let mut shown = String::new();
    BufReader::new(sink.0.stdout.take().unwrap()).read_line(&mut shown).unwrap();
    for number in SHOWN {
        assert!(
            shown.contains(&format!(" {number}")) || shown.contains(&format!("[{number}")),
            "{shown}"
        );
    }
}

#[test]
fn the_sink_for_trying_things_out_says_what_it_lacks() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/receiver.py");
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("mine.json");
    let told = |path: &Path, arguments: &[&str]| {
        let mut sink = python(&program);
        sink.env("PATH", path).args(arguments);
        let ended = sink.output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8(ended.stderr).unwrap()
    };
    let with_sealway = Path::new(env!("CARGO_BIN_EXE_sealway")).parent().unwrap();
    let name = key.to_str().unwrap();
    let asked = ["70000", name, "http://127.0.0.1:1", "shop"];

    assert!(told(with_sealway, &["9000"]).contains("PORT PRIVATE-KEY-FILE ISSUER AUDIENCE"));
    assert!(told(with_sealway, &asked).contains("cannot read the private key"));
    fs::write(&key, "{}").unwrap();
    assert!(told(directory.path(), &asked).contains("`sealway` is not on the PATH"));
    let told = told(with_sealway, &asked);
    assert!(told.contains("cannot listen on port 70000"), "{told}");
}

#[test]
fn the_program_in_javascript_keeps_every_digit() {
    let ending = "
import { readFileSync } from 'node:fs'
import { createLocalJWKSet } from 'jose'
const { tokens, mine, gateway } = JSON.parse(readFileSync(process.argv[2]))
const opened = await Promise.all(tokens.map((token) => openEvent(token, mine.keys, createLocalJWKSet(gateway))))
const contents = opened.map(({ event }) => contentOf(event))
console.log(JSON.stringify({
  orders: opened.map(({ event }) => `${event.data.orderId}`), contents,
  keys: contents.map((content) => createHash('md5').update(content).digest('hex')),
  after: opened.map(chainAfter),
}))
";

    let found = Example::with([EXACT, ORDERED]).given_to("js", "digits.mjs", ending);

    assert_eq!(found, unchanged());
}

#[test]
fn a_key_without_a_name_is_found_by_its_thumbprint() {
    let nameless = || {
        let mut example = Example::new();
        let key = example.my_keys["keys"][0].as_object_mut().unwrap();
        assert!(key.remove("kid").is_some());
        // Beside it stands another, as while keys rotate.
        example.my_keys["keys"].as_array_mut().unwrap().insert(0, private_p256("another"));
        example
    };
    let after = chain()[1].to_string();
    for language in ["js", "python"] {
        assert_eq!(after_first(&nameless(), language), after, "{language}");
    }
}

#[test]
fn the_program_in_python_keeps_every_digit() {
    let ending = r#"
import rfc8785, sys
example = json.load(open(sys.argv[1]))
mine = jwk.KeySet.import_key_set(example["mine"])
opened = [open_event(t, mine, jwk.KeySet.import_key_set(example["gateway"])) for t in example["tokens"]]
contents = [content_of(event) for _, event in opened]
# Where a binary64 holds every number, the canonical form is that of RFC 8785.
plain = {name: value for name, value in opened[1][1]["data"].items() if name not in ("digits", "id")}
assert canonical(plain).encode() == rfc8785.dumps(json.loads(canonical(plain)))
numbers = b'[0.1,1e-7,123456789012345680000,1e+21,-5e-324,9007199254740991]'
assert canonical(parse(numbers)).encode() == numbers == rfc8785.dumps([float(n) for n in json.loads(numbers)])
print(json.dumps({
    "orders": [str(event["data"]["orderId"]) for _, event in opened],
    "contents": [content.decode() for content in contents],
    "keys": [hashlib.md5(content).hexdigest() for content in contents],
    "after": [chain_after(claims, event) for claims, event in opened],
}))
"#;

    let found = Example::with([EXACT, ORDERED]).given_to("python", "digits.py", ending);

    assert_eq!(found, unchanged());
}

#[test]
fn the_program_in_python_opens_and_follows_the_chain() {
    let ending = r#"
import json, sys
from joserfc.errors import BadSignatureError
example = json.load(open(sys.argv[1]))
mine = jwk.KeySet.import_key_set(example["mine"])
opened = [open_event(t, mine, jwk.KeySet.import_key_set(example["gateway"])) for t in example["tokens"]]
stranger = jwk.generate_key("EC", "P-256", {"kid": example["gateway"]["keys"][0]["kid"]})
refused = False
try:
    open_event(example["tokens"][0], mine, jwk.KeySet([stranger]))
except BadSignatureError:
    refused = True
print(json.dumps({
    "orders": [event["data"]["orderId"] for _, event in opened],
    "after": [chain_after(claims, event) for claims, event in opened],
    "refused": refused,
    "receipt": receipt_for(example["tokens"][0], *opened[0], jwk.import_key(example["receipts"])),
}))
"#;
    let example = Example::new();

    let mut found = example.given_to("python", "guide.py", ending);

    example.check(&found.as_object_mut().unwrap().remove("receipt").unwrap());
    assert_eq!(found, expected());
}
