//! What one gateway is set up with is written as a text and made on another, without a secret on the way; and
//! files remove what they name no more.

use std::fs;
use std::path::Path;
use std::process::Output;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use sealway::ambient::Tasks;
use sealway::keys::{OpeningKey, OpeningKeyKind};

use crate::harness::Process;

/// When the credentials of a caller end.
const END: &str = "2090-01-01T00:00:00Z";

/// A gateway, and the key of a caller who may everything.
struct Side {
    process: Process,
    key: String,
}

impl Side {
    async fn start() -> Self {
        let mut process = Process::prepare();
        let key = process.add_caller("admin", "admin");
        process.serve().await;
        Self { process, key }
    }

    fn try_to_run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.process.command(arguments);
        command.env("SEALWAY_GATEWAY", self.process.issuer());
        command.env("SEALWAY_CALLER_KEY", &self.key);
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// Runs a command; gives its exit code and all that it wrote.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        said(&self.try_to_run(arguments, &[]))
    }

    async fn get(&self, path: &str) -> Value {
        self.process.get(&self.key, path).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.process.call_as(&self.key, (Method::POST, path), Some(body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.body);
        answer.body
    }

    /// The names of the subscriptions that there are.
    async fn subscriptions(&self) -> Vec<String> {
        let all = self.get("/subscriptions").await["subscriptions"].clone();
        let name = |one: &Value| format!("{}/{}", text(one, "consumer"), text(one, "name"));
        all.as_array().unwrap().iter().map(name).collect()
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.process.directory().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

fn public_key() -> Value {
    OpeningKey::generate(OpeningKeyKind::X25519).unwrap().public_jwk().unwrap().clone()
}

/// A subscription of every kind that has something of its own to carry.
async fn set_up(side: &Side) {
    let keys = json!({ "jwks": { "keys": [public_key()] } });
    let pull = |name: &str, keys: &Value| {
        json!({
            "name": name, "consumer": "shop", "protocol": "PULL", "types": ["Order.*"],
            "config": { "keys": keys },
        })
    };
    side.post("/subscriptions", &pull("orders", &keys)).await;
    let paused = side.post("/subscriptions", &pull("paused", &keys)).await;
    side.post(&format!("/subscriptions/{}/pause", text(&paused, "id")), &json!({})).await;
    let shared =
        side.post("/subscriptions", &pull("shared", &json!({ "sharedSecret": true }))).await;
    assert!(shared["sharedSecret"].is_object(), "{shared}");
    let sink = json!({
        "name": "guarded", "consumer": "shop", "sink": "http://127.0.0.1:9/events",
        "sinkcredential": {
            "credentialtype": "BASIC",
            "basic": { "username": "gateway", "password": "a password of a test" },
        },
        "config": { "keys": keys, "verify": "later" },
    });
    side.post("/subscriptions", &sink).await;
    let grant = json!({ "id": "shop", "consumer": "shop", "publication": "orders/*" });
    side.post("/grants", &grant).await;
    side.process.add_caller("billing", "consume:billing publish:shop.*");
    let until = ["callers", "change", "billing", "--until", END];
    assert!(side.process.run(&until).status.success());
    side.process.add_caller("former", "audit");
    let until = ["callers", "change", "former", "--until", "2020-01-01T00:00:00Z"];
    assert!(side.process.run(&until).status.success());
}

#[tokio::test]
async fn what_is_exported_is_made_once_with_ids_and_secrets_of_its_own() {
    let (from, to) = (Side::start().await, Side::start().await);
    set_up(&from).await;
    let (code, exported) = {
        let output = from.try_to_run(&["export"], &[]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(code, Some(0), "{exported}");
    assert!(
        !exported.contains("a password of a test") && !exported.contains("sealway."),
        "{exported}"
    );
    let file = to.write("export.yaml", &exported);
    let password = [("SEALWAY_SECRET_SHOP_GUARDED_BASIC_PASSWORD", "another password")];

    // Whoever rehearses changes nothing, and learns which secret is missing.
    let (code, told) = to.run(&["import", &file, "--dry-run"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("SEALWAY_SECRET_SHOP_GUARDED_BASIC_PASSWORD"), "{told}");
    let (code, told) = said(&to.try_to_run(&["import", &file, "--dry-run"], &password));
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told.matches("would be created").count(), 6, "{told}");
    assert_eq!(to.subscriptions().await, [] as [String; 0]);

    let output = to.try_to_run(&["--output", "json", "import", &file], &password);
    assert_eq!(output.status.code(), Some(0), "{:?}", said(&output));
    let made: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: &str| made.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("admin")["outcome"], "as it was");
    for name in
        ["billing", "orders/shop", "shop/orders", "shop/paused", "shop/shared", "shop/guarded"]
    {
        assert_eq!(of(name)["outcome"], "created", "{name}");
    }
    let key = of("billing")["secret"].as_str().unwrap();
    to.process.get(key, "/subscriptions").await;
    assert!(of("shop/shared")["secret"].is_object());

    assert_eq!(to.subscriptions().await, from.subscriptions().await);
    let id = |side: Value| side["id"].clone();
    for name in ["orders", "paused", "shared", "guarded"] {
        let path = format!("/subscriptions/shop%2F{name}");
        let (old, new) = (from.get(&path).await, to.get(&path).await);
        assert_eq!(old["state"], new["state"], "{name}");
        assert_eq!(old["types"], new["types"], "{name}");
        assert_ne!(id(old), id(new), "{name}");
    }
    assert_eq!(to.get("/grants/shop").await["consumer"], "shop");
    let listed = to.run(&["--output", "json", "callers", "list"]).1;
    assert!(listed.contains(END) && !listed.contains("former"), "{listed}");

    // A second time there is nothing left to make.
    let (code, told) = said(&to.try_to_run(&["import", &file], &password));
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("created") && !told.contains("secret of"), "{told}");
    assert_eq!(told.matches("as it was").count(), 7, "{told}");
    assert_eq!(to.subscriptions().await, from.subscriptions().await);

    // But for what an import before has not come to.
    to.post("/subscriptions/shop%2Fpaused/resume", &json!({})).await;
    let (code, told) = said(&to.try_to_run(&["import", &file, "--dry-run"], &password));
    assert!(code == Some(0) && told.contains("would be paused"), "{told}");
    let (code, told) = said(&to.try_to_run(&["import", &file], &password));
    assert!(code == Some(0) && told.contains(" paused"), "{told}");
    assert_eq!(to.get("/subscriptions/shop%2Fpaused").await["state"], "paused");

    // Callers are those of the data directory that is named, and none is begun.
    let nowhere = to.process.directory().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for command in [vec!["export"], vec!["import", &file]] {
        let (code, told) = to.run(&[&command[..], &["--data-dir", nowhere]].concat());
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("there is no log in"), "{told}");
    }
    assert!(!Path::new(nowhere).exists());
}

/// A gateway that has nothing, takes grants, and breaks when it is asked for a subscription.
async fn broken_gateway() -> (String, Tasks) {
    let subscriptions = get(|| async { Json(json!({ "subscriptions": [], "next": null })) })
        .post(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    let grants = get(|| async { Json(json!({ "grants": [], "next": null })) })
        .post(|| async { (StatusCode::CREATED, Json(json!({}))) });
    let app = Router::new().route("/subscriptions", subscriptions).route("/grants", grants);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}"), tasks)
}

// The commands block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_is_told_also_when_a_later_step_breaks() {
    let (from, to) = (Side::start().await, Side::start().await);
    set_up(&from).await;
    let exported = String::from_utf8(from.try_to_run(&["export"], &[]).stdout).unwrap();
    let file = to.write("export.yaml", &exported);
    let (broken, _tasks) = broken_gateway().await;
    let gateway = [("SEALWAY_GATEWAY", &*broken)];

    let (code, told) = said(&to.try_to_run(&["import", &file], &gateway));

    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("sealway.billing."), "its key is shown once, and now: {told}");
    assert!(told.contains("orders/shop") && told.contains("500"), "{told}");

    to.write("grants/kept.yaml", "id: kept\nconsumer: shop\npublication: orders/*\n");
    let shared = "config: { keys: { sharedSecret: true } }";
    let one = format!("name: a\nconsumer: shop\nprotocol: PULL\n{shared}\n");
    to.write("subscriptions/a.yaml", &one);
    let (code, told) = said(&to.try_to_run(&["apply"], &gateway));
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("orders/kept") && told.contains("given"), "{told}");
    assert!(told.contains("subscription shop/a: "), "which one broke is told: {told}");
}

