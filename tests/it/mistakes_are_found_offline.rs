//! `sealway check` finds every mistake that people make in files, at its place, without a gateway.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A copy of the repository's settings, contracts and publications.
fn settings() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["config", "config/publications", "config/grants", "asyncapi"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        fs::create_dir(copy.path().join(folder)).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), copy.path().join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    copy
}

/// Replaces a text in a file of the copy.
fn change(copy: &tempfile::TempDir, file: &str, from: &str, to: &str) {
    let path = copy.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Runs a command in the copy and gives its exit code, output and complaints.
fn sealway(copy: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sealway"))
        .args(arguments)
        .current_dir(copy.path())
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_repository_has_no_mistake() {
    let (code, _, said) = sealway(&settings(), &["check"]);

    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("no mistake in config/gateway.yaml, 2 contracts, 5 publications"),
        "{said}"
    );
}

#[test]
fn a_misspelled_setting_is_shown_with_the_right_one_and_exit_code_2() {
    let copy = settings();
    change(&copy, "config/gateway.yaml", "  max-body: 2 MiB", "  max-bodi: 2 MiB");

    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unknown key `max-bodi`"), "{said}");
    assert!(said.contains("did you mean `max-body`?"), "{said}");
}

#[test]
fn a_mistake_in_a_contract_and_one_in_a_publication_are_found_in_one_run() {
    let copy = settings();
    change(&copy, "asyncapi/orders.yaml", "type: integer", "type: intiger");
    change(&copy, "config/publications/payments.yaml", "op: copy", "op: kopy");

    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("asyncapi/orders.yaml:"), "{said}");
    assert!(said.contains("config/publications/payments.yaml:"), "{said}");
}

#[test]
fn a_mistake_in_one_domain_leaves_the_others_tried_and_the_log_read() {
    let copy = settings();
    change(&copy, "asyncapi/payments.yaml", "type: integer", "type: intiger");
    change(&copy, "config/publications/payments.yaml", "    when:", "    dedup: 5m\n    when:");
    let orders = "config/publications/orders.yaml";
    change(&copy, orders, "/data/amount }\n", "/data/amount }\n      - { op: kopy }\n");
    fs::create_dir(copy.path().join("data")).unwrap();
    fs::write(copy.path().join("data/sealway.db"), "no database at all ".repeat(500)).unwrap();

    let (code, _, said) = sealway(&copy, &["check", "--verbose"]);

    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("orders/Order.Completed: rehearsed with "), "{said}");
    assert!(said.contains("unknown key `dedup`") && said.contains("kopy"), "{said}");
    assert!(said.contains("whether the schemas of events in the log have changed"), "{said}");
}

#[test]
fn a_patch_that_writes_what_the_contract_does_not_declare_is_found_at_its_operation() {
    let copy = settings();
    change(&copy, "config/publications/orders.yaml", "/data/orderId", "/data/orderNumber");

    let (code, said, _) = sealway(&copy, &["check", "--output", "json"]);

    assert_eq!(code, Some(1), "{said}");
    let mistakes: Value = serde_json::from_str(&said).unwrap();
    let problems: Vec<&str> =
        mistakes.as_array().unwrap().iter().map(|one| one["problem"].as_str().unwrap()).collect();
    assert_eq!(mistakes[0]["file"], "config/publications/orders.yaml", "{said}");
    assert_eq!(mistakes[0]["severity"], "error", "{said}");
    assert!(mistakes[0]["line"].is_u64() && mistakes[0]["column"].is_u64(), "{said}");
    assert_eq!(problems.len(), 2, "{said}");
    assert!(problems.iter().any(|one| one.contains("does not declare `/data/orderNumber`")));
    assert!(problems.iter().any(|one| one.contains("requires `/data/orderId`")), "{said}");
    assert!(said.contains("did you mean `orderId`?"), "{said}");
}

#[test]
fn every_mistake_of_a_publication_file_is_told_in_one_run() {
    let copy = settings();
    let file = "config/publications/orders.yaml";
    change(&copy, file, "    patch:", "    deduplicat: 5m\n    mode: look\n    patch:");
    change(&copy, file, "op: copy, from: /", "op: copy, from: ");

    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(1), "{said}");
    for words in ["unknown key `deduplicat`", "unknown value `look`", "is not a pointer"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert!(said.contains("3 mistakes"), "{said}");
}

