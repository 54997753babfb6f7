//! Keys and logs that were lost, set back, copied or moved are told, and never silently replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use sealway::ambient::Clock as _;
use sealway::ambient::{ManualClock, SystemClock};

use crate::harness::{Process, Receiver, TestGateway, eventually, free_port, order_created};

const HOW: &str = "sealway keys adopt";
const RESTORED: &str = "sealway log restored";

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn key_files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| Path::new(name).extension().is_some_and(|e| e == "json")).collect()
}

/// Moves the key files out of a directory, and gives what puts them back.
fn take_keys(keys: &Path) -> impl FnOnce() + use<> {
    let kept: Vec<_> = key_files(keys)
        .into_iter()
        .map(|name| (keys.join(&name), fs::read(keys.join(&name)).unwrap()))
        .collect();
    assert!(kept.len() >= 2, "a signing key and the data key: {kept:?}");
    for (path, _) in &kept {
        fs::remove_file(path).unwrap();
    }
    move || {
        use std::os::unix::fs::PermissionsExt as _;
        for (path, bytes) in kept {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A process that has taken a number of events, and its key.
async fn with_events(count: u64) -> (Process, String) {
    let mut gateway = Process::prepare();
    let key = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    publish(&gateway, &key, 1..=count).await;
    (gateway, key)
}

async fn publish(
    gateway: &Process,
    key: &str,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<String> {
    let mut ids = Vec::new();
    for number in numbers {
        let order = order_created(&format!("order-{number}"), number);
        ids.push(gateway.publish(key, &order).await);
    }
    ids
}

async fn refused(gateway: &mut Process) -> String {
    let before = gateway.log().len();
    assert!(!gateway.try_to_serve().await, "it serves");
    gateway.log().get(before..).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_key_directory_is_told_and_nothing_is_made_in_its_place() {
    let (mut gateway, _) = with_events(1).await;
    gateway.stop().await;
    let keys = gateway.directory().join("keys");
    let put_back = take_keys(&keys);

    let told = refused(&mut gateway).await;
    let checked = gateway.run(&["check"]);

    assert!(told.contains("the data key is lost") && told.contains(HOW), "{told}");
    assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
    assert!(said(&checked).contains(HOW), "{}", said(&checked));
    assert_eq!(key_files(&keys), Vec::<String>::new(), "no key is made");
    put_back();
    assert!(gateway.run(&["check"]).status.success());
    gateway.serve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_keys_are_gone_on_with_once_an_operator_adopts_them() {
    let (mut gateway, key) = with_events(2).await;
    let shared = json!({
        "id": "quiet", "consumer": "quiet", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    let created = gateway.call_as(&key, (Method::POST, "/subscriptions"), Some(&shared)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let busy = gateway.run(&["keys", "adopt"]);
    assert_eq!(busy.status.code(), Some(3), "beside a running gateway: {}", said(&busy));
    gateway.stop().await;
    drop(take_keys(&gateway.directory().join("keys")));

    let adopted = gateway.run(&["--output", "json", "keys", "adopt"]);

    assert!(adopted.status.success(), "{}", said(&adopted));
    let report: Value = serde_json::from_slice(&adopted.stdout).unwrap();
    assert_eq!(report["unopened"], json!(["quiet"]), "{report}");
    gateway.serve().await;
    publish(&gateway, &key, 3..=4).await;
    assert!(gateway.stop().await.success());
    let checked = gateway.run(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    gateway.serve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_secrets_tell_that_their_key_is_lost_in_a_log_that_names_none() {
    let mut gateway = TestGateway::start().await;
    let shared = json!({
        "id": "quiet", "consumer": "quiet", "protocol": "PULL",
        "config": { "keys": { "sharedSecret": true } },
    });
    gateway.post("/subscriptions", &shared).await;
    gateway.stop().await;
    let database = Connection::open(gateway.path("data/sealway.db")).unwrap();
    // As a gateway of before left it.
    database.execute("DELETE FROM records WHERE kind IN ('keys', 'log')", []).unwrap();
    drop(database);
    fs::remove_file(gateway.path("data/checkpoint.json")).unwrap();
    let beside = fs::read_dir(gateway.path("keys")).unwrap().map(|file| file.unwrap().path());
    let is_of_log =
        |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(".log-");
    beside.filter(is_of_log).for_each(|file| fs::remove_file(file).unwrap());
    let put_back = take_keys(&gateway.path("keys"));

    let told = gateway.refusal().await;

    assert!(told.contains("secrets in the log were sealed under it"), "{told}");
    assert!(told.contains(HOW), "{told}");
    put_back();
    gateway.start_again().await;
}

#[tokio::test]
async fn a_key_directory_that_is_lost_under_a_running_gateway_shows_in_readiness() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let keys = gateway.path("keys");
    let put_back = take_keys(&keys);
    let ready = async |wanted: u16| {
        eventually("readiness tells", async || {
            clock.advance(Duration::from_secs(5));
            let answer = gateway.call(Method::GET, "/health/ready", None).await;
            (answer.status == wanted).then_some(answer.body)
        })
        .await
    };

    let told = ready(503).await;

    assert!(told["detail"].as_str().unwrap().contains("key directory is lost"), "{told}");
    assert_eq!(key_files(&keys), Vec::<String>::new(), "no key is made");
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    put_back();
    ready(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_is_told_by_verify_and_by_a_start() {
    let (mut gateway, key) = with_events(30).await;
    assert!(gateway.stop().await.success());
    let (data, before) = (gateway.directory().join("data"), gateway.directory().join("before"));
    copy_directory(&data, &before);
    gateway.serve().await;
    let lost = publish(&gateway, &key, 31..=43).await;
    assert!(gateway.stop().await.success());
    assert!(gateway.run(&["log", "verify"]).status.success());

    fs::copy(before.join("sealway.db"), data.join("sealway.db")).unwrap();

    let verified = gateway.run(&["log", "verify"]);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    let finding = "the log ends at position 30";
    assert!(said(&verified).contains(finding), "{}", said(&verified));
    let told = refused(&mut gateway).await;
    assert!(told.contains(finding) && told.contains("up to 43"), "{told}");
    assert!(told.contains(RESTORED), "{told}");

    // The whole directory, with its checkpoint: the one beside the keys knows.
    copy_directory(&before, &data);
    let told = refused(&mut gateway).await;
    assert!(told.contains(finding) && told.contains("keys/.log-"), "{told}");

    let confirmed = gateway.run(&["log", "restored"]);
    assert!(confirmed.status.success(), "{}", said(&confirmed));
    gateway.serve().await;
    let after = publish(&gateway, &key, 44..=44).await;
    assert!(after[0] > *lost.last().unwrap(), "ids go on after those that were lost");
    assert!(gateway.stop().await.success());
    assert!(gateway.run(&["log", "verify"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_went_on_from_an_older_copy_is_told() {
    let (mut gateway, key) = with_events(3).await;
    assert!(gateway.stop().await.success());
    let (data, before) = (gateway.directory().join("data"), gateway.directory().join("before"));
    copy_directory(&data, &before);
    let keys = gateway.directory().join("keys");
    let kept = gateway.directory().join("kept");
    gateway.serve().await;
    publish(&gateway, &key, 4..=6).await;
    assert!(gateway.stop().await.success());
    fs::create_dir(&kept).unwrap();
    copy_directory(&keys, &kept);
    let checkpoint = fs::read(data.join("checkpoint.json")).unwrap();

    // Someone without the newest checkpoints goes on from the copy, further than the log was.
    copy_directory(&before, &data);
    for entry in fs::read_dir(&keys).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(".log-") {
            fs::remove_file(path).unwrap();
        }
    }
    gateway.serve().await;
    publish(&gateway, &key, 7..=12).await;
    assert!(gateway.stop().await.success());
    fs::write(data.join("checkpoint.json"), checkpoint).unwrap();

    let told = refused(&mut gateway).await;
    assert!(told.contains("position 6 of the log is not the event"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_logs_open_without_a_checkpoint_with_an_older_one_and_after_a_kill() {
    let (mut gateway, key) = with_events(3).await;
    assert!(gateway.stop().await.success());
    let place = gateway.directory().join("data/checkpoint.json");
    let older = fs::read(&place).unwrap();
    gateway.serve().await;
    publish(&gateway, &key, 4..=6).await;
    gateway.kill();
    fs::write(&place, older).unwrap();
    gateway.serve().await;
    gateway.kill();
    fs::remove_file(&place).unwrap();
    gateway.serve().await;
    assert!(gateway.stop().await.success());
    assert!(place.exists());
    let verified = gateway.run(&["log", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_delivers_nothing_before_an_operator_says_so() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    gateway.order(2).await;
    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    receiver.wait_for_delivered(2).await;
    let (data, copy) = (gateway.path("data"), gateway.path("copy.db"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let log = |arguments: &[&str]| {
        let mut command = crate::harness::program();
        let output = command.arg("log").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    log(&["backup", &text(&copy), "--data-dir", &text(&data)]);
    gateway.stop().await;
    let restored = gateway.path("restored");
    log(&["restore", &text(&copy), "--data-dir", &text(&restored)]);
    gateway.change(|config| config.data_dir.clone_from(&restored));

    let told = gateway.refusal().await;
    assert!(told.contains(RESTORED) && told.contains("--no-delivery"), "{told}");

    gateway.change(|config| config.no_delivery = true);
    gateway.start_again().await;
    let seen = receiver.arrivals().len();
    gateway.order(3).await;
    let shown = gateway.get("/events?limit=10").await;
    assert_eq!(shown["events"].as_array().unwrap().len(), 3, "{shown}");
    let ready = gateway.get("/health/ready").await;
    assert!(ready.as_str().unwrap().contains("not delivered"), "{ready}");
    for (method, path) in [
        ("POST", "/subscriptions/shop/verify"),
        ("POST", "/subscriptions/shop/replays"),
        ("DELETE", "/subscriptions/shop"),
        ("GET", "/subscriptions/shop/events"),
        ("GET", "/subscriptions/shop/stream"),
    ] {
        let answer = gateway.call(method.parse().unwrap(), path, Some(&json!({}))).await;
        assert_eq!(answer.status, 409, "{method} {path}: {}", answer.body);
        assert_eq!(answer.code(), "wrong-state");
    }
    gateway.stop().await;
    assert_eq!(receiver.arrivals().len(), seen, "nothing was sent");

    log(&["restored", "--data-dir", &text(&restored)]);
    gateway.change(|config| config.no_delivery = false);
    gateway.start_again().await;
    eventually("the event is delivered", async || (receiver.arrivals().len() > seen).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_moved_under_a_running_gateway_is_noticed_and_not_begun_anew() {
    let (mut gateway, key) = with_events(3).await;
    // The first look at the files lies behind the first event.
    let data = gateway.directory().join("data");
    eventually("a checkpoint is written", async || {
        data.join("checkpoint.json").exists().then_some(())
    })
    .await;

    fs::rename(data.join("sealway.db"), data.join("moved.db")).unwrap();

    let ended = eventually("the gateway ends", async || gateway.ended()).await;
    assert_eq!(ended.code(), Some(3), "{}", gateway.log());
    assert!(gateway.log().contains("was renamed, removed or replaced"), "{}", gateway.log());
    for beside in ["sealway.db-wal", "sealway.db-shm"] {
        let _ = fs::remove_file(data.join(beside));
    }
    let told = refused(&mut gateway).await;
    assert!(told.contains("there is no log beside"), "{told}");
    assert!(!data.join("sealway.db").exists(), "none is begun");

    fs::rename(data.join("moved.db"), data.join("sealway.db")).unwrap();
    gateway.serve().await;
    publish(&gateway, &key, 4..=4).await;
    fs::copy(data.join("sealway.db"), data.join("other.db")).unwrap();
    fs::rename(data.join("other.db"), data.join("sealway.db")).unwrap();
    let ended = eventually("the gateway ends", async || gateway.ended()).await;
    assert_eq!(ended.code(), Some(3), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_a_log_or_on_a_copy_of_it_is_told_who_is_there() {
    let (gateway, _) = with_events(3).await;
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let holder = format!("host {}, process {}", host.trim(), gateway.id());
    let address = || format!("127.0.0.1:{}", free_port());

    let second = gateway.run(&["serve", "--listen", &address()]);
    assert!(!second.status.success());
    assert!(said(&second).contains(&holder), "{}", said(&second));

    let copy = gateway.directory().join("copy");
    let data = gateway.directory().join("data");
    copy_directory(&data, &copy);
    let copy = copy.to_str().unwrap();
    let twin = gateway.run(&["serve", "--listen", &address(), "--data-dir", copy]);
    assert_eq!(twin.status.code(), Some(2), "{}", said(&twin));
    assert!(said(&twin).contains("a copy of this log"), "{}", said(&twin));
    assert!(said(&twin).contains(&holder), "{}", said(&twin));
}
