//! The files below `config/` show every setting with its default, and their schemas are true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sealway::access::GrantDocument;
use sealway::api;
use sealway::config::{self, Config};
use sealway::egress::EgressConfig;
use sealway::enrich::Publications;
use sealway::subscriptions::SubscriptionDocument;
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every path of keys in a tree; lists and leaves end a path.
fn keys(tree: &Value, above: &str, found: &mut BTreeSet<String>) {
    for (key, below) in tree.as_object().into_iter().flatten() {
        let path = format!("{above}/{key}");
        keys(below, &path, found);
        found.insert(path);
    }
}

#[test]
fn the_gateway_file_shows_every_setting_with_its_default_but_for_the_loopback() {
    let text = fs::read_to_string(repository("config/gateway.yaml")).unwrap();
    let shown: Value = serde_saphyr::from_str(&text).unwrap();
    let defaults = serde_json::to_value(Config::default()).unwrap();

    let (mut in_file, mut in_code) = (BTreeSet::new(), BTreeSet::new());
    keys(&shown, "", &mut in_file);
    keys(&defaults, "", &mut in_code);
    assert_eq!(in_file, in_code, "the keys of the file and of the code");

    let read: Config = serde_saphyr::from_str(&text).unwrap();
    let mut expected = Config::default();
    assert_eq!(expected.delivery.egress, EgressConfig::default());
    expected.delivery.egress = EgressConfig::loopback();
    assert_eq!(read, expected, "the values of the file and of the code");
}

#[test]
fn the_gateway_file_is_one_that_a_gateway_starts_with() {
    config::load(&repository("config/gateway.yaml")).unwrap();
}

/// `make schema` writes what this test compares.
#[test]
fn the_descriptions_that_the_repository_holds_are_true() {
    for (file, described) in [
        ("config/gateway.schema.json", config::schema().to_value()),
        ("config/publications.schema.json", Publications::file_schema().to_value()),
        ("config/subscription.schema.json", schemars::schema_for!(SubscriptionDocument).to_value()),
        ("config/grant.schema.json", schemars::schema_for!(GrantDocument).to_value()),
        ("docs/openapi.json", api::openapi()),
    ] {
        let path = repository(file);
        let described = serde_json::to_string_pretty(&described).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &described).unwrap();
        }

        let kept = fs::read_to_string(&path).unwrap_or_default();

        assert!(kept == described, "{file} is old: run `make schema`");
    }
}

#[test]
fn the_schema_accepts_the_gateway_file_and_refuses_a_misspelled_one() {
    let text = fs::read_to_string(repository("config/gateway.yaml")).unwrap();
    let mut file: Value = serde_saphyr::from_str(&text).unwrap();
    let schema = serde_json::to_value(config::schema()).unwrap();
    let rules = jsonschema::validator_for(&schema).unwrap();

    assert!(rules.is_valid(&file));
    file["api"]["max-bodi"] = "1 MiB".into();
    assert!(!rules.is_valid(&file));
}
