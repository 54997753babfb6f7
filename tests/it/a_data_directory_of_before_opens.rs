//! A gateway that is upgraded goes on from what an earlier one left, and reads its settings.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock};
use sealway::config::Config;
use sealway::event::{ChainValue, Content, EventDigest, EventId, EventSource, EventType, Subject};
use sealway::keys::{OpeningKeys, VerifyingKeys};
use sealway::seal::evidence::{BundleLine, BundleTrust, Examiner};

use crate::consumer_in_rust::chain_after;
use crate::consumers_hear_what_they_are_granted::close_payments;
use crate::harness::{
    Arrival, Process, Receiver, TestGateway, eventually, order_created, program, settle_in,
};

/// What an earlier gateway left; `tests/vectors/data-directory/README.md` says what is in it.
const DATABASE: &str = include_str!("../vectors/data-directory/sealway.sql");
/// The settings that it was shipped with.
const SETTINGS: &str = include_str!("../vectors/data-directory/gateway.yaml");
/// A moment after its end, and before anything that waits in it is due.
const AFTERWARDS: &str = "2026-11-29T11:08:36Z";

/// The ids of its orders, the last two of which wait for another attempt, the one before is given up.
const ORDERS: [&str; 6] = [
    "01M8KFW3PPBMGWHFYAMPTMVXH3",
    "01M8KFW3PTAN5SXYRY59JV7XPG",
    "01M8KFW3PW13Y5C38W0SYW3C4X",
    "01M8KFW3RP794CK0BWY93A9XB2",
    "01M8KFW3TRDM63NYVV9ZH58M9Z",
    "01M8KFW3TV4N80HT9V9A3RDVHJ",
];
/// The ids of its payments, the last two of which are not acknowledged.
const PAYMENTS: [&str; 4] = [
    "01M8KFW3PZEK4WCM9A3ZF1C181",
    "01M8KFW3Q02DDX41Y5ZQ631YD3",
    "01M8KFW3Q12P9RNH1Z5VJTW7VH",
    "01M8KFW3Q3EQY6FATPQZCF0XXV",
];
/// A replay that has ended, and one that goes on.
const REPLAYS: [&str; 2] = ["01M8KFW3Q9MX09ESRRZR9B5WDY", "01M8KFW3TZ7GXCZBNKBCDT5TMR"];

/// Starts a gateway on the database as it was left.
async fn upgraded() -> (TestGateway, ManualClock) {
    upgraded_after("").await
}

/// Starts a gateway on the database as it was left, but for a change of its rows.
async fn upgraded_after(change: &str) -> (TestGateway, ManualClock) {
    let clock = ManualClock::at(AFTERWARDS.parse().unwrap());
    let leaves = |config: &mut Config| leave(&config.data_dir, change);
    let gateway = TestGateway::with(Some(clock.clone()), leaves).await;
    (gateway, clock)
}

/// Leaves the database in a directory, but for a change of its rows.
fn leave(directory: &Path, change: &str) {
    fs::create_dir(directory).unwrap();
    let database = Connection::open(directory.join("sealway.db")).unwrap();
    database.execute_batch(DATABASE).unwrap();
    database.execute_batch(change).unwrap();
}

