//! A log that was restored, or found shorter, goes on as another incarnation: it says so, and what was lost.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use base64_simd::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::SystemClock;
use sealway::transparency::{LogNote, SignedNote};

use crate::harness::{Process, Receiver, TestGateway, eventually, order_created, program};

/// A gateway with a consumer that keeps what it receives.
struct Scene {
    gateway: Process,
    admin: String,
    consumer: Receiver,
}

/// What a command has said.
struct Said {
    code: Option<i32>,
    output: Value,
    words: String,
}

fn said(output: &Output) -> Said {
    Said {
        code: output.status.code(),
        output: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        words: String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned(),
    }
}

impl Scene {
    async fn new() -> Self {
        let mut gateway = Process::prepare();
        let admin = gateway.add_caller("admin", "admin");
        gateway.serve().await;
        let clock = Arc::new(SystemClock);
        let consumer = Receiver::listening("shop", gateway.issuer(), clock).await;
        let scene = Self { gateway, admin, consumer };
        let document = scene.consumer.document(json!({}));
        let created = scene.request(Method::POST, "/subscriptions").json(&document).send();
        assert_eq!(created.await.unwrap().status().as_u16(), 201);
        scene
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let address = format!("{}{path}", self.gateway.issuer());
        reqwest::Client::new().request(method, address).bearer_auth(&self.admin)
    }

    async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// Publishes orders, and waits until the consumer has them.
    async fn orders(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
        let mut ids = Vec::new();
        for number in numbers {
            let order = order_created(&format!("order-{number}"), number);
            let sent = self.request(Method::POST, "/events").body(order.to_string());
            let sent = sent.header("content-type", "application/cloudevents+json").send().await;
            let body: Value = sent.unwrap().json().await.unwrap();
            ids.push(body["events"][0]["eventIds"][0].as_str().unwrap().to_owned());
        }
        eventually("the consumer has them", async || {
            let held = self.consumer.delivered_ids();
            ids.iter().all(|id| held.contains(id)).then_some(())
        })
        .await;
        ids
    }

    fn run(&self, arguments: &[&str]) -> Said {
        said(&self.gateway.run(&[&["--output", "json"], arguments].concat()))
    }

    fn done(&self, arguments: &[&str]) -> Value {
        let told = self.run(arguments);
        assert_eq!(told.code, Some(0), "{arguments:?}: {}", told.words);
        told.output
    }

    fn path(&self, name: &str) -> String {
        self.gateway.directory().join(name).to_str().unwrap().to_owned()
    }

    /// Keeps an answer of the gateway in a file.
    async fn keep(&self, name: &str, path: &str) -> String {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        fs::write(self.path(name), body).unwrap();
        self.path(name)
    }

    /// Waits until the gateway has written down how far the log has come, and kills it.
    async fn kill_at(&mut self, head: u64) {
        // The one beside the keys is written last, and is not lost with the data.
        let wanted = format!("\"head\":{head},");
        let keys = self.path("keys");
        eventually("a checkpoint is written", async || {
            let mut files = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path());
            let is_there = files.any(|file| {
                let is_one = file.file_name().unwrap().to_str().unwrap().starts_with(".log-");
                // One that is half written has an extension.
                is_one
                    && file.extension().is_none()
                    && fs::read_to_string(file).is_ok_and(|text| text.contains(&wanted))
            });
            is_there.then_some(())
        })
        .await;
        self.gateway.kill();
    }

    /// Loses the data directory and restores a backup; the number of the incarnation.
    fn restore(&self, copy: &str) -> u64 {
        fs::remove_dir_all(self.path("data")).unwrap();
        self.done(&["log", "restore", copy])["incarnation"].as_u64().unwrap()
    }

    /// Holds everything that the consumer has received against the chain.
    fn verify_chain(&self, more: &[&str]) -> Said {
        let tokens: Vec<_> = self.consumer.delivered().into_iter().map(|one| one.token).collect();
        fs::write(self.path("held"), tokens.join("\n")).unwrap();
        fs::write(self.path("own"), self.consumer.private_key()).unwrap();
        let (held, own, jwks) = (self.path("held"), self.path("own"), self.path("jwks"));
        let given = ["verify-chain", &held, "--key", &own, "--jwks", &jwks, "--audience", "shop"];
        let of = ["--subscription", "shop", "--issuer", self.gateway.issuer()];
        self.run(&[&given[..], &of[..], more].concat())
    }

    async fn note(&self, path: &str) -> LogNote {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        let note: SignedNote = String::from_utf8(body).unwrap().parse().unwrap();
        note.text.parse().unwrap()
    }

    /// In which incarnation events were numbered, as their tokens say.
    fn numbered(&self, ids: &[String]) -> Vec<u64> {
        let held = self.consumer.delivered();
        let of = |id: &String| {
            let all: Vec<_> = held.iter().filter(|one| one.id() == id).collect();
            let number = all[0].opened.incarnation();
            assert!(all.iter().all(|one| one.opened.incarnation() == number), "{id}");
            number
        };
        ids.iter().map(of).collect()
    }
}

