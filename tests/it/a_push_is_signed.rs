//! Every push under `hmac` is signed as Standard Webhooks has it, as that project's own libraries say,
//! and the secret is shown to nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, SystemClock};

use crate::harness::{Guarded, Posted, TestGateway, eventually, program};
use crate::other_ecosystems::WebhookLibrary;

const NEW: &str = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3";
const OLD: &str = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk";

/// Signatures alone.
fn signed(secret: &str) -> Value {
    json!({ "hmac": { "secret": secret } })
}

/// A request as a receiver hands it to the library, with one of its secrets.
fn case(name: &str, secret: &str, posted: &Posted) -> Value {
    let headers: Value = posted
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({ "name": name, "secret": secret, "headers": headers, "body": posted.body })
}

/// Asserts that both libraries say yes to these cases and no to those.
fn assert_verified(yes: &[Value], no: &[Value]) {
    let all = [yes, no].concat();
    for library in WebhookLibrary::ALL {
        let answers = library.verify(&all);
        for (cases, expected) in [(yes, true), (no, false)] {
            for case in cases {
                let answer = &answers[case["name"].as_str().unwrap()];
                assert_eq!(answer["ok"], expected, "{library:?}: {answer}");
            }
        }
    }
}

/// What was posted, without the question of consent.
fn posts(consumer: &Guarded) -> Vec<Posted> {
    consumer.sink.arrived().into_iter().filter(|one| one.method == Method::POST).collect()
}

/// Waits for an event more than so many, and gives its request.
async fn next_post(gateway: &TestGateway, consumer: &Guarded, before: u64) -> Posted {
    gateway.order(before + 1).await;
    consumer.wait_for_delivered(usize::try_from(before).unwrap() + 1).await;
    posts(consumer).pop().unwrap()
}

#[tokio::test]
async fn the_challenge_and_each_event_pass_both_libraries_in_every_form() {
    for mode in ["binary", "structured", "set"] {
        let gateway = TestGateway::start().await;
        let consumer = Guarded::start(&gateway, None, |_| 200).await;
        let mut document = consumer.document(&signed(NEW));
        document["config"]["contentMode"] = json!(mode);
        gateway.post("/subscriptions", &document).await;
        next_post(&gateway, &consumer, 0).await;
        let arrived = posts(&consumer);
        assert_eq!(arrived.len(), 2, "the challenge and the event");

        let consent = &consumer.sink.arrived()[0];
        assert_eq!(consent.method, Method::OPTIONS);
        assert_eq!(consent.header("webhook-signature"), None, "there is nothing to sign");
        let each = |prefix: &str, change: &dyn Fn(&mut Posted)| -> Vec<Value> {
            let changed = arrived.iter().enumerate().map(|(number, posted)| {
                let mut posted = posted.clone();
                change(&mut posted);
                case(&format!("{prefix}-{number}"), NEW, &posted)
            });
            changed.collect()
        };
        let yes = each("as-sent", &|_| ());
        let stale = |posted: &mut Posted| {
            posted.headers.insert("webhook-timestamp", "1700000000".parse().unwrap());
        };
        let other_id = |posted: &mut Posted| {
            posted.headers.insert("webhook-id", "another".parse().unwrap());
        };
        let mut no = each("other-body", &|posted| posted.body.push('x'));
        no.extend(each("other-id", &other_id));
        no.extend(each("stale", &stale));
        no.push(case("other-secret", OLD, &arrived[0]));
        assert_verified(&yes, &no);
    }
}

#[tokio::test]
async fn signatures_stand_beside_every_kind_of_authorization() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let kinds = [
        json!({ "credentialtype": "BASIC", "basic": { "username": "shop", "password": "open" } }),
        json!({ "credentialtype": "API_KEY", "apiKey": { "name": "x-key", "value": "open" } }),
        json!({ "headers": [{ "name": "x-tenant", "value": "shop" }] }),
    ];
    let mut cases = Vec::new();
    for (number, kind) in kinds.into_iter().enumerate() {
        let mut credential = kind;
        credential["hmac"] = json!({ "secret": NEW });
        if number == 0 {
            consumer.subscribe(&gateway, &credential).await;
        } else {
            let changed = gateway.put("/subscriptions/shop/sink-credential", &credential).await;
            assert_eq!(changed.status, 200, "{changed:?}");
        }
        let posted = next_post(&gateway, &consumer, number.try_into().unwrap()).await;
        let shown = ["authorization", "x-key", "x-tenant"][number];
        assert!(posted.header(shown).is_some(), "{posted:?}");
        let signature = posted.header("webhook-signature").unwrap();
        assert!(!signature.contains(' '), "the secret stayed, so it signs once: {signature}");
        cases.push(case(shown, NEW, &posted));
    }
    assert_verified(&cases, &[]);
}

#[tokio::test]
async fn a_receiver_with_either_secret_is_served_while_they_change() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    consumer.subscribe(&gateway, &signed(OLD)).await;
    let before = next_post(&gateway, &consumer, 0).await;

    let changed = gateway.put("/subscriptions/shop/sink-credential", &signed(NEW)).await;
    assert_eq!((changed.status, &changed.body["state"]), (200, &json!("active")), "{changed:?}");
    assert!(changed.body["credential"]["formerUntil"].is_string(), "{changed:?}");
    let during = next_post(&gateway, &consumer, 1).await;

    let mut sudden = signed(NEW);
    sudden["overlap"] = json!(0);
    gateway.put("/subscriptions/shop/sink-credential", &sudden).await;
    let after = next_post(&gateway, &consumer, 2).await;

    let yes = [
        case("before-old", OLD, &before),
        case("during-old", OLD, &during),
        case("during-new", NEW, &during),
        case("after-new", NEW, &after),
    ];
    assert_verified(&yes, &[case("before-new", NEW, &before), case("after-old", OLD, &after)]);
}

