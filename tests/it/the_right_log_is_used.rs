//! Every command works on the log that is meant, says which one, and begins or changes no other in its place.

use std::fs;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use crate::harness::{Process, eventually, order_created, program};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A process that serves until it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Serves with more words than a plain start, until it is ready.
async fn serving(gateway: &Process, arguments: &[&str]) -> Serving {
    let arguments: Vec<_> = ["serve"].iter().chain(arguments).copied().collect();
    let mut command = gateway.command(&arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let serving = Serving(child);
    let ready = format!("{}/health/ready", gateway.issuer());
    eventually("the gateway is ready", async || {
        reqwest::get(&ready).await.ok()?.status().is_success().then_some(())
    })
    .await;
    serving
}

#[test]
fn every_command_that_opens_the_data_directory_lists_the_option_and_the_variable() {
    for command in [
        "callers add",
        "callers change",
        "callers list",
        "callers remove",
        "check",
        "issuer move",
        "issuer show",
        "keys adopt",
        "keys generate",
        "keys revoke",
        "keys rotate",
        "log backup",
        "log key",
        "log restore",
        "log restored",
        "log verify",
        "serve",
    ] {
        let help = program().args(command.split(' ')).arg("--help").output().unwrap();
        let help = said(&help);
        assert!(help.contains("--data-dir <DIR>"), "{command}: {help}");
        assert!(help.contains("SEALWAY_DATA_DIR"), "{command}: {help}");
    }
}

#[test]
fn the_variable_and_the_option_count_for_every_command_and_nothing_is_made_elsewhere() {
    let gateway = Process::prepare();
    let (own, other) = (gateway.directory().join("data"), gateway.directory().join("other"));
    let elsewhere = |arguments: &[&str]| {
        gateway.command(arguments).env("SEALWAY_DATA_DIR", &other).output().unwrap()
    };

    let added = elsewhere(&["callers", "add", "shop", "--scope", "consume:shop"]);
    assert!(added.status.success(), "{}", said(&added));
    let named = format!("data directory: {}", other.display());
    assert!(said(&added).contains(&named), "{}", said(&added));
    assert!(other.join("sealway.db").is_file() && !own.exists());

    let copy = gateway.directory().join("copy.db");
    for arguments in [
        &["callers", "list"][..],
        &["check"],
        &["log", "verify"],
        &["log", "backup", text(&copy)],
        &["callers", "change", "shop", "--scope", "admin"],
        &["keys", "generate"],
        &["log", "key"],
    ] {
        let done = elsewhere(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", said(&done));
        assert!(said(&done).contains(&named), "{arguments:?}: {}", said(&done));
    }
    let listed = gateway.run(&["callers", "list", "--data-dir", text(&other)]);
    assert!(said(&listed).contains("admin"), "{}", said(&listed));
    for arguments in [&["callers", "list"][..], &["callers", "remove", "shop"], &["issuer", "show"]]
    {
        let refused = gateway.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains("there is no log in "), "{}", said(&refused));
    }
    assert!(!own.exists(), "whoever looks at a log makes none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_beside_keys_that_know_a_log_begins_none_unless_that_is_said() {
    let mut gateway = Process::prepare();
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    gateway.publish(&admin, &order_created("order-1", 1)).await;
    assert!(gateway.stop().await.success());
    let (data, away) = (gateway.directory().join("data"), gateway.directory().join("away"));
    fs::rename(&data, &away).unwrap();
    fs::create_dir(&data).unwrap();
    let is_empty = || fs::read_dir(&data).unwrap().next().is_none();

    assert!(!gateway.try_to_serve().await, "the volume is not mounted");
    let told = gateway.log();
    assert!(told.contains("which had come to position 1 at "), "{told}");
    let begin = format!("serve --new-log --config {}", text(&gateway.settings()));
    assert!(told.contains(&begin), "{told}");
    for arguments in [&["check"][..], &["callers", "add", "shop", "--scope", "consume:shop"]] {
        let refused = gateway.run(arguments);
        assert!(!refused.status.success(), "{}", said(&refused));
        assert!(said(&refused).contains("which had come to position 1"), "{}", said(&refused));
    }
    assert!(is_empty(), "nothing was begun");

    fs::remove_dir(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    gateway.serve().await;
    assert!(gateway.stop().await.success());

    fs::rename(&data, &away).unwrap();
    drop(serving(&gateway, &["--new-log"]).await);
    assert!(!is_empty());
    gateway.serve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_that_lacks_nothing_is_not_taken_for_the_one_that_was_restored() {
    let mut gateway = Process::prepare();
    let admin = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    gateway.publish(&admin, &order_created("order-1", 1)).await;
    let (copy, rest) = (gateway.directory().join("one.db"), gateway.directory().join("the rest"));
    assert!(gateway.run(&["log", "backup", text(&copy)]).status.success());
    assert!(gateway.stop().await.success());
    let restored = gateway.run(&["log", "restore", text(&copy), "--data-dir", text(&rest)]);
    assert!(restored.status.success(), "{}", said(&restored));

    let words = said(&restored);
    let hint = words.split('`').find(|part| part.starts_with("sealway log restored")).unwrap();
    let whole = format!(
        "sealway log restored --config {} --data-dir '{}'",
        text(&gateway.settings()),
        rest.display()
    );
    assert_eq!(hint, whole, "{words}");
    let slip = gateway.run(&["log", "restored"]);
    assert_eq!(slip.status.code(), Some(2), "{}", said(&slip));
    assert!(said(&slip).contains("lacks nothing that is known of it"), "{}", said(&slip));
    assert!(said(&slip).contains("log restored --force --config "), "{}", said(&slip));

    let arguments = hint.strip_prefix("sealway").unwrap();
    let mut shell = std::process::Command::new("sh");
    let line = format!("{}{arguments}", text(Path::new(program().get_program())));
    let confirmed = shell.args(["-c", &line]).output().unwrap();
    assert!(confirmed.status.success(), "{}", said(&confirmed));
    gateway.serve().await;
    assert!(gateway.stop().await.success());
    let told = serde_json::from_slice::<serde_json::Value>(
        &gateway.run(&["--output", "json", "log", "restored", "--force"]).stdout,
    );
    assert!(told.unwrap()["incarnation"].as_u64() >= Some(2), "whoever insists is obeyed");
}