#[test]
fn a_warning_alone_leaves_the_exit_code_at_0() {
    let copy = settings();
    change(&copy, "config/publications/orders.yaml", "source: /", "type-prefix: com.x\nsource: /");

    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: types would begin with `com.x`"), "{said}");
    assert!(said.contains(", 1 warning"), "{said}");
}

#[test]
fn how_each_publication_was_rehearsed_is_said() {
    let copy = settings();
    change(&copy, "asyncapi/payments.yaml", "examples:", "x-examples:");

    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("orders/Order.Created: rehearsed with 2 examples\n"), "{said}");
    let by_samples =
        |line: &&str| line.starts_with("payments/") && line.contains("made from the schema (");
    assert!(said.lines().any(|line| by_samples(&line)), "{said}");

    let (_, list, _) = sealway(&copy, &["check", "--output", "json"]);
    assert_eq!(list.trim(), "[]");
    let (_, both, _) = sealway(&copy, &["check", "--output", "json", "--rehearsals"]);
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both["mistakes"], Value::Array(Vec::new()));
    assert_eq!(both["rehearsals"][0]["publication"], "orders/Order.Created");
    assert_eq!(both["rehearsals"][0]["examples"], 2);
}

#[test]
fn a_publication_without_examples_is_found_wrong_by_samples_at_its_operation() {
    let copy = settings();
    change(&copy, "asyncapi/orders.yaml", "examples:", "x-examples:");
    change(&copy, "config/publications/orders.yaml", "from: /detail/id", "from: /time");

    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("config/publications/orders.yaml:11:"), "{said}");
    assert!(said.contains("tried with sample `ordinary` of orders.yaml"), "{said}");
    assert!(said.contains("sealway contract sample orders.yaml Order.Created"), "{said}");
}

#[test]
fn samples_of_a_message_are_printed_and_keep_it() {
    let copy = settings();
    let sample = |more: &[&str]| {
        let arguments = ["contract", "sample", "asyncapi/orders.yaml", "Order.Created"];
        sealway(&copy, &[&arguments[..], more].concat())
    };

    let (code, one, _) = sample(&[]);
    assert_eq!((code, one.lines().count()), (Some(0), 1), "{one}");
    let data: Value = serde_json::from_str(&one).unwrap();
    assert!(data["orderId"].is_number(), "{one}");
    let (_, edges, _) = sample(&["--edges"]);
    assert!(edges.lines().count() > 2 && edges.starts_with(&one), "{edges}");
    let (_, varied, _) = sample(&["--count", "5", "--seed", "7"]);
    assert_eq!(varied.lines().count(), 5, "{varied}");
    assert_eq!(sample(&["--count", "5", "--seed", "7"]).1, varied);
    let (_, list, _) = sample(&["--edges", "--output", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list[0]["kind"], &list[0]["data"]), (&"ordinary".into(), &data));
    assert_eq!(list[1]["kind"], "edge");

    let (code, _, said) = sealway(&copy, &["contract", "sample", "orders.yaml", "Order.Lost"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("has no message `Order.Lost`") && said.contains("Order.Created"),
        "{said}"
    );
}

#[test]
fn a_member_of_an_operation_that_nobody_knows_is_a_warning_and_no_mistake() {
    let copy = settings();
    let operation = "{ op: copy, from: /detail/id, path: /data/orderId }";
    let with = operation.replace(" }", ", optinal: true }");
    change(&copy, "config/publications/payments.yaml", operation, &with);

    let (_, shown, _) = sealway(&copy, &["check", "--output", "json"]);
    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("config/publications/payments.yaml:"), "{said}");
    assert!(said.contains("warning: `copy` has no `optinal`, which is ignored"), "{said}");
    assert!(said.contains("did you mean `optional`?"), "{said}");
    assert!(said.contains("5 publications") && said.contains(", 1 warning"), "{said}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["severity"], "warning", "{shown}");
}

#[test]
fn a_broken_subscription_file_is_found() {
    let copy = settings();
    fs::create_dir(copy.path().join("config/subscriptions")).unwrap();
    fs::write(copy.path().join("config/subscriptions/a.yaml"), "consumer: x\nsinc: y\n").unwrap();

    let (code, _, said) = sealway(&copy, &["check"]);

    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("config/subscriptions/a.yaml:2:1: unknown key `sinc`"), "{said}");
}

