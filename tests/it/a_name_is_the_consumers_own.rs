//! A consumer calls its subscriptions as it likes, whatever others call theirs, and each has an id
//! that never changes.

use reqwest::Method;
use serde_json::{Value, json};

use sealway::event::EventId;

use crate::harness::{Answer, Receiver, TestGateway, eventually, program};

/// Two consumers with a key each.
async fn two(gateway: &TestGateway) -> [(Receiver, String); 2] {
    let mut all = Vec::new();
    for name in ["first", "second"] {
        let receiver = Receiver::start(gateway, name).await;
        let scope = format!("consume:{name}");
        all.push((receiver, gateway.add_caller(name, &[&scope]).await));
    }
    all.try_into().ok().unwrap()
}

async fn create(gateway: &TestGateway, key: &str, document: &Value) -> Answer {
    gateway.call_as(key, (Method::POST, "/subscriptions"), Some(document)).await
}

async fn get(gateway: &TestGateway, key: &str, path: &str) -> Answer {
    gateway.call_as(key, (Method::GET, path), None).await
}

/// Waits until the sink of `orders` has proved itself: until then, others change the subscription, too.
async fn active(gateway: &TestGateway, key: &str) {
    eventually("it is active", async || {
        let shown = get(gateway, key, "/subscriptions/orders").await;
        (shown.body["state"] == "active").then_some(())
    })
    .await;
}

/// The members of an answer without what belongs to the consumer, the moment or the subscription.
fn shape(answer: &Answer) -> (u16, Vec<String>) {
    (answer.status, answer.body.as_object().unwrap().keys().cloned().collect())
}

