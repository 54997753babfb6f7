//! Everything that an operator does with a running gateway can be done from the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::keys::{OpeningKey, OpeningKeyKind, SigningAlgorithm, SigningKey};

use crate::harness::{
    Guarded, Receiver, Reply, Sink, SinkKey, TestGateway, assert_members_are_documented,
    eventually, order_created, program,
};

/// The command line of an operator.
struct Operator {
    gateway: String,
    key: String,
}

/// How a command ended.
struct Ended {
    code: i32,
    output: Value,
    remarks: String,
}

impl Operator {
    async fn of(gateway: &TestGateway) -> Self {
        let key = gateway.add_caller("operator", &["operate", "publish:*"]).await;
        Self { gateway: gateway.issuer(), key }
    }

    /// Runs a command until it ends; its standard output is JSON or nothing.
    fn run(&self, arguments: &[&str]) -> Ended {
        let ended = program()
            .args(["--output", "json", "--gateway", &self.gateway])
            .env("SEALWAY_CALLER_KEY", &self.key)
            .args(arguments)
            .output()
            .unwrap();
        let remarks = String::from_utf8(ended.stderr).unwrap();
        assert!(!remarks.contains(&self.key), "{remarks}");
        let output = serde_json::from_slice(&ended.stdout).unwrap_or_default();
        Ended { code: ended.status.code().unwrap(), output, remarks }
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Value {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.output, ended.remarks);
        ended.output
    }
}

async fn active(gateway: &TestGateway, id: &str) {
    eventually(format!("{id} is active"), async || {
        let shown = gateway.get(&format!("/subscriptions/{id}")).await;
        (shown["state"] == "active").then_some(())
    })
    .await;
}