#[tokio::test]
async fn an_upgrade_says_its_steps_and_reminds_of_a_backup_and_a_newer_directory_is_refused() {
    let mut process = Process::prepare();
    let data = process.directory().join("data");
    leave(&data, "");
    let version = |set: &str| {
        let database = Connection::open(data.join("sealway.db")).unwrap();
        database.execute_batch(set).unwrap();
        database.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = version("");
    process.serve().await;
    assert!(process.stop().await.success());
    let after = version("");
    assert!(before < after, "{before} {after}");
    let log = process.log();
    let told = log.find(&format!("go from version {before} to {after}")).unwrap();
    let first = log.find(&format!("Step {} of the tables: ", before + 1)).unwrap();
    let reminder = log.find("A backup of before").unwrap();
    assert!(told < reminder && reminder < first, "{log}");
    for step in before + 1..=after {
        let line = log.lines().find(|line| line.contains(&format!("Step {step} of the tables: ")));
        assert!(line.unwrap().split("of the tables: ").nth(1).unwrap().len() > 10, "{line:?}");
    }
    let lines = log.matches("of the tables: ").count();
    process.serve().await;
    assert!(process.stop().await.success());
    assert_eq!(process.log().matches("of the tables: ").count(), lines, "nothing is left to do");

    version(&format!("PRAGMA user_version = {}", after + 1));
    assert!(!process.try_to_serve().await);
    let log = process.log();
    assert!(log.contains("was written by a newer sealway"), "{log}");
    assert_eq!(version(""), after + 1, "and nothing is changed");
}

/// Gives a subscription the key, and the sink, of a consumer that has lost its own.
async fn move_to(gateway: &TestGateway, consumer: &Receiver) {
    let path = format!("/subscriptions/{}", consumer.name());
    let mut document = gateway.get(&path).await;
    let members = document.as_object_mut().unwrap();
    members.retain(|name, _| {
        ["id", "consumer", "types", "sink", "protocol", "config"].contains(&name.as_str())
    });
    let wanted = consumer.document(json!({}));
    document["config"]["keys"] = wanted["config"]["keys"].clone();
    if document["protocol"] == "HTTP" {
        document["sink"] = wanted["sink"].clone();
    }
    let put = gateway.put(&path, &document).await;
    assert_eq!(put.status, 200, "{}", put.body);
}

async fn list(gateway: &TestGateway, path: &str, member: &str) -> Vec<Value> {
    gateway.get(path).await[member].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_recorded_is_shown_as_before() {
    let (gateway, _) = upgraded().await;

    for (number, id) in (1..).zip(ORDERS) {
        let event = gateway.get(&format!("/events/{id}")).await["event"].take();
        assert_eq!(event["type"], "Order.Created", "{event}");
        assert_eq!(event["data"], json!({ "orderId": number, "amount": 100 }));
    }
    let listed = list(&gateway, "/events?limit=100", "events").await;
    let ids: Vec<_> = listed.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&ORDERS[..3], &PAYMENTS, &ORDERS[3..]].concat());
    let again = gateway.send(&order_created("order-1", 1)).await;
    let again = &again.body["events"][0];
    assert_eq!((&again["repeated"], &again["eventIds"]), (&json!(true), &json!([ORDERS[0]])));

    let letters = list(&gateway, "/subscriptions/shop/dead-letters", "deadLetters").await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&letter["event"], &letter["sequence"]), (&json!(ORDERS[3]), &json!(4)));
    assert_eq!((&letter["reason"], &letter["status"]), (&json!("refused"), &json!(422)));

    let quarantined = list(&gateway, "/quarantine", "quarantined").await;
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0]["envelope"], "order-broken");
    assert_eq!(quarantined[0]["violations"][0]["pointer"], "/amount");

    let receipts = list(&gateway, "/subscriptions/shop/receipts", "receipts").await;
    assert_eq!(receipts.len(), 6);
    let attempts = list(&gateway, "/subscriptions/shop/attempts", "attempts").await;
    let verdicts = |verdict: &str| attempts.iter().filter(|one| one["verdict"] == verdict).count();
    assert_eq!((verdicts("delivered"), verdicts("refused")), (6, 1));

    let replays = list(&gateway, "/subscriptions/shop/replays", "replays").await;
    let ids: Vec<_> = replays.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, REPLAYS);
    assert_eq!(replays[0]["state"], "completed");
    assert_eq!(replays[0]["counts"]["delivered"], 3);
    // The other one has gone on already.
    assert_eq!((&replays[1]["from"], &replays[1]["to"]), (&json!(ORDERS[0]), &json!(ORDERS[2])));
}

