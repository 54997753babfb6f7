//! A producer publishes as its own sources and as no other, on whatever way its events come in.

use std::fs;
use std::sync::Arc;

use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use sealway::ambient::SystemClock;
use sealway::api::CallerChange;
use sealway::eventlog::{RecordKey, Registry as _, SqliteRegistry};

use crate::harness::{ACCESS_SECRET, Answer, Process, TestGateway, answer, order_created, program};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const ENVELOPE: &str = "application/json";
const API_DESTINATION: &str = "Amazon/EventBridge/ApiDestinations";
/// Orders whose patch asks for what no order has.
const CARELESS: &str = "domain: orders
contract: asyncapi/orders.yaml
source: /orders
publications:
  - event: Order.Created
    when: { detail-type: [OrderCreated] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
      - { op: copy, from: /detail/none, path: /data/none }
";

/// An order under an id and a source.
fn order_of(source: &str, id: &str) -> Value {
    let mut order = order_created(id, 1);
    order["source"] = json!(source);
    order
}

/// The same as a rule of EventBridge pushes it.
fn envelope_of(source: &str, id: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "OrderCreated", "source": source,
        "account": "123456789012", "time": "2026-11-21T20:17:00Z", "region": "eu-west-1",
        "resources": [], "detail": { "id": 1, "amount": 100 },
    })
}

/// A request with one event of a source, in each of the forms.
fn forms(gateway: &TestGateway, path: &str, source: &str, id: &str) -> Vec<RequestBuilder> {
    let post = || gateway.request(Method::POST, path);
    let data = order_created(id, 1)["data"].to_string();
    let binary = post().header("ce-specversion", "1.0").header("ce-id", format!("{id}-binary"));
    vec![
        post()
            .header("content-type", STRUCTURED)
            .body(order_of(source, &format!("{id}-structured")).to_string()),
        binary
            .header("ce-source", source)
            .header("ce-type", "OrderCreated")
            .header("content-type", "application/json")
            .body(data),
        post()
            .header("content-type", ENVELOPE)
            .body(envelope_of(source, &format!("{id}-envelope")).to_string()),
        post()
            .header("content-type", ENVELOPE)
            .header("user-agent", API_DESTINATION)
            .body(envelope_of(source, &format!("{id}-destination")).to_string()),
    ]
}

async fn entries(gateway: &TestGateway) -> Vec<Value> {
    gateway.get("/quarantine").await["quarantined"].as_array().unwrap().clone()
}

async fn count_events(gateway: &TestGateway) -> usize {
    gateway.get("/events").await["events"].as_array().unwrap().len()
}