// The commands block, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_become_what_their_files_say() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let operator = Operator::of(&gateway).await;
    let folder = gateway.path("subscriptions");
    fs::create_dir(&folder).unwrap();
    let (file, folder) = (folder.join("shop.json"), folder.to_str().unwrap().to_owned());
    let mut document = receiver.document(json!({}));
    fs::write(&file, document.to_string()).unwrap();
    let apply = |expected: &str| {
        let done = operator.done(&["apply", &folder]);
        assert_eq!(done[0]["action"], expected, "{done}");
    };

    let planned = operator.done(&["apply", "--dry-run", &folder]);
    assert_eq!(planned[0]["action"], "create");
    assert_eq!(operator.done(&["subscriptions", "list"]), json!([]));
    apply("create");
    active(&gateway, "shop").await;
    apply("keep");
    document["types"] = json!(["Order.Created"]);
    fs::write(&file, document.to_string()).unwrap();
    apply("replace");
    apply("keep");
    active(&gateway, "shop").await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;

    document["consumer"] = json!("another");
    fs::write(&file, document.to_string()).unwrap();
    let refused = operator.run(&["apply", &folder]);
    assert_eq!(refused.code, 1);
    assert!(refused.output[0]["problem"].as_str().unwrap().contains("/consumer"));
    document["sink"] = json!("nowhere");
    fs::write(&file, document.to_string()).unwrap();
    let mistaken = operator.run(&["apply", &folder]);
    assert_eq!((mistaken.code, mistaken.remarks.contains("/sink")), (2, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_created_steered_and_removed() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let operator = Operator::of(&gateway).await;
    let file = gateway.path("shop.json");
    let document = receiver.document(json!({}));
    fs::write(&file, document.to_string()).unwrap();
    let file = file.to_str().unwrap();

    let created = operator.done(&["subscriptions", "create", file]);
    assert_eq!((&created["id"], &created["state"]), (&json!("shop"), &json!("pending")));
    active(&gateway, "shop").await;
    assert_eq!(operator.done(&["subscriptions", "pause", "shop"])["state"], "paused");
    let waits = gateway.order(1).await;
    let holders = operator.done(&["log", "holders"]);
    let held = (&holders[0]["subscription"], &holders[0]["state"], &holders[0]["events"]);
    assert_eq!(held, (&json!("shop"), &json!("paused"), &json!(1)));
    assert_eq!(operator.done(&["subscriptions", "resume", "shop"])["state"], "active");
    receiver.wait_for_delivered(1).await;
    let attempts = eventually("the attempt is kept", async || {
        let listed = operator.done(&["subscriptions", "attempts", "shop", "--event", &waits]);
        (listed != json!([])).then_some(listed)
    })
    .await;
    assert_eq!((&attempts[0]["status"], &attempts[0]["event"]), (&json!(204), &json!(waits)));
    let checkpoint = operator.done(&["subscriptions", "checkpoint", "shop"]);
    let checkpoint = receiver.read_checkpoint(checkpoint.as_str().unwrap()).unwrap();
    assert_eq!(checkpoint.sequence, 1);
    assert_eq!(operator.done(&["subscriptions", "verify", "shop"])["state"], "active");
    let replaced = operator.done(&["subscriptions", "replace", "shop", file]);
    assert_eq!(replaced["id"], "shop");
    operator.done(&["subscriptions", "remove", "shop"]);

    assert_eq!(operator.run(&["subscriptions", "get", "shop"]).code, 2);
    let stranger = Operator { key: "sealway.nobody.x".to_owned(), ..operator };
    assert!(stranger.run(&["subscriptions", "list"]).remarks.contains("401"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_answered_in_the_place_of_the_sink() {
    let gateway = TestGateway::start().await;
    let key = SinkKey::generate(&gateway, OpeningKeyKind::X25519).await;
    let sink = Sink::start(|_| (202, None, String::new())).await;
    let operator = Operator::of(&gateway).await;
    let keys = json!({ "jwks": { "keys": [key.public] } });
    let wish = json!({ "keys": keys, "verify": "later" });
    let document =
        json!({ "id": "shop", "consumer": "shop", "sink": sink.at("/hook"), "config": wish });
    gateway.post("/subscriptions", &document).await;

    let asked = operator.run(&["subscriptions", "verify", "shop"]);
    assert_eq!(asked.code, 2);
    assert!(asked.remarks.contains("does not hold the nonce"), "{}", asked.remarks);
    let (_, nonce) = key.challenge(&sink.bodies("/hook")[0]);
    let empty = operator.run(&["subscriptions", "verify", "shop", "--challenge", ""]);
    assert_eq!(empty.code, 2);
    assert!(empty.remarks.contains("was not counted"), "{}", empty.remarks);
    let guess = "A".repeat(22);
    let guessed = operator.run(&["subscriptions", "verify", "shop", "--challenge", &guess]);
    assert_eq!(guessed.code, 2);
    assert!(guessed.remarks.contains("After 4 more wrong answers"), "{}", guessed.remarks);
    let answered = operator.done(&["subscriptions", "verify", "shop", "--challenge", &nonce]);
    assert_eq!(answered["state"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_redriven_and_a_range_is_replayed() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let operator = Operator::of(&gateway).await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(500));
    let ids = gateway.orders(1..=2).await;
    let letters = eventually("two dead letters", async || {
        let listed = operator.done(&["dead-letters", "list", "shop"]);
        (listed.as_array().unwrap().len() == 2).then_some(listed)
    })
    .await;
    receiver.answer(Reply::Status(204));

    let first = letters[0]["id"].to_string();
    let one = operator.done(&["dead-letters", "redrive", "shop", "--id", &first]);
    let rest = operator.done(&["dead-letters", "redrive", "shop", "--all"]);
    receiver.wait_for_delivered(2).await;
    assert_eq!((&one["redriven"], &rest["redriven"]), (&json!(1), &json!(1)));
    assert_eq!(operator.run(&["dead-letters", "redrive", "shop", "--all"]).code, 1);

    let range = ["replay", "start", "shop", "--from", &ids[0], "--types", "Order.*"];
    let counted = operator.done(&[&range[..], &["--dry-run"]].concat());
    assert_eq!(counted["matched"], 2);
    let ended = operator.done(&[&range[..], &["--wait", "--rate", "0"]].concat());
    assert_eq!((&ended["state"], &ended["counts"]["delivered"]), (&json!("completed"), &json!(2)));
    assert_eq!(receiver.wait_for_delivered(4).await.len(), 4);
    let id = ended["id"].as_str().unwrap();
    assert_eq!(operator.done(&["replay", "list", "shop"])[0]["id"], id);
    assert_eq!(operator.done(&["replay", "get", id])["state"], "completed");
    assert!(operator.run(&["replay", "cancel", id]).remarks.contains("completed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_the_quarantine_are_looked_at() {
    let gateway = TestGateway::start().await;
    let operator = Operator::of(&gateway).await;
    let mut broken = order_created("broken", 7);
    broken["data"]["amount"] = json!("much");
    let path = "/events?manner=asynchronous";
    let answer = gateway.send_text(path, "application/cloudevents+json", broken.to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let ids = gateway.orders(1..=2).await;

    let listed = operator.done(&["events", "list", "--from", &ids[1], "--type", "Order.*"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(ids[1])));
    assert_eq!(operator.done(&["events", "get", &ids[0]])["event"]["id"], json!(ids[0]));

    let kept = operator.done(&["quarantine", "list"]);
    let id = kept[0]["id"].to_string();
    let shown = operator.done(&["quarantine", "get", &id]);
    assert_eq!(shown["violations"][0]["pointer"], "/amount");
    let early = operator.run(&["quarantine", "release", &id]);
    assert_eq!((early.code, early.remarks.contains("/amount")), (2, true), "{}", early.remarks);
    operator.done(&["quarantine", "remove", &id]);
    assert_eq!(operator.done(&["quarantine", "list"]), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_checks_what_it_has_stored() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let operator = Operator::of(&gateway).await;
    gateway.subscribe(&receiver, json!({})).await;
    let ids = gateway.orders(1..=5).await;
    let mut arrivals = receiver.wait_for_delivered(5).await;
    arrivals.sort_by_key(crate::harness::Arrival::sequence);
    let tokens: Vec<String> = arrivals.into_iter().map(|arrival| arrival.token).collect();
    operator.done(&["replay", "start", "shop", "--from", &ids[0], "--wait", "--rate", "0"]);
    let again = receiver.wait_for_delivered(10).await.pop().unwrap().token;
    let checkpoint = operator.done(&["subscriptions", "checkpoint", "shop"]);
    let store = |name: &str, text: &str| {
        let path = gateway.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = store("shop.key", receiver.private_key());
    let checkpoint = store("checkpoint", checkpoint.as_str().unwrap());
    let jwks = format!("{}/.well-known/jwks.json", gateway.issuer());
    let issuer = gateway.issuer();
    let check = |held: &[&String], more: &[&str]| {
        let held: Vec<&str> = held.iter().map(|token| token.as_str()).collect();
        let file = store("held", &held.join("\n"));
        let given = ["verify-chain", &file, "--key", &key, "--jwks", &jwks, "--issuer", &issuer];
        let of = ["--audience", "shop", "--subscription", "shop"];
        operator.run(&[&given[..], &of[..], more].concat())
    };
    let [one, two, three, four, five] = &tokens[..] else { panic!("five tokens") };
    let newest = ["--checkpoint", checkpoint.as_str()];

    let whole = check(&[four, two, five, one, three, two, &again], &newest);
    assert_eq!(whole.code, 0, "{}{}", whole.output, whole.remarks);
    assert_eq!((&whole.output["whole"], &whole.output["events"]), (&json!(true), &json!(5)));
    assert_eq!((&whole.output["repeats"], &whole.output["replays"]), (&json!(1), &json!(1)));
    assert_eq!(whole.output["last"], json!({"sequence": 5, "id": ids[4]}));
    assert_eq!(whole.output["checkpoint"]["held"], "newest");
    assert_members_are_documented(&whole.output, "docs/verify.md");
    assert_members_are_documented(&whole.output["checkpoint"], "docs/verify.md");

    let later = operator.done(&["subscriptions", "checkpoint", "shop"]);
    let later = store("later", later.as_str().unwrap());
    let both = [newest[0], newest[1], "--checkpoint", &later];
    let both = check(&[one, two, three, four, five], &both);
    assert_eq!((both.code, &both.output["checkpoints"]), (0, &json!(2)), "{}", both.output);

    let gap = check(&[one, two, four], &newest);
    assert_eq!((gap.code, &gap.output["checkpoint"]["held"]), (1, &json!("behind")));
    let at = |number: usize| json!({"sequence": number, "id": ids[number - 1]});
    let missing = |number: usize, before: Value| {
        let after = at(number - 1);
        json!({"kind": "missing", "from": number, "to": number, "after": after, "before": before})
    };
    assert_eq!(gap.output["findings"], json!([missing(3, at(4)), missing(5, Value::Null)]));

    let mut altered = two.clone();
    altered.insert(two.len() / 2, 'A');
    let altered = check(&[one, &altered, three], &[]);
    assert_eq!(altered.code, 1);
    let place = altered.output["findings"][0]["at"].as_str().unwrap();
    assert!(place.ends_with("held, line 2"), "{place}");
    assert_eq!(altered.output["findings"][1], missing(2, at(3)));

    let first = check(&[one, two], &[]).output;
    let (from, chain) = (first["next"]["sequence"].to_string(), &first["next"]["chain"]);
    let on = ["--from", &from, "--chain", chain.as_str().unwrap()];
    assert_eq!(check(&[three, four, five], &[&on[..], &newest[..]].concat()).code, 0);
    let wrong = check(&[four, five], &["--from", "4", "--chain", chain.as_str().unwrap()]);
    assert_eq!((wrong.code, &wrong.output["findings"][0]["kind"]), (1, &json!("altered")));
    let on = ["--from", "2", "--chain", chain.as_str().unwrap()];
    for nothing in [check(&[&again], &[]), check(&[one], &on)] {
        assert_eq!((nothing.code, nothing.remarks.contains("none of 1 token has")), (2, true));
    }

    fs::write(gateway.path("held"), format!("{one}\n\n{two}\n")).unwrap();
    let told = program()
        .args(["verify-chain", "-", "--key", &key, "--jwks", &jwks, "--issuer", &issuer])
        .args(["--audience", "shop", "--subscription", "shop"])
        .stdin(fs::File::open(gateway.path("held")).unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let whole = format!("whole: from 1 ({}) to 2 ({})\nread: 2 tokens: 2 events", ids[0], ids[1]);
    assert!(told.starts_with(&whole), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_cannot_be_believed_says_which_key_is_missing_and_answers_no() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let operator = Operator::of(&gateway).await;
    gateway.subscribe(&receiver, json!({})).await;
    gateway.orders(1..=2).await;
    let arrivals = receiver.wait_for_delivered(2).await;
    let store = |name: &str, text: &str| {
        let path = gateway.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let tokens: Vec<String> = arrivals.into_iter().map(|arrival| arrival.token).collect();
    let held = store("held", &tokens.join("\n"));
    let signed = operator.done(&["subscriptions", "checkpoint", "shop"]);
    let (checkpoint, key) =
        (store("checkpoint", signed.as_str().unwrap()), store("own", receiver.private_key()));
    let published = gateway.get("/.well-known/jwks.json").await;
    let theirs = published["keys"][0]["kid"].clone();
    let jwks = store("jwks", &published.to_string());
    let stranger = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let others = json!({ "keys": [stranger.public_jwk().unwrap()] });
    let others = store("others", &others.to_string());
    let issuer = gateway.issuer();
    let before = "https://before.example.com";
    let check = |key: &str, jwks: &str, more: &[&str]| {
        let given = ["verify-chain", &held, "--key", key, "--jwks", jwks, "--audience", "shop"];
        let of = ["--subscription", "shop", "--issuer", before, "--issuer", &issuer];
        operator.run(&[&given[..], &of[..], more].concat())
    };

    let whole = check(&key, &jwks, &["--checkpoint", &checkpoint]);
    assert_eq!((whole.code, &whole.output["missing-keys"]), (0, &json!([])), "{}", whole.output);

    let unknown = check(&key, &others, &["--checkpoint", &checkpoint]);
    assert_eq!((unknown.code, &unknown.output["whole"]), (1, &json!(false)), "{}", unknown.remarks);
    assert_eq!(unknown.output["missing-keys"], json!([theirs]), "{}", unknown.output);
    assert_eq!(unknown.output["findings"][0]["missing-key"], theirs);
    let doubt = &unknown.output["findings"][2];
    assert_eq!(doubt["kind"], "bad-checkpoint", "{}", unknown.output);
    assert!(doubt["problem"].as_str().unwrap().contains(theirs.as_str().unwrap()));

    let foreign = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
    let unopened = check(&store("foreign", foreign.private_jwk().expose()), &jwks, &[]);
    assert_eq!(unopened.code, 1);
    let own: Value = serde_json::from_str(receiver.private_key()).unwrap();
    let own = own.get("keys").map_or(&own, |keys| &keys[0]);
    assert_eq!(unopened.output["missing-keys"], json!([own["kid"]]), "{}", unopened.output);

    let mut altered = signed.as_str().unwrap().to_owned();
    altered.truncate(altered.len() - 4);
    let altered = store("altered", &format!("{altered}AAAA"));
    let forged = check(&key, &jwks, &["--checkpoint", &altered]);
    assert_eq!((forged.code, &forged.output["missing-keys"]), (1, &json!([])));
    assert_eq!(forged.output["findings"][0]["kind"], "bad-checkpoint", "{}", forged.output);
    let nowhere = check(&key, &jwks, &["--checkpoint", "/nowhere/checkpoint"]);
    assert_eq!(nowhere.code, 2, "a file that cannot be read is another matter");
}

#[tokio::test]
async fn a_request_that_is_sent_again_under_its_key_is_answered_as_it_was() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let admin = gateway.add_caller("second-admin", &["admin"]).await;
    let ask = async |key: &str, document: &Value| {
        let request = gateway.request(Method::POST, "/subscriptions").bearer_auth(&admin);
        let request = request.header("idempotency-key", key).json(document);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let again = headers.contains_key("idempotency-replayed");
        (status, again, headers.get("location").cloned(), response.text().await.unwrap())
    };
    let mut document = receiver.document(json!({}));
    document.as_object_mut().unwrap().remove("id");

    let first = ask("one", &document).await;
    let again = ask("one", &document).await;
    let other = ask("two", &document).await;
    let mut changed = document.clone();
    changed["types"] = json!(["Order.*"]);
    let misused = ask("one", &changed).await;

    assert_eq!((first.0, first.1, again.0, again.1), (201, false, 201, true));
    assert_eq!((&first.2, &first.3), (&again.2, &again.3));
    assert_ne!(first.2, other.2);
    assert_eq!(misused.0, 422, "{}", misused.3);
    let listed = gateway.get("/subscriptions").await;
    assert_eq!(listed["subscriptions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_refused_where_it_is_wrong() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    for (wish, told) in [
        (json!({ "snik": "x" }), "/snik: unknown field"),
        (json!({ "config": { "paralel": 1 } }), "/config/paralel: unknown field"),
        (json!({ "config": { "parallel": "many" } }), "/config/parallel: expected a whole number"),
        (json!({ "types": "all" }), "/types: expected a list"),
        (json!({ "id": "a/b" }), "/id: not a subscription id"),
        (json!({ "protocol": "MQTT" }), "/protocol: unknown variant"),
    ] {
        let document = receiver.document(wish);
        let answer = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;
        let detail = answer.body["detail"].as_str().unwrap();
        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{detail}");
        assert!(detail.contains(told), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_applied_rotated_and_taken_away_and_its_secrets_stay_in_their_places() {
    let gateway = TestGateway::start().await;
    let consumer = Guarded::start(&gateway, None, |posted| {
        if posted.header("x-key") == Some("confidential-one") { 200 } else { 401 }
    })
    .await;
    let operator = Operator::of(&gateway).await;
    let folder = gateway.path("subscriptions");
    fs::create_dir(&folder).unwrap();
    let keep = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = |value: Value| json!({ "credentialtype": "API_KEY", "apiKey": { "name": "x-key", "value": value } });
    let file = keep("shop.json", &consumer.document(&key(json!({"file": "a.key"}))).to_string());
    let apply = |arguments: &[&str]| {
        let done = operator.done(&[&["apply"], arguments, &[&file]].concat());
        assert!(!done.to_string().contains("confidential"), "{done}");
        done[0]["action"].as_str().unwrap().to_owned()
    };

    let missing = operator.run(&["apply", &file]);
    assert!(missing.output[0]["problem"].as_str().unwrap().contains("a.key"), "{}", missing.output);
    keep("a.key", "confidential-one\n");
    assert_eq!(apply(&[]), "create");
    active(&gateway, "shop").await;
    assert_eq!(apply(&["--dry-run"]), "compare");
    assert_eq!(apply(&[]), "keep");
    // Only the secret is another one, which no file tells.
    keep("a.key", "confidential-two");
    assert_eq!(apply(&[]), "replace");
    assert_eq!(apply(&[]), "keep");
    gateway.order(1).await;
    consumer.wait_for_delivered(1).await;

    let credential = keep("credential.yaml", &key(json!({"file": "b.key"})).to_string());
    keep("b.key", "confidential-one");
    let rotate = ["subscriptions", "credential", "shop", &credential];
    let rotated = operator.done(&rotate);
    assert!(rotated["credential"]["formerUntil"].is_string(), "{rotated}");
    assert!(!rotated.to_string().contains("confidential"), "{rotated}");
    gateway.order(2).await;
    consumer.wait_for_delivered(2).await;
    keep("credential.yaml", &key(json!("confidential-three")).to_string());
    let refused = operator.run(&rotate);
    assert_eq!(refused.code, 2);
    assert!(refused.remarks.contains("/sinkcredential/apiKey/value: a secret does not belong"));
    assert!(!refused.remarks.contains("confidential-three"), "{}", refused.remarks);
    let removed = operator.done(&["subscriptions", "credential", "shop", "--remove"]);
    assert!(removed.get("sinkcredential").is_none() && removed.get("credential").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_come_back_and_events_are_traced() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "giveUpAfterRefusals": 1 } })).await;
    let operator = Operator::of(&gateway).await;
    receiver.answer(Reply::Status(422));
    let ids = gateway.orders(1..=3).await;
    eventually("three are given up", async || {
        let counted = operator.done(&["dead-letters", "counts", "shop"]);
        (counted["subscriptions"]["shop"]["total"] == 3).then_some(())
    })
    .await;
    receiver.answer(Reply::Status(204));

    let trace = operator.done(&["events", "trace", &ids[0], "--subscription", "shop"]);
    assert_eq!(trace["deliveries"][0]["state"], "dead-letter");
    let first = operator.done(&["dead-letters", "list", "shop", "--to", &ids[0]]);
    let number = first[0]["id"].to_string();
    operator.done(&["dead-letters", "dismiss", "shop", &number]);
    let redrive =
        ["dead-letters", "redrive", "shop", "--reason", "refused", "--rate", "100", "--wait"];
    let ended = operator.done(&redrive);
    assert_eq!((&ended["state"], &ended["counts"]["redriven"]), (&json!("completed"), &json!(2)));
    receiver.wait_for_delivered(2).await;
    let listed = operator.done(&["dead-letters", "redrives", "shop"]);
    assert_eq!(listed[0]["id"], ended["id"]);
    assert_eq!(operator.run(&["dead-letters", "redrive", "shop", "--all"]).code, 1);
    assert_eq!(operator.done(&["quarantine", "list", "--envelope", "order-1"]), json!([]));
    assert_eq!(operator.done(&["quarantine", "counts"])["publications"], json!({}));
}
