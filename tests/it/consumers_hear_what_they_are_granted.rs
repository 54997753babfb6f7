//! What is not public is heard by whoever holds a grant, wherever it could be heard.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::config::Config;

use crate::harness::{Arrival, Receiver, TestGateway, answer, eventually, never_within, settle_in};

/// Has payments heard by grant only.
pub fn close_payments(publications: &Path) {
    let file = publications.join("payments.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text.replace("\naccess: public\n", "\naccess: grant\n")).unwrap();
}

/// A gateway whose payments are heard by grant only, and whose orders are public.
pub async fn closed() -> TestGateway {
    TestGateway::with(None, |config: &mut Config| close_payments(&config.publications)).await
}

/// Publishes a payment; gives its id.
pub async fn payment(gateway: &TestGateway, number: u64) -> String {
    let event = json!({
        "specversion": "1.0", "id": format!("payment-{number}"), "source": "payment-service",
        "type": "PaymentSucceeded", "data": { "id": number },
    });
    gateway.publish(&event).await.remove(0)
}

/// Lets a consumer hear payments.
pub async fn grant(gateway: &TestGateway, consumer: &str, more: Value) -> String {
    let mut document = json!({ "consumer": consumer, "publication": "payments/Payment.Succeeded" });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.post("/grants", &document).await["id"].as_str().unwrap().to_owned()
}

/// Subscribes without a sink; gives the name of the subscription.
pub async fn pull(gateway: &TestGateway, receiver: &Receiver, start: &str) -> String {
    let mut document = receiver.document(json!({
        "id": format!("{}-pull", receiver.name()), "protocol": "PULL",
        "config": { "start": start },
    }));
    document.as_object_mut().unwrap().remove("sink");
    gateway.post("/subscriptions", &document).await["id"].as_str().unwrap().to_owned()
}

/// The ids of what a subscription without a sink is handed out from its start on, once it is so many.
pub async fn fetched(gateway: &TestGateway, id: &str, count: usize) -> Vec<String> {
    let path = format!("/subscriptions/{id}/events?acknowledge=false&after={}", "0".repeat(26));
    let events = eventually(format!("{count} events of {id}"), async || {
        let answer = gateway.get(&path).await;
        let events = answer["events"].as_array().unwrap().clone();
        (events.len() >= count).then_some(events)
    })
    .await;
    events.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_not_public_is_heard_from_a_grant_on_and_numbers_have_no_gap() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let shown = gateway
        .subscribe(&receiver, json!({ "types": ["Order.*", "Payment.Succeeded", "No.Such"] }))
        .await;
    // Whether nothing is published so or it is not granted is not told.
    assert_eq!(shown["access"], json!({ "unheardTypes": ["Payment.Succeeded", "No.Such"] }));

    let before = payment(&gateway, 1).await;
    let first = gateway.order(2).await;
    receiver.wait_for_delivered(1).await;
    grant(&gateway, "shop", json!({})).await;
    let after = payment(&gateway, 3).await;
    let last = gateway.order(4).await;
    receiver.wait_for_delivered(3).await;

    let mut arrived = receiver.delivered();
    arrived.sort_by_key(Arrival::sequence);
    let numbers: Vec<_> = arrived.iter().map(|one| one.sequence().unwrap()).collect();
    let ids: Vec<_> = arrived.iter().map(|one| one.id().to_owned()).collect();
    assert_eq!((numbers, ids), (vec![1, 2, 3], vec![first, after, last]));
    assert!(!receiver.delivered_ids().contains(&before));
    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["access"], json!({ "unheardTypes": ["No.Such"] }));
}

