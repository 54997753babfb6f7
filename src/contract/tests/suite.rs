//! JSON-Schema-Test-Suite through contracts: what the schema of a message says in each dialect.
//!
//! Validation only: closing is an addition of this gateway. What is not followed is listed in
//! `tests/vectors/json-schema/exceptions.json`, and each exception must still be needed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::contract::Catalog;
use crate::contract::tests::sound;
use crate::enrich::as_crossed;

/// The suite, with the dialect that its schemas are read in.
struct SuiteRun {
    /// What the exceptions call it.
    name: &'static str,
    /// Nothing: the contract does not name a dialect.
    format: Option<&'static str>,
    files: &'static str,
}

#[derive(Deserialize)]
struct SuiteFile {
    file: String,
    groups: Vec<SuiteGroup>,
}

#[derive(Deserialize)]
struct SuiteGroup {
    description: String,
    schema: Value,
    tests: Vec<SuiteTest>,
}

#[derive(Deserialize)]
struct SuiteTest {
    description: String,
    data: Value,
    valid: bool,
}

/// Groups that are refused, or tests that end the other way, on purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteException {
    /// The runs that it is of.
    #[serde(rename = "in")]
    runs: BTreeSet<String>,
    file: String,
    /// Descriptions of groups.
    groups: Vec<String>,
    /// Descriptions of tests that end the other way; none: the groups are refused.
    #[serde(default)]
    tests: Vec<String>,
    /// A part of what the refusal says.
    #[serde(default)]
    refused: Option<String>,
    reason: String,
}

/// What is expected to differ: by file and group, the text of a refusal or the tests.
#[derive(Default)]
struct Expected {
    refused: BTreeMap<(String, String), String>,
    /// File, group and test.
    turned: BTreeSet<(String, String, String)>,
}

impl Expected {
    fn of(run: &str) -> Self {
        let text = include_str!("../../../tests/vectors/json-schema/exceptions.json");
        let exceptions: Vec<SuiteException> = serde_json::from_str(text).unwrap();
        let mut expected = Self::default();
        for one in exceptions.into_iter().filter(|one| one.runs.contains(run)) {
            assert!(!one.reason.is_empty(), "{}", one.file);
            assert_eq!(
                one.tests.is_empty(),
                one.refused.is_some(),
                "{} {:?}",
                one.file,
                one.groups
            );
            for group in &one.groups {
                let key = (one.file.clone(), group.clone());
                if let Some(refused) = &one.refused {
                    let twice = expected.refused.insert(key, refused.clone());
                    assert!(twice.is_none(), "listed twice: {} {group}", one.file);
                    continue;
                }
                for test in &one.tests {
                    let new =
                        expected.turned.insert((one.file.clone(), group.clone(), test.clone()));
                    assert!(new, "listed twice: {} {group} {test}", one.file);
                }
            }
        }
        expected
    }
}

impl SuiteRun {
    /// Runs every group and gives what does not end as it should, a line each.
    fn failures(&self) -> Vec<String> {
        let mut expected = Expected::of(self.name);
        let mut failures = Vec::new();
        let files: Vec<SuiteFile> = serde_json::from_str(self.files).unwrap();
        for SuiteFile { file, groups } in files {
            for group in groups {
                let key = (file.clone(), group.description.clone());
                let refused = expected.refused.remove(&key);
                self.group(&file, &group, refused.as_deref(), &mut expected, &mut failures);
            }
        }
        let left = expected.refused.into_keys().map(|(file, group)| format!("{file} · {group}"));
        let turned = expected.turned.into_iter();
        let turned = turned.map(|(file, group, test)| format!("{file} · {group} · {test}"));
        failures
            .extend(left.chain(turned).map(|one| format!("{one}: listed and not in the suite")));
        failures
    }