#[tokio::test]
async fn what_is_there_otherwise_is_refused_by_itself_and_the_rest_is_made() {
    let (from, to) = (Side::start().await, Side::start().await);
    set_up(&from).await;
    let exported = String::from_utf8(from.try_to_run(&["export"], &[]).stdout).unwrap();
    let other = json!({
        "name": "orders", "consumer": "shop", "protocol": "PULL", "types": ["Payment.*"],
        "config": { "keys": { "jwks": { "keys": [public_key()] } } },
    });
    to.post("/subscriptions", &other).await;
    let file = to.write("export.yaml", &exported);

    let (code, told) = to.run(&["import", &file, "--without-callers"]);

    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("shop/orders: there is another one of this name; "), "{told}");
    assert!(told.contains(r#"types: ["Payment.*"] → ["Order.*"]"#), "{told}");
    assert_eq!(told.matches(" created").count(), 3, "{told}");
    assert_eq!(to.get("/subscriptions/shop%2Forders").await["types"], json!(["Payment.*"]));

    let newer = to.write("newer.yaml", &exported.replace("sealwayExport: 1", "sealwayExport: 7"));
    let (code, told) = to.run(&["import", &newer]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("form 7"), "{told}");
}

#[tokio::test]
async fn applying_shows_what_changes_and_prunes_by_name_what_files_name_no_more() {
    let side = Side::start().await;
    let subscription = |name: &str, consumer: &str, types: &str| {
        let key = public_key();
        format!(
            "name: {name}\nconsumer: {consumer}\nprotocol: PULL\ntypes: [{types}]\n\
             config: {{ keys: {{ jwks: {{ keys: [{key}] }} }} }}\n"
        )
    };
    let kept = subscription("kept", "shop", "Order.*");
    side.write("subscriptions/kept.yaml", &kept);
    let gone = side.write("subscriptions/gone.yaml", &subscription("gone", "shop", "Order.*"));
    side.write("grants/kept.yaml", "id: kept\nconsumer: shop\npublication: orders/*\n");
    let gone_grant =
        side.write("grants/gone.yaml", "id: gone\nconsumer: b\npublication: orders/*\n");
    let (code, told) = side.run(&["apply"]);
    assert_eq!(code, Some(0), "{told}");
    let by_hand = json!({
        "name": "by-hand", "consumer": "other", "protocol": "PULL",
        "config": { "keys": { "jwks": { "keys": [public_key()] } } },
    });
    side.post("/subscriptions", &by_hand).await;
    side.post("/grants", &json!({ "id": "hand", "consumer": "c", "publication": "payments/*" }))
        .await;
    fs::remove_file(gone).unwrap();
    fs::remove_file(gone_grant).unwrap();
    side.write("subscriptions/kept.yaml", &kept.replace("Order.*", "Order.Created"));

    let (code, told) = side.run(&["apply", "--prune", "--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(r#"shop/kept: types: ["Order.*"] → ["Order.Created"]"#), "{told}");
    for name in ["shop/gone", "orders/gone"] {
        assert!(told.contains(name), "{name} in {told}");
    }
    assert!(!told.contains("by-hand") && !told.contains("payments/hand"), "{told}");
    assert_eq!(side.subscriptions().await.len(), 3, "nothing has gone yet");

    let (code, told) = side.run(&["apply"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(side.subscriptions().await.len(), 3, "nothing goes without --prune");

    let (code, told) = side.run(&["apply", "--prune"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("removing subscription shop/gone"), "{told}");
    assert!(told.contains("removing grant orders/gone"), "{told}");
    let mut left = side.subscriptions().await;
    left.sort();
    assert_eq!(left, ["other/by-hand", "shop/kept"]);
    assert_eq!(side.get("/grants/orders%2Fgone").await["state"], "recalled");
    for open in ["orders%2Fkept", "payments%2Fhand"] {
        assert_eq!(side.get(&format!("/grants/{open}")).await["state"], "active", "{open}");
    }
    let (code, told) = side.run(&["apply", "--prune"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("nothing to remove"), "{told}");

    let file = side.process.directory().join("subscriptions/kept.yaml");
    let (code, told) = side.run(&["apply", file.to_str().unwrap(), "--prune"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--prune goes with folders"), "{told}");
}
