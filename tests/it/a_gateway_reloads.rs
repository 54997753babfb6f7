//! A hangup has a running gateway take its files anew: all of them, or none and it says why.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::Method;
use serde_json::{Value, json};

use sealway::keys::{OpeningKey, OpeningKeyKind};

use crate::harness::{
    ACCESS_KEY, Answer, Process, Sink, TestGateway, TlsServer, eventually, order_created,
};

/// A contract of a domain that comes while the gateway runs.
const PARCELS: &str = "asyncapi: 3.0.0
info: { title: Parcels, version: 1.0.0 }
channels:
  parcels:
    address: parcels
    messages:
      Parcel.Moved:
        payload: { type: object, required: [n], properties: { n: { type: integer } } }
operations: { publish: { action: send, channel: { $ref: '#/channels/parcels' } } }
";

/// What it publishes.
const PARCELS_PUBLISHED: &str = "domain: parcels
contract: asyncapi/parcels.yaml
source: /parcels
access: public
publications:
  - event: Parcel.Moved
    when: { source: [depot], detail-type: [ParcelMoved] }
    patch: [{ op: copy, from: /detail/n, path: /data/n }]
";

/// A gateway in a process of its own, with a caller who may everything.
struct Scene {
    process: Process,
    key: String,
}

impl Scene {
    async fn start() -> Self {
        Self::of(Process::prepare()).await
    }