    fn group(
        &self,
        file: &str,
        group: &SuiteGroup,
        refused: Option<&str>,
        expected: &mut Expected,
        failures: &mut Vec<String>,
    ) {
        let SuiteGroup { description, schema, tests } = group;
        let mut fail = |what: String| failures.push(format!("{file} · {description}{what}"));
        let catalog = match (self.load(schema), refused) {
            (Ok(catalog), None) => catalog,
            (Ok(_), Some(_)) => return fail(": listed as refused, and it is read".to_owned()),
            (Err(found), Some(words)) if found.contains(words) => return,
            (Err(found), Some(words)) => {
                return fail(format!(": refused without `{words}`: {found}"));
            }
            (Err(found), None) => return fail(format!(": refused: {found}")),
        };
        let message = catalog.message("case.yaml", "M").unwrap();
        for SuiteTest { description: test, data, valid } in tests {
            let key = (file.to_owned(), description.clone(), test.clone());
            let listed = expected.turned.remove(&key);
            let kept = message.keeps(data);
            if kept != (*valid != listed) {
                let listed = if listed { ", and listed as the other way" } else { "" };
                fail(format!(" · {test}: the suite says {valid}{listed}, we say {kept}"));
            }
            let undeclared = |code: &str| code == "additional-property";
            let codes: Vec<String> = message.check(data).into_iter().map(|one| one.code).collect();
            if !kept && codes.is_empty() {
                fail(format!(" · {test}: broken, and without a violation"));
            }
            if kept && !codes.iter().all(|code| undeclared(code)) {
                fail(format!(" · {test}: kept, and with the violations {codes:?}"));
            }
            // An event's data has come through the patch.
            if as_crossed(data).is_ok_and(|crossed| message.keeps(&crossed) != kept) {
                fail(format!(" · {test}: another verdict after crossing"));
            }
        }
    }

    /// Reads a contract whose message has this payload.
    fn load(&self, schema: &Value) -> Result<Catalog, String> {
        // A reference in a contract counts from its file, so a schema with references has its own.
        let text = schema.to_string();
        let own = ["Ref\"", "$ref\"", "nchor\"", "\"id\"", "\"$id\""];
        let own = own.iter().any(|word| text.contains(word));
        let mut payload = if own { json!({"$ref": "./case.json"}) } else { schema.clone() };
        if let Some(format) = self.format {
            payload = json!({ "schemaFormat": format, "schema": payload });
        }
        let contract = json!({
            "asyncapi": "3.0.0", "info": {"title": "t", "version": "1"},
            "channels": {"c": {"messages": {"M": {"payload": payload}}}}
        });
        let files = [("case.yaml", contract.to_string()), ("case.json", text)]
            .map(|(name, text)| (name.to_owned(), text));
        let files = files.into_iter().filter(|(name, _)| own || name == "case.yaml").collect();
        sound(&files)
    }

    fn hold(&self) {
        let failures = self.failures();
        let count = failures.len();
        assert!(failures.is_empty(), "{}: {count} failures\n{}", self.name, failures.join("\n"));
    }
}

const DRAFT_04: &str = include_str!("../../../tests/vectors/json-schema/draft-04.json");
const DRAFT_07: &str = include_str!("../../../tests/vectors/json-schema/draft-07.json");
const DRAFT_2019_09: &str = include_str!("../../../tests/vectors/json-schema/2019-09.json");
const DRAFT_2020_12: &str = include_str!("../../../tests/vectors/json-schema/2020-12.json");

#[test]
fn the_suite_of_draft_04_holds() {
    let format = Some("application/schema+json;version=draft-04");
    SuiteRun { name: "draft-04", format, files: DRAFT_04 }.hold();
}

#[test]
fn the_suite_of_draft_07_holds() {
    let format = Some("application/schema+json;version=draft-07");
    SuiteRun { name: "draft-07", format, files: DRAFT_07 }.hold();
}

#[test]
fn the_suite_of_2019_09_holds() {
    let format = Some("application/schema+json;version=2019-09");
    SuiteRun { name: "2019-09", format, files: DRAFT_2019_09 }.hold();
}

#[test]
fn the_suite_of_2020_12_holds() {
    let format = Some("application/schema+json;version=2020-12");
    SuiteRun { name: "2020-12", format, files: DRAFT_2020_12 }.hold();
}

#[test]
fn the_suite_of_draft_07_holds_where_the_contract_names_no_dialect() {
    SuiteRun { name: "default", format: None, files: DRAFT_07 }.hold();
}
