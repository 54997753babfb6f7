//! Who changed what, when and why is kept with the change, and outlives the process and a restore.

use std::fs;
use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Process, Receiver, Reply, TestGateway, answer, eventually, order_created, program,
};

async fn actions(gateway: &TestGateway, query: &str) -> Vec<Value> {
    gateway.get(&format!("/actions{query}")).await["actions"].as_array().unwrap().clone()
}

/// Kind, target, outcome and what was made, oldest first.
async fn told(gateway: &TestGateway, query: &str) -> Vec<[String; 4]> {
    let text = |action: &Value, name: &str| action[name].as_str().unwrap_or("").to_owned();
    let listed = actions(gateway, query).await;
    let tell =
        |action: &Value| ["kind", "target", "outcome", "made"].map(|name| text(action, name));
    listed.iter().rev().map(tell).collect()
}

fn row(kind: &str, target: &str, outcome: &str, made: &str) -> [String; 4] {
    [kind, target, outcome, made].map(str::to_owned)
}

#[tokio::test]
async fn every_change_of_a_subscription_is_an_action_and_what_only_looks_is_none() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer_next([Reply::Status(500), Reply::Status(500)]);
    let first = gateway.orders(1..=2).await.remove(0);
    eventually("two dead letters", async || {
        let counts = gateway.get("/subscriptions/shop/dead-letters/counts").await;
        (counts["total"] == 2).then_some(())
    })
    .await;
    let boss = gateway.add_caller("boss", &["admin"]).await;
    let call = async |method: Method, path: &str, body: Option<&Value>| {
        let request = gateway.request(method, path).bearer_auth(&boss);
        let request = request.header("if-match", "*");
        answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    };
    let secret = "a-token-that-nobody-sees";
    let credential = json!({ "credentialtype": "BASIC",
        "basic": { "username": "shop", "password": secret } });
    let document = receiver.document(json!({ "config": { "maximumRetryAttempts": 0 } }));
    let at = |below: &str| format!("/subscriptions/shop{below}");
    let mut answers = Vec::new();
    for (method, path, body) in [
        (Method::POST, at("/pause"), None),
        (Method::POST, at("/pause"), None),
        (Method::POST, at("/resume"), None),
        (Method::PUT, at(""), Some(&document)),
        (Method::PUT, at("/sink-credential"), Some(&credential)),
        (Method::DELETE, at("/sink-credential"), None),
        (Method::POST, at("/verify"), None),
        (Method::DELETE, at("/dead-letters/1"), None),
        (Method::DELETE, at("/dead-letters/1"), None),
        (Method::POST, at("/dead-letters/redrive"), Some(&json!({ "ids": [2] }))),
        (Method::POST, at("/replays"), Some(&json!({ "from": first, "dryRun": true }))),
        (Method::POST, at("/replays"), Some(&json!({ "from": first }))),
        (Method::GET, at(""), None),
        (Method::GET, at("/attempts"), None),
    ] {
        let answer = call(method.clone(), &path, body).await;
        answers.push((format!("{method} {path}"), answer.status));
        if path.ends_with("/replays") && answer.status == 201 {
            let replay = answer.body["id"].as_str().unwrap();
            call(Method::DELETE, &format!("/replays/{replay}"), None).await;
        }
    }
    call(Method::DELETE, &at(""), None).await;

    let told = told(&gateway, "").await;
    let kinds: Vec<_> = told.iter().map(|[kind, _, outcome, _]| (&**kind, &**outcome)).collect();
    let replay = told.iter().find(|one| one[0] == "start-replay").unwrap()[3].clone();
    let cancelled = told.iter().find(|one| one[0] == "cancel-replay").unwrap();
    assert_eq!(
        kinds,
        [
            ("create-subscription", "done"),
            ("pause-subscription", "done"),
            ("pause-subscription", kinds[2].1),
            ("resume-subscription", "done"),
            ("replace-subscription", "done"),
            ("replace-sink-credential", "done"),
            ("remove-sink-credential", "done"),
            ("verify-subscription", kinds[7].1),
            ("dismiss-dead-letter", "done"),
            ("dismiss-dead-letter", "refused"),
            ("start-redrive", "done"),
            ("start-replay", "done"),
            ("cancel-replay", &cancelled[2]),
            ("delete-subscription", "done"),
        ],
        "{answers:?}"
    );
    assert_eq!(told[0], row("create-subscription", "subscriptions", "done", "subscriptions/shop"));
    assert!(replay.starts_with("replays/") && cancelled[1] == replay, "{told:?}");
    assert_eq!(told[8][1], "subscriptions/shop/dead-letters/1");
    let all = Value::from(actions(&gateway, "").await).to_string();
    assert!(!all.contains(secret) && !all.contains(receiver.address()), "{all}");
}

