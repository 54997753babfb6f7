//! A copy that is taken beside a running gateway is whole, and a gateway goes on from it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Receiver, TestGateway, order_created};

fn sealway(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealway"));
    command.args(["--output", "json", "log"]).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn verified(place: &Path) -> (Option<i32>, Value) {
    let output = sealway(&["verify", text(place)]);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_backup_is_in_it_and_chains_go_on() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let before = gateway.orders(1..=20).await;
    receiver.wait_for_delivered(20).await;
    let (data, copy) = (gateway.path("data"), gateway.path("copy.db"));

    let take = {
        let (data, copy) = (data.clone(), copy.clone());
        tokio::task::spawn_blocking(move || {
            sealway(&["backup", text(&copy), "--data-dir", text(&data)])
        })
    };
    let during = gateway.orders(21..=60).await;
    let taken = take.await.unwrap();

    assert!(taken.status.success(), "{taken:?}");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let beside: Vec<_> = fs::read_dir(copy.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("copy.db"))
        .collect();
    assert_eq!(beside, ["copy.db"], "the copy needs no other file and leaves none");
    let again = sealway(&["backup", text(&copy), "--data-dir", text(&data)]);
    assert_eq!(again.status.code(), Some(2), "nothing is overwritten");
    let (code, report) = verified(&data);
    assert_eq!((code, &report["wrong"]), (Some(0), &json!(0)), "a running gateway: {report}");
    receiver.wait_for_delivered(60).await;

    gateway.stop().await;
    let restored = gateway.path("restored");
    let back = sealway(&["restore", text(&copy), "--data-dir", text(&restored)]);
    assert!(back.status.success(), "{back:?}");
    let refused = sealway(&["restore", text(&copy), "--data-dir", text(&restored)]);
    assert_eq!(refused.status.code(), Some(2), "the directory is not empty any more");
    let confirmed = sealway(&["restored", "--data-dir", text(&restored)]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    gateway.change(|config| config.data_dir.clone_from(&restored));
    gateway.start_again().await;

    let listed = gateway.get("/events?limit=1000").await;
    let kept: Vec<_> =
        listed["events"].as_array().unwrap().iter().map(|e| e["id"].clone()).collect();
    assert!(before.iter().all(|id| kept.contains(&json!(id))), "{} are kept", kept.len());
    let seen = receiver.delivered().len();
    let after = gateway.orders(61..=63).await;
    receiver.wait_for_delivered(seen + 3).await;
    assert!(after.iter().all(|id| !before.contains(id) && !during.contains(id)));
    gateway.stop().await;
    let (code, report) = verified(&restored);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["head"], json!(kept.len() + 3));
    assert!(report["chains"].as_u64().unwrap() > 0, "{report}");
}

#[tokio::test]
async fn odd_times_unreadable_bytes_and_envelope_ids_come_back() {
    let mut gateway = TestGateway::start().await;
    let time = "2026-11-21T22:17:00.500+02:00";
    let mut order = order_created("shop/order #1", 1);
    order["time"] = json!(time);
    let id = gateway.publish(&order).await.remove(0);
    let media_type = "application/cloudevents+json";
    let unreadable = b"{\"id\":\"\xff\"}".to_vec();
    let kept = gateway.send_text("/events?manner=asynchronous", media_type, unreadable).await;
    assert_eq!(kept.status, 202, "{}", kept.body);
    let entry = format!("/quarantine/{}", kept.body["events"][0]["entry"]);
    let found = "/events?envelope=shop%2Forder%20%231";
    let paths = [&format!("/events/{id}"), found, "/quarantine?kind=unreadable", &entry];
    let mut before = Vec::new();
    for path in paths {
        before.push(gateway.get(path).await);
    }
    let (copy, restored) = (gateway.path("copy.db"), gateway.path("restored"));
    let taken = sealway(&["backup", text(&copy), "--data-dir", text(&gateway.path("data"))]);
    assert!(taken.status.success(), "{taken:?}");
    gateway.stop().await;

    let back = sealway(&["restore", text(&copy), "--data-dir", text(&restored)]);
    assert!(back.status.success(), "{back:?}");
    let confirmed = sealway(&["restored", "--data-dir", text(&restored)]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    gateway.change(|config| config.data_dir.clone_from(&restored));
    gateway.start_again().await;

    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(&gateway.get(path).await, before, "{path}");
    }
    assert_eq!(before[0]["event"]["time"], time);
    assert_eq!(before[1]["events"][0]["id"], json!(id));
    assert_eq!(before[3]["bytes"]["bodyBase64"], "eyJpZCI6Iv8ifQ==");
    gateway.stop().await;
    assert_eq!(verified(&restored).0, Some(0));
}

#[tokio::test]
async fn damage_is_named_with_its_place() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=10).await;
    receiver.wait_for_delivered(10).await;
    gateway.stop().await;
    let whole = gateway.path("whole.db");
    let taken = sealway(&["backup", text(&whole), "--data-dir", text(&gateway.path("data"))]);
    assert!(taken.status.success(), "{taken:?}");
    assert_eq!(verified(&whole).0, Some(0));

    let cases = [
        ("DELETE FROM events WHERE position = 4", "positions 4 to 4: are missing"),
        ("DELETE FROM events WHERE position > 8", "positions 9 to 10: are missing"),
        ("UPDATE events SET digest = zeroblob(32) WHERE position = 3", "position 3, event"),
        (
            "UPDATE events SET data = replace(data, '1', '2') WHERE position = 1",
            "the digest is not",
        ),
        ("UPDATE events SET idempotency_key = zeroblob(16) WHERE position = 2", "idempotency key"),
        ("UPDATE events SET type = '' WHERE position = 5", "position 5: cannot be read"),
        ("UPDATE events SET id = zeroblob(16) WHERE position = 6", "position 6: id"),
        ("UPDATE cursors SET settled = 99", "cursor of shop: has settled 99"),
        ("UPDATE cursors SET chain = zeroblob(32)", "subscription shop: at position 10"),
    ];
    for (number, (damage, finding)) in cases.into_iter().enumerate() {
        let place = gateway.path(&format!("damaged-{number}.db"));
        fs::copy(&whole, &place).unwrap();
        let head = "DELETE FROM events WHERE position > 8";
        let connection = Connection::open(&place).unwrap();
        assert!(connection.execute(damage, []).unwrap() > 0, "{damage}");
        if damage == head {
            // What was dropped from the end shows by the cursor alone.
            drop(connection);
            let (code, report) = verified(&place);
            assert_eq!(code, Some(1), "{damage}: {report}");
            continue;
        }
        drop(connection);

        let (code, report) = verified(&place);

        assert_eq!(code, Some(1), "{damage}: {report}");
        assert!(report["findings"].to_string().contains(finding), "{damage}: {report}");
    }
}