#[test]
fn a_secret_that_is_missing_is_a_mistake_of_this_machine_only() {
    let copy = settings();
    change(&copy, "config/gateway.yaml", "passphrase: null", "passphrase: { env: NOT_SET }");

    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("environment variable NOT_SET"), "{said}");

    assert_eq!(sealway(&copy, &["check", "--files-only"]).0, Some(0));
}

#[test]
fn checking_makes_no_keys_and_no_log() {
    let copy = settings();

    sealway(&copy, &["check"]);

    assert!(!copy.path().join("keys").exists() && !copy.path().join("data").exists());
}

#[test]
fn what_is_wrong_is_said_once() {
    let copy = settings();
    fs::create_dir(copy.path().join("config/subscriptions")).unwrap();
    let document =
        "id: a\nconsumer: shop\nsink: nowhere\nconfig: { keys: { sharedSecret: true } }\n";
    fs::write(copy.path().join("config/subscriptions/a.yaml"), document).unwrap();
    fs::write(copy.path().join("foreign.db"), "no database at all ".repeat(500)).unwrap();

    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("/sink").count(), 1, "{said}");
    let (code, _, said) = sealway(&copy, &["log", "verify", "foreign.db"]);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(said.matches("file is not a database").count(), 1, "{said}");
}

#[test]
fn a_contract_that_contradicts_the_cloudevent_is_told_at_its_line_and_names_the_publication() {
    let copy = settings();
    let payload = "        payload:
          properties:
            specversion: { const: '1.0' }
            id: { format: uuid }
            source: { const: /orders }
            type: { enum: [com.x.v1, com.x.v2] }
            data: { type: object, properties: { orderId: { type: integer } } }
";
    let contract = format!(
        "asyncapi: 3.0.0\ninfo: {{ title: X, version: 1.0.0 }}\nchannels:\n  x:\n    messages:\n      \
         X.Happened:\n{payload}"
    );
    fs::write(copy.path().join("asyncapi/x.yaml"), contract).unwrap();
    let publication = "domain: x\ncontract: asyncapi/x.yaml\npublications:\n  - event: X.Happened\n    \
        when: { source: [a] }\n    patch: [{ op: copy, from: /detail/id, path: /data/orderId }]\n";
    fs::write(copy.path().join("config/publications/x.yaml"), publication).unwrap();

    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(1), "{said}");
    let error = "asyncapi/x.yaml:12:13: publication `x/X.Happened`: its `type` is `X.Happened`";
    assert!(said.contains(error) && said.contains("1 mistake"), "{said}");
    let warning = "asyncapi/x.yaml:10:13: warning: publication `x/X.Happened`: `id` is a ULID";
    assert!(said.contains(warning), "{said}");

    change(&copy, "asyncapi/x.yaml", "enum: [com.x.v1, com.x.v2]", "const: com.x.v1");
    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(warning) && said.contains("no mistake"), "{said}");

    change(&copy, "asyncapi/x.yaml", "source: { const: /orders }", "source: true");
    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(1), "{said}");
    let lacking = "config/publications/x.yaml:4:12: `x/X.Happened` has no `source`";
    assert!(said.contains(lacking), "{said}");
}

#[test]
fn a_publication_without_its_message_is_shown_where_it_names_it() {
    let copy = settings();
    let file = "config/publications/orders.yaml";
    change(&copy, file, "event: Order.Created", "event: Order.Created\n    message: Nope");
    let (code, _, said) = sealway(&copy, &["check"]);
    assert_eq!(code, Some(1), "{said}");
    let told =
        "orders.yaml:9:14: publication `orders/Order.Created`: `orders.yaml` has no message `Nope`";
    assert!(said.contains(told), "{said}");

    let copy = settings();
    change(&copy, file, "asyncapi/orders.yaml", "asyncapi/other.yaml");
    let (_, _, said) = sealway(&copy, &["check"]);
    assert!(said.contains("config/publications/orders.yaml:4:1: publication"), "{said}");
    assert!(said.contains("there is no contract `other.yaml`"), "{said}");
}