#[tokio::test]
async fn a_repeated_attempt_has_the_same_id_and_a_signature_of_its_own_time() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    consumer.subscribe(&gateway, &signed(NEW)).await;
    consumer.admit(|_| 503);
    let id = gateway.order(1).await;
    let of_event = |posted: &Posted| posted.header("webhook-id") == Some(&*id);
    let attempts = async |count: usize| {
        eventually(format!("{count} attempts"), async || {
            clock.advance(Duration::from_secs(1));
            let attempts: Vec<_> = posts(&consumer).into_iter().filter(of_event).collect();
            (attempts.len() >= count).then_some(attempts)
        })
        .await
    };
    attempts(1).await;
    consumer.admit(|_| 200);
    let both = attempts(2).await;

    let times = [&both[0], &both[1]].map(|posted| posted.header("webhook-timestamp").unwrap());
    assert_ne!(times[0], times[1]);
    let mut swapped = both[1].clone();
    swapped.headers.insert("webhook-timestamp", times[0].parse().unwrap());
    let yes = [case("first", NEW, &both[0]), case("second", NEW, &both[1])];
    assert_verified(&yes, &[case("swapped", NEW, &swapped)]);
}

#[tokio::test]
async fn the_secret_is_shown_to_nobody_and_kept_where_it_is_left_out() {
    let mut gateway = TestGateway::start().await;
    // A careless sink repeats what it was sent.
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let created = gateway.post("/subscriptions", &consumer.document(&signed(NEW))).await;
    next_post(&gateway, &consumer, 0).await;
    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["sinkcredential"], json!({ "credentialtype": "NONE", "hmac": {} }));

    let same = consumer.document(&json!({ "hmac": {} }));
    let kept = gateway.put("/subscriptions/shop", &same).await;
    assert_eq!((kept.status, &kept.body["credential"]), (200, &shown["credential"]), "{kept:?}");
    let posted = next_post(&gateway, &consumer, 1).await;
    assert_verified(&[case("kept", NEW, &posted)], &[]);

    let mut moved = same.clone();
    moved["sink"] = json!(consumer.sink.at("/elsewhere"));
    let refused = gateway.put("/subscriptions/shop", &moved).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("/sinkcredential/hmac/secret: send the secret"), "{detail}");

    gateway.stop().await;
    let mut places = vec![created.to_string(), shown.to_string(), refused.body.to_string()];
    for file in fs::read_dir(gateway.path("data")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        places.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let bare = NEW.trim_start_matches("whsec_");
    assert!(places.iter().any(|place| place.contains("sinkcredential")));
    assert!(places.iter().all(|place| !place.contains(bare)), "the secret is somewhere");
}

#[tokio::test]
async fn a_secret_that_cannot_sign_is_refused_at_its_place() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let short = "whsec_c2hvcnQ=";
    let long = format!("whsec_{}", "AAAA".repeat(22));
    let bare = NEW.trim_start_matches("whsec_");
    for (hmac, pointer) in [
        (json!({}), "/hmac/secret"),
        (json!({ "secret": short }), "/hmac/secret"),
        (json!({ "secret": long }), "/hmac/secret"),
        (json!({ "secret": bare }), "/hmac/secret"),
        (json!({ "secret": "whsec_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_" }), "/hmac/secret"),
        (json!({ "secret": { "file": "shop.whsec" } }), "/hmac/secret"),
    ] {
        let document = consumer.document(&json!({ "hmac": hmac }));
        let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;

        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{hmac}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("/sinkcredential{pointer}: ")), "{hmac}: {detail}");
        assert!(!detail.contains("AAAA") && !detail.contains(bare), "{detail}");
    }
    // What stands in a wrong place may be a secret, and is not repeated.
    let misplaced = consumer.document(&json!({ "hmac": NEW }));
    let answer = gateway.call(Method::POST, "/subscriptions", Some(&misplaced)).await;
    assert!(answer.status == 422 && !answer.body.to_string().contains(bare), "{answer:?}");
}

// The commands block, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_the_secret_from_its_place() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |_| 200).await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let folder = gateway.path("documents");
    fs::create_dir(&folder).unwrap();
    let (file, place) = (folder.join("shop.json"), folder.join("shop.whsec"));
    let named = consumer.document(&json!({ "hmac": { "secret": { "file": "shop.whsec" } } }));
    fs::write(&file, named.to_string()).unwrap();
    let apply = |secret: &str| {
        fs::write(&place, format!("{secret}\n")).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = program();
        command.args(["--output", "json", "--gateway", &gateway.issuer(), "apply"]).arg(&file);
        let ended = command.env("SEALWAY_CALLER_KEY", &operator).output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(!said.contains(secret.trim_start_matches("whsec_")), "{said}");
        (ended.status.success(), said)
    };

    let (taken, said) = apply(OLD);
    assert!(taken && said.contains("create"), "{said}");
    let first = next_post(&gateway, &consumer, 0).await;
    let (taken, said) = apply(NEW);
    assert!(taken && said.contains("replace"), "{said}");
    let second = next_post(&gateway, &consumer, 1).await;
    let yes = [
        case("first-old", OLD, &first),
        case("second-old", OLD, &second),
        case("second-new", NEW, &second),
    ];
    assert_verified(&yes, &[case("first-new", NEW, &first)]);
    let (taken, said) = apply("whsec_short");
    assert!(!taken && said.contains("/sinkcredential/hmac/secret: "), "{said}");

    let written = consumer.document(&signed(NEW));
    fs::write(&file, written.to_string()).unwrap();
    let (taken, said) = apply(NEW);
    assert!(!taken && said.contains("does not belong in this file"), "{said}");
}