#[tokio::test]
async fn two_consumers_use_one_name_and_neither_learns_of_the_other() {
    let gateway = TestGateway::start().await;
    let [(first, key), (second, other)] = two(&gateway).await;
    let document = |receiver: &Receiver| receiver.document(json!({ "id": "orders" }));

    let one = create(&gateway, &key, &document(&first)).await;
    let two = create(&gateway, &other, &document(&second)).await;

    assert_eq!(shape(&one), shape(&two), "the second is told nothing that the first is not");
    assert_eq!(one.status, 201, "{}", one.body);
    let ids = [&one, &two].map(|answer| answer.body["id"].as_str().unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    for (answer, id) in [(&one, &ids[0]), (&two, &ids[1])] {
        assert_eq!(answer.body["name"], "orders");
        assert!(id.to_uppercase().parse::<EventId>().is_ok() && *id == id.to_lowercase(), "{id}");
    }
    // The name is the consumer's own, and is taken only there.
    let again = create(&gateway, &key, &document(&first)).await;
    assert_eq!((again.status, again.code()), (409, "already-exists"));
    for (key, id) in [(&key, &ids[0]), (&other, &ids[1])] {
        for path in ["orders", id] {
            let found = get(&gateway, key, &format!("/subscriptions/{path}")).await;
            assert_eq!(found.body["id"], **id, "{path}: {}", found.body);
        }
    }
    let theirs = get(&gateway, &key, &format!("/subscriptions/{}", ids[1])).await;
    let qualified = get(&gateway, &key, "/subscriptions/second%2Forders").await;
    let nothing = get(&gateway, &key, "/subscriptions/nothing").await;
    assert_eq!(theirs.status, 404);
    assert_eq!((&theirs, &qualified), (&nothing, &nothing));
    // An operator sees both, and says which.
    let both = gateway.call(Method::GET, "/subscriptions/orders", None).await;
    assert_eq!((both.status, both.code()), (409, "ambiguous"));
    let detail = both.body["detail"].as_str().unwrap();
    assert!(detail.contains("`first%2Forders`, `second%2Forders`"), "{detail}");
    let said = gateway.get("/subscriptions/second%2Forders").await;
    assert_eq!(said["id"], ids[1]);
    let listed = gateway.get("/subscriptions?q=rder").await;
    assert_eq!(listed["subscriptions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn tokens_and_what_is_told_of_them_carry_the_id() {
    let gateway = TestGateway::start().await;
    let [(first, key), _] = two(&gateway).await;
    let mut document = first.document(json!({ "name": "orders" }));
    document.as_object_mut().unwrap().remove("id");
    let created = create(&gateway, &key, &document).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.body["id"].as_str().unwrap().to_owned();
    active(&gateway, &key).await;

    let event = gateway.order(1).await;

    let arrived = first.wait_for_delivered(1).await;
    assert_eq!(arrived[0].opened.claims()["sub_id"]["id"], *id);
    let path = format!("/events/{event}/trace?subscription=orders");
    let traced = get(&gateway, &key, &path).await;
    let delivery = &traced.body["deliveries"][0];
    assert_eq!(
        (&delivery["subscription"], &delivery["name"]),
        (&json!(id), &json!("first/orders"))
    );
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let metrics = metrics.as_str().unwrap();
    let info = format!(
        "sealway_subscription_info{{subscription=\"{id}\",consumer=\"first\",name=\"orders\"}} 1"
    );
    assert!(metrics.contains(&info), "{metrics}");
}

#[tokio::test]
async fn only_an_operator_chooses_an_id_and_nothing_changes_it_or_the_name() {
    let gateway = TestGateway::start().await;
    let [(first, key), (second, _)] = two(&gateway).await;
    let chosen = second.document(json!({ "id": "orders", "name": "mine" }));
    assert_eq!(gateway.post("/subscriptions", &chosen).await["id"], "orders");

    let both = create(&gateway, &key, &first.document(json!({ "id": "a", "name": "b" }))).await;
    assert_eq!((both.status, both.code()), (422, "invalid"));
    // What is another's id is a name like any other.
    let own = create(&gateway, &key, &first.document(json!({ "id": "orders" }))).await;
    assert_eq!(own.status, 201, "{}", own.body);
    active(&gateway, &key).await;
    let found = get(&gateway, &key, "/subscriptions/orders").await;
    assert_eq!(found.body["id"], own.body["id"]);
    assert_eq!(gateway.get("/subscriptions/orders").await["consumer"], "second", "ids go first");

    for (wish, pointer) in
        [(json!({ "id": "other" }), "/id"), (json!({ "id": null, "name": "other" }), "/name")]
    {
        let mut document = first.document(wish);
        document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let put = gateway.request(Method::PUT, "/subscriptions/first%2Forders").bearer_auth(&key);
        let put = put.header("if-match", "*").json(&document).send().await.unwrap();
        assert_eq!(put.status(), 422);
        assert!(put.text().await.unwrap().contains(pointer));
    }
    let same = first.document(json!({ "id": "orders", "types": ["Order.*"] }));
    let put = gateway.request(Method::PUT, "/subscriptions/orders").bearer_auth(&key);
    let put = put.header("if-match", "*").json(&same).send().await.unwrap();
    let put: Value = put.json().await.unwrap();
    assert_eq!((&put["id"], &put["name"]), (&own.body["id"], &json!("orders")));
}

// The commands block, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_names_and_files_go_by_them() {
    let gateway = TestGateway::start().await;
    let [(first, key), (second, other)] = two(&gateway).await;
    create(&gateway, &other, &second.document(json!({ "id": "orders" }))).await;
    let folder = gateway.path("applied");
    std::fs::create_dir(&folder).unwrap();
    let document = first.document(json!({ "id": "orders" }));
    std::fs::write(folder.join("orders.json"), document.to_string()).unwrap();
    let run = |key: &str, arguments: &[&str]| -> Value {
        let ended = program()
            .args(["--output", "json", "--gateway", &gateway.issuer()])
            .env("SEALWAY_CALLER_KEY", key)
            .args(arguments)
            .output()
            .unwrap();
        let remarks = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success(), "{arguments:?}: {remarks}");
        serde_json::from_slice(&ended.stdout).unwrap_or_default()
    };
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let folder = folder.to_str().unwrap();

    let applied = run(&key, &["apply", folder]);
    assert_eq!(applied[0]["action"], "create", "{applied}");
    assert_eq!(run(&key, &["apply", folder])[0]["action"], "keep");
    assert_eq!(run(&operator, &["apply", folder])[0]["action"], "keep", "whoever applies it");
    let shown = run(&operator, &["subscriptions", "get", "first/orders"]);
    assert_eq!((&shown["consumer"], &shown["name"]), (&json!("first"), &json!("orders")));
    assert_eq!(run(&key, &["subscriptions", "get", "orders"])["id"], shown["id"]);
    let listed = run(&operator, &["subscriptions", "list", "--consumer", "second", "-q", "ORD"]);
    assert_eq!(listed[0]["consumer"], "second", "{listed}");
    run(&operator, &["subscriptions", "remove", "second/orders"]);
    assert_eq!(gateway.get("/subscriptions/orders").await["consumer"], "first");
}

#[tokio::test]
async fn no_name_is_written_like_the_id_of_another_subscription() {
    let gateway = TestGateway::start().await;
    let [(first, key), (second, other)] = two(&gateway).await;
    let made = create(&gateway, &key, &first.document(json!({ "id": "orders" }))).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    let nobodys = EventId::from_parts(1, 7).to_string();

    for name in [&id, &id.to_uppercase(), &nobodys, &nobodys.to_lowercase()] {
        let refused = create(&gateway, &other, &second.document(json!({ "id": name }))).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{name}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.starts_with("/name: "), "whether it is taken is not told: {detail}");
    }
    assert_eq!(get(&gateway, &other, &format!("/subscriptions/{id}")).await.status, 404);
    let near = create(&gateway, &other, &second.document(json!({ "id": "orders-01" }))).await;
    assert_eq!(near.status, 201, "{}", near.body);
}