#[tokio::test]
async fn subscriptions_keep_their_ids_which_are_their_names() {
    let (mut gateway, _) = upgraded().await;
    let shown = async |gateway: &TestGateway| {
        let listed = list(gateway, "/subscriptions", "subscriptions").await;
        let of = |one: &Value| {
            [&one["id"], &one["name"], &one["types"], &one["filters"]].map(Value::clone)
        };
        listed.iter().map(of).collect::<Vec<_>>()
    };
    let before = shown(&gateway).await;
    assert!(before.iter().any(|one| one[0] == "shop"), "{before:?}");
    assert!(before.iter().all(|one| one[0] == one[1]), "{before:?}");

    // Written anew, each is what it was.
    for one in &before {
        let path = format!("/subscriptions/{}/pause", one[0].as_str().unwrap());
        gateway.call(Method::POST, &path, None).await;
    }
    gateway.restart().await;
    assert_eq!(shown(&gateway).await, before);
}

#[tokio::test]
async fn addresses_of_before_answer_with_what_the_contracts_said_at_the_upgrade() {
    let (mut gateway, _) = upgraded().await;
    let old = "/schemas/Order.Created/1.0.0";
    let event = gateway.get(&format!("/events/{}", ORDERS[0])).await;
    let named = event["event"]["dataschema"].as_str().unwrap();
    assert!(named.ends_with(old), "{named}: stored events keep their address");
    let served = gateway.get(old).await;
    assert!(served.to_string().contains("int64"), "{served}");
    let new = gateway.order(99).await;
    let event = gateway.get(&format!("/events/{new}")).await;
    let named = event["event"]["dataschema"].as_str().unwrap();
    assert!(named.ends_with("/schemas/orders/Order.Created/1.0.0"), "{named}");

    // The contract goes on in a new version; neither address follows it.
    let contract = gateway.path("asyncapi/orders.yaml");
    let text = fs::read_to_string(&contract).unwrap();
    let changed =
        text.replace("version: 1.0.0", "version: 2.0.0").replace("type: integer", "type: number");
    assert_ne!(changed, text);
    fs::write(&contract, changed).unwrap();
    gateway.restart().await;

    assert_eq!(gateway.get(old).await, served);
    let answer = gateway.request(Method::GET, old).send().await.unwrap();
    assert!(answer.headers()["cache-control"].to_str().unwrap().ends_with("immutable"));
    let kept = gateway.get("/schemas/orders/Order.Created/1.0.0").await;
    assert_eq!(kept["properties"], served["properties"]);
    let unknown = gateway.call(Method::GET, "/schemas/Order.Created/2.0.0", None).await;
    assert_eq!(unknown.status, 404, "no event was given that one");
}

#[tokio::test]
async fn times_of_before_are_printed_as_before() {
    let times = [
        ("1795950513878289745", "2026-11-29T11:08:33.878289745Z"),
        ("1795950513250000000", "2026-11-29T11:08:33.25Z"),
        ("0", "1970-01-01T00:00:00Z"),
        ("-500000000", "1969-12-31T23:59:59.5Z"),
        ("-9223372036854775808", "1677-09-21T00:12:43.145224192Z"),
        ("9223372036854775807", "2262-04-11T23:47:16.854775807Z"),
    ];
    let change = |(position, (number, _)): (usize, &(&str, &str))| {
        format!("UPDATE events SET time = {number} WHERE id = x'{}';", hex(ORDERS[position]))
    };
    let change: String = times.iter().enumerate().map(change).collect();
    let (gateway, _) = upgraded_after(&change).await;

    for (id, (_, printed)) in ORDERS.iter().zip(times) {
        let shown = gateway.get(&format!("/events/{id}")).await;
        assert_eq!(shown["event"]["time"], printed, "{shown}");
    }
}