#[tokio::test]
async fn a_start_begins_where_the_history_of_the_grant_allows() {
    let gateway = closed().await;
    let (old, order) = (payment(&gateway, 1).await, gateway.order(2).await);
    let start = "0".repeat(26);
    let [all, later, none] = [
        Receiver::start(&gateway, "all").await,
        Receiver::start(&gateway, "later").await,
        Receiver::start(&gateway, "none").await,
    ];
    grant(&gateway, "all", json!({ "history": "all" })).await;
    grant(&gateway, "later", json!({ "history": "from-grant" })).await;
    let new = payment(&gateway, 3).await;
    for receiver in [&all, &later, &none] {
        pull(&gateway, receiver, &start).await;
    }

    assert_eq!(fetched(&gateway, "all-pull", 3).await, [&*old, &order, &new]);
    assert_eq!(fetched(&gateway, "later-pull", 2).await, [&*order, &new]);
    assert_eq!(fetched(&gateway, "none-pull", 1).await, [&*order]);
}

#[tokio::test]
async fn a_replay_carries_what_may_be_heard_now_and_nothing_else() {
    let gateway = closed().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let (closed, order) = (payment(&gateway, 1).await, gateway.order(2).await);
    receiver.wait_for_delivered(1).await;
    let range = json!({ "from": closed, "to": order });
    let dry = json!({ "from": closed, "to": order, "dryRun": true });
    let counted = gateway.post("/subscriptions/shop/replays", &dry).await;
    let begun = gateway.post("/subscriptions/shop/replays", &range).await;
    let path = format!("/replays/{}", begun["id"].as_str().unwrap());
    let done = eventually("the replay ends", async || {
        Some(gateway.get(&path).await).filter(|shown| shown["state"] == "completed")
    })
    .await;

    assert_eq!((&done["counts"]["matched"], &done["counts"]["delivered"]), (&json!(1), &json!(1)));
    assert_eq!(counted["matched"], 1, "{counted}");
    assert!(!receiver.delivered_ids().contains(&closed));
    grant(&gateway, "shop", json!({ "history": "all" })).await;
    gateway.post("/subscriptions/shop/replays", &range).await;
    eventually("the old payment arrives by replay", async || {
        receiver.delivered_ids().contains(&closed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn schemas_contracts_and_traces_are_for_whoever_may_hear() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({})).await;
    let (event, _) = (payment(&gateway, 1).await, gateway.order(2).await);
    receiver.wait_for_delivered(1).await;
    let shop = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let owner = gateway.add_caller("owner", &["domain:payments"]).await;
    let other = gateway.add_caller("other", &["domain:orders", "consume:other"]).await;
    let schema = gateway.get("/contracts").await["contracts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|contract| contract["messages"].as_array().unwrap().clone())
        .find(|message| message["name"] == "Payment.Succeeded")
        .unwrap()["schema"]
        .as_str()
        .unwrap()
        .to_owned();
    let trace = format!("/events/{event}/trace");
    let status =
        async |key: &str, path: &str| gateway.call_as(key, (Method::GET, path), None).await.status;

    for path in [&*schema, "/contracts/payments.yaml"] {
        let anyone = answer(gateway.request(Method::GET, path)).await.status;
        let seen = [status(&shop, path).await, status(&other, path).await, anyone];
        assert_eq!((seen, status(&owner, path).await), ([404; 3], 200), "{path}");
        assert_eq!(status("no-key", path).await, 404, "{path}: a wrong key is no key");
    }
    assert_eq!(status(&shop, &trace).await, 404);
    let listed = async |key: &str| {
        gateway.call_as(key, (Method::GET, "/contracts"), None).await.body.to_string()
    };
    assert!(!listed(&shop).await.contains("Payment.") && listed(&owner).await.contains("Payment."));
    assert!(listed(&shop).await.contains("Order.Created"));

    grant(&gateway, "shop", json!({ "history": "all" })).await;
    for path in [&*schema, "/contracts/payments.yaml"] {
        let seen = [status(&shop, path).await, status(&other, path).await];
        assert_eq!(seen, [200, 404], "{path}");
    }
    let listed = listed(&shop).await;
    assert!(listed.contains("Payment.Succeeded") && !listed.contains("Payment.Failed"), "{listed}");
}

#[tokio::test]
async fn the_owner_of_a_domain_gives_grants_of_it_and_a_consumer_sees_its_own() {
    let gateway = closed().await;
    let shop = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let stranger = gateway.add_caller("stranger", &["consume:stranger"]).await;
    let owner = gateway.add_caller("owner", &["domain:payments"]).await;
    let foreign = gateway.add_caller("foreign", &["domain:orders"]).await;
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let document = json!({ "consumer": "shop", "publication": "payments/*", "id": "g1" });
    let give = async |key: &str, document: &Value| {
        gateway.call_as(key, (Method::POST, "/grants"), Some(document)).await
    };

    for key in [&shop, &stranger, &foreign, &operator] {
        let refused = give(key, &document).await;
        assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    }
    let given = give(&owner, &document).await;
    assert_eq!((given.status, &given.body["decidedBy"]), (201, &json!("owner")));
    assert_eq!(give(&owner, &document).await.code(), "already-exists");
    let nothing = json!({ "consumer": "shop", "publication": "payments/No.Such" });
    assert_eq!(give(&owner, &nothing).await.code(), "invalid");

    let read = async |key: &str| {
        let one = gateway.call_as(key, (Method::GET, "/grants/g1"), None).await.status;
        let all = gateway.call_as(key, (Method::GET, "/grants"), None).await.body;
        (one, all["grants"].as_array().unwrap().len())
    };
    for (key, seen) in
        [(&shop, (200, 1)), (&owner, (200, 1)), (&stranger, (404, 0)), (&foreign, (404, 0))]
    {
        assert_eq!(read(key).await, seen);
    }
    let until = json!({ "until": "2090-01-01T00:00:00Z" });
    let change = async |key: &str| {
        gateway.call_as(key, (Method::PUT, "/grants/g1"), Some(&until)).await.status
    };
    assert_eq!(
        [change(&shop).await, change(&stranger).await, change(&owner).await],
        [403, 404, 200]
    );
    let recall = async |key: &str| {
        gateway.call_as(key, (Method::DELETE, "/grants/g1?reason=over"), None).await
    };
    assert_eq!(recall(&shop).await.status, 403);
    let recalled = recall(&owner).await;
    assert_eq!(
        (&recalled.body["state"], &recalled.body["ended"]["reason"]),
        (&json!("recalled"), &json!("over"))
    );
    assert_eq!(recall(&owner).await.code(), "wrong-state");
}

#[tokio::test]
async fn a_consumer_asks_and_the_owner_decides() {
    let gateway = closed().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let shop = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let owner = gateway.add_caller("owner", &["domain:payments"]).await;
    let ask = async |publication: &str| {
        let wish = json!({
            "consumer": "shop", "publication": publication, "reason": "to show what was paid",
        });
        gateway.call_as(&shop, (Method::POST, "/access-requests"), Some(&wish)).await
    };
    let (known, unknown) = (ask("payments/Payment.Succeeded").await, ask("payments/No.Such").await);
    assert_eq!((known.status, unknown.status), (201, 201));
    let id = |answer: &Value| answer["id"].as_str().unwrap().to_owned();
    let decide = async |key: &str, id: &str, step: &str| {
        let path = format!("/access-requests/{id}/{step}");
        gateway.call_as(key, (Method::POST, &path), Some(&json!({}))).await
    };

    assert_eq!(decide(&shop, &id(&known.body), "approve").await.code(), "forbidden");
    assert_eq!(decide(&owner, &id(&unknown.body), "approve").await.code(), "invalid");
    assert_eq!(decide(&owner, &id(&unknown.body), "refuse").await.status, 200);
    let approved = decide(&owner, &id(&known.body), "approve").await;
    assert_eq!(approved.body["grant"]["reason"], "to show what was paid");
    assert_eq!(decide(&owner, &id(&known.body), "refuse").await.code(), "wrong-state");

    let heard = payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;
    assert_eq!(receiver.delivered_ids(), [heard]);
    let mine = gateway.call_as(&shop, (Method::GET, "/access-requests"), None).await.body;
    let states: Vec<_> =
        mine["accessRequests"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["approved", "refused"]);
    let third = gateway.add_caller("third", &["consume:third"]).await;
    let theirs = gateway.call_as(&third, (Method::GET, "/access-requests"), None).await.body;
    assert_eq!(theirs["accessRequests"], json!([]));
}

#[tokio::test]
async fn who_heard_a_publication_before_it_was_closed_has_a_grant_and_who_comes_later_has_none() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;

    let file = gateway.path("publications");
    gateway.restart_with(|_| close_payments(&file)).await;
    payment(&gateway, 2).await;
    receiver.wait_for_delivered(2).await;
    let late = Receiver::subscribed(&gateway, "late").await;
    payment(&gateway, 3).await;
    receiver.wait_for_delivered(3).await;
    gateway.restart().await;
    payment(&gateway, 4).await;
    receiver.wait_for_delivered(4).await;

    let grants = gateway.get("/grants").await["grants"].as_array().unwrap().clone();
    let of_payments: Vec<_> =
        grants.iter().map(|one| one["publication"].as_str().unwrap()).collect();
    assert_eq!(of_payments.len(), 2, "{grants:?}");
    assert!(grants.iter().all(|one| one["decidedBy"] == "upgrade" && one["consumer"] == "shop"));
    never_within(std::time::Duration::from_millis(300), "the late one hears it", async || {
        late.delivered().first().map(|one| one.id().to_owned())
    })
    .await;
    let numbers: Vec<_> = receiver.delivered().iter().map(|one| one.sequence().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn the_settings_of_tests_leave_everything_public() {
    let directory = tempfile::tempdir().unwrap();
    let config = settle_in(directory.path());
    for file in ["orders.yaml", "payments.yaml"] {
        let text = fs::read_to_string(config.publications.join(file)).unwrap();
        assert!(text.contains("\naccess: public\n"), "{file}");
    }
}

#[tokio::test]
async fn the_trace_of_what_is_not_heard_answers_no_question_about_it() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let key = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let secret = payment(&gateway, 31_415).await;
    for most in [30_000, 40_000] {
        let filter = json!({ "pattern": { "data": { "orderId": [{ "numeric": ["<=", most] }] } } });
        let wish = json!({
            "id": format!("up-to-{most}"), "types": ["Payment.*"], "filters": [filter],
            "protocol": "PULL",
        });
        let mut document = receiver.document(wish);
        document.as_object_mut().unwrap().remove("sink");
        gateway.post("/subscriptions", &document).await;
        let asked = gateway.request(Method::GET, &format!("/events/{secret}/trace"));
        let answer = answer(asked.bearer_auth(&key)).await;
        assert_eq!(answer.status, 404, "{most}: {}", answer.body);
    }
}

#[tokio::test]
async fn domains_name_their_grants_without_knowing_of_each_other() {
    let gateway = closed().await;
    let payments = gateway.add_caller("payments-owner", &["domain:payments"]).await;
    let orders = gateway.add_caller("orders-owner", &["domain:orders"]).await;
    let give = async |key: &str, publication: &str, id: &str| {
        let wish = json!({ "id": id, "consumer": "shop", "publication": publication });
        gateway.call_as(key, (Method::POST, "/grants"), Some(&wish)).await
    };
    let get = async |key: &str, id: &str| {
        gateway.call_as(key, (Method::GET, &format!("/grants/{id}")), None).await
    };

    let one = give(&payments, "payments/*", "yearly").await;
    let other = give(&orders, "orders/*", "yearly").await;

    assert_eq!((one.status, &one.body["id"]), (201, &json!("payments/yearly")));
    assert_eq!((other.status, &other.body["id"]), (201, &json!("orders/yearly")));
    assert_eq!(give(&orders, "orders/Order.Created", "yearly").await.code(), "already-exists");
    assert_eq!(give(&orders, "orders/*", "payments/mine").await.code(), "invalid");
    for (key, own, foreign) in [(&payments, "payments", "orders"), (&orders, "orders", "payments")]
    {
        assert_eq!(get(key, "yearly").await.body["id"], format!("{own}/yearly"));
        assert_eq!(get(key, &format!("{own}%2Fyearly")).await.status, 200);
        let hidden = get(key, &format!("{foreign}%2Fyearly")).await;
        let nothing = get(key, &format!("{foreign}%2Fnothing")).await;
        assert_eq!((hidden.status, &hidden.body["detail"]), (404, &nothing.body["detail"]));
    }
    // Whoever sees both says which.
    assert_eq!(get(gateway.admin(), "yearly").await.code(), "ambiguous");
    let path = "/grants/orders%2Fyearly?reason=over";
    let recalled = gateway.call_as(&orders, (Method::DELETE, path), None).await;
    assert_eq!((recalled.status, &recalled.body["state"]), (200, &json!("recalled")));
    assert_eq!(get(&payments, "yearly").await.body["state"], "active");
    let target = "/actions?target=grants/orders/yearly";
    let kept = gateway.call_as(&orders, (Method::GET, target), None).await;
    assert_eq!(kept.body["actions"][0]["kind"], "recall-grant", "{}", kept.body);
}

#[tokio::test]
async fn a_consumer_takes_its_own_request_back_and_nobody_decides_it_then() {
    let gateway = closed().await;
    let shop = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let other = gateway.add_caller("other", &["consume:other"]).await;
    let owner = gateway.add_caller("owner", &["domain:payments"]).await;
    let wish = json!({ "consumer": "shop", "publication": "payments/Payment.Succeeded" });
    let asked = gateway.call_as(&shop, (Method::POST, "/access-requests"), Some(&wish)).await;
    let path = format!("/access-requests/{}", asked.body["id"].as_str().unwrap());
    let withdraw = async |key: &str, path: &str| {
        gateway.call_as(key, (Method::DELETE, &format!("{path}?reason=not%20needed")), None).await
    };

    assert_eq!(withdraw(&other, &path).await.status, 404);
    assert_eq!(withdraw(&owner, &path).await.code(), "forbidden");
    let withdrawn = withdraw(&shop, &path).await;
    assert_eq!((withdrawn.status, &withdrawn.body["state"]), (200, &json!("withdrawn")));
    assert_eq!(withdrawn.body["answer"], "not needed");

    let approve = format!("{path}/approve");
    let late = gateway.call_as(&owner, (Method::POST, &approve), Some(&json!({}))).await;
    assert_eq!(late.code(), "wrong-state");
    assert_eq!(withdraw(&shop, &path).await.code(), "wrong-state");
    let seen =
        gateway.call_as(&owner, (Method::GET, "/access-requests?state=withdrawn"), None).await;
    assert_eq!(seen.body["accessRequests"].as_array().unwrap().len(), 1);
    let actions = gateway.get("/actions?kind=withdraw-access").await;
    let kept = &actions["actions"][1];
    assert_eq!(
        (&kept["caller"], &kept["outcome"]),
        (&json!("shop-key"), &json!("done")),
        "{actions}"
    );
    assert_eq!(gateway.get("/grants").await["grants"], json!([]));
}

#[tokio::test]
async fn no_answer_tells_the_id_of_an_event_that_is_not_heard() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let id = pull(&gateway, &receiver, "latest").await;
    let pushed = gateway.subscribe(&receiver, json!({})).await;
    assert_eq!(pushed["name"], "shop");
    let order = gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    let before = fetched(&gateway, &id, 1).await;
    assert_eq!(before, [&*order]);
    let secret = payment(&gateway, 2).await;
    let is_looked_at = async || {
        let shown = gateway.get("/subscriptions/shop").await;
        (shown["progress"]["behind"] == 0).then_some(())
    };
    eventually("everything was looked at", is_looked_at).await;

    let page = format!("/subscriptions/{id}/events");
    let first = gateway.get(&format!("{page}?acknowledge=false")).await;
    let next = first["next"].as_str().unwrap();
    let last = gateway.get(&format!("{page}?acknowledge=false&after={next}")).await;
    let checkpoint = gateway.get("/subscriptions/shop/checkpoint").await;
    let told = receiver.read_checkpoint(checkpoint.as_str().unwrap()).unwrap();
    assert_eq!(told.head.map(|head| head.to_string()).as_deref(), Some(&*order));
    let dry = json!({ "from": order, "dryRun": true });
    let counted = gateway.post("/subscriptions/shop/replays", &dry).await;
    let poll = json!({ "returnImmediately": true });
    let polled = gateway.post(&format!("/subscriptions/{id}/poll"), &poll).await;
    for told in [&first, &last, &counted, &polled] {
        assert!(!told.to_string().contains(&secret), "{told}");
    }
    assert_eq!((&last["events"], last.get("moreAvailable")), (&json!([]), None));
    assert_ne!(first["next"], last["next"], "a place never looks the same");
    let again =
        gateway.get(&format!("{page}?after={}&limit=0", last["next"].as_str().unwrap())).await;
    assert!(again["next"].is_string(), "{again}");

    // Whether there is an event of a moment that has passed is not told.
    let now = gateway.clock().now().unix_ms().cast_unsigned();
    let passed = sealway::event::EventId::last_of(now - 1);
    assert_eq!(
        gateway.get(&format!("{page}?acknowledge=false&after={passed}")).await["events"],
        json!([])
    );
    let ahead = sealway::event::EventId::last_of(now + 3_600_000);
    let refused = gateway.call(Method::GET, &format!("{page}?after={ahead}"), None).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid"));
    // A place is for the readers of its subscription.
    let foreign = format!("/subscriptions/shop/events?after={next}");
    assert_eq!(gateway.call(Method::GET, &foreign, None).await.code(), "invalid");
}

#[tokio::test]
async fn evidence_tells_no_id_and_no_schema_of_what_is_not_heard() {
    let gateway =
        TestGateway::with(None, |config| close_failed_payments(&config.publications)).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let failed = json!({
        "specversion": "1.0", "id": "failed-1", "source": "payment-service",
        "type": "PaymentFailed", "data": { "id": 1 },
    });
    let secret = gateway.publish(&failed).await.remove(0);
    let heard = payment(&gateway, 2).await;
    receiver.wait_for_delivered(1).await;
    let key = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let path = format!("/subscriptions/shop/evidence?from={heard}");
    let bundle = gateway.request(Method::GET, &path).bearer_auth(&key).send().await.unwrap();
    let bundle = bundle.text().await.unwrap();

    assert!(bundle.contains(&heard) && bundle.contains("Payment.Succeeded"), "{bundle}");
    assert!(bundle.lines().last().unwrap().contains("\"kind\":\"closing\""), "it is whole");
    assert!(!bundle.contains("Payment.Failed"), "{bundle}");
    for line in bundle.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["kind"] == "checkpoint" {
            let claims = line["token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
            let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims).unwrap();
            assert!(!String::from_utf8(claims).unwrap().contains(&secret));
        }
    }
}

/// Has failed payments heard by grant only, and leaves those that succeeded public, in one contract.
fn close_failed_payments(publications: &Path) {
    let file = publications.join("payments.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let closed = "  - event: Payment.Failed\n    access: grant\n";
    fs::write(&file, text.replace("  - event: Payment.Failed\n", closed)).unwrap();
}

#[tokio::test]
async fn a_contract_shows_of_what_is_closed_neither_messages_nor_schemas_nor_channels() {
    let gateway =
        TestGateway::with(None, |config| close_failed_payments(&config.publications)).await;
    let shop = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let owner = gateway.add_caller("owner", &["domain:payments"]).await;
    let read = async |key: Option<&str>, path: &str| {
        let request = gateway.request(Method::GET, path);
        let request = key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        let answer = request.send().await.unwrap();
        let kept = answer.headers().get("cache-control").map(|kept| kept.to_str().unwrap());
        let kept = kept.unwrap_or_default().to_owned();
        (answer.status().as_u16(), kept, answer.text().await.unwrap())
    };
    let whole = read(Some(&owner), "/contracts/payments.yaml").await.2;
    assert!(whole.contains("Payment.Failed") && whole.contains("payments.failed"));

    for key in [None, Some(&*shop), Some("no-key")] {
        let (status, kept, text) = read(key, "/contracts/payments.yaml").await;
        assert_eq!((status, &*kept), (200, "private, no-cache"));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert!(document["components"]["messages"]["Payment.Succeeded"].is_object(), "{text}");
        let listed = read(key, "/contracts").await.2;
        for told in [&text, &listed] {
            for word in ["Payment.Failed", "payments.failed", "cannot be paid", "amount-over-limit"]
            {
                assert!(!told.contains(word), "{word}: {told}");
            }
        }
        assert!(listed.contains("Payment.Succeeded"));
    }
    // The text that an event was made of is for whoever may read all of it.
    payment(&gateway, 1).await;
    let schema = "/schemas/payments/Payment.Succeeded/1.0.0";
    let link = answer_link(&gateway, schema).await;
    assert!(link.contains("/contracts/payments.yaml>") && !link.contains("sha256"), "{link}");
    let version = "/contracts/payments.yaml?version=1.0.0";
    assert!(!read(Some(&shop), version).await.2.contains("Payment.Failed"));
    assert!(read(Some(&owner), version).await.2.contains("Payment.Failed"));
    let wish = json!({ "consumer": "shop", "publication": "payments/Payment.Failed" });
    gateway.post("/grants", &wish).await;
    assert_eq!(read(Some(&shop), "/contracts/payments.yaml").await.2, whole);
}

#[tokio::test]
async fn what_was_closed_does_not_open_when_its_publication_goes_or_its_contract_forgets_it() {
    let mut gateway =
        TestGateway::with(None, |config| close_failed_payments(&config.publications)).await;
    let read = async |gateway: &TestGateway, path: &str| {
        let answer = gateway.request(Method::GET, path).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    payment(&gateway, 1).await;
    let (publications, contracts) = (gateway.path("publications"), gateway.path("asyncapi"));
    let unpublish = |publications: &Path| {
        let file = publications.join("payments.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let (before, failed) = text.split_once("  - event: Payment.Failed").unwrap();
        let after =
            failed.split_once("\n  - event:").map(|(_, after)| format!("  - event:{after}"));
        let after = after.unwrap_or_default();
        fs::write(&file, format!("{before}{after}")).unwrap();
    };
    gateway.restart_with(|_| unpublish(&publications)).await;

    let (status, text) = read(&gateway, "/contracts/payments.yaml").await;
    assert_eq!((status, text.contains("Payment.Succeeded")), (200, true));
    assert!(!text.contains("Payment.Failed"), "nothing publishes it by now: {text}");

    let file = contracts.join("payments.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("version: 1.0.0", "version: 1.1.0")).unwrap();
    gateway.restart().await;

    let then = read(&gateway, "/contracts/payments.yaml?version=1.0.0").await;
    assert!(then.0 == 404 && !then.1.contains("Payment.Failed"), "{then:?}");
}

async fn answer_link(gateway: &TestGateway, path: &str) -> String {
    let answer = gateway.request(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers()["link"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_contract_that_no_publication_names_is_closed_to_strangers_while_anything_is() {
    let mut gateway = TestGateway::with(None, |config| {
        let text = fs::read_to_string(config.contracts.join("payments.yaml")).unwrap();
        fs::write(config.contracts.join("former.yaml"), text).unwrap();
    })
    .await;
    let shop = gateway.add_caller("shop-key", &["consume:shop"]).await;
    let auditor = gateway.add_caller("auditor", &["audit"]).await;
    let status = async |gateway: &TestGateway, key: &str| {
        gateway.call_as(key, (Method::GET, "/contracts/former.yaml"), None).await.status
    };
    assert_eq!([status(&gateway, &shop).await, status(&gateway, "none").await], [200, 200]);

    let publications = gateway.path("publications");
    gateway.restart_with(|_| close_payments(&publications)).await;

    assert_eq!([status(&gateway, &shop).await, status(&gateway, "none").await], [404, 404]);
    assert_eq!(status(&gateway, &auditor).await, 200);
    let answer = gateway.request(Method::GET, "/contracts/former.yaml").bearer_auth(&auditor);
    let kept = answer.send().await.unwrap().headers()["cache-control"].clone();
    assert_eq!(kept, "private, no-cache", "no cache keeps it for others");
    let listed = gateway.call_as(&shop, (Method::GET, "/contracts"), None).await.body.to_string();
    assert!(!listed.contains("former.yaml"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_become_what_their_files_say() {
    let gateway = closed().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({})).await;
    let owner = gateway.add_caller("owner", &["domain:payments", "consume:shop"]).await;
    let (grants, subscriptions) = (gateway.path("grants"), gateway.path("subscriptions"));
    fs::create_dir_all(&grants).unwrap();
    fs::create_dir_all(&subscriptions).unwrap();
    let file = grants.join("shop.yaml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    let apply = |more: &[&str]| {
        let mut command = crate::harness::program();
        command.args(["--output", "json", "apply", subscriptions.to_str().unwrap()]);
        command.args(["--grants", grants.to_str().unwrap()]).args(more);
        command.env("SEALWAY_GATEWAY", gateway.issuer()).env("SEALWAY_CALLER_KEY", &owner);
        let done = command.output().unwrap();
        let told = String::from_utf8(done.stdout).unwrap();
        (done.status.code(), told + &String::from_utf8(done.stderr).unwrap())
    };
    let text = "id: shop-payments\nconsumer: shop\npublication: payments/*\nhistory: all\n";

    write(text);
    let (code, told) = apply(&["--dry-run"]);
    assert!(code == Some(0) && told.contains("would be given"), "{told}");
    assert_eq!(gateway.get("/grants").await["grants"], json!([]));
    let (code, told) = apply(&[]);
    assert!(code == Some(0) && told.contains("payments/shop-payments"), "{told}");
    let heard = payment(&gateway, 1).await;
    receiver.wait_for_delivered(1).await;
    assert_eq!(receiver.delivered_ids(), [heard]);

    // The id may be written as the gateway shows it.
    write(&text.replace("id: shop", "id: payments/shop"));
    assert!(apply(&[]).1.contains("as it was"));
    write(&format!("{text}until: 2090-01-01T00:00:00Z\n"));
    assert!(apply(&[]).1.contains("end moved"));
    let shown = gateway.get("/grants/shop-payments").await;
    assert_eq!(shown["until"], "2090-01-01T00:00:00Z");
    write(&text.replace("all", "from-grant"));
    let (code, told) = apply(&[]);
    assert!(code == Some(1) && told.contains("changes nothing but its end"), "{told}");
    write(&text.replace("id: shop", "id: orders/shop"));
    assert_eq!(apply(&[]).0, Some(2), "the domain of a name is the publication's");
}