/// What a record says, whoever signed it.
fn claims(record: &Value) -> Value {
    let payload = record.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap()).unwrap()
}

fn sequences(events: &Value) -> Vec<u64> {
    let events = events.as_array().unwrap().iter();
    let mut found: Vec<_> = events.map(|event| event["sequence"].as_u64().unwrap()).collect();
    found.dedup();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_goes_on_as_another_incarnation_and_consumers_are_told_what_was_lost() {
    let mut scene = Scene::new().await;
    let kept = scene.orders(1..=6).await;
    let copy = scene.path("copy.db");
    scene.done(&["log", "backup", &copy]);
    let lost = scene.orders(7..=10).await;
    let before = scene.keep("before", "/subscriptions/shop/checkpoint").await;
    scene.keep("jwks", "/.well-known/jwks.json").await;
    let told = scene.verify_chain(&["--checkpoint", &before]);
    assert_eq!((told.code, &told.output["lost"]), (Some(0), &json!([])), "{}", told.words);
    assert_eq!(told.output["checkpoint"]["incarnation"], 1);
    scene.kill_at(10).await;

    assert_eq!(scene.restore(&copy), 2);
    assert!(!scene.gateway.try_to_serve().await, "it does not deliver yet");
    assert_eq!(scene.done(&["log", "restored"])["incarnation"], 2);
    scene.gateway.serve().await;
    let after = scene.orders(11..=12).await;

    assert_eq!(scene.numbered(&kept), [1; 6]);
    assert_eq!((scene.numbered(&lost), scene.numbered(&after)), (vec![1; 4], vec![2; 2]));
    let shown = scene.json("/log/incarnations").await;
    assert_eq!((&shown["incarnation"], shown["records"].as_array().unwrap().len()), (&json!(2), 1));
    let record = claims(&shown["records"][0]);
    assert_eq!(
        (&record["incarnation"], &record["iss"]),
        (&json!(2), &json!(scene.gateway.issuer()))
    );
    assert_eq!(record["survivors"]["position"], 6);
    assert_eq!(record["survivors"]["event"], json!(kept[5]));
    let told_before = (&record["before"]["position"], &record["before"]["event"]);
    assert_eq!(told_before, (&json!(10), &json!(lost[3])));

    // The consumer: undeclared it is a fork, declared it is a loss.
    let undeclared = scene.verify_chain(&[]);
    assert_eq!(undeclared.code, Some(1), "{}", undeclared.words);
    for kind in ["\"conflict\"", "\"undeclared\""] {
        assert!(undeclared.output["findings"].to_string().contains(kind), "{}", undeclared.words);
    }
    let records = scene.keep("records", "/log/incarnations").await;
    let newest = scene.keep("newest", "/subscriptions/shop/checkpoint").await;
    for checkpoint in [&before, &newest] {
        let told = scene.verify_chain(&["--incarnations", &records, "--checkpoint", checkpoint]);
        assert_eq!(told.code, Some(0), "{}", told.words);
        let of = &told.output["lost"][0];
        assert_eq!((&of["incarnation"], sequences(&of["events"])), (&json!(2), vec![7, 8, 9, 10]));
        assert_eq!(told.output["last"]["id"], json!(after[1]));
        assert_eq!(told.output["last"]["sequence"], 8);
    }
    let told = scene.verify_chain(&["--incarnations", &records, "--checkpoint", &newest]);
    assert_eq!(told.output["checkpoint"]["incarnation"], 2);
    assert_eq!(told.output["checkpoint"]["held"], "newest");

    // A bundle declares it, too.
    let (bundle, jwks) = (scene.path("bundle"), scene.path("jwks"));
    scene.keep("bundle", "/subscriptions/shop/evidence").await;
    let own = scene.path("own");
    let told = scene.run(&["evidence", "verify", &bundle, "--jwks", &jwks, "--key", &own]);
    assert_eq!((told.code, &told.output["verdict"]), (Some(0), &json!("valid")), "{}", told.words);
    assert_eq!((&told.output["incarnation"], &told.output["events"]), (&json!(2), &json!(8)));
    assert_eq!(told.output["incarnations"][0]["lost"], 4);
    let told = scene.verify_chain(&["--incarnations", &bundle]);
    assert_eq!(told.code, Some(0), "{}", told.words);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_incarnation_has_its_own_origin_and_what_survived_of_the_tree() {
    let mut scene = Scene::new().await;
    scene.orders(1..=6).await;
    let copy = scene.path("copy.db");
    scene.done(&["log", "backup", &copy]);
    scene.orders(7..=7).await;
    let origin = format!("{}/log", scene.gateway.issuer().replace("http://", ""));
    let first = scene.note("/log/checkpoint").await;
    assert_eq!((first.origin, first.tree.size), (origin.clone(), 7));
    let (_, tile) = scene.get("/log/tile/0/000.p/6").await;
    assert!(scene.gateway.stop().await.success());
    scene.restore(&copy);
    scene.done(&["log", "restored"]);
    scene.gateway.serve().await;
    scene.orders(8..=9).await;

    let now = scene.note("/log/checkpoint").await;
    assert_eq!((now.origin.clone(), now.tree.size), (format!("{origin}/2"), 8));
    assert_eq!(scene.note("/log/2/checkpoint").await, now);
    let then = scene.note("/log/1/checkpoint").await;
    assert_eq!((then.origin, then.tree.size), (origin.clone(), 6));
    let record = claims(&scene.json("/log/incarnations").await["records"][0]);
    assert_eq!(record["survivors"]["tree"]["root"], json!(then.tree.root));
    let key = scene.gateway.run(&["log", "key"]);
    assert!(said(&key).words.starts_with(&format!("{origin}/2+")), "{}", said(&key).words);
    let key = scene.gateway.run(&["log", "key", "--incarnation", "1"]);
    assert!(said(&key).words.starts_with(&format!("{origin}+")), "{}", said(&key).words);

    assert_eq!(scene.get("/log/1/tile/0/000.p/6").await, (200, tile));
    let (status, words) = scene.get("/log/1/tile/0/000.p/7").await;
    let words = String::from_utf8(words).unwrap();
    assert!(status == 404 && words.contains("6 leaves"), "{status}: {words}");
    assert_eq!(scene.get("/log/2/tile/0/000.p/8").await.0, 200);
    assert_eq!(scene.get("/log/2/tile/entries/000.p/8").await.0, 200);
    for absent in
        ["/log/3/checkpoint", "/log/0/checkpoint", "/log/01/checkpoint", "/log/x/checkpoint"]
    {
        assert_eq!(scene.get(absent).await.0, 404, "{absent}");
    }
    let proof = scene.json("/log/proof/consistency?from=2&incarnation=1").await;
    assert_eq!((&proof["to"]["size"], &proof["to"]["root"]), (&json!(6), &json!(then.tree.root)));
    assert_eq!(scene.get("/log/proof/consistency?from=2&to=7&incarnation=1").await.0, 404);
    assert_eq!(scene.get("/log/proof/inclusion?index=5&size=7&incarnation=1").await.0, 404);
    let from = "/log/proof/consistency?from=6&incarnation=2";
    assert_eq!(scene.json(from).await["from"]["root"], json!(then.tree.root));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_restored_twice_gives_two_numbers() {
    let mut scene = Scene::new().await;
    scene.orders(1..=3).await;
    let copy = scene.path("copy.db");
    scene.done(&["log", "backup", &copy]);
    scene.orders(4..=5).await;
    scene.keep("jwks", "/.well-known/jwks.json").await;
    let mut records = Vec::new();
    for (number, orders) in [(2, 6..=8), (3, 9..=9)] {
        assert!(scene.gateway.stop().await.success());
        assert_eq!(scene.restore(&copy), number);
        scene.done(&["log", "restored"]);
        scene.gateway.serve().await;
        let ids = scene.orders(orders).await;
        assert!(scene.numbered(&ids).iter().all(|found| *found == number));
        let shown = scene.json("/log/incarnations").await;
        assert_eq!(shown["records"].as_array().unwrap().len(), 1, "the other is in another line");
        let record = claims(&shown["records"][0]);
        assert_eq!(
            (&record["incarnation"], &record["survivors"]["incarnation"]),
            (&json!(number), &json!(1))
        );
        assert_eq!(record["before"]["incarnation"], number - 1);
        records.push(scene.keep(&format!("records-{number}"), "/log/incarnations").await);
    }

    let given: Vec<_> = records.iter().flat_map(|file| ["--incarnations", file]).collect();
    let told = scene.verify_chain(&given);

    assert_eq!(told.code, Some(0), "{}", told.words);
    assert_eq!(told.output["last"]["sequence"], 4);
    let lost = told.output["lost"].as_array().unwrap();
    let lost: usize = lost.iter().map(|lost| lost["events"].as_array().unwrap().len()).sum();
    assert_eq!(lost, 5, "{}", told.output);
    let half = scene.verify_chain(&given[..2]);
    assert_eq!(half.code, Some(1), "the third is not declared: {}", half.words);

    // An operator whose keys were elsewhere says which number is free.
    assert!(scene.gateway.stop().await.success());
    fs::remove_dir_all(scene.path("data")).unwrap();
    let taken = scene.run(&["log", "restore", &copy, "--incarnation", "3"]);
    assert!(taken.code == Some(2) && taken.words.contains("greater number"), "{}", taken.words);
    assert_eq!(scene.done(&["log", "restore", &copy, "--incarnation", "9"])["incarnation"], 9);
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_found_shorter_begins_one_once_it_is_accepted_and_a_kill_leaves_no_half() {
    let mut scene = Scene::new().await;
    scene.orders(1..=3).await;
    assert!(scene.gateway.stop().await.success());
    let (data, keys) =
        (scene.gateway.directory().join("data"), scene.gateway.directory().join("keys"));
    let (before, noted) =
        (scene.gateway.directory().join("before"), scene.gateway.directory().join("noted"));
    copy_directory(&data, &before);
    scene.gateway.serve().await;
    scene.orders(4..=5).await;
    let checkpoint = scene.keep("checkpoint", "/subscriptions/shop/checkpoint").await;
    scene.keep("jwks", "/.well-known/jwks.json").await;
    assert!(scene.gateway.stop().await.success());
    let end = fs::read(data.join("checkpoint.json")).unwrap();
    copy_directory(&before, &data);
    copy_directory(&keys, &noted);
    assert!(!scene.gateway.try_to_serve().await, "it was found shorter");

    assert_eq!(scene.done(&["log", "restored"])["incarnation"], 2);
    // As if it had died before it could forget what was noted under the old name.
    fs::write(data.join("checkpoint.json"), end).unwrap();
    for entry in fs::read_dir(&noted).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().starts_with(".log-") {
            fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
        }
    }
    assert_eq!(scene.done(&["log", "restored"])["incarnation"], 2, "nobody was told of it yet");
    scene.gateway.serve().await;
    scene.orders(6..=6).await;
    let record = claims(&scene.json("/log/incarnations").await["records"][0]);
    assert_eq!(
        (&record["survivors"]["position"], &record["before"]["position"]),
        (&json!(3), &json!(5))
    );

    let records = scene.keep("records", "/log/incarnations").await;
    let told = scene.verify_chain(&["--incarnations", &records]);
    assert_eq!(told.code, Some(0), "{}", told.words);
    assert_eq!(sequences(&told.output["lost"][0]["events"]), [4, 5]);

    // What a consumer holds tells more than what the gateway has noted.
    assert!(scene.gateway.stop().await.success());
    let given = ["log", "restored", "--force", "--checkpoint", &checkpoint];
    assert_eq!(scene.done(&given)["incarnation"], 3);
    fs::write(scene.path("checkpoint"), "a.b.c").unwrap();
    assert_eq!(scene.run(&given).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_of_a_log_that_was_set_back_while_it_is_looked_at() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=3).await;
    receiver.wait_for_delivered(3).await;
    gateway.stop().await;
    let (data, before) = (gateway.path("data"), gateway.path("before"));
    copy_directory(&data, &before);
    gateway.start_again().await;
    gateway.orders(4..=6).await;
    gateway.stop().await;
    copy_directory(&before, &data);
    gateway.change(|config| config.no_delivery = true);
    gateway.start_again().await;

    let since = gateway.order(7).await;
    for path in [
        "/log/checkpoint",
        "/log/1/checkpoint",
        "/subscriptions/shop/checkpoint",
        "/subscriptions/shop/evidence",
    ] {
        let answer = gateway.call(Method::GET, path, None).await;
        assert_eq!((answer.status, answer.code()), (409, "wrong-state"), "{path}");
    }
    gateway.stop().await;
    gateway.change(|config| config.no_delivery = false);
    let refused = gateway.refusal().await;
    assert!(refused.contains("sealway log restored"), "{refused}");
    let mut accept = program();
    accept.args(["--config", "/nowhere", "log", "restored", "--data-dir", data.to_str().unwrap()]);
    assert!(accept.status().unwrap().success());
    gateway.start_again().await;

    let record = claims(&gateway.get("/log/incarnations").await["records"][0]);
    assert_eq!(record["survivors"]["position"], 3, "what came since is of the new one: {record}");
    let number = eventually("the event is delivered", async || {
        let found = receiver.delivered().into_iter().find(|one| one.id() == since);
        found.map(|one| one.opened.incarnation())
    })
    .await;
    assert_eq!(number, 2);
}