/// The bytes of an id, as SQL writes them.
fn hex(id: &str) -> String {
    let id: EventId = id.parse().unwrap();
    format!("{:032x}", u128::from_be_bytes(id.to_bytes()))
}

#[tokio::test]
async fn a_consumer_that_fetches_goes_on_at_its_cursor_with_the_next_number_and_link() {
    let (gateway, _) = upgraded().await;
    books_go_on(&gateway).await;
}

#[tokio::test]
async fn what_is_closed_with_the_upgrade_goes_on_by_a_grant() {
    let clock = ManualClock::at(AFTERWARDS.parse().unwrap());
    let mut gateway = TestGateway::with(Some(clock), |config| {
        leave(&config.data_dir, "");
        close_payments(&config.publications);
    })
    .await;
    books_go_on(&gateway).await;

    let grants = list(&gateway, "/grants", "grants").await;
    let of_books: Vec<_> = grants.iter().filter(|one| one["consumer"] == "books").collect();
    assert!(of_books.iter().all(|one| one["decidedBy"] == "upgrade"), "{grants:?}");
    assert_eq!(of_books.len(), 2);
    gateway.stop().await;
    let data = gateway.path("data");
    let verified = program().args(["log", "verify"]).arg(&data).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

async fn books_go_on(gateway: &TestGateway) {
    let books = Receiver::start(gateway, "books").await;
    let shown = gateway.get("/subscriptions/books").await;
    assert_eq!((&shown["state"], &shown["types"]), (&json!("active"), &json!(["Payment.*"])));
    move_to(gateway, &books).await;
    let payment = json!({
        "specversion": "1.0", "id": "payment-5", "source": "payment-service",
        "type": "PaymentSucceeded", "data": { "id": 5 },
    });
    let new = gateway.publish(&payment).await.remove(0);

    let page = eventually("three payments wait", async || {
        let page = list(gateway, "/subscriptions/books/events", "events").await;
        (page.len() == 3).then_some(page)
    })
    .await;

    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let ids: Vec<_> = page.iter().map(|event| text(event, "id")).collect();
    assert_eq!(ids, [PAYMENTS[2], PAYMENTS[3], &new]);
    // What its cursor stood at.
    let mut chain: ChainValue = "jKNmxlKUaDa7EUkxkGdOfiFCVSYBiJhFuSA6u-S0DrY".parse().unwrap();
    for (sequence, event) in (3..).zip(&page) {
        let opened = books.open(&text(event, "token")).await.unwrap();
        // What was appended before the upgrade has no salt, and what is appended since has one.
        assert_eq!(opened.salted().is_some(), sequence == 5);
        let place = opened.place().unwrap();
        assert_eq!((place.sequence, place.previous), (sequence, chain));
        chain = chain_after(&opened).unwrap();
    }
}

#[tokio::test]
async fn what_waited_is_sent_and_a_replay_ends() {
    let (mut gateway, clock) = upgraded().await;
    let shop = Receiver::start(&gateway, "shop").await;
    move_to(&gateway, &shop).await;

    let replay = format!("/replays/{}", REPLAYS[1]);
    let ended = eventually("everything is delivered", async || {
        clock.advance(Duration::from_secs(1));
        let shown = gateway.get(&replay).await;
        (shown["state"] == "completed" && shop.delivered().len() == 5).then_some(shown)
    })
    .await;

    assert_eq!((&ended["attempted"], &ended["counts"]["matched"]), (&json!(3), &json!(3)));
    let mut live: Vec<_> = shop.delivered();
    live.retain(|arrival| arrival.opened.replay().is_none());
    live.sort_by_key(Arrival::sequence);
    let live: Vec<_> = live.iter().map(|one| (one.id().to_owned(), one.sequence())).collect();
    assert_eq!(live, [(ORDERS[4].to_owned(), Some(5)), (ORDERS[5].to_owned(), Some(6))]);

    let redrive = "/subscriptions/shop/dead-letters/redrive";
    let answer = gateway.call(Method::POST, redrive, Some(&json!({}))).await;
    assert_eq!((answer.status, &answer.body["redriven"]), (200, &json!(1)), "{}", answer.body);
    let arrivals = shop.wait_for_delivered(6).await;
    let brought_back = arrivals.iter().find(|one| one.id() == ORDERS[3]).unwrap();
    assert_eq!(brought_back.sequence(), Some(4));
    assert_eq!(brought_back.opened.event()["time"], "2026-11-29T11:08:33.941959537Z");

    gateway.stop().await;
    let data = gateway.path("data");
    let verified = program().args(["log", "verify"]).arg(&data).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Whoever has a bundle and no key tries contents until one has the digest of a line.
fn guessed(digest: EventDigest) -> Option<(u64, u64)> {
    let name = "Order.Created";
    let (source, kind) = (EventSource::new("/orders").unwrap(), EventType::new(name).unwrap());
    let subject = Subject::new(name).unwrap();
    let guesses = (1..=9).flat_map(|order| (1..=200).map(move |amount| (order, amount)));
    guesses.into_iter().find(|(order, amount)| {
        let data = json!({ "orderId": order, "amount": amount });
        let content = Content::of(&source, &kind, Some(&subject), &data).unwrap();
        digest == content.digest().into()
    })
}

#[tokio::test]
async fn a_bundle_goes_across_the_upgrade_and_only_what_is_of_before_can_be_guessed_from_it() {
    let (gateway, clock) = upgraded().await;
    let shop = Receiver::start(&gateway, "shop").await;
    move_to(&gateway, &shop).await;
    let new = gateway.order(7).await;
    eventually("the new order is delivered", async || {
        clock.advance(Duration::from_secs(1));
        shop.delivered().iter().find(|arrival| arrival.id() == new).cloned()
    })
    .await;

    let keys = gateway.get("/.well-known/jwks.json").await.to_string();
    let keys = VerifyingKeys::from_json(keys.as_bytes()).unwrap();
    let own = OpeningKeys::from_json(shop.private_key().as_bytes()).unwrap();
    let evidence = gateway.call(Method::GET, "/subscriptions/shop/evidence", None).await;
    let bundle = evidence.body.as_str().unwrap();

    let trust = BundleTrust {
        issuer_keys: Some(&keys),
        opening_keys: Some(&own),
        ..BundleTrust::none(clock.now())
    };
    let mut examiner = Examiner::new(trust);
    let mut opened = Vec::new();
    for line in bundle.split_inclusive('\n') {
        if let Some(BundleLine::Event(event)) = examiner.take(line.as_bytes()) {
            opened.push(event);
        }
    }
    examiner.finish();
    assert_eq!((&examiner.flaws[..], examiner.opened), (&[][..], 7));
    for one in &opened {
        assert_eq!(one.opened.digest(), Some(one.digest));
    }
    let salts: Vec<_> = opened.iter().map(|one| one.opened.claims().get("slt")).collect();
    assert_eq!(salts[..6], [None; 6]);
    assert!(!bundle.contains(salts[6].unwrap().as_str().unwrap()), "it is in the token alone");

    let found: Vec<_> = opened.iter().map(|one| guessed(one.digest)).collect();
    let before = (1..=6).map(|order| Some((order, 100)));
    assert_eq!(found, before.chain([None]).collect::<Vec<_>>());
}

#[test]
fn settings_of_before_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    fs::create_dir(&config).unwrap();
    // Contracts and publications as they are today: the settings name folders beside them.
    let settled = settle_in(&config);
    fs::rename(settled.contracts, directory.path().join("asyncapi")).unwrap();
    fs::write(config.join("gateway.yaml"), SETTINGS).unwrap();

    let settings: &Path = &config.join("gateway.yaml");
    let output = program().arg("--config").arg(settings).arg("check").output().unwrap();

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no mistake in"), "{said}");
}
