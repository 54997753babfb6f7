//! Whatever the gateway or the command line asks of others says who asks, and that nothing is unpacked.

use reqwest::Method;
use serde_json::json;

use sealway::keys::{OpeningKey, OpeningKeyKind};

use crate::harness::{
    Posted, Process, Said, Sink, SinkKey, WitnessProcess, eventually, order_created,
};

/// Answers a token, a key set, a challenge and an event, and refuses everything else.
fn answers(key: &SinkKey, posted: &Posted) -> Said {
    let json = || Some(("content-type", "application/json".to_owned()));
    match posted.path.as_str() {
        "/token" => {
            let token = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 600 });
            (200, json(), token.to_string())
        }
        "/jwks.json" => (200, json(), json!({ "keys": [key.public] }).to_string()),
        "/hook" if posted.method == Method::POST => key.answer(posted),
        _ => (400, json(), "{}".to_owned()),
    }
}

/// What the gateway dials where, each under the name that a failure of this test gives it.
type Kind = (&'static str, fn(&Posted) -> bool);

fn is_action(posted: &Posted, action: &str) -> bool {
    posted.header("x-amz-target").is_some_and(|target| target.ends_with(action))
}

const KINDS: &[Kind] = &[
    ("a question of consent", |one| one.path == "/hook" && one.method == Method::OPTIONS),
    ("a challenge", |one| one.path == "/hook" && one.header("sealway-attempt").is_none()),
    ("a delivery", |one| one.path == "/hook" && one.header("sealway-attempt").is_some()),
    ("a key set", |one| one.path == "/jwks.json"),
    ("a token of OAuth", |one| one.path == "/token"),
    ("a checkpoint for a witness", |one| one.path == "/witness/add-checkpoint"),
    ("the command line's call", |one| one.path == "/cli/subscriptions"),
    ("the command line's key set", |one| one.path == "/known.json"),
    #[cfg(feature = "aws")]
    ("a bundle for a bucket", |one| one.path.starts_with("/aws/proofs")),
    #[cfg(feature = "aws")]
    ("a look into a queue", |one| {
        is_action(one, ".GetQueueUrl") || is_action(one, ".ReceiveMessage")
    }),
    #[cfg(feature = "aws")]
    ("an event on a bus", |one| is_action(one, ".PutEvents")),
    #[cfg(feature = "aws")]
    ("a role that is taken", |one| one.body.contains("Action=AssumeRole")),
];

/// Settings that have the gateway ask everybody at this sink.
fn prepared(sink: &Sink, witness: &str) -> Process {
    let bus = "arn:aws:events:eu-west-1:111122223333:event-bus";
    let role = "arn:aws:iam::111122223333:role/sealway";
    let buses = format!(", event-buses: [{{ consumer: bus, bus: '{bus}/shop' }}]");
    let gateway = Process::prepare_with(if cfg!(feature = "aws") { &buses } else { "" });
    let text = gateway.settings_text();
    let witness = format!(
        "log: {{ witnesses: [{{ url: '{}', key: '{witness}' }}], witness-interval: 1s, ",
        sink.at("/witness")
    );
    std::fs::write(gateway.settings(), text.replace("log: { ", &witness)).unwrap();
    if !cfg!(feature = "aws") {
        return gateway;
    }
    let queue = "arn:aws:sqs:eu-west-1:111122223333";
    gateway
        .with_settings(&format!(
            "source: {{ queues: [{{ arn: '{queue}:one', buses: ['{bus}/team'] }}, \
             {{ arn: '{queue}:two', buses: ['{bus}/team'], role: '{role}' }}] }}\n\
             evidence: {{ export: {{ to: 's3://proofs', every: 1s, region: us-east-1 }} }}"
        ))
        .with_aws(&sink.at("/aws"), "AKIATEST")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_names_its_agent_and_takes_answers_as_they_are() {
    let sink = Sink::start(|_| (400, None, String::new())).await;
    let witness = WitnessProcess::of(&[]).key();
    let mut gateway = prepared(&sink, &witness);
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let key = SinkKey::of_process(&gateway, OpeningKeyKind::X25519).await;
    sink.behave(move |posted| answers(&key, posted));

    let shop = json!({
        "id": "shop", "consumer": "shop", "sink": sink.at("/hook"),
        "sinkcredential": { "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": {
            "endpoint": sink.at("/token"), "clientId": "shop", "clientSecret": "open sesame",
        } },
        "config": { "keys": { "jwksUri": sink.at("/jwks.json") } },
    });
    let path = (Method::POST, "/subscriptions");
    let made = gateway.call_as(&admin, path.clone(), Some(&shop)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    if cfg!(feature = "aws") {
        let bus = json!({
            "id": "bus", "consumer": "bus", "protocol": "EVENTBRIDGE",
            "sink": "arn:aws:events:eu-west-1:111122223333:event-bus/shop",
            "config": { "keys": { "jwksUri": sink.at("/jwks.json") } },
        });
        let made = gateway.call_as(&admin, path, Some(&bus)).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    gateway.publish(&admin, &order_created("order-1", 1)).await;
    let private = gateway.directory().join("key.json");
    let own = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
    std::fs::write(&private, own.private_jwk().expose()).unwrap();
    gateway.run(&["--gateway", &sink.at("/cli"), "subscriptions", "list"]);
    let token = ["a"; 5].join(".");
    let private = private.to_str().unwrap();
    let known = sink.at("/known.json");
    let of = ["--key", private, "--jwks", &known, "--issuer", "https://gw.example"];
    gateway.run(&[&["open", &token][..], &of, &["--audience", "shop"]].concat());

    for (name, is_kind) in KINDS {
        eventually(*name, async || sink.arrived().iter().any(is_kind).then_some(())).await;
    }
    gateway.stop().await;
    for one in sink.arrived() {
        let of = format!("{} {}", one.method, one.path);
        let agent = one.header("user-agent").unwrap_or_default();
        assert!(agent.contains("sealway"), "{of}: {agent:?}");
        let encodings: Vec<_> = one.headers.get_all("accept-encoding").iter().collect();
        assert_eq!(encodings, ["identity"], "{of}");
    }
}