#[tokio::test]
async fn a_flipped_byte_is_found_and_not_restored() {
    let mut gateway = TestGateway::start().await;
    gateway.orders(1..=5).await;
    gateway.stop().await;
    let copy = gateway.path("copy.db");
    let taken = sealway(&["backup", text(&copy), "--data-dir", text(&gateway.path("data"))]);
    assert!(taken.status.success(), "{taken:?}");
    let mut bytes = fs::read(&copy).unwrap();
    let text_of_an_event = b"{\"amount\":";
    let at = bytes.windows(text_of_an_event.len()).position(|part| part == text_of_an_event);
    bytes[at.unwrap()] ^= 0x01;
    fs::write(&copy, bytes).unwrap();

    let (code, report) = verified(&copy);
    let restored = gateway.path("restored");
    let refused = sealway(&["restore", text(&copy), "--data-dir", text(&restored)]);

    assert_eq!(code, Some(1), "{report}");
    assert_eq!(refused.status.code(), Some(1));
    let left: Vec<_> =
        fs::read_dir(&restored).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "nothing was restored");
    let nothing = sealway(&["verify", text(&gateway.path("nowhere"))]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[tokio::test]
async fn a_backup_from_before_an_upgrade_is_restored_with_todays_tables() {
    let mut gateway = TestGateway::start().await;
    gateway.stop().await;
    let copy = gateway.path("old.db");
    let old = Connection::open(&copy).unwrap();
    old.execute_batch(include_str!("../../src/eventlog/sqlite/schema.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);

    let refused = sealway(&["verify", text(&copy)]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("if it is a backup, restore it"), "{said}");
    let restored = gateway.path("restored");
    let back = sealway(&["restore", text(&copy), "--data-dir", text(&restored)]);

    assert!(back.status.success(), "{back:?}");
    let (code, report) = verified(&restored);
    assert_eq!((code, &report["head"]), (Some(0), &json!(0)), "{report}");
    let confirmed = sealway(&["restored", "--data-dir", text(&restored)]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    gateway.change(|config| config.data_dir.clone_from(&restored));
    gateway.start_again().await;
    gateway.stop().await;
    assert_eq!(verified(&restored).0, Some(0), "a gateway has run on it");
    let nothing = gateway.path("empty.db");
    Connection::open(&nothing).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    let other = gateway.path("other");
    let refused = sealway(&["restore", text(&nothing), "--data-dir", text(&other)]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(!other.exists(), "nothing was begun");
}

#[tokio::test]
async fn nothing_is_restored_where_a_gateway_could_begin_a_log_or_where_something_lies() {
    let mut gateway = TestGateway::start().await;
    gateway.orders(1..=3).await;
    gateway.stop().await;
    let copy = gateway.path("copy.db");
    let taken = sealway(&["backup", text(&copy), "--data-dir", text(&gateway.path("data"))]);
    assert!(taken.status.success(), "{taken:?}");

    let held = gateway.path("held");
    fs::create_dir(&held).unwrap();
    let lock = fs::File::create(held.join("lock")).unwrap();
    lock.lock().unwrap();
    let refused = sealway(&["restore", text(&copy), "--data-dir", text(&held)]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("another gateway is using"), "{said}");
    drop(lock);
    fs::write(held.join("sealway.db-wal"), "").unwrap();
    let refused = sealway(&["restore", text(&copy), "--data-dir", text(&held)]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    fs::remove_file(held.join("sealway.db-wal")).unwrap();

    let back = sealway(&["restore", text(&copy), "--data-dir", text(&held)]);
    assert!(back.status.success(), "a lock that nobody holds is nothing: {back:?}");
    let mut names: Vec<_> =
        fs::read_dir(&held).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["lock", "sealway.db"]);
}