#[tokio::test]
async fn an_action_says_who_when_why_and_in_which_request() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let operator = gateway.add_caller("night-shift", &["operate"]).await;
    let pause = |reason: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(reason).unwrap();
        let request = gateway.request(Method::POST, "/subscriptions/shop/pause");
        request.bearer_auth(&operator).header("sealway-reason", value)
    };
    let long = "x".repeat(501);
    for wrong in [long.as_bytes(), b" ", b"\xff"] {
        let refused = answer(pause(wrong)).await;
        assert_eq!((refused.status, refused.code()), (400, "bad-request"));
    }

    let done = pause("the sink’s disk,\t full".as_bytes()).send().await.unwrap();
    assert_eq!(done.status(), 200);
    let request = done.headers()["x-request-id"].to_str().unwrap().to_owned();

    let found = actions(&gateway, "?kind=pause-subscription").await;
    assert_eq!(found.len(), 1, "what was refused for its reason is none: {found:?}");
    assert_eq!(found[0]["caller"], "night-shift");
    assert_eq!(found[0]["reason"], "the sink’s disk, full");
    assert_eq!(found[0]["request"], json!(request));
    assert_eq!(found[0]["consumer"], json!("shop"));
    assert_eq!(found[0]["outcome"], "done");
    assert!(found[0]["at"].as_str().unwrap().ends_with('Z'));

    let own = gateway.add_caller("shop", &["consume:shop"]).await;
    let other = gateway.add_caller("other", &["consume:other"]).await;
    let publisher = gateway.add_caller("publisher", &["publish:*"]).await;
    let asked = async |key: &str| gateway.call_as(key, (Method::GET, "/actions"), None).await;
    let kinds: Vec<_> = asked(&own).await.body["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].clone())
        .collect();
    assert_eq!(kinds, ["pause-subscription", "create-subscription"]);
    assert_eq!(asked(&other).await.body["actions"], json!([]));
    assert_eq!((asked(&publisher).await.status, asked(&operator).await.status), (403, 200));
    drop(receiver);
}

#[tokio::test]
async fn actions_are_paged_from_the_newest_and_chosen_by_each_of_their_sides() {
    let gateway = TestGateway::start().await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    for _ in 0..3 {
        for step in ["pause", "resume"] {
            gateway.call(Method::POST, &format!("/subscriptions/shop/{step}"), None).await;
        }
    }
    let all: Vec<_> = actions(&gateway, "").await.iter().map(|one| one["id"].clone()).collect();
    assert_eq!(all.len(), 7);

    let mut paged = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = gateway.get(&format!("/actions{query}")).await;
        let Some(next) = page["next"].as_u64() else { break };
        paged.extend(page["actions"].as_array().unwrap().iter().map(|one| one["id"].clone()));
        query = format!("?limit=2&before={next}");
    }

    assert_eq!(paged, all);
    for (query, count) in [
        ("?kind=pause-subscription", 3),
        ("?caller=admin", 7),
        ("?caller=nobody", 0),
        ("?target=subscriptions/shop", 6),
        ("?target=/subscriptions", 7),
        ("?target=subscriptions/sho", 0),
        ("?to=2020-01-01T00:00:00Z", 0),
        ("?from=2020-01-01T00:00:00Z", 7),
    ] {
        assert_eq!(actions(&gateway, query).await.len(), count, "{query}");
    }
    for query in ["?kind=publish-event", "?from=yesterday", "?limit=0", "?who=me"] {
        let path = format!("/actions{query}");
        let refused = gateway.call(Method::GET, &path, None).await;
        assert!(matches!(refused.status, 400 | 422), "{query}: {}", refused.status);
    }
}