    async fn of(mut process: Process) -> Self {
        let key = process.add_caller("admin", "admin");
        process.serve().await;
        Self { process, key }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.process.directory().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.process.directory().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn hang_up(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// How many lines of the log have these words.
    fn lines(&self, words: &str) -> usize {
        self.process.log().lines().filter(|line| line.contains(words)).count()
    }

    /// Hangs up, and waits until it is told what came of it.
    async fn reload(&self, outcome: &str) -> Value {
        let before = self.get("/settings").await["lastReload"]["at"].clone();
        self.hang_up();
        let told = eventually("the reload is over", async || {
            let told = self.get("/settings").await["lastReload"].clone();
            (told["at"] != before).then_some(told)
        })
        .await;
        assert_eq!(told["outcome"], outcome, "{told}");
        told
    }

    async fn get(&self, path: &str) -> Value {
        self.process.get(&self.key, path).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.process.call_as(&self.key, (Method::POST, path), Some(body)).await
    }

    async fn publish(&self, event: &Value) -> Answer {
        self.process.send(&self.key, event).await
    }

    /// What became of a parcel that was published.
    async fn outcome(&self, number: u64) -> Value {
        self.publish(&parcel(number)).await.body["events"][0]["outcome"].clone()
    }

    /// Subscribes without a sink; gives the id.
    async fn pull(&self, consumer: &str) -> String {
        let document = json!({
            "name": format!("{consumer}-pull"), "consumer": consumer, "protocol": "PULL",
            "config": { "keys": { "jwks": { "keys": [public_key()] } } },
        });
        let made = self.post("/subscriptions", &document).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// The events that a subscription has been handed out, once they are so many.
    async fn fetched(&self, id: &str, count: usize) -> Vec<Value> {
        let path = format!("/subscriptions/{id}/events?acknowledge=false&after={}", "0".repeat(26));
        eventually(format!("{count} events"), async || {
            let events = self.get(&path).await["events"].as_array().unwrap().clone();
            (events.len() >= count).then_some(events)
        })
        .await
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.process.command(arguments);
        command.env("SEALWAY_GATEWAY", self.process.issuer());
        let output = command.env("SEALWAY_CALLER_KEY", &self.key).output().unwrap();
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

fn public_key() -> Value {
    OpeningKey::generate(OpeningKeyKind::X25519).unwrap().public_jwk().unwrap().clone()
}

fn parcel(number: u64) -> Value {
    json!({
        "specversion": "1.0", "id": format!("parcel-{number}"), "source": "depot",
        "type": "ParcelMoved", "data": { "n": number, "private": "confidential" },
    })
}

#[tokio::test]
async fn a_new_domain_crosses_without_a_restart_and_a_removed_one_no_more() {
    let scene = Scene::start().await;
    assert_eq!(scene.outcome(1).await, "unwanted");
    let schema = scene.get("/contracts").await["contracts"].clone();
    scene.write("asyncapi/parcels.yaml", PARCELS);
    scene.write("publications/parcels.yaml", PARCELS_PUBLISHED);

    let told = scene.reload("applied").await;

    assert_eq!(
        told["changes"],
        json!(["contracts added: parcels.yaml", "publications added: parcels/Parcel.Moved"])
    );
    assert_eq!(scene.outcome(2).await, "accepted");
    let contracts = scene.get("/contracts").await["contracts"].clone();
    assert_eq!(contracts.as_array().unwrap().len(), schema.as_array().unwrap().len() + 1);
    let address = "/schemas/parcels/Parcel.Moved/1.0.0";
    let before = scene.get(address).await;
    assert!(before["properties"]["n"].is_object(), "{before}");

    scene.replace("publications/parcels.yaml", "[ParcelMoved]", "[ParcelMoved, ParcelSent]");
    let told = scene.reload("applied").await;
    assert_eq!(told["changes"], json!(["publications changed: parcels/Parcel.Moved"]));
    assert_eq!(scene.get(address).await, before, "the address of a schema stays");

    for file in ["asyncapi/parcels.yaml", "publications/parcels.yaml"] {
        fs::remove_file(scene.process.directory().join(file)).unwrap();
    }
    scene.reload("applied").await;
    assert_eq!(scene.outcome(3).await, "unwanted");
    // What events were made of is served for ever.
    assert_eq!(scene.get(address).await, before);
    assert_eq!(scene.reload("applied").await["changes"], json!([]));
}

#[tokio::test]
async fn one_mistake_keeps_everything_as_it_was_and_is_named_with_its_line() {
    let scene = Scene::start().await;
    scene.write("asyncapi/parcels.yaml", PARCELS);
    scene.write("publications/parcels.yaml", PARCELS_PUBLISHED);
    scene.replace("publications/orders.yaml", "    patch:", "    pacth:");

    let told = scene.reload("refused").await;

    let mistakes = told["mistakes"].to_string();
    assert!(
        mistakes.contains("orders.yaml:") && mistakes.contains("did you mean `patch`?"),
        "{told}"
    );
    assert!(scene.lines("Reload is refused, and everything stays as it was: ") > 0);
    assert!(scene.process.log().contains("orders.yaml:"));
    assert_eq!(scene.outcome(1).await, "unwanted");
    assert_eq!(scene.publish(&order_created("o-1", 1)).await.status, 202);
    assert!(!scene.get("/contracts").await.to_string().contains("parcels.yaml"));

    // So does one in any other file: the settings, a grant, an access key without a secret.
    scene.replace("publications/orders.yaml", "    pacth:", "    patch:");
    scene.write("grants/a.yaml", "id: a\nconsumer: shop\npublication: nothing\n");
    let told = scene.reload("refused").await;
    assert!(told["mistakes"].to_string().contains("grants/a.yaml"), "{told}");
    fs::remove_file(scene.process.directory().join("grants/a.yaml")).unwrap();
    let settings = scene.process.settings_text();
    let key = "source: { access-keys: [{ id: AKIANEW, secret: { env: NO_SUCH_SECRET } }] }\n";
    scene.write("gateway.yaml", &format!("{settings}{key}"));
    let told = scene.reload("refused").await;
    assert!(told["mistakes"].to_string().contains("NO_SUCH_SECRET"), "{told}");
    assert_eq!(scene.outcome(1).await, "unwanted");

    scene.write("gateway.yaml", &settings);
    scene.reload("applied").await;
    assert_eq!(scene.outcome(1).await, "accepted");
}

#[tokio::test]
async fn a_schema_that_events_name_is_changed_under_another_version_only() {
    let scene = Scene::start().await;
    scene.write("asyncapi/parcels.yaml", PARCELS);
    scene.write("publications/parcels.yaml", PARCELS_PUBLISHED);
    scene.reload("applied").await;
    assert_eq!(scene.outcome(1).await, "accepted");

    scene.replace("asyncapi/parcels.yaml", "type: integer", "type: number");
    let told = scene.reload("refused").await;

    assert!(told["mistakes"].to_string().contains("raise `info.version`"), "{told}");
    scene.replace("asyncapi/parcels.yaml", "version: 1.0.0", "version: 1.1.0");
    scene.reload("applied").await;
}

#[tokio::test]
async fn a_hundred_hangups_are_fewer_reloads_and_no_event_is_lost() {
    let scene = Scene::start().await;
    let id = scene.pull("shop").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let producing = async {
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            let answer = scene.publish(&order_created(&format!("o-{number}"), number)).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            assert_eq!(answer.body["events"][0]["outcome"], "accepted", "{answer:?}");
        }
        number
    };
    let hanging_up = async {
        for _ in 0..99 {
            scene.hang_up();
            tokio::task::yield_now().await;
        }
        scene.write("asyncapi/parcels.yaml", PARCELS);
        scene.write("publications/parcels.yaml", PARCELS_PUBLISHED);
        scene.hang_up();
        eventually("the last change is applied", async || {
            (scene.lines("publications added: parcels/Parcel.Moved") > 0).then_some(())
        })
        .await;
        is_over.store(true, Ordering::Relaxed);
    };

    let (published, ()) = tokio::join!(producing, hanging_up);

    let reloads = scene.lines("Gateway is told to reload");
    assert!((1..100).contains(&reloads), "{reloads}");
    assert_eq!(scene.lines("Reload is refused"), 0);
    let (path, mut after) = (format!("/subscriptions/{id}"), String::new());
    eventually(format!("{published} events are numbered"), async || {
        // Only so many wait to be fetched.
        let page = scene.get(&format!("{path}/events?limit=1000{after}")).await;
        if let Some(next) = page["next"].as_str() {
            after = format!("&after={next}");
        }
        (scene.get(&path).await["progress"]["sequence"] == published).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_publication_that_closes_is_heard_on_by_those_who_heard_it_and_by_nobody_else() {
    let scene = Scene::start().await;
    let (heard, other) = (scene.pull("shop").await, scene.pull("other").await);
    assert_eq!(scene.publish(&order_created("o-1", 1)).await.status, 202);
    scene.fetched(&heard, 1).await;
    scene.replace("publications/orders.yaml", "\naccess: public\n", "\naccess: grant\n");

    scene.reload("applied").await;

    let late = scene.pull("late").await;
    assert_eq!(scene.publish(&order_created("o-2", 2)).await.status, 202);
    assert_eq!(scene.fetched(&heard, 2).await.len(), 2);
    assert_eq!(scene.fetched(&other, 2).await.len(), 2);
    let payment = json!({
        "specversion": "1.0", "id": "p-1", "source": "payment-service",
        "type": "PaymentSucceeded", "data": { "id": 1 },
    });
    assert_eq!(scene.publish(&payment).await.status, 202);
    let of_late = scene.fetched(&late, 1).await;
    assert_eq!(of_late.len(), 1, "{of_late:?}");
    let grants = scene.get("/grants").await["grants"].clone();
    let consumers: Vec<&str> =
        grants.as_array().unwrap().iter().map(|one| one["consumer"].as_str().unwrap()).collect();
    assert!(consumers.contains(&"shop") && !consumers.contains(&"late"), "{grants}");
}

#[tokio::test]
async fn a_new_publication_by_grant_is_heard_by_whom_a_file_names_from_its_first_event_on() {
    let scene = Scene::start().await;
    let (granted, other) = (scene.pull("shop").await, scene.pull("other").await);
    scene.write("asyncapi/parcels.yaml", PARCELS);
    scene.write(
        "publications/parcels.yaml",
        &PARCELS_PUBLISHED.replace("access: public", "access: grant"),
    );
    scene.write("grants/shop.yaml", "id: shop\nconsumer: shop\npublication: parcels/*\n");

    let told = scene.reload("applied").await;

    assert!(told["changes"].to_string().contains("grants added: parcels/shop"), "{told}");
    assert_eq!(scene.outcome(1).await, "accepted");
    assert_eq!(scene.publish(&order_created("o-1", 1)).await.status, 202);
    assert_eq!(scene.fetched(&granted, 2).await.len(), 2);
    assert_eq!(scene.fetched(&other, 1).await.len(), 1, "and no number of its own");
    assert_eq!(scene.fetched(&other, 1).await[0]["sequence"], 1);

    let grant = scene.get("/grants/shop").await;
    assert_eq!(grant["decidedBy"], "files");
    scene.write(
        "grants/shop.yaml",
        "id: shop\nconsumer: shop\npublication: parcels/*\nuntil: 2099-01-01T00:00:00Z\n",
    );
    scene.reload("applied").await;
    assert!(scene.get("/grants/shop").await["until"].as_str().unwrap().starts_with("2099"));
    scene.write("grants/shop.yaml", "id: shop\nconsumer: another\npublication: parcels/*\n");
    let told = scene.reload("refused").await;
    assert!(told["mistakes"].to_string().contains("changes nothing but its end"), "{told}");
}

#[tokio::test]
async fn access_keys_come_and_go_and_a_setting_that_needs_a_restart_is_named_and_drifts() {
    let process = Process::prepare();
    fs::write(process.directory().join("secret"), "a secret of a test").unwrap();
    let private = Command::new("chmod").arg("600").arg(process.directory().join("secret")).status();
    assert!(private.unwrap().success());
    let scene = Scene::of(process).await;
    let put = || async {
        let entry = PutEventsRequestEntry::builder()
            .source("order-service")
            .detail_type("OrderCreated")
            .detail(json!({ "id": 1, "amount": 1 }).to_string());
        let client = TestGateway::sdk_through(scene.process.issuer(), "a secret of a test");
        let answer = client.put_events().entries(entry.build()).send().await;
        answer
            .map(|answer| answer.failed_entry_count())
            .map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let unknown = Err("UnrecognizedClientException".to_owned());
    assert_eq!(put().await, unknown);
    let settings = scene.process.settings_text();
    let digest = scene.get("/settings").await["digests"]["settings"].clone();
    let key = format!(
        "source: {{ access-keys: [{{ id: {ACCESS_KEY}, secret: {{ file: secret }} }}] }}\n"
    );
    scene.write("gateway.yaml", &format!("{settings}{key}api: {{ caller-rate: 59999 }}\n"));

    let told = scene.reload("applied").await;

    assert_eq!(told["changes"], json!([format!("access keys added: {ACCESS_KEY}")]));
    assert_eq!(put().await, Ok(0));
    let in_force = scene.get("/settings").await;
    assert_eq!(in_force["needRestart"], json!(["api.caller-rate"]));
    assert_ne!(in_force["digests"]["settings"], digest);
    assert!(scene.process.log().contains("need a restart: api.caller-rate"));
    let (code, drift) = scene.run(&["config", "drift"]);
    assert_eq!(code, Some(1), "{drift}");
    assert!(drift.contains("api.caller-rate") && drift.contains("59999"), "{drift}");
    assert!(!drift.contains("access-keys"), "{drift}");

    scene.write("gateway.yaml", &settings);
    scene.reload("applied").await;
    assert_eq!(put().await, unknown);
    let (code, drift) = scene.run(&["config", "drift"]);
    assert_eq!(code, Some(0), "{drift}");
    let (_, digests) = scene.run(&["config", "digest"]);
    let in_force = scene.get("/settings").await;
    for kind in ["settings", "contracts", "publications"] {
        let digest = in_force["digests"][kind].as_str().unwrap();
        assert!(digests.contains(digest), "{digests} {kind} {digest}");
    }
    let metrics = scene.get("/metrics").await;
    let lines = metrics.as_str().unwrap().lines();
    let told: Vec<&str> = lines.filter(|line| line.starts_with("sealway_settings_info{")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(in_force["digests"]["settings"].as_str().unwrap()), "{told:?}");
}

#[tokio::test]
async fn trusted_certificates_are_read_anew_and_stay_where_none_can_be_read() {
    let (before, after) = (TlsServer::new(false), TlsServer::new(false));
    let folder = tempfile::tempdir().unwrap();
    let authorities = folder.path().join("authorities.pem");
    fs::write(&authorities, before.authority()).unwrap();
    let process = Process::prepare()
        .with_variable("SSL_CERT_FILE", authorities.to_str().unwrap())
        .with_variable("SSL_CERT_DIR", "");
    let scene = Scene::of(process).await;
    let sink = Sink::start_tls(&after, |_| (500, None, String::new())).await;
    let document = json!({
        "name": "shop", "consumer": "shop", "sink": sink.at("/events"),
        "config": { "keys": { "jwks": { "keys": [public_key()] } } },
    });
    let made = scene.post("/subscriptions", &document).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    eventually("the first attempt has failed", async || {
        let shown = scene.get(&format!("/subscriptions/{id}")).await;
        shown.get("reason").is_some().then_some(())
    })
    .await;
    assert!(sink.arrived().is_empty(), "nobody trusts its authority");
    fs::write(&authorities, after.authority()).unwrap();

    let told = scene.reload("applied").await;

    let changes = told["changes"].to_string();
    assert!(
        changes.contains("trusted certificates added: ") && changes.contains(", until "),
        "{told}"
    );
    assert!(changes.contains("trusted certificates removed: "), "{told}");
    eventually("the sink is reached", async || {
        scene.post(&format!("/subscriptions/{id}/verify"), &json!({})).await;
        (!sink.arrived().is_empty()).then_some(())
    })
    .await;
    // Without a single authority nobody could be trusted, so the others stay.
    fs::write(&authorities, "").unwrap();
    let told = scene.reload("refused").await;
    assert!(told["mistakes"].to_string().contains("trusts cannot be read"), "{told}");
}

#[tokio::test]
async fn a_start_says_what_there_is_and_which_keys_it_has_made() {
    let mut scene = Scene::start().await;
    let log = scene.process.log();
    for words in [
        "Gateway has 2 contracts, ",
        " 1 caller, 0 subscriptions and 0 active grants",
        "Egress: public addresses over https; besides, 127.0.0.1/32; plain http to 127.0.0.1/32",
        " is new and signs; back up the key directory",
        "Settings in force have the digest ",
    ] {
        assert!(log.contains(words), "{words} in {log}");
    }
    scene.pull("shop").await;
    let new = scene.lines(" is new and ");
    assert!(scene.process.stop().await.success());
    scene.process.serve().await;

    assert_eq!(scene.lines(" is new and "), new, "no key was made by the second start");
    let states = scene.lines("1 caller, 1 subscription (1 active) and 0 active grants");
    assert_eq!(states, 1, "{}", scene.process.log());
}

#[test]
fn an_issuer_that_only_this_machine_reaches_is_told_by_check() {
    let process = Process::prepare();
    let text = process.settings_text();
    let other = text.replace("issuer: http://127.0.0.1", "issuer: http://events.example.com");
    assert_ne!(text, other);
    fs::write(process.settings(), other).unwrap();

    let checked = process.run(&["check", "--files-only"]);

    let told = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(checked.status.success(), "{told}");
    assert!(
        told.contains("gateway.yaml:1:1: ") && told.contains("only this machine reaches"),
        "{told}"
    );
}
