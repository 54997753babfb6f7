//! What `dataschema` names is served for ever, says the same for ever, and belongs to one domain.

use std::fs;
use std::path::Path;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};

use sealway::ambient::Tasks;
use sealway::config::Config;
use sealway::eventlog::TextDigest;
use sealway::gateway::{Machine, build};

use crate::harness::{Process, Receiver, TestGateway, eventually, free_port};

/// A contract with one message `M`, whose data is a number `n` that this schema describes.
fn contract(version: &str, schema: &str) -> String {
    format!(
        "asyncapi: 3.0.0
info: {{ title: Numbers, version: '{version}' }}
channels:
  numbers:
    address: numbers
    messages:
      M:
        payload:
          type: object
          required: [n]
          properties:
            n: {schema}
"
    )
}

/// A domain that publishes `M` of its own contract, for what its service says under its name.
fn publication(domain: &str) -> String {
    format!(
        "domain: {domain}
contract: asyncapi/{domain}.yaml
source: /{domain}
publications:
  - event: M
    when: {{ source: [{domain}] }}
    patch: [{{ op: copy, from: /detail/n, path: /data/n }}]
"
    )
}

/// Adds a domain to the settings.
fn add(config: &Config, domain: &str, text: &str) {
    fs::write(config.contracts.join(format!("{domain}.yaml")), text).unwrap();
    fs::write(config.publications.join(format!("{domain}.yaml")), publication(domain)).unwrap();
}

fn said(domain: &str, id: &str, n: u64) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": domain, "type": "Said", "data": { "n": n } })
}

/// The address of the schema of an event.
async fn dataschema(gateway: &TestGateway, id: &str) -> String {
    let shown = gateway.get(&format!("/events/{id}")).await;
    shown["event"]["dataschema"].as_str().unwrap().to_owned()
}

/// Fetches what anyone may fetch, without a key.
async fn fetch(uri: &str) -> (StatusCode, HeaderMap, String) {
    let answer = reqwest::get(uri).await.unwrap();
    (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
}

async fn schema(uri: &str) -> Value {
    let (status, headers, text) = fetch(uri).await;
    assert_eq!(status, StatusCode::OK, "{uri}: {text}");
    assert_eq!(headers["content-type"], "application/schema+json");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn two_domains_with_the_same_message_and_version_have_an_address_each() {
    let gateway = TestGateway::with(None, |config| {
        add(config, "left", &contract("1.0.0", "{ type: integer }"));
        add(config, "right", &contract("1.0.0", "{ type: integer, minimum: 5 }"));
    })
    .await;
    let left = gateway.publish(&said("left", "1", 7)).await.remove(0);
    let right = gateway.publish(&said("right", "1", 7)).await.remove(0);

    let (left, right) = (dataschema(&gateway, &left).await, dataschema(&gateway, &right).await);

    assert_eq!(left, format!("{}/schemas/left/M/1.0.0", gateway.issuer()));
    assert_eq!(right, format!("{}/schemas/right/M/1.0.0", gateway.issuer()));
    let (one, other) = (schema(&left).await, schema(&right).await);
    assert_eq!((&one["$id"], &other["$id"]), (&json!(left), &json!(right)));
    assert_eq!(one["properties"]["n"], json!({ "type": "integer" }));
    assert_eq!(other["properties"]["n"]["minimum"], 5);
}

#[tokio::test]
async fn an_address_is_fetched_as_it_is_printed_whatever_the_version_holds() {
    let versions = ["1.0.0+b#7", "2 beta/3", "50%?", "ü"];
    let gateway = TestGateway::with(None, |config| {
        for (number, version) in versions.iter().enumerate() {
            let schema = format!("{{ type: integer, maximum: {} }}", number * 100 + 99);
            add(config, &format!("d{number}"), &contract(version, &schema));
        }
    })
    .await;
    for number in 1..versions.len() as u64 {
        let domain = format!("d{number}");
        let id = gateway.publish(&said(&domain, "1", 7)).await.remove(0);
        let address = dataschema(&gateway, &id).await;
        assert_eq!(
            schema(&address).await["properties"]["n"]["maximum"],
            number * 100 + 99,
            "{address}"
        );
        let traced = gateway.get(&format!("/events/{id}/trace")).await;
        assert!(traced.to_string().contains(&address), "{traced}");
    }
    let listed = gateway.get("/contracts").await;
    let listed = listed["contracts"].as_array().unwrap();
    let numbers = listed.iter().find(|one| one["path"] == "d0.yaml").unwrap();
    let message = &numbers["messages"][0];
    assert_eq!(message["schema"], "/schemas/d0/M/1.0.0%2Bb%237");
    let publication = json!({ "publication": "d0/M", "schema": message["schema"] });
    assert_eq!(message["publications"], json!([publication]));
    let address = format!("{}/schemas/d0/M/1.0.0+b%237", gateway.issuer());
    assert_eq!(schema(&address).await["properties"]["n"]["maximum"], 99, "another spelling");
}

#[tokio::test]
async fn what_an_event_names_never_changes_and_is_kept_by_clients_for_ever() {
    let gateway = TestGateway::start().await;
    let address = format!("{}/schemas/orders/Order.Created/1.0.0", gateway.issuer());
    let (_, headers, before) = fetch(&address).await;
    assert_eq!(headers["cache-control"], "no-cache", "no event names it yet");

    let id = gateway.order(1).await;

    assert_eq!(dataschema(&gateway, &id).await, address);
    let (_, headers, text) = fetch(&address).await;
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(before, text);
    let etag = headers["etag"].to_str().unwrap();
    assert!(etag.starts_with('"') && etag.len() == 66, "{etag}");
    let http = reqwest::Client::new();
    let again = http.get(&address).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(
        (again.status(), again.headers()["etag"].to_str().unwrap()),
        (StatusCode::NOT_MODIFIED, etag)
    );
    assert_eq!(again.headers()["cache-control"], headers["cache-control"]);
    assert_eq!(again.text().await.unwrap(), "");
    let head = http.head(&address).send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["etag"]), (StatusCode::OK, &headers["etag"]));
    assert_eq!(head.headers()["content-length"], text.len().to_string().as_str());
    let lost = gateway.call(Method::GET, "/schemas/orders/Order.Created/1.0.1", None).await;
    assert_eq!((lost.status, lost.code()), (404, "not-found"));

    let link = headers["link"].to_str().unwrap();
    let contract = link.split(['<', '>']).nth(1).unwrap();
    let (status, headers, text) = fetch(&format!("{}{contract}", gateway.issuer())).await;
    assert_eq!(status, StatusCode::OK, "{contract}");
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(text, fs::read_to_string(gateway.path("asyncapi/orders.yaml")).unwrap());
}

