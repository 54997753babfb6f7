//! What a receipt or a bundle needs is kept as long as receipts, whatever changes meanwhile.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};
use sealway::keys::{SigningAlgorithm, SigningKey};

use crate::evidence_stands_alone::{
    export, public, receipts_are_kept, sign_receipts, subscribe_with_receipts, verify,
};
use crate::harness::{Process, Receiver, TestGateway, eventually};
use crate::keys_rotate;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_checked_though_their_consumer_has_rotated_its_keys_since() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let first = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let receipts = json!({ "jwks": public(&first) });
    subscribe_with_receipts(&gateway, &receiver, (first, receipts)).await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;
    let mut kept = 2;
    receipts_are_kept(&gateway, kept).await;

    for algorithm in [SigningAlgorithm::EdDSA, SigningAlgorithm::ES256] {
        let pen = SigningKey::generate(algorithm).unwrap();
        let jwks = public(&pen);
        sign_receipts(&gateway, &receiver, pen);
        let document = receiver.document(json!({ "config": { "receipts": { "jwks": jwks } } }));
        let put = gateway.request(Method::PUT, "/subscriptions/shop").bearer_auth(gateway.admin());
        let answer = put.header("if-match", "*").json(&document).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        gateway.order(kept as u64 + 1).await;
        kept += 1;
        receiver.wait_for_delivered(kept).await;
        receipts_are_kept(&gateway, kept).await;
    }
    let file = gateway.path("bundle.ndjson");
    assert_eq!(export(&gateway, &key, &[], &file), 0);

    let (code, said) = verify(&file, &[]);
    assert_eq!((code, &said["receipts"]), (4, &json!(4)), "{said}");
    assert_eq!((&said["unchecked-receipts"], &said["events"]), (&json!(0), &json!(4)), "{said}");
    assert_eq!(said["bundled-receipt-keys"].as_array().unwrap().len(), 3);
    // What the consumer itself gives is believed alone.
    let own = gateway.path("own.json");
    let shown = gateway.get("/subscriptions/shop").await;
    fs::write(&own, shown["config"]["receipts"]["jwks"].to_string()).unwrap();
    let (code, said) = verify(&file, &["--receipt-keys", own.to_str().unwrap()]);
    assert_eq!((code, &said["flaw-count"]), (1, &json!(3)), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_version_of_a_contract_and_another_text_of_it_void_nothing() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    gateway.subscribe(&receiver, json!({})).await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;
    let file = gateway.path("asyncapi/orders.yaml");
    let first = fs::read_to_string(&file).unwrap();
    let own = gateway.path("key.json");
    fs::write(&own, receiver.private_key()).unwrap();
    // The contract's text changes, and not what it lets pass.
    fs::write(&file, format!("# another remark\n{first}")).unwrap();
    gateway.restart().await;
    gateway.order(3).await;
    receiver.wait_for_delivered(3).await;
    let version = first.lines().find(|line| line.trim().starts_with("version:")).unwrap();
    let next = first.replacen(version, "  version: 9.0.0", 1);
    fs::write(&file, &next).unwrap();
    gateway.restart().await;
    gateway.order(4).await;
    receiver.wait_for_delivered(4).await;

    let bundle = gateway.path("bundle.ndjson");
    assert_eq!(export(&gateway, &key, &[], &bundle), 0);

    let text = fs::read_to_string(&bundle).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let documents: Vec<String> = lines
        .filter(|line| line["kind"] == "contract")
        .map(|line| line["document"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(documents, [first, next], "as they were when the first event named them");
    let (code, said) = verify(&bundle, &["--key", own.to_str().unwrap()]);
    assert_eq!((code, &said["opened"], &said["unvalidated"]), (4, &json!(4), &json!(0)), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_checked_after_the_key_that_signed_it_has_left_the_set() {
    let clock = ManualClock::at(SystemClock.now().before(Duration::from_hours(300 * 24)));
    let gateway = keys_rotate::gateway(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    gateway.subscribe(&receiver, json!({})).await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;
    let file = gateway.path("bundle.ndjson");
    assert_eq!(export(&gateway, &key, &[], &file), 0);
    let signer = keys_rotate::published(&gateway).await.remove(0);

    keys_rotate::keys(&gateway, &["rotate", "--now"]);
    keys_rotate::published_once(&gateway, &clock, |kids| kids.len() == 2).await;
    eventually("the key leaves the set", async || {
        clock.advance(Duration::from_hours(12));
        let kids = keys_rotate::published(&gateway).await;
        (!kids.contains(&signer)).then_some(())
    })
    .await;

    let checked_with = async |path: &str| {
        let keys = gateway.path("keys.json");
        let served = gateway.request(Method::GET, path).send().await.unwrap();
        fs::write(&keys, served.text().await.unwrap()).unwrap();
        verify(&file, &["--jwks", keys.to_str().unwrap()])
    };
    let (code, said) = checked_with("/.well-known/jwks.json").await;
    assert_eq!((code, &said["missing-keys"]), (1, &json!([signer])), "{said}");
    let (code, said) = eventually("the log keeps the key", async || {
        let checked = checked_with("/.well-known/historical-jwks.json").await;
        (checked.0 == 0).then_some(checked)
    })
    .await;
    assert_eq!((code, &said["verdict"]), (0, &json!("valid")), "{said}");
    let keys = gateway.get("/.well-known/historical-jwks.json").await;
    let left = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *signer);
    assert!(left.unwrap()["exp"].is_i64(), "{keys}");

    let of_now = keys_rotate::published(&gateway).await.remove(0);
    keys_rotate::keys(&gateway, &["revoke", &of_now]);
    keys_rotate::published_once(&gateway, &clock, |kids| !kids.contains(&of_now)).await;
    eventually("the revoked key is named", async || {
        clock.advance(Duration::from_secs(5));
        let keys = gateway.get("/.well-known/historical-jwks.json").await;
        (keys["revoked"][0]["kid"] == *of_now).then_some(())
    })
    .await;
    let keys = gateway.get("/.well-known/historical-jwks.json").await;
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key["kid"] != *of_now), "{keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_called_otherwise_keeps_its_receipts_and_its_log_its_name() {
    let old = "https://old.example.com";
    let mut gateway = TestGateway::start().await;
    let address = gateway.issuer();
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop", &["consume:shop"]).await;
    let pen = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let receipts = json!({ "jwks": public(&pen) });
    subscribe_with_receipts(&gateway, &receiver, (pen, receipts)).await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;
    receipts_are_kept(&gateway, 2).await;
    let origin = async || {
        let note = reqwest::get(format!("{address}/log/checkpoint")).await.unwrap();
        note.text().await.unwrap().lines().next().unwrap().to_owned()
    };
    let before = origin().await;
    let own = gateway.path("key.json");
    fs::write(&own, receiver.private_key()).unwrap();
    let bundle = gateway.path("before.ndjson");
    assert_eq!(export(&gateway, &key, &[], &bundle), 0);

    // Another name without an alias is refused, in words that say what it would do.
    gateway.stop().await;
    gateway.change(|config| config.issuer = old.parse().unwrap());
    let refused = gateway.refusal().await;
    for word in [old, &address, "refuse every push", "receipts", "issuer-aliases"] {
        assert!(refused.contains(word), "{refused}");
    }
    gateway.change(|config| {
        config.issuer = format!("{address}/moved").parse().unwrap();
        config.issuer_aliases = vec![address.parse().unwrap()];
    });
    gateway.start_again().await;

    assert_eq!(origin().await, before, "others know the log by the name it began under");
    let moved = gateway.path("after.ndjson");
    let services = gateway.services();
    assert_eq!(services.issuer_aliases, [&*address]);
    let whole = reqwest::Client::new()
        .get(format!("{address}/subscriptions/shop/evidence"))
        .bearer_auth(gateway.admin());
    fs::write(&moved, whole.send().await.unwrap().text().await.unwrap()).unwrap();
    let (code, said) = verify(&moved, &["--key", own.to_str().unwrap()]);
    assert_eq!((code, &said["issuer"]), (4, &json!(format!("{address}/moved"))), "{said}");
    assert_eq!((&said["receipts"], &said["unchecked-receipts"]), (&json!(2), &json!(0)), "{said}");
    let (code, said) = verify(&bundle, &["--key", own.to_str().unwrap()]);
    assert_eq!((code, &said["issuer"]), (4, &json!(address)), "the old bundle, too: {said}");
    // Whoever says which names it believes, believes those.
    let only = ["--issuer", &format!("{address}/moved")];
    let (code, said) = verify(&moved, &only);
    assert_eq!((code, &said["doubtful-receipts"]), (4, &json!(2)), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_are_told_ahead_what_a_gateway_will_be_called() {
    let mut gateway = Process::prepare();
    gateway.serve().await;
    let admin = gateway.add_caller("admin", "admin");
    let consumer = sealway_consumer(&gateway, &admin).await;
    let next =
        |at: &str| ["issuer", "move", "https://new.example.com", "--at", at].map(str::to_owned);
    let run = |arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        gateway.run(&arguments)
    };
    let late = run(&next("2020-01-01T00:00:00Z"));
    assert_eq!(late.status.code(), Some(2), "{late:?}");

    let told = run(&next("2099-01-01T00:00:00Z"));

    assert!(told.status.success(), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("issuer-aliases"), "{told:?}");
    let claims = eventually("the checkpoint tells of it", async || {
        let claims = consumer.checkpoint().await;
        claims["issuer_next"].is_object().then_some(claims)
    })
    .await;
    let moved = json!({ "issuer": "https://new.example.com", "at": 4_070_908_800_i64 });
    assert_eq!(claims["issuer_next"], moved);
    let cancelled = run(&["issuer", "move", "--cancel"].map(str::to_owned));
    assert!(cancelled.status.success(), "{cancelled:?}");
    eventually("the checkpoint tells of nothing", async || {
        consumer.checkpoint().await.get("issuer_next").is_none().then_some(())
    })
    .await;

    let text = gateway.settings_text();
    let other = format!("issuer: {}\n", gateway.issuer());
    fs::write(gateway.settings(), text.replace(&other, "issuer: https://new.example.com\n"))
        .unwrap();
    let checked = gateway.run(&["check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("refuse every push") && said.contains("issuer-aliases"), "{said}");
    let alias =
        format!("issuer: https://new.example.com\nissuer-aliases: [{}]\n", gateway.issuer());
    fs::write(gateway.settings(), text.replace(&other, &alias)).unwrap();
    let checked = gateway.run(&["check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// A subscription that fetches, on a gateway that is a process.
struct Fetching {
    address: String,
    admin: String,
}

/// Subscribes one.
async fn sealway_consumer(gateway: &Process, admin: &str) -> Fetching {
    let issuer = gateway.issuer();
    let receiver = Receiver::listening("shop", issuer, Arc::new(SystemClock)).await;
    let document = receiver.document(json!({ "sink": null, "protocol": "PULL" }));
    let made = gateway.call_as(admin, (Method::POST, "/subscriptions"), Some(&document)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let address = format!("{issuer}/subscriptions/shop/checkpoint");
    Fetching { address, admin: admin.to_owned() }
}

impl Fetching {
    /// The claims of its checkpoint of now.
    async fn checkpoint(&self) -> Value {
        let asked = reqwest::Client::new().get(&self.address).bearer_auth(&self.admin);
        let token = asked.send().await.unwrap().text().await.unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims).unwrap();
        serde_json::from_slice(&claims).unwrap()
    }
}
