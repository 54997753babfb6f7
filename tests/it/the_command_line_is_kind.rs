//! The command line points the right way: its help, its hints, and how it ends where nobody reads on.

use std::process::Stdio;

use serde_json::json;

use crate::consumers_hear_what_they_are_granted::pull;
use crate::harness::{Receiver, TestGateway, eventually, program};

/// The help of a command.
fn help(path: &[&str]) -> String {
    let ended = program().args(path).arg("--help").output().unwrap();
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn the_options_of_a_command_come_before_those_of_every_command() {
    for (path, own) in [
        (&["subscriptions", "list"][..], "--state"),
        (&["dead-letters", "redrive"], "--reason"),
        (&["events", "put"], "--receipts"),
        (&["quarantine", "release"], "--dry-run"),
        (&["callers", "add"], "--scope"),
        (&["evidence", "verify"], "--jwks"),
    ] {
        let help = help(path);
        let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
        let heading = place("\nOptions of every command:\n");
        assert!(place(&format!(" {own}")) < heading, "{help}");
        for global in
            ["--config ", "--gateway ", "--caller-key ", "--output ", "--log ", "--because "]
        {
            assert!(place(global) > heading, "{global}: {help}");
        }
    }
}

// The commands block, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_says_where_it_goes_on_only_where_something_follows() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(crate::harness::Reply::Status(500));
    gateway.orders(1..=2).await;
    eventually("both are dead letters", async || {
        let counts = gateway.get("/subscriptions/shop/dead-letters/counts").await;
        (counts["total"] == 2).then_some(())
    })
    .await;
    for step in ["pause", "resume"] {
        gateway.post(&format!("/subscriptions/shop/{step}"), &json!({})).await;
    }
    let remarks = |arguments: &[&str]| {
        let mut command = program();
        command.args(["--gateway", &gateway.issuer()]).env("SEALWAY_CALLER_KEY", gateway.admin());
        String::from_utf8(command.args(arguments).output().unwrap().stderr).unwrap()
    };
    for (list, option) in [
        (&["dead-letters", "list", "shop"][..], "--after"),
        (&["actions"], "--before"),
        (&["events", "list"], "--from"),
    ] {
        let whole = remarks(list);
        assert!(!whole.contains("for what comes after"), "{list:?}: {whole}");
        let part = remarks(&[list, &["--limit", "1"]].concat());
        assert!(
            part.contains(&format!("for what comes after these: {option}")),
            "{list:?}: {part}"
        );
    }
    let none = remarks(&["dead-letters", "list", "shop", "--after", "2"]);
    assert!(!none.contains("for what comes after"), "{none}");
}

// The commands block, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_reader_has_gone_ends_in_silence() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    let id = pull(&gateway, &receiver, "latest").await;
    gateway.orders(1..=3).await;
    eventually("all are ready", async || {
        (gateway.get(&format!("/subscriptions/{id}")).await["progress"]["underWay"] == 3)
            .then_some(())
    })
    .await;
    for arguments in [
        &["subscriptions", "pull", &id, "--keep"][..],
        &["subscriptions", "pull", &id],
        &["subscriptions", "list"],
        &["subscriptions", "why", &id],
        &["events", "list"],
        &["--output", "json", "actions"],
        &["evidence", "export", "--subscription", &id, "-"],
    ] {
        let mut command = program();
        command.args(["--gateway", &gateway.issuer()]).env("SEALWAY_CALLER_KEY", gateway.admin());
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        drop(running.stdout.take());
        let ended = running.wait_with_output().unwrap();
        let remarks = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(141), "{arguments:?}: {remarks}");
        for noise in ["ipe", "error", "panic"] {
            assert!(!remarks.contains(noise), "{arguments:?}: {remarks}");
        }
    }
    let shown = gateway.get(&format!("/subscriptions/{id}")).await;
    assert_eq!(shown["progress"]["underWay"], 3, "what was not written is not acknowledged");
}
