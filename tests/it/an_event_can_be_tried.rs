//! What would become of an event can be asked before it is sent, with a gateway and without one.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Process, Receiver, TestGateway, answer, order_created, program};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

/// A second publication of what orders become, which refuses amounts that the first lets cross.
const SECOND: &str = "domain: audit
contract: asyncapi/orders.yaml
source: /audit
publications:
  - event: Order.Created
    when: { source: [order-service], detail-type: [OrderCreated] }
    patch: [{ op: copy, from: /detail/audited, path: /data/orderId }]
";

/// What a publication would make of a tried event.
fn of<'a>(event: &'a Value, publication: &str) -> &'a Value {
    let all = event["publications"].as_array().unwrap();
    all.iter().find(|one| one["publication"] == publication).expect(publication)
}

fn paths(publication: &Value) -> Vec<&str> {
    let fields = publication["mismatches"].as_array().unwrap();
    fields.iter().map(|field| field["path"].as_str().unwrap()).collect()
}

async fn post(gateway: &Process, key: &str, path: &str, media_type: &str, body: &Value) -> Answer {
    let request = gateway.request(Method::POST, path).bearer_auth(key);
    answer(request.header("content-type", media_type).body(body.to_string())).await
}

/// What is counted of events, whatever became of them.
async fn counted(gateway: &Process, key: &str) -> Vec<String> {
    let metrics = gateway.get(key, "/metrics").await;
    let of_events = |line: &&str| {
        ["sealway_events_", "sealway_violations", "sealway_duplicates", "sealway_conflicts"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    metrics.as_str().unwrap().lines().filter(of_events).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_dry_run_tells_everything_and_stores_counts_and_quarantines_nothing() {
    let mut gateway = Process::prepare();
    let (publisher, operator) =
        (gateway.add_caller("shop", "publish:*"), gateway.add_caller("ops", "operate read-data"));
    gateway.serve().await;
    let before = counted(&gateway, &operator).await;
    let mut broken = order_created("order-2", 2);
    broken["data"]["amount"] = json!("much");
    let unwanted = json!({
        "specversion": "1.0", "id": "order-3", "source": "order-service", "type": "OrderCraeted",
        "data": { "id": 3, "amount": 100 },
    });
    let batch = json!([order_created("order-1", 1), broken, unwanted]);

    let path = "/events?dryRun=true&manner=asynchronous";
    let told = post(&gateway, &publisher, path, BATCH, &batch).await;

    assert_eq!(told.status, 200, "{}", told.body);
    let events = told.body["events"].as_array().unwrap();
    let outcomes: Vec<_> = events.iter().map(|one| (&one["index"], &one["outcome"])).collect();
    assert_eq!(json!(outcomes), json!([[0, "accepted"], [1, "quarantined"], [2, "unwanted"]]));
    let crosses = of(&events[0], "orders/Order.Created");
    assert_eq!(events[0]["publications"][0], *crosses, "who wants it comes first");
    assert_eq!(crosses["verdict"], "crosses");
    assert_eq!(crosses["event"]["data"], json!({ "orderId": 1, "amount": 100 }));
    assert_eq!(
        (&crosses["event"]["type"], &crosses["event"]["subject"], &crosses["event"]["source"]),
        (&json!("Order.Created"), &json!("Order.Created"), &json!("/orders"))
    );
    assert_eq!(crosses.get("subscriptions"), None, "that is for operators");
    let refused = of(&events[1], "orders/Order.Created");
    assert_eq!(
        (&refused["verdict"], &refused["code"]),
        (&json!("refused"), &json!("contract-violated"))
    );
    assert_eq!(refused["violations"][0]["pointer"], "/amount");
    assert_eq!(refused["event"]["data"]["amount"], "much", "its sender has it anyway");
    let nearest = &events[2]["publications"][0];
    assert_eq!((&nearest["verdict"], paths(nearest)), (&json!("unwanted"), vec!["detail-type"]));
    assert_eq!(nearest["mismatches"][0]["reason"], "its value is another one");
    let farthest = of(&events[2], "payments/Payment.Failed");
    assert_eq!(paths(farthest), ["detail-type", "source"]);

    assert_eq!(gateway.get(&operator, "/events").await["events"], json!([]));
    assert_eq!(gateway.get(&operator, "/quarantine").await["quarantined"], json!([]));
    assert_eq!(counted(&gateway, &operator).await, before);
    let key = crosses["event"]["idempotencyKey"].clone();
    let taken = gateway.send(&publisher, &batch[0]).await;
    let id = taken.body["events"][0]["eventIds"][0].as_str().unwrap().to_owned();
    assert_eq!(taken.body["events"][0]["repeated"], false, "nothing remembers the dry run");
    let event = &gateway.get(&operator, &format!("/events/{id}")).await["event"];
    assert_eq!(event["idempotencykey"], key, "it was told the name that it gets");
    assert_eq!(event["dataschema"], crosses["event"]["dataschema"]);
    assert_ne!(counted(&gateway, &operator).await, before);
}

#[tokio::test]
async fn an_operator_is_told_where_an_event_would_go_and_only_those_who_publish_may_ask() {
    let gateway = TestGateway::start().await;
    let shop = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&shop, json!({ "types": ["Order.*"] })).await;
    let bank = Receiver::start(&gateway, "bank").await;
    gateway.subscribe(&bank, json!({ "types": ["Payment.*"] })).await;
    let event = order_created("order-1", 1);
    let both = gateway.add_caller("both", &["publish:*", "operate"]).await;
    let consumer = gateway.add_caller("consumer", &["consume:shop"]).await;
    let ask = async |key: &str, path: &str| {
        let request = gateway.request(Method::POST, path).bearer_auth(key);
        answer(request.header("content-type", STRUCTURED).body(event.to_string())).await
    };

    let told = ask(&both, "/events?dryRun=true").await;
    let crosses = of(&told.body["events"][0], "orders/Order.Created");
    assert_eq!(crosses["subscriptions"], json!(["shop"]));
    assert_eq!(ask(&consumer, "/events?dryRun=true").await.status, 403);
    assert_eq!(ask(&both, "/events?dryRun=maybe").await.status, 400);
    assert_eq!(ask(&both, "/events?dryRun=false").await.status, 202);
    shop.wait_for_delivered(1).await;
}

#[tokio::test]
async fn an_event_that_one_of_several_publications_refuses_is_refused_whole() {
    let gateway = TestGateway::with(None, |config| {
        fs::write(config.publications.join("audit.yaml"), SECOND).unwrap();
    })
    .await;
    let event = order_created("order-1", 1).to_string();

    let told = gateway.send_text("/events?dryRun=true", STRUCTURED, event.clone()).await;
    let tried = &told.body["events"][0];
    assert_eq!(tried["outcome"], "refused");
    assert_eq!(of(tried, "orders/Order.Created")["verdict"], "crosses");
    let refused = of(tried, "audit/Order.Created");
    assert_eq!((&refused["code"], refused.get("event")), (&json!("patch-failed"), None));
    assert_eq!(gateway.send_text("/events", STRUCTURED, event.clone()).await.status, 422);

    let path = "/events?dryRun=true&manner=asynchronous";
    let told = gateway.send_text(path, STRUCTURED, event).await;
    assert_eq!(told.body["events"][0]["outcome"], "accepted");
}

/// Runs `sealway events try` on the repository's own settings, and gives its code and both outputs.
fn try_out(input: &str, more: &[&str]) -> (i32, String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = program()
        .current_dir(root)
        .args(["events", "try", "--event", "-"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn every_form_of_an_event_is_tried_offline_on_the_repositorys_own_settings() {
    let envelope = json!({
        "id": "order-1", "source": "order-service", "detail-type": "OrderCreated",
        "detail": { "id": 1, "amount": 100 },
    });
    let entry = json!({
        "Source": "order-service", "DetailType": "OrderCreated",
        "Detail": "{\"id\": 1, \"amount\": 100}",
    });
    let lines = format!("{}\n{envelope}\n", order_created("order-1", 1));
    let mut keys = Vec::new();
    for (input, events) in [
        (order_created("order-1", 1).to_string(), 1),
        (envelope.to_string(), 1),
        (entry.to_string(), 1),
        (json!({ "Entries": [entry] }).to_string(), 1),
        (json!([envelope, envelope]).to_string(), 2),
        (lines, 2),
    ] {
        let (code, told, remarks) = try_out(&input, &["--output", "json"]);
        assert_eq!(code, 0, "{input}: {told}{remarks}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told.as_array().unwrap().len(), events, "{told}");
        for event in told.as_array().unwrap() {
            let crosses = of(event, "orders/Order.Created");
            assert_eq!(crosses["event"]["data"], json!({ "orderId": 1, "amount": 100 }));
            keys.push(crosses["event"]["idempotencyKey"].clone());
        }
    }
    assert!(keys[0].is_string() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn the_command_says_in_words_why_an_event_would_not_cross_and_ends_so() {
    let mut event = order_created("order-1", 1);
    let (code, told, _) = try_out(&event.to_string(), &[]);
    assert_eq!(code, 0);
    let first: Vec<_> = told.lines().take(2).collect();
    assert_eq!(first, ["event 0, order-1: accepted", "  orders/Order.Created: it crosses"]);
    assert!(told.contains("    data        {\"amount\":100,\"orderId\":1}"), "{told}");
    assert!(!told.contains("confidential-customer"), "{told}");
    assert!(!told.contains("not wanted"), "it has gone where it belongs: {told}");

    event["type"] = json!("OrderCraeted");
    let (code, told, _) = try_out(&event.to_string(), &[]);
    assert_eq!(code, 1);
    let first: Vec<_> = told.lines().take(3).collect();
    assert_eq!(first[0], "event 0, order-1: unwanted");
    assert_eq!(first[1], "  orders/Order.Created: not wanted", "the nearest comes first: {told}");
    assert!(first[2].starts_with("    detail-type: its value is another one; it wants "), "{told}");
    assert!(told.contains("did you mean \"OrderCreated\"?"), "{told}");
    assert_eq!(told.matches(": not wanted").count(), 3, "{told}");
    assert!(told.contains("`--all` tells why"), "{told}");
    let (_, all, _) = try_out(&event.to_string(), &["--all"]);
    assert!(all.matches(": not wanted").count() > 3 && !all.contains("`--all`"), "{all}");

    event["type"] = json!("OrderCreated");
    event["data"]["amount"] = json!("much");
    let (code, told, _) = try_out(&event.to_string(), &[]);
    assert_eq!(code, 1);
    assert!(told.contains("orders/Order.Created: refused, contract-violated"), "{told}");
    assert!(told.contains("    /amount: type, "), "{told}");
    let (code, told, _) = try_out(&event.to_string(), &["--asynchronous"]);
    assert_eq!((code, told.starts_with("event 0, order-1: quarantined")), (1, true), "{told}");

    let (code, told, remarks) = try_out("{\"id\": \"order-1\"}", &[]);
    assert_eq!(code, 2);
    assert!(told.contains("`source` is missing"), "{told}");
    assert!(remarks.contains("event 0 of standard input cannot be read"), "{remarks}");
    let ended = program().args(["events", "try", "--event", "/nowhere"]).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
}

#[tokio::test]
async fn offline_the_subscriptions_of_the_folder_are_told() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let copy = Process::prepare();
    let folder = copy.directory().join("subscriptions");
    fs::create_dir_all(&folder).unwrap();
    let settings = fs::read_to_string(copy.settings()).unwrap();
    fs::write(copy.settings(), format!("{settings}\nsubscriptions: subscriptions\n")).unwrap();
    for (name, types) in [("orders", "Order.*"), ("payments", "Payment.*")] {
        let document = receiver.document(json!({ "id": name, "types": [types] }));
        fs::write(folder.join(format!("{name}.json")), document.to_string()).unwrap();
    }
    let file = copy.directory().join("event.json");
    fs::write(&file, order_created("order-1", 1).to_string()).unwrap();

    let ended = copy.run(&["events", "try", "--event", file.to_str().unwrap()]);

    let told = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{told}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(told.contains("    goes to     orders\n"), "{told}");
}
