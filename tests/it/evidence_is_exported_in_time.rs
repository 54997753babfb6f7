//! Bundles are written by schedule, chained, and before retention drops what they are about.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};
use sealway::archive::ExportConfig;

use crate::harness::aws::Emulator;
use crate::harness::{
    Load, PROMPT_RETRIES, Process, Receiver, Reply, TestGateway, eventually, program,
};

const DAY: Duration = Duration::from_hours(24);

/// Settings that export every hour.
fn exporting(to: &Path, more: &str) -> ExportConfig {
    let text = format!(r#"{{"to": "{}", "every": "1h"{more}}}"#, to.display());
    serde_json::from_str(&text).unwrap()
}

/// The bundles of a subscription, in the order of their names.
fn bundles(folder: &Path, subscription: &str) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder.join(subscription)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Runs `sealway evidence verify` on several files, and gives its exit code and what it says.
fn verify_all<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> (i32, Value) {
    let mut command = program();
    let ended: Output =
        command.args(["--output", "json", "evidence", "verify"]).args(files).output().unwrap();
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    (ended.status.code().unwrap(), serde_json::from_slice(&ended.stdout).unwrap())
}

/// Lets time pass until there are bundles of `shop` up to a number; gives all of them.
async fn wait_for_bundles(
    gateway: &TestGateway,
    (folder, clock): (&Path, &ManualClock),
    number: u64,
) -> Vec<PathBuf> {
    eventually(format!("bundles up to number {number}"), async || {
        clock.advance(Duration::from_mins(10));
        let listed = gateway.get("/evidence/exports").await;
        let shown = &listed["exports"][0];
        (shown["sequence"] == number && shown["waiting"] == false).then_some(())
    })
    .await;
    bundles(folder, "shop")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_follow_each_other_and_a_missing_or_altered_one_is_told() {
    let clock = ManualClock::at(SystemClock.now().before(DAY * 10));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("evidence");
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.evidence.export = Some(exporting(&to, ""));
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let mut found = Vec::new();
    for round in 0..4_u64 {
        gateway.orders(round * 3 + 1..=round * 3 + 3).await;
        receiver.wait_for_delivered(usize::try_from(round * 3 + 3).unwrap()).await;
        found = wait_for_bundles(&gateway, (&to, &clock), round * 3 + 3).await;
    }

    let (code, said) = verify_all(&found);
    assert_eq!((code, &said["verdict"]), (4, &json!("consistent")), "{said}");
    assert_eq!((&said["from-start"], &said["flaws"]), (&json!(true), &json!([])), "{said}");
    let events = said["bundles"].as_array().unwrap().iter().map(|one| one["events"].as_u64());
    assert_eq!(events.map(Option::unwrap).sum::<u64>(), 12);
    let jwks = folder.path().join("jwks.json");
    fs::write(&jwks, gateway.get("/.well-known/jwks.json").await.to_string()).unwrap();
    let flag = [PathBuf::from("--jwks"), jwks];
    assert_eq!(verify_all(found.iter().chain(&flag)).0, 0);
    for file in &found {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(fs::read_dir(&to).unwrap().count() == 1, "nothing else is left there");

    let (code, said) = verify_all([&found[0], &found[2], &found[3]]);
    assert_eq!((code, said["flaws"].as_array().unwrap().len()), (1, 1), "{said}");
    assert!(said["flaws"][0]["problem"].as_str().unwrap().contains("one is missing"), "{said}");
    assert_eq!(said["flaws"][0]["file"], json!(found[2]), "{said}");
    let (code, said) = verify_all([&found[1], &found[0]]);
    assert_eq!((code, said["flaws"].as_array().unwrap().len()), (1, 1), "{said}");
    let (code, said) = verify_all([&found[2], &found[3]]);
    assert_eq!((code, &said["from-start"]), (4, &json!(false)), "{said}");
    let alone = folder.path().join("alone.ndjson");
    let whole = gateway.request(Method::GET, "/subscriptions/shop/evidence");
    let whole = whole.bearer_auth(gateway.admin()).send().await.unwrap().text().await.unwrap();
    fs::write(&alone, whole).unwrap();
    let (code, said) = verify_all([&found[3], &alone]);
    assert!(said["flaws"][0]["problem"].as_str().unwrap().contains("in no series"), "{said}");
    assert_eq!(code, 1);

    let listed = gateway.get("/evidence/exports").await;
    let shown = &listed["exports"][0];
    let name = found.last().unwrap().strip_prefix(&to).unwrap();
    assert_eq!((&shown["bundle"], &shown["sequence"]), (&json!(name), &json!(12)), "{listed}");
    assert_eq!((&shown["waiting"], &shown["problem"]), (&json!(false), &Value::Null), "{listed}");
    let auditor = gateway.add_caller("auditor", &["audit"]).await;
    let told = program()
        .args(["--gateway", &gateway.issuer(), "evidence", "exports"])
        .env("SEALWAY_CALLER_KEY", auditor)
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("shop") && told.contains("ndjson"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_their_bundle_and_not_for_ever() {
    let clock = ManualClock::at(SystemClock.now().before(DAY * 100));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("evidence");
    // A file where the folder should be: nothing can be written.
    fs::write(&to, "").unwrap();
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.evidence.export = Some(exporting(&to, r#", "hold": "5days""#));
        config.log.retention.age = Some(HumanDuration(DAY));
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=3).await;
    receiver.wait_for_delivered(3).await;
    let kept = async || {
        let listed = gateway.get("/events?limit=1000").await;
        listed["events"].as_array().unwrap().len()
    };
    let ready = async || {
        let request = gateway.request(Method::GET, "/health/ready");
        request.send().await.unwrap().text().await.unwrap()
    };

    eventually("that nothing can be written is told", async || {
        clock.advance(Duration::from_hours(1));
        ready().await.contains("a bundle of evidence cannot be written").then_some(())
    })
    .await;
    let shown = gateway.get("/evidence/exports").await;
    assert!(shown["exports"][0]["problem"].as_str().unwrap().contains("cannot"), "{shown}");
    // Far beyond their age, and within the time that they wait.
    for _ in 0..60 {
        clock.advance(Duration::from_hours(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(kept().await, 3, "they wait for their bundle");
    eventually("they have waited long enough", async || {
        clock.advance(Duration::from_hours(2));
        (kept().await == 0).then_some(())
    })
    .await;
    eventually("what went without a bundle is counted once it has gone", async || {
        let metrics = gateway.request(Method::GET, "/metrics").bearer_auth(gateway.admin());
        let metrics = metrics.send().await.unwrap().text().await.unwrap();
        let lost = r#"sealway_evidence_lost_events_total{subscription="shop"} 3"#;
        metrics.contains(lost).then_some(())
    })
    .await;

    fs::remove_file(&to).unwrap();
    gateway.orders(4..=5).await;
    receiver.wait_for_delivered(5).await;
    let all = wait_for_bundles(&gateway, (&to, &clock), 5).await;
    let (code, said) = verify_all(&all);
    assert_eq!(code, 4, "{said}");
    let text: String = all.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(text.matches(r#""kind":"event""#).count(), 2, "the others are gone");
    eventually("all is well again", async || (ready().await == "ready\n").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_lost_to_a_series_are_told_by_the_next_bundle() {
    let clock = ManualClock::at(SystemClock.now().before(DAY * 100));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("evidence");
    let mut gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.evidence.export = Some(exporting(&to, ""));
        config.log.retention.age = Some(HumanDuration(DAY));
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;
    wait_for_bundles(&gateway, (&to, &clock), 2).await;
    // Nothing is exported for a while.
    gateway.restart_with(|config| config.evidence.export = None).await;
    gateway.orders(3..=5).await;
    receiver.wait_for_delivered(5).await;
    eventually("they are dropped", async || {
        clock.advance(Duration::from_hours(1));
        let listed = gateway.get("/events?limit=1000").await;
        listed["events"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    gateway.restart_with(|config| config.evidence.export = Some(exporting(&to, ""))).await;
    gateway.orders(6..=7).await;
    receiver.wait_for_delivered(7).await;

    let all = wait_for_bundles(&gateway, (&to, &clock), 7).await;

    let (code, said) = verify_all(&all);
    assert_eq!((code, &said["dropped"], &said["withheld"]), (4, &json!(3), &json!(0)), "{said}");
}

/// The bundles of a subscription make one series from number 1 to the last, each number once.
fn is_one_series(files: &[PathBuf]) -> u64 {
    let mut next = 1;
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["kind"] == "event" {
                assert_eq!(line["seq"], json!(next), "{}", file.display());
                next += 1;
            }
        }
    }
    if let [_, _, ..] = files {
        let (code, said) = verify_all(files);
        assert_eq!((code, &said["flaws"]), (4, &json!([])), "{said}");
        assert_eq!((&said["from-start"], &said["dropped"]), (&json!(true), &json!(0)), "{said}");
    }
    next - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_has_no_gap_and_no_double_though_the_gateway_is_killed_again_and_again() {
    let mut gateway = Process::prepare_with(PROMPT_RETRIES)
        .keeping("every: 100ms, age: 500ms")
        .with_settings("evidence: { export: { to: evidence, every: 1s, hold: 1h } }");
    let mut load = Load::on(&gateway).await;
    gateway.serve().await;
    load.subscribe("steady", json!({}), Reply::Status(204)).await;
    load.subscribe("failing", json!({ "config": { "maximumRetryAttempts": 1 } }), Reply::Mostly(3))
        .await;
    let folder = gateway.directory().join("evidence");
    for round in 0..5_u64 {
        let before = bundles(&folder, "steady").len();
        // Bundles seal every event anew: more than this, and a busy machine is behind for longer than is waited.
        let working = load.work(1, Duration::from_millis(25), &[]);
        eventually("bundles are written", async || {
            (bundles(&folder, "steady").len() > before).then_some(())
        })
        .await;
        // At another moment of the next bundle each time.
        tokio::time::sleep(Duration::from_millis(round * 170)).await;
        gateway.kill();
        let produced = working.end().await;
        load.add(produced);
        gateway.serve().await;
    }
    load.settle().await;

    for name in ["steady", "failing"] {
        let shown = load.caller.get(&format!("/subscriptions/{name}")).await.unwrap();
        let sequence = shown["progress"]["sequence"].as_u64().unwrap();
        eventually(format!("{name} is exported"), async || {
            let listed = load.caller.get("/evidence/exports").await?;
            let exports = listed["exports"].as_array()?;
            let own = exports.iter().find(|export| export["subscription"] == *name)?;
            (own["sequence"].as_u64()? == sequence).then_some(())
        })
        .await;
        assert_eq!(is_one_series(&bundles(&folder, name)), sequence, "{name}");
    }
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_holds_the_same_series_and_nothing_in_it_is_overwritten() {
    let emulator = Emulator::moto().await;
    let bucket = format!("{}/proofs", emulator.url().trim_end_matches('/'));
    let http = reqwest::Client::new();
    let made = http.put(&bucket).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let mut gateway = Process::prepare_with(PROMPT_RETRIES)
        .with_settings(
            "evidence: { export: { to: 's3://proofs/a/b', every: 1s, region: us-east-1 } }",
        )
        .with_aws(emulator.url(), "AKIATEST");
    let mut load = Load::on(&gateway).await;
    gateway.serve().await;
    load.subscribe("steady", json!({}), Reply::Status(204)).await;
    let names = async || {
        let listed = http.get(&bucket).send().await.unwrap().text().await.unwrap();
        let keys = listed.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap());
        keys.map(str::to_owned).collect::<Vec<_>>()
    };
    for round in 1..=3_usize {
        let working = load.work(1, Duration::from_millis(5), &[]);
        eventually("objects are there", async || (names().await.len() > round).then_some(())).await;
        gateway.kill();
        let produced = working.end().await;
        load.add(produced);
        gateway.serve().await;
    }
    load.settle().await;
    let shown = load.caller.get("/subscriptions/steady").await.unwrap();
    let sequence = shown["progress"]["sequence"].as_u64().unwrap();
    eventually("all is exported", async || {
        let listed = load.caller.get("/evidence/exports").await?;
        (listed["exports"][0]["sequence"].as_u64()? == sequence).then_some(())
    })
    .await;

    let mut files = Vec::new();
    for name in names().await {
        assert!(name.starts_with("a/b/steady/"), "{name}");
        // Whoever says a name may read there; whose it is, is not looked at.
        let signed = "AWS4-HMAC-SHA256 Credential=reader/20261130/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=0";
        let object = http.get(format!("{bucket}/{name}")).header("authorization", signed);
        let object = object.send().await.unwrap();
        assert!(object.status().is_success(), "{object:?}");
        let file = gateway.directory().join(name.rsplit('/').next().unwrap());
        fs::write(&file, object.bytes().await.unwrap()).unwrap();
        files.push(file);
    }
    assert_eq!(is_one_series(&files), sequence);
    assert_eq!(fs::read_dir(gateway.directory().join("data/evidence-spool")).unwrap().count(), 0);
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_dialed_only_where_the_guard_lets_it() {
    let clock = ManualClock::at(SystemClock.now().before(DAY * 10));
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        let text = r#"{"to": "s3://proofs", "every": "1h", "region": "us-east-1",
                       "endpoint-url": "http://10.0.0.1:9000"}"#;
        config.evidence.export = Some(serde_json::from_str(text).unwrap());
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;

    let problem = eventually("it cannot be reached", async || {
        clock.advance(Duration::from_mins(30));
        let shown = gateway.get("/evidence/exports").await;
        shown["exports"][0]["problem"].as_str().map(str::to_owned)
    })
    .await;

    assert!(!problem.contains("secret"), "{problem}");
    assert_eq!(gateway.get("/evidence/exports").await["exports"][0]["waiting"], json!(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_looked_through_in_vain_is_not_read_again_each_time() {
    let clock = ManualClock::at(SystemClock.now().before(DAY * 10));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("evidence");
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.evidence.export = Some(exporting(&to, ""));
    })
    .await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "types": ["Payment.*"] })).await;
    gateway.orders(1..=300).await;
    // What deciding takes while the log is read.
    let steps = async || {
        let metrics = gateway.get("/metrics").await;
        let place = "sealway_filter_steps_total{place=\"reading\"} ";
        let line = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(place));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let mut number = 301..;
    let mut round = async || {
        let before = steps().await;
        gateway.order(number.next().unwrap()).await;
        eventually("it is looked for what to export", async || {
            clock.advance(Duration::from_mins(10));
            (steps().await > before).then_some(())
        })
        .await;
        // The rest of the round.
        let mut last = 0;
        eventually("the look has ended", async || {
            let now = steps().await;
            (std::mem::replace(&mut last, now) == now).then_some(())
        })
        .await;
        last - before
    };
    assert!(round().await >= 300, "all of the log is looked through once");

    for _ in 0..3 {
        let taken = round().await;
        assert!(taken < 100, "{taken} steps for an event or two");
    }
    assert!(bundles(&to, "shop").is_empty());
}
