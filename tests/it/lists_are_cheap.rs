//! What lists subscriptions reads none of their filters, and a filter is there once, as long as
//! someone has it.

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Receiver, TestGateway, eventually};

/// So many subscriptions as an operator's worst day has.
const MANY: usize = 10_000;

/// A subscription that is fetched and asks for a word that no event has.
fn fetched(receiver: &Receiver, id: &str, filters: &Value) -> Value {
    let mut document = receiver.document(json!({
        "id": id, "protocol": "PULL", "filters": filters, "types": [],
    }));
    document.as_object_mut().unwrap().remove("sink");
    document
}

fn word(word: &str) -> Value {
    json!([{ "exact": { "source": word } }])
}

/// Copies the subscription `seed` into many, each with a filter of its own and half of them of
/// another consumer: where the log is kept, because ten thousand requests take too long here.
fn multiply(gateway: &TestGateway) {
    let mut database = Connection::open(gateway.path("data/sealway.db")).unwrap();
    let transaction = database.transaction().unwrap();
    for (table, key) in
        [("records", "id"), ("cursors", "subscription"), ("milestones", "subscription")]
    {
        let one = if table == "records" { "kind = 'subscription' AND " } else { "" };
        transaction
            .execute_batch(&format!(
                "CREATE TEMP TABLE one_{table} AS SELECT * FROM {table} WHERE {one}{key} = 'seed'"
            ))
            .unwrap();
        for n in 0..MANY {
            transaction
                .execute(&format!("UPDATE one_{table} SET {key} = ?"), [format!("many-{n:05}")])
                .unwrap();
            if table == "records" {
                let body: String = transaction
                    .query_row("SELECT body FROM one_records", [], |row| row.get(0))
                    .unwrap();
                let mut kept: Value = serde_json::from_str(&body).unwrap();
                kept["document"]["id"] = json!(format!("many-{n:05}"));
                kept["document"]["name"] = kept["document"]["id"].clone();
                kept["document"]["consumer"] = json!(if n % 2 == 0 { "shop" } else { "depot" });
                kept["wishes"][0][1] = word(&format!("nobody-{n}"));
                transaction.execute("UPDATE one_records SET body = ?", [kept.to_string()]).unwrap();
            }
            transaction
                .execute(&format!("INSERT INTO {table} SELECT * FROM one_{table}"), [])
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Every page of a list, as somebody sees it.
async fn pages(gateway: &TestGateway, key: &str, query: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/subscriptions?limit=1000{query}{after}");
        let answer = gateway.call_as(key, (Method::GET, &path), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let listed = answer.body["subscriptions"].as_array().unwrap();
        assert!(listed.len() <= 1000);
        all.extend(listed.iter().cloned());
        match answer.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn ten_thousand_subscriptions_are_listed_and_no_filter_is_read() {
    let mut gateway = TestGateway::start().await;
    let before = gateway.order(1).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.post("/subscriptions", &fetched(&receiver, "seed", &json!([]))).await;
    gateway.stop().await;
    multiply(&gateway);
    gateway.start_again().await;
    let wishes = || gateway.services().subscription_service.wishes();
    let compiled = wishes().compiled();
    assert_eq!(compiled, MANY as u64 + 1, "each filter is compiled once, at the start");
    let shop = gateway.add_caller("shop", &["consume:shop"]).await;
    let both = gateway.add_caller("both", &["consume:shop", "operate"]).await;

    let own = pages(&gateway, &shop, "").await;
    assert_eq!(own.len(), MANY / 2 + 1);
    assert!(own.iter().all(|one| one["consumer"] == "shop"));
    assert_eq!(own[0]["filters"], word("nobody-0"));
    let all = pages(&gateway, &both, "").await;
    let consumers: Vec<&str> = all.iter().map(|one| one["consumer"].as_str().unwrap()).collect();
    assert_eq!(consumers.len(), MANY + 1);
    assert!(consumers[..=MANY / 2].iter().all(|consumer| *consumer == "shop"), "own ones first");
    let mut ids: Vec<&str> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), MANY + 1, "each is on one page");
    assert_eq!(pages(&gateway, &both, "&consumer=depot").await.len(), MANY / 2);
    assert_eq!(pages(&gateway, &both, "&q=MANY-0999").await.len(), 10);
    assert_eq!(pages(&gateway, &both, "&state=paused").await.len(), 0);
    assert_eq!(pages(&gateway, &shop, "&consumer=depot").await.len(), 0);

    let traced = gateway.get(&format!("/events/{before}/trace")).await;
    assert_eq!(traced["beforeStart"], 1, "{traced}");
    assert_eq!(
        traced["deliveries"].as_array().unwrap().len(),
        100,
        "of those that did not want it"
    );
    assert!(traced["next"].is_null());
    let id = gateway.order(2).await;
    let traced = gateway.get(&format!("/events/{id}/trace?limit=7")).await;
    assert_eq!(traced["deliveries"].as_array().unwrap().len(), 7);
    let next = traced["next"].as_str().unwrap();
    let rest = gateway.get(&format!("/events/{id}/trace?limit=1000&after={next}")).await;
    assert_eq!(rest["deliveries"].as_array().unwrap().len(), 101 - 7);
    assert_eq!(gateway.get("/log").await["head"], 2);
    gateway.services().subscription_service.list().await.unwrap();
    assert_eq!(wishes().compiled(), compiled, "nothing of it has read a filter");
}

#[tokio::test]
async fn a_filter_is_kept_once_and_goes_with_the_last_that_has_it() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let wishes = || gateway.services().subscription_service.wishes();
    let large: Vec<Value> = (0..200)
        .map(|n| json!({ "prefix": { "source": format!("{n}{}", "x".repeat(500)) } }))
        .collect();
    let filters = |n: u32| json!([{ "any": large }, { "exact": { "subject": n.to_string() } }]);
    for id in ["first", "second", "third"] {
        gateway.post("/subscriptions", &fetched(&receiver, id, &filters(0))).await;
    }
    assert_eq!((wishes().kept(), wishes().compiled()), (1, 1), "three want the same");

    for n in 1..=30 {
        gateway.order(n).await;
        // Back and forth, so that old filters are wanted again.
        let document = fetched(&receiver, "first", &filters(u32::try_from(n % 3).unwrap()));
        let put = gateway.put("/subscriptions/first", &document).await;
        assert_eq!(put.status, 200, "{}", put.body);
    }
    assert_eq!((wishes().kept(), wishes().compiled()), (3, 3));
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("sealway_filters_kept 3\n"), "{metrics}");

    for (id, left) in [("second", 3), ("third", 3), ("first", 0)] {
        let path = format!("/subscriptions/{id}");
        assert_eq!(gateway.call(Method::DELETE, &path, None).await.status, 204);
        // A worker that has ended lets go of its subscription in a moment.
        eventually("its filters to go", async || (wishes().kept() == left).then_some(())).await;
    }
}

#[tokio::test]
async fn what_a_consumer_may_have_is_bounded_and_the_refusal_names_the_bound() {
    let gateway = TestGateway::with(None, |config| {
        config.consumers.subscriptions = 3;
        config.consumers.filter_size.0 = 300;
        config.consumers.epochs = 4;
        config.consumers.combinations = 5;
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let create =
        async |document: Value| gateway.call(Method::POST, "/subscriptions", Some(&document)).await;
    let refused = |answer: &crate::harness::Answer, setting: &str| {
        assert_eq!((answer.status, answer.code()), (409, "consumer-full"), "{}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`consumers.{setting}`")), "{detail}");
        detail.to_owned()
    };
    for id in ["one", "two"] {
        assert_eq!(create(fetched(&receiver, id, &word(id))).await.status, 201);
    }

    let long = create(fetched(&receiver, "long", &word(&"x".repeat(300)))).await;
    let detail = refused(&long, "filter-size");
    assert!(detail.contains("may have 300"), "{detail}");
    let many: Vec<Value> = (0..4).map(|n| json!({ "exact": { "a": n.to_string() } })).collect();
    refused(&create(fetched(&receiver, "broad", &json!([{ "any": many }]))).await, "combinations");
    assert_eq!(create(fetched(&receiver, "three", &word("one"))).await.status, 201);
    let fourth = create(fetched(&receiver, "four", &word("one"))).await;
    assert!(refused(&fourth, "subscriptions").contains("has 3 and may have 3"));
    gateway.order(1).await;
    let change = async |to: &str| {
        let document = fetched(&receiver, "three", &word(to));
        gateway.put("/subscriptions/three", &document).await
    };
    assert_eq!(change("two").await.status, 200);
    gateway.order(2).await;
    refused(&change("one").await, "epochs");
    // What does not grow is let in, and what goes makes room; others are not concerned.
    assert_eq!(change("two").await.status, 200);
    let other = Receiver::start(&gateway, "depot").await;
    assert_eq!(create(fetched(&other, "four", &word("one"))).await.status, 201);
    assert_eq!(gateway.call(Method::DELETE, "/subscriptions/two", None).await.status, 204);
    assert_eq!(change("one").await.status, 200);
}