async fn token(gateway: &TestGateway, id: &str, key: &str) -> String {
    let request = gateway.request(Method::POST, "/oauth/token");
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={key}");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    answer(request).await.body["access_token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_foreign(told: &Answer, caller: &str, source: &str) {
    assert_eq!((told.status, told.code()), (403, "source-not-allowed"), "{}", told.body);
    let detail = told.body["detail"].as_str().unwrap();
    for named in [format!("`{caller}`"), format!("`{source}`"), format!("`publish:{source}`")] {
        assert!(detail.contains(&named), "{named}: {detail}");
    }
}

#[tokio::test]
async fn each_form_and_each_credential_is_held_to_the_sources_of_its_caller() {
    let gateway = TestGateway::start().await;
    let exact = gateway.add_caller("exact", &["publish:order-service"]).await;
    let open = gateway.add_caller("open", &["publish:order-*", "operate"]).await;
    let mut crossed = 0;

    for (name, key) in [("exact", &exact), ("open", &open)] {
        let token = token(&gateway, name, key).await;
        let shown = |kind: &str, request: RequestBuilder| match kind {
            "api-key" => request.header("x-api-key", key),
            "basic" => request.basic_auth(name, Some(key)),
            "token" => request.bearer_auth(&token),
            _ => request.bearer_auth(key),
        };
        for kind in ["api-key", "basic", "token", "bearer"] {
            for path in ["/events", "/events?manner=asynchronous"] {
                let id = format!("{name}-{kind}-{}", path.len());
                for request in forms(&gateway, path, "order-service", &id) {
                    let told = answer(shown(kind, request)).await;
                    assert_eq!(told.status, 202, "{kind}: {}", told.body);
                    assert_eq!(told.body["events"][0]["outcome"], "accepted", "{}", told.body);
                    crossed += 1;
                }
                for foreign in ["payment-service", "order", "Order-service", "xorder-service"] {
                    for request in forms(&gateway, path, foreign, &id) {
                        assert_foreign(&answer(shown(kind, request)).await, name, foreign);
                    }
                }
            }
        }
    }

    let longer = gateway.request(Method::POST, "/events").header("content-type", STRUCTURED);
    let longer = longer.body(order_of("order-service2", "longer").to_string());
    assert_foreign(&answer(longer.bearer_auth(&exact)).await, "exact", "order-service2");
    assert_eq!(count_events(&gateway).await, crossed);
    assert_eq!(entries(&gateway).await, Vec::<Value>::new(), "nothing of a stranger is kept");
}

#[tokio::test]
async fn of_a_batch_the_events_of_own_sources_cross_and_the_others_are_answered_one_by_one() {
    let gateway = TestGateway::start().await;
    let shop = gateway.add_caller("shop", &["publish:order-service", "publish:shop.*"]).await;
    let batch = json!([
        order_of("order-service", "o-1"),
        order_of("payment-service", "o-2"),
        order_of("shop.eu", "o-3"),
        order_of("order-service", "o-4"),
    ]);

    for path in ["/events", "/events?manner=asynchronous"] {
        let request = gateway.request(Method::POST, path).bearer_auth(&shop);
        let request = request.header("content-type", BATCH).body(batch.to_string());
        let told = answer(request).await;

        assert_eq!((told.status, told.code()), (403, "source-not-allowed"), "{}", told.body);
        assert!(told.body["detail"].as_str().unwrap().starts_with("event 1 of the batch"));
        let outcomes: Vec<_> =
            (0..4).map(|at| told.body["events"][at]["outcome"].clone()).collect();
        let taken = if path == "/events" { "accepted" } else { "repeated" };
        assert_eq!(json!(outcomes), json!([taken, "refused", "unwanted", taken]));
        assert_eq!(told.body["events"][1]["code"], "source-not-allowed");
    }
    assert_eq!((count_events(&gateway).await, entries(&gateway).await.len()), (2, 0));
    let metrics = gateway.get("/metrics").await;
    let refused = "sealway_events_refused_total{reason=\"source-not-allowed\"} 2";
    assert!(metrics.as_str().unwrap().contains(refused), "{metrics}");
}

#[tokio::test]
async fn a_dry_run_tells_of_foreign_sources_and_of_publications_that_a_producer_could_feed() {
    let gateway = TestGateway::start().await;
    let shop = gateway.add_caller("shop", &["publish:order-*"]).await;
    let mut unwanted = order_of("order-servcie", "o-2");
    unwanted["type"] = json!("OrderCraeted");
    let batch =
        json!([order_of("order-service", "o-1"), unwanted, order_of("payment-service", "o-3")]);

    let request = gateway.request(Method::POST, "/events?dryRun=true").bearer_auth(&shop);
    let told = answer(request.header("content-type", BATCH).body(batch.to_string())).await;

    assert_eq!(told.status, 200, "{}", told.body);
    let events = told.body["events"].as_array().unwrap();
    let names = |event: &Value| -> Vec<String> {
        let publications = event["publications"].as_array().unwrap().iter();
        publications.map(|one| one["publication"].as_str().unwrap().to_owned()).collect()
    };
    let orders = |names: &[String]| names.iter().all(|name| name.starts_with("orders/"));
    assert_eq!(events[0]["outcome"], "accepted");
    assert!(names(&events[0]).len() == 3 && orders(&names(&events[0])), "{}", events[0]);
    assert_eq!(events[1]["outcome"], "unwanted");
    assert!(names(&events[1]).len() == 3 && orders(&names(&events[1])), "{}", events[1]);
    assert_eq!(
        (&events[2]["outcome"], &events[2]["code"]),
        (&json!("refused"), &json!("source-not-allowed"))
    );
    assert_eq!(names(&events[2]), Vec::<String>::new());
    assert_eq!(count_events(&gateway).await, 0);
}

#[tokio::test]
async fn an_access_key_of_the_bus_is_held_to_its_sources_and_its_other_entries_cross() {
    let gateway = TestGateway::with(None, |config| {
        config.source.access_keys[0].sources =
            Some(vec!["order-service".parse().unwrap(), "shop.*".parse().unwrap()]);
    })
    .await;
    let entry = |source: &str| {
        let detail = order_created("o-1", 1)["data"].to_string();
        let entry = PutEventsRequestEntry::builder().source(source).detail_type("OrderCreated");
        entry.detail(detail).build()
    };

    let put = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET).put_events();
    let put = put.entries(entry("payment-service")).entries(entry("order-service"));
    let told = put.entries(entry("shop.eu")).send().await.unwrap();

    let codes: Vec<_> = told.entries().iter().map(PutEventsResultEntry::error_code).collect();
    assert_eq!(codes, [Some("NotAuthorizedForSourceException"), None, None]);
    assert_eq!(count_events(&gateway).await, 1, "no publication wants `shop.eu`");
}