fn listed(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn kinds(listed: &[Value]) -> Vec<(&str, &str)> {
    listed
        .iter()
        .map(|one| (one["kind"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_took_effect_has_its_action_after_a_kill_and_a_restore() {
    let mut gateway = Process::prepare();
    let key = gateway.add_caller("ops", "admin");
    gateway.serve().await;
    let http = reqwest::Client::new();
    let document = json!({ "id": "fetched", "consumer": "shop", "protocol": "PULL", "config": { "keys": {
        "jwks": { "keys": [{ "kty": "EC", "crv": "P-256", "use": "enc", "kid": "k1",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck" }] } } } });
    let created = http.post(format!("{}/subscriptions", gateway.issuer())).bearer_auth(&key);
    let created = answer(created.json(&document)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let pause = http.post(format!("{}/subscriptions/fetched/pause", gateway.issuer()));
    assert_eq!(answer(pause.bearer_auth(&key)).await.status, 200);
    gateway.kill();

    gateway.serve().await;
    let issuer = gateway.issuer().to_owned();
    let ask = |arguments: &[&str]| {
        let mut command = program();
        command.args(["--output", "json", "--gateway", &issuer, "--caller-key", &key]);
        command.args(arguments).output().unwrap()
    };
    let before = listed(&ask(&["actions"]));
    assert_eq!(
        kinds(&before),
        [("pause-subscription", "done"), ("create-subscription", "done"), ("add-caller", "done")]
    );
    assert!(before[2]["caller"].as_str().unwrap().starts_with("cli:"), "{}", before[2]);
    assert_eq!(before[2]["target"], "callers/ops");
    let because = ["--because", "planned work", "subscriptions", "resume", "fetched"];
    assert!(ask(&because).status.success());
    let newest = listed(&ask(&["actions", "--limit", "1"]));
    assert_eq!(newest[0]["reason"], "planned work");

    let copy = gateway.directory().join("copy.db");
    assert!(gateway.run(&["log", "backup", copy.to_str().unwrap()]).status.success());
    assert!(gateway.stop().await.success());
    fs::remove_dir_all(gateway.directory().join("data")).unwrap();
    let restored = gateway.run(&["log", "restore", copy.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let confirmed = gateway.run(&["log", "restored", "--because", "the disk is gone"]);
    assert!(confirmed.status.success(), "{}", String::from_utf8_lossy(&confirmed.stderr));
    gateway.serve().await;
    let after = listed(&ask(&["actions"]));
    assert_eq!(kinds(&after)[0], ("accept-restored-log", "done"));
    assert_eq!(after[0]["reason"], "the disk is gone");
    assert_eq!(&after[2..], &before[..], "what was kept before the copy is there");
}

#[test]
fn what_is_changed_without_a_gateway_is_kept_too() {
    let gateway = Process::prepare();
    let no_log = gateway.run(&["keys", "generate"]);
    assert!(no_log.status.success());
    let words = String::from_utf8(no_log.stderr).unwrap();
    assert!(words.contains("not kept among the actions"), "{words}");
    gateway.add_caller("ops", "admin");
    for (arguments, ends_well) in [
        (&["callers", "add", "ops", "--scope", "audit"][..], false),
        (&["callers", "change", "ops", "--scope", "audit"], true),
        (&["keys", "rotate"], true),
        (&["keys", "revoke", "no-such-key"], false),
        (&["callers", "remove", "ops"], true),
        (&["keys", "adopt"], true),
    ] {
        let output = gateway.run(arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), ends_well, "{arguments:?}: {words}");
    }

    let database = gateway.directory().join("data/sealway.db");
    let log = rusqlite::Connection::open(database).unwrap();
    let mut kept = log.prepare("SELECT kind, target, outcome, caller FROM actions").unwrap();
    let rows = kept
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?)));
    let rows: Vec<(String, String, String, String)> =
        rows.unwrap().collect::<Result<_, _>>().unwrap();
    let told: Vec<_> = rows.iter().map(|row| (&*row.0, &*row.1, &*row.2)).collect();
    assert_eq!(
        told,
        [
            ("add-caller", "callers/ops", "done"),
            ("add-caller", "callers/ops", "refused"),
            ("change-caller", "callers/ops", "done"),
            ("rotate-keys", "keys", "done"),
            ("revoke-key", "keys/no-such-key", "refused"),
            ("remove-caller", "callers/ops", "done"),
            ("adopt-keys", "keys", "done"),
        ]
    );
    assert!(rows.iter().all(|row| row.3.starts_with("cli:") && row.3 == rows[0].3), "{rows:?}");
}

#[tokio::test]
async fn a_change_whose_action_cannot_be_kept_is_not_made() {
    let gateway = TestGateway::start().await;
    let _receiver = Receiver::subscribed(&gateway, "shop").await;
    let database = gateway.path("data/sealway.db");
    let log = rusqlite::Connection::open(database).unwrap();
    // A trigger stands for a store that takes no action.
    log.execute_batch(
        "CREATE TRIGGER none BEFORE INSERT ON actions BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .unwrap();

    let refused = gateway.call(Method::POST, "/subscriptions/shop/pause", None).await;

    assert_eq!(refused.status, 500, "{}", refused.body);
    let state: String = log
        .query_row("SELECT body FROM records WHERE kind = 'subscription'", [], |row| row.get(0))
        .unwrap();
    assert!(!state.contains("paused"), "{state}");
}

#[tokio::test]
async fn publishing_fetching_and_acknowledging_are_no_actions() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let mut document = receiver.document(json!({ "protocol": "PULL" }));
    document.as_object_mut().unwrap().remove("sink");
    gateway.post("/subscriptions", &document).await;
    gateway.publish(&order_created("o-1", 1)).await;
    let page = gateway.get("/subscriptions/shop/events?wait=5").await;
    let next = page["next"].as_str().unwrap();
    gateway.get(&format!("/subscriptions/shop/events?after={next}")).await;
    gateway.post("/subscriptions/shop/poll", &json!({ "returnImmediately": true })).await;

    let kept = actions(&gateway, "").await;

    assert_eq!(kinds(&kept), [("create-subscription", "done")]);
}
