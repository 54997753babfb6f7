//! The quarantine has a size of its own: it pushes no event out of the log, and a producer that floods it
//! has a quota.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock, Size, SystemClock};

use crate::harness::{Answer, Process, TestGateway, answer, order_created};

const STRUCTURED: &str = "application/cloudevents+json";
const MIB: u64 = 1024 * 1024;

/// An order whose amount is a text of so many bytes.
fn broken(id: &str, bytes: usize) -> Value {
    let mut order = order_created(id, 1);
    order["data"]["amount"] = json!("x".repeat(bytes));
    order
}

/// Posts an event for which nobody waits.
async fn push(issuer: &str, key: &str, event: &Value) -> Answer {
    let request = reqwest::Client::new().post(format!("{issuer}/events?manner=asynchronous"));
    let request = request.bearer_auth(key).header("content-type", STRUCTURED);
    answer(request.body(event.to_string())).await
}

fn outcome(answered: &Answer) -> &str {
    assert_eq!(answered.status, 202, "{}", answered.body);
    answered.body["events"][0]["outcome"].as_str().unwrap()
}

async fn ids(gateway: &TestGateway) -> Vec<Value> {
    let listed = gateway.get("/events?limit=1000").await;
    listed["events"].as_array().unwrap().iter().map(|event| event["id"].clone()).collect()
}

#[tokio::test]
async fn a_flood_of_bad_events_pushes_no_good_one_out_of_the_log() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = None;
        config.log.retention.size = Some(Size(4 * MIB));
    })
    .await;
    let shop = gateway.add_caller("shop", &["publish:*"]).await;
    let good = gateway.orders(1..=5).await;
    for number in 0..160 {
        let event = broken(&format!("bad-{number}"), 100_000);
        assert_eq!(outcome(&push(&gateway.issuer(), &shop, &event).await), "quarantined");
    }
    let size = gateway.get("/quarantine/counts").await["size"].clone();
    assert_eq!((&size["entries"], &size["maxBytes"]), (&json!(160), &json!(1024 * MIB)));
    assert!(size["bytes"].as_u64().unwrap() > 15 * MIB, "{size}");

    let kept = json!(good);
    // Retention looks every ten seconds, and at once where the log is far too large.
    for _ in 0..50 {
        clock.advance(Duration::from_mins(2));
        assert_eq!(json!(ids(&gateway).await), kept);
    }
    let metrics = gateway.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(!metrics.contains("sealway_events_dropped_total 1"), "{metrics}");
    let shown = format!("sealway_quarantine_bytes {}", size["bytes"]);
    assert!(metrics.contains(&shown), "{shown} is not in {metrics}");
}