/// Why a gateway on these settings does not start.
async fn refusal(config: Config) -> String {
    let machine = Machine { tasks: Tasks::new(), ..Machine::default() };
    match build(config, machine).await {
        Ok(_) => panic!("the gateway starts"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_schema_that_events_name_means_the_same_until_its_version_is_raised() {
    let (old, new) = ("{ type: integer }", "{ type: integer, minimum: 5 }");
    let mut config = Config::default();
    let mut gateway = TestGateway::with(None, |settings| {
        add(settings, "left", &contract("1.0.0", old));
        add(settings, "right", &contract("1.0.0", old));
        config = settings.clone();
    })
    .await;
    let id = gateway.publish(&said("left", "1", 1)).await.remove(0);
    let address = dataschema(&gateway, &id).await;
    gateway.stop().await;

    // The one that no event names changes freely.
    for domain in ["left", "right"] {
        add(&config, domain, &contract("1.0.0", new));
    }
    let refused = refusal(config.clone()).await;
    for part in
        ["left.yaml:", "`left/M`", "/schemas/left/M/1.0.0", &id, "info.version", "x-version"]
    {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(!refused.contains("right"), "{refused}");

    // Other words, another order and a new version are no changes of what it lets pass.
    let words = "{ description: A number, type: integer, examples: [1] }";
    add(&config, "left", &contract("1.0.0", words));
    gateway.start_again().await;
    assert_eq!(schema(&address).await["properties"]["n"], json!({ "type": "integer" }));
    let other = format!("{}/schemas/right/M/1.0.0", gateway.issuer());
    assert_eq!(schema(&other).await["properties"]["n"]["minimum"], 5);
    gateway.stop().await;

    add(&config, "left", &contract("1.1.0", new));
    gateway.start_again().await;
    let id = gateway.publish(&said("left", "2", 7)).await.remove(0);
    let newer = dataschema(&gateway, &id).await;
    assert_eq!(newer, format!("{}/schemas/left/M/1.1.0", gateway.issuer()));
    assert_eq!(schema(&newer).await["properties"]["n"]["minimum"], 5);
    assert_eq!(schema(&address).await["properties"]["n"], json!({ "type": "integer" }));
    let contracts = format!("{}/contracts/left.yaml", gateway.issuer());
    for (query, expected) in [
        ("", contract("1.1.0", new)),
        ("?version=1.0.0", contract("1.0.0", old)),
        ("?version=1.1.0", contract("1.1.0", new)),
    ] {
        let (status, headers, text) = fetch(&format!("{contracts}{query}")).await;
        assert_eq!((status, text), (StatusCode::OK, expected), "{query}");
        let is_kept = headers["cache-control"].to_str().unwrap().contains("immutable");
        assert_eq!(is_kept, !query.is_empty(), "{query}");
    }
    // A text that nothing has kept is found by its digest while it is the one of now.
    gateway.stop().await;
    let newest = contract("1.1.0", new) + "# In other words.\n";
    add(&config, "left", &newest);
    gateway.start_again().await;
    let by_digest = format!("{contracts}?sha256={}", TextDigest::of(&newest));
    let (status, _, text) = fetch(&by_digest).await;
    assert_eq!((status, text), (StatusCode::OK, newest));
    for (query, status) in [("?version=3", 404), ("?sha256=x", 422), ("?versoin=1.0.0", 400)] {
        let answer = gateway.call(Method::GET, &format!("/contracts/left.yaml{query}"), None).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
    }
}

fn settled(process: &Process) -> Config {
    let directory = process.directory();
    Config {
        contracts: directory.join("asyncapi"),
        publications: directory.join("publications"),
        ..Config::default()
    }
}

fn verify(place: &Path) -> (bool, String) {
    let output = crate::harness::program().args(["log", "verify"]).arg(place).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn a_kill_after_the_first_event_loses_no_schema_and_check_and_start_know_what_it_said() {
    let mut process = Process::prepare();
    let config = settled(&process);
    add(&config, "left", &contract("1.0.0", "{ type: integer }"));
    process.serve().await;
    let key = process.add_caller("producer", "publish:*");
    process.publish(&key, &said("left", "1", 1)).await;
    process.kill();

    add(&config, "left", &contract("1.0.0", "{ type: integer, minimum: 5 }"));
    let checked = process.run(&["check"]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{told}");
    assert!(told.contains("/schemas/left/M/1.0.0") && told.contains("info.version"), "{told}");
    let files = process.run(&["check", "--files-only"]);
    assert_eq!(files.status.code(), Some(0), "{}", String::from_utf8_lossy(&files.stderr));
    assert!(!process.try_to_serve().await, "what events name would say something else");
    assert!(process.log().contains("/schemas/left/M/1.0.0"), "{}", process.log());

    // The domain takes its event back; what was published stays explained.
    fs::remove_file(config.contracts.join("left.yaml")).unwrap();
    fs::remove_file(config.publications.join("left.yaml")).unwrap();
    process.serve().await;
    let address = format!("{}/schemas/left/M/1.0.0", process.issuer());
    assert_eq!(schema(&address).await["properties"]["n"], json!({ "type": "integer" }));
    let kept = format!("{}/contracts/left.yaml?version=1.0.0", process.issuer());
    assert_eq!(fetch(&kept).await.2, contract("1.0.0", "{ type: integer }"));
    process.stop().await;
}

#[tokio::test]
async fn a_backup_holds_the_schemas_and_log_verify_reads_them() {
    let mut process = Process::prepare();
    process.serve().await;
    let key = process.add_caller("producer", "publish:*");
    process.publish(&key, &crate::harness::order_created("o-1", 1)).await;
    let backup = process.directory().join("backup.db");
    let copied = process.run(&["log", "backup", backup.to_str().unwrap()]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    process.stop().await;

    let (is_sound, told) = verify(&backup);
    assert!(is_sound, "{told}");
    let database = Connection::open(&backup).unwrap();
    let kept: String = database
        .query_row(
            "SELECT text FROM schemas JOIN kept_texts ON digest = schema
             WHERE address = 'orders/Order.Created/1.0.0' AND event IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(kept.contains("orderId"), "{kept}");

    database.execute_batch("UPDATE kept_texts SET text = text || ' '").unwrap();
    database.execute_batch("DELETE FROM schemas WHERE address LIKE 'payments/%'").unwrap();
    drop(database);
    let (is_sound, told) = verify(&backup);
    assert!(!is_sound);
    assert!(told.contains("is another text") && told.contains("its row is missing"), "{told}");
}

#[tokio::test]
async fn a_contract_of_several_files_is_served_as_one_that_stands_alone() {
    let parts = "Numbers:
  type: object
  required: [n]
  properties: { n: { $ref: '#/Whole' }, more: { $ref: '#/Numbers' } }
Whole: { type: integer }
";
    let mut config = Config::default();
    let mut gateway = TestGateway::with(None, |settings| {
        let text = contract("1.0.0", "{ $ref: 'parts/numbers.yaml#/Numbers' }");
        add(settings, "left", &text);
        fs::create_dir(settings.contracts.join("parts")).unwrap();
        fs::write(settings.contracts.join("parts/numbers.yaml"), parts).unwrap();
        config = settings.clone();
    })
    .await;
    let event = json!({ "n": { "n": 1, "more": { "n": 2 } } });
    let said =
        json!({ "specversion": "1.0", "id": "1", "source": "left", "type": "S", "data": event });
    let id = gateway.publish(&said).await.remove(0);
    let served = schema(&dataschema(&gateway, &id).await).await;

    let (_, headers, text) = fetch(&format!("{}/contracts/left.yaml", gateway.issuer())).await;

    assert_eq!(headers["content-type"], "application/json");
    assert!(!text.contains("parts/") && text.contains("#/components/schemas/Numbers"), "{text}");
    // A reader that has nothing but this document knows the same event.
    fs::remove_dir_all(config.contracts.join("parts")).unwrap();
    fs::write(config.contracts.join("left.yaml"), &text).unwrap();
    gateway.restart().await;
    let id = gateway.publish(&json!({ "id": "2", "specversion": "1.0", "source": "left", "type": "S", "data": event })).await.remove(0);
    assert_eq!(schema(&dataschema(&gateway, &id).await).await, served);
}

#[tokio::test]
async fn evidence_holds_each_event_against_the_contract_that_it_was_made_of() {
    let mut config = Config::default();
    let (first, second) =
        (contract("1.0.0", "{ type: integer }"), contract("2.0.0", "{ minimum: 5 }"));
    let mut gateway = TestGateway::with(None, |settings| {
        add(settings, "left", &first);
        config = settings.clone();
    })
    .await;
    let reader = Receiver::start(&gateway, "reader").await;
    gateway.subscribe(&reader, json!({ "sink": null, "protocol": "PULL" })).await;
    gateway.publish(&said("left", "1", 1)).await;
    add(&config, "left", &second);
    gateway.restart().await;
    gateway.publish(&said("left", "2", 7)).await;

    let bundle = eventually("both events are offered", async || {
        let answer = gateway.call(Method::GET, "/subscriptions/reader/evidence", None).await;
        let text = answer.body.as_str().unwrap_or_default().to_owned();
        (text.matches(r#""kind":"event""#).count() == 2).then_some(text)
    })
    .await;

    let lines = bundle.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let contracts: Vec<Value> = lines.filter(|line| line["kind"] == "contract").collect();
    let documents: Vec<&Value> = contracts.iter().map(|line| &line["document"]).collect();
    assert_eq!(documents, [&json!(first), &json!(second)]);
    for (line, version) in contracts.iter().zip(["1.0.0", "2.0.0"]) {
        let address = format!("{}/schemas/left/M/{version}", gateway.issuer());
        assert_eq!(
            (&line["dataschema"], &line["schema"]["$id"]),
            (&json!(address), &json!(address))
        );
    }
}

#[tokio::test]
async fn a_gateway_that_moves_answers_at_its_new_address_with_what_it_kept() {
    let mut gateway = TestGateway::start().await;
    let id = gateway.order(1).await;
    let before = dataschema(&gateway, &id).await;
    let kept = schema(&before).await;
    let port = free_port();
    gateway
        .restart_with(|config| {
            config.issuer = format!("http://127.0.0.1:{port}").parse().unwrap();
            config.listen = ([127, 0, 0, 1], port).into();
        })
        .await;

    assert_eq!(dataschema(&gateway, &id).await, before, "stored events keep their address");
    let next = gateway.order(2).await;
    let after = dataschema(&gateway, &next).await;
    assert_ne!(after, before);
    assert_eq!(schema(&after).await, kept);
}