/// What `sealway callers add` answers to a scope: its code and what it says.
fn add(process: &Process, name: &str, scope: &str) -> (Option<i32>, String) {
    let output = process.run(&["callers", "add", name, "--scope", scope]);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_new_caller_that_publishes_names_its_source() {
    let process = Process::prepare();

    let (code, words) = add(&process, "shop", "publish");
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("write publish:SOURCE") && words.contains("publish:*"), "{words}");
    for (scope, expected) in [
        ("publish:", "names no source"),
        ("publish:a*b", "a `*` stands at the end only"),
        ("publish:sealway", "the gateway's own"),
        ("domain:a b", "a domain's name is made of"),
        ("producer:x", "domain:NAME, publish:SOURCE"),
    ] {
        let (code, words) = add(&process, "shop", scope);
        assert_eq!(code, Some(2), "{scope}: {words}");
        assert!(words.contains(expected), "{scope}: {words}");
    }
    for (name, scope) in
        [("every", "publish:*"), ("one", "publish:order-service"), ("owner", "domain:orders.eu")]
    {
        let (code, words) = add(&process, name, scope);
        assert_eq!(code, Some(0), "{scope}: {words}");
    }
    let listed = process.run(&["--output", "json", "callers", "list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let scopes: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["scopes"].clone()).collect();
    assert_eq!(
        json!(scopes),
        json!([["publish:*"], ["publish:order-service"], ["domain:orders.eu"]])
    );
}

/// Writes a caller as the release wrote it in which scopes named no sources, with the key that it has.
async fn make_of_before(process: &Process, name: &str, scopes: &[&str]) {
    let data = process.directory().join("data");
    let registry = SqliteRegistry::open(&data, Arc::new(SystemClock)).unwrap();
    let key = RecordKey { kind: "caller", id: name.to_owned() };
    let record = registry.get(&key).await.unwrap().unwrap();
    let document: Value = serde_json::from_str(&record.body).unwrap();
    let of_before = json!({ "sha256": document["sha256"], "scopes": scopes }).to_string();
    registry.put(&key, Some(record.revision), of_before).await.unwrap();
}

#[tokio::test]
async fn a_caller_of_before_keeps_its_rights_and_each_start_names_it_until_it_is_changed() {
    let mut process = Process::prepare();
    let old = process.add_caller("old-shop", "publish:*");
    let operator = process.add_caller("old-ops", "operate");
    process.add_caller("new-shop", "publish:*");
    make_of_before(&process, "old-shop", &["publish"]).await;
    make_of_before(&process, "old-ops", &["operate", "consume:shop"]).await;
    let warnings = |process: &Process, name: &str| {
        let change = format!("sealway callers change {name} --scope");
        process.log().lines().filter(|line| line.contains("WARN") && line.contains(&change)).count()
    };
    let send = async |process: &Process, source: &str, id: &str| {
        process.send(&old, &order_of(source, id)).await
    };

    process.serve().await;
    for name in ["old-shop", "old-ops"] {
        assert_eq!(warnings(&process, name), 1, "{name}: {}", process.log());
    }
    assert_eq!(warnings(&process, "new-shop"), 0);
    assert_eq!(send(&process, "order-service", "o-1").await.status, 202);
    assert_eq!(send(&process, "payment-service", "o-2").await.status, 202);
    process.stop().await;
    process.serve().await;
    assert_eq!(warnings(&process, "old-shop"), 2, "at each start");

    let change = |name: &str, scope: &str| {
        let output = process.run(&["callers", "change", name, "--scope", scope]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let listed = process.run(&["--output", "json", "callers", "list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let unbound: Vec<_> = listed.as_array().unwrap().iter().map(|one| &one["unbound"]).collect();
    assert_eq!(json!(unbound), json!([null, true, true]), "{listed}");
    assert_eq!(change("nobody", "operate").0, Some(2));
    assert_eq!(change("old-shop", "publish").0, Some(2));
    assert_eq!(change("old-shop", "publish:order-service").0, Some(0));
    assert_eq!(change("old-ops", "operate").0, Some(0));
    process.stop().await;
    process.serve().await;

    assert_eq!((warnings(&process, "old-shop"), warnings(&process, "old-ops")), (2, 2));
    assert_eq!(send(&process, "order-service", "o-3").await.status, 202, "its key is the same");
    assert_foreign(&send(&process, "payment-service", "o-4").await, "old-shop", "payment-service");
    process.get(&operator, "/quarantine/counts").await;
}

/// A gateway that sets every order aside, and what callers have sent to it: an event and bytes of
/// `shop`, an event of `till`, which is removed.
async fn set_aside() -> (TestGateway, String) {
    let gateway = TestGateway::with(None, |config| {
        config.source.max_depth = 10;
        fs::write(config.publications.join("orders.yaml"), CARELESS).unwrap();
    })
    .await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let shop = gateway.add_caller("shop", &["publish:order-service"]).await;
    let till = gateway.add_caller("till", &["publish:order-service"]).await;
    let mut deep = order_of("order-service", "o-2");
    let nested = format!("{}{}", "[".repeat(20), "]".repeat(20));
    deep["data"]["internal"] = serde_json::from_str(&nested).unwrap();
    for (key, event) in [
        (&shop, order_of("order-service", "o-1")),
        (&shop, deep),
        (&till, order_of("order-service", "o-3")),
    ] {
        let request = gateway.request(Method::POST, "/events?manner=asynchronous").bearer_auth(key);
        let told = answer(request.header("content-type", STRUCTURED).body(event.to_string())).await;
        assert_eq!(told.body["events"][0]["outcome"], "quarantined", "{}", told.body);
    }
    gateway.remove_caller("till").await;
    (gateway, operator)
}

async fn release(gateway: &TestGateway, key: &str, entry: u64) -> Answer {
    let path = format!("/quarantine/{entry}/release");
    gateway.call_as(key, (Method::POST, &path), None).await
}

/// Gives `shop` another scope.
async fn give(gateway: &TestGateway, scope: &str) {
    let callers = &gateway.services().callers;
    let change = CallerChange { scopes: Some(vec![scope.parse().unwrap()]), until: None };
    callers.change(&"shop".parse().unwrap(), change).await.unwrap();
}

#[tokio::test]
async fn what_is_released_is_held_to_what_its_producer_may_publish_then_unless_an_admin_decides() {
    let (mut gateway, operator) = set_aside().await;
    let sent: Vec<_> = entries(&gateway).await.iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(json!(sent), json!(["event", "unreadable", "event"]));
    let shown = gateway.get("/quarantine/1").await;
    assert_eq!(shown["producer"], json!({ "kind": "caller", "name": "shop" }));
    assert_eq!(shown["received"].get("producer"), None);
    gateway
        .restart_with(|config| {
            config.source.max_depth = 64;
            let careful: Vec<_> = CARELESS.lines().filter(|line| !line.contains("none")).collect();
            fs::write(config.publications.join("orders.yaml"), careful.join("\n")).unwrap();
        })
        .await;
    give(&gateway, "publish:payment-service").await;

    for (entry, producer) in [(1, "`shop`"), (2, "`shop`"), (3, "`till`")] {
        let told = release(&gateway, &operator, entry).await;
        assert_eq!((told.status, told.code()), (409, "wrong-state"), "{}", told.body);
        let detail = told.body["detail"].as_str().unwrap();
        assert!(detail.contains(producer) && detail.contains("`order-service`"), "{detail}");
        assert!(detail.contains("have an admin release"), "{detail}");
    }
    assert_eq!((count_events(&gateway).await, entries(&gateway).await.len()), (0, 3));

    let by_admin = gateway.call(Method::POST, "/quarantine/3/release", None).await;
    assert_eq!(by_admin.status, 200, "{}", by_admin.body);
    give(&gateway, "publish:order-*").await;
    for entry in [1, 2] {
        let told = release(&gateway, &operator, entry).await;
        assert_eq!(told.status, 200, "{}", told.body);
    }
    assert_eq!((count_events(&gateway).await, entries(&gateway).await.len()), (3, 0));
}

#[tokio::test]
async fn an_event_of_an_access_key_is_released_only_as_a_source_that_the_key_has_then() {
    let mut gateway = TestGateway::with(None, |config| {
        config.source.on_violation = sealway::source::OnViolation::Quarantine;
        fs::write(config.publications.join("orders.yaml"), CARELESS).unwrap();
    })
    .await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let detail = order_created("o-1", 1)["data"].to_string();
    let entry =
        PutEventsRequestEntry::builder().source("order-service").detail_type("OrderCreated");
    let put = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET).put_events();
    put.entries(entry.detail(detail).build()).send().await.unwrap();
    let own = |source: &str| Some(vec![source.parse().unwrap()]);
    let careful: Vec<_> = CARELESS.lines().filter(|line| !line.contains("none")).collect();
    let careful = careful.join("\n");

    gateway
        .restart_with(|config| {
            config.source.access_keys[0].sources = own("payment-*");
            fs::write(config.publications.join("orders.yaml"), careful).unwrap();
        })
        .await;
    let told = release(&gateway, &operator, 1).await;
    assert_eq!((told.status, told.code()), (409, "wrong-state"), "{}", told.body);
    assert!(told.body["detail"].as_str().unwrap().contains("access key `AKIA"), "{}", told.body);

    gateway.restart_with(|config| config.source.access_keys[0].sources = own("order-*")).await;
    assert_eq!(release(&gateway, &operator, 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_put_names_the_lines_of_foreign_sources_and_sends_the_others() {
    let gateway = TestGateway::start().await;
    let shop = gateway.add_caller("shop", &["publish:order-service"]).await;
    let lines = ["order-service", "payment-service", "order-service"];
    let lines =
        (1..).zip(lines).map(|(number, source)| envelope_of(source, &format!("o-{number}")));
    let file = gateway.path("events.jsonl");
    let text: Vec<String> = lines.map(|line| line.to_string()).collect();
    fs::write(&file, text.join("\n")).unwrap();

    let mut command = program();
    command.args(["--gateway", &gateway.issuer(), "--output", "json", "events", "put"]);
    let ended = command.arg(&file).env("SEALWAY_CALLER_KEY", &shop).output().unwrap();

    assert_eq!(ended.status.code(), Some(1));
    let tally: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&tally["accepted"], &tally["refused"]), (&json!(2), &json!(1)), "{tally}");
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(words.contains("line 2: ") && words.contains("`publish:payment-service`"), "{words}");
    assert!(words.contains("source-not-allowed") && !words.contains("line 1"), "{words}");
    assert_eq!(count_events(&gateway).await, 2);
}