#[tokio::test]
async fn a_producer_that_floods_the_quarantine_waits_and_no_other_does() {
    let gateway = TestGateway::with(None, |config| {
        config.source.quarantined.max_entries = 3;
        config.source.quarantined.max_bytes = Size(50_000);
    })
    .await;
    let (shop, depot) = (
        gateway.add_caller("shop", &["publish:*"]).await,
        gateway.add_caller("depot", &["publish:*"]).await,
    );
    let push =
        async |key: &str, id: &str, bytes| push(&gateway.issuer(), key, &broken(id, bytes)).await;

    for id in ["a", "b", "c", "a"] {
        assert_eq!(outcome(&push(&shop, id, 10).await), "quarantined");
    }
    let refused = push(&shop, "d", 10).await;
    assert_eq!((refused.status, refused.code()), (429, "quarantine-full"), "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("`source.quarantined`"), "{detail}");
    assert_eq!(outcome(&push(&depot, "e", 20_000).await), "quarantined");
    assert_eq!(push(&depot, "f", 40_000).await.code(), "quarantine-full");
    let never = push(&depot, "f", 60_000).await;
    assert_eq!((never.status, never.code()), (413, "too-large"), "{}", never.body);
    // What breaks no contract crosses, and what cannot be read has a quota of its own.
    assert_eq!(gateway.order(7).await.len(), 26);
    let request = gateway.request(Method::POST, "/events?manner=asynchronous").bearer_auth(&shop);
    let unreadable = answer(request.header("content-type", STRUCTURED).body("{")).await;
    assert_eq!(outcome(&unreadable), "quarantined");

    let counts = gateway.get("/quarantine/counts").await;
    let size = &counts["size"];
    assert_eq!(size["eventQuota"], json!({ "maxEntries": 3, "maxBytes": 50_000 }));
    let producers = size["producers"].as_array().unwrap();
    let of = |name: &str, kind: &str| {
        let is_it = |one: &&Value| one["producer"]["name"] == name && one["kind"] == kind;
        producers.iter().find(is_it).map(|one| one["entries"].clone()).unwrap()
    };
    assert_eq!((of("depot", "event"), of("shop", "event")), (json!(1), json!(3)));
    assert_eq!(of("shop", "unreadable"), json!(1));
    let listed = gateway.get("/quarantine?producer=shop&kind=event").await;
    let listed = listed["quarantined"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["producer"], json!({ "kind": "caller", "name": "shop" }));

    let first = format!("/quarantine/{}", listed[0]["id"]);
    assert_eq!(gateway.call(Method::DELETE, &first, None).await.status, 204);
    assert_eq!(outcome(&push(&shop, "d", 10).await), "quarantined");
    assert_eq!(push(&shop, "g", 10).await.code(), "quarantine-full");
    let metrics = gateway.get("/metrics").await;
    let counted = "sealway_events_refused_total{reason=\"quarantine-full\"} 3";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_quarantine_that_is_full_refuses_and_has_room_again_for_what_leaves() {
    let gateway = TestGateway::with(None, |config| {
        config.log.retention.quarantine_size = Some(Size(100_000));
    })
    .await;
    let key = gateway.add_caller("shop", &["publish:*"]).await;
    let push = async |id: &str| push(&gateway.issuer(), &key, &broken(id, 40_000)).await;

    assert_eq!(outcome(&push("a").await), "quarantined");
    assert_eq!(outcome(&push("b").await), "quarantined");
    let refused = push("c").await;
    assert_eq!((refused.status, refused.code()), (429, "quarantine-full"), "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("`log.retention.quarantine-size`"), "{detail}");
    assert_eq!(gateway.order(1).await.len(), 26, "and what breaks no contract crosses");

    assert_eq!(gateway.call(Method::DELETE, "/quarantine/1", None).await.status, 204);
    assert_eq!(outcome(&push("c").await), "quarantined");
}

#[tokio::test]
async fn a_kill_leaves_the_count_as_it_was() {
    let mut gateway = Process::prepare();
    let operator = gateway.add_caller("operator", "operate");
    let producer = gateway.add_caller("shop", "publish:*");
    gateway.serve().await;
    for id in ["a", "b", "c"] {
        let pushed = push(gateway.issuer(), &producer, &broken(id, 5000)).await;
        assert_eq!(outcome(&pushed), "quarantined");
    }
    let removed = gateway.call_as(&operator, (Method::DELETE, "/quarantine/2"), None).await;
    assert_eq!(removed.status, 204);
    let before = gateway.get(&operator, "/quarantine/counts").await["size"].clone();
    gateway.kill();

    gateway.serve().await;
    let after = gateway.get(&operator, "/quarantine/counts").await["size"].clone();
    assert_eq!((&after, &after["entries"]), (&before, &json!(2)));
    for id in ["1", "3"] {
        let path = format!("/quarantine/{id}");
        let removed = gateway.call_as(&operator, (Method::DELETE, &path), None).await;
        assert_eq!(removed.status, 204);
    }
    let empty = gateway.get(&operator, "/quarantine/counts").await["size"].clone();
    assert_eq!((&empty["bytes"], &empty["producers"]), (&json!(0), &json!([])));
}
