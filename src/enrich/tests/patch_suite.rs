//! The community's JSON Patch suite, and numbers of any size, through files of publications.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::enrich::{EnrichError, Publication, Publications, as_crossed};
use crate::event::number::crossing_text;
use crate::event::{Diagnostic, NumericValue};
use crate::source::{Envelope, Received};

/// A publication whose patch is this text, a YAML sequence in flow style.
fn publication(patch: &str) -> Result<Arc<Publication>, String> {
    let file = format!(
        "domain: orders\ncontract: asyncapi/orders.yaml\nsource: /orders\npublications:\n  \
         - event: Order.Created\n    when: {{ source: [shop] }}\n    patch: {patch}\n"
    );
    let read = Publications::load(&BTreeMap::from([("orders.yaml".to_owned(), file)]));
    let read = read.map_err(|mistakes| {
        let shown: Vec<String> = mistakes.iter().map(Diagnostic::to_string).collect();
        shown.join("; ")
    })?;
    Ok(Arc::clone(read.get("orders/Order.Created").unwrap()))
}

/// The data that it makes of an event with this detail.
fn made(publication: &Arc<Publication>, detail: Value) -> Result<Value, EnrichError> {
    let envelope = Envelope::example(detail);
    let received =
        Arc::new(Received { envelope, repeatable: true, traceparent: None, producer: None });
    publication.enrich(&received).map(|enriched| enriched.data().clone())
}

#[derive(Deserialize)]
struct SuiteRecord {
    #[serde(default)]
    comment: String,
    doc: Value,
    patch: Vec<Map<String, Value>>,
    /// `null` is a document too.
    #[serde(default, deserialize_with = "present")]
    expected: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A record that ends the other way, on purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchException {
    file: String,
    /// Its place in the file, from 0, and its comment, so that a person finds it.
    record: usize,
    comment: String,
    reason: String,
}

impl SuiteRecord {
    /// The patch below another root, after a copy of the event's detail to it.
    fn text(&self, root: &str) -> String {
        let mut operations = vec![json!({"op": "copy", "from": "/detail", "path": root})];
        for operation in &self.patch {
            let mut operation = operation.clone();
            for member in ["from", "path"] {
                if let Some(Value::String(pointer)) = operation.get_mut(member) {
                    pointer.insert_str(0, root);
                }
            }
            operations.push(Value::Object(operation));
        }
        Value::Array(operations).to_string()
    }

    /// What the document becomes below the root; nothing if the publication or the event is refused.
    fn outcome(&self, root: &str) -> Result<Value, String> {
        let publication = publication(&self.text(root))?;
        let mut data = made(&publication, self.doc.clone()).map_err(|error| error.to_string())?;
        let below = root.strip_prefix("/data").unwrap();
        Ok(data.pointer_mut(below).map(Value::take).unwrap_or_default())
    }

    /// Tells whether the outcome is the one of the suite.
    fn holds(&self, outcome: &Result<Value, String>) -> bool {
        match (outcome, &self.expected) {
            (Ok(_), _) if self.error.is_some() => false,
            (Ok(made), Some(expected)) => Ok(made) == as_crossed(expected).as_ref(),
            (Ok(_), None) => true,
            (Err(_), _) => self.error.is_some(),
        }
    }
}

#[test]
fn the_suite_holds_through_files_of_publications() {
    let exceptions = include_str!("../../../tests/vectors/json-patch/exceptions.json");
    let exceptions: Vec<PatchException> = serde_json::from_str(exceptions).unwrap();
    let mut listed: BTreeSet<(&str, usize)> = BTreeSet::new();
    for one in &exceptions {
        assert!(!one.reason.is_empty() && listed.insert((&one.file, one.record)));
    }
    let mut failures = Vec::new();
    for (file, text) in [
        ("tests.json", include_str!("../../../tests/vectors/json-patch/tests.json")),
        ("spec_tests.json", include_str!("../../../tests/vectors/json-patch/spec_tests.json")),
    ] {
        let records: Vec<SuiteRecord> = serde_json::from_str(text).unwrap();
        for (index, record) in records.iter().enumerate() {
            let exception = listed.remove(&(file, index));
            for root in ["/data", "/data/document"] {
                let outcome = record.outcome(root);
                if record.holds(&outcome) == exception {
                    let comment = &record.comment;
                    failures.push(format!("{file} {index} {comment} at {root}: {outcome:?}"));
                }
            }
        }
        for one in exceptions.iter().filter(|one| one.file == file) {
            assert_eq!(records[one.record].comment, one.comment, "{file} {}", one.record);
        }
    }
    assert!(listed.is_empty(), "not in the suite: {listed:?}");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn an_operation_with_two_words_for_one_member_is_refused() {
    // RFC 6902, A.13, which a parsed record cannot hold.
    let found = publication("[{op: add, path: /data/baz, value: qux, op: remove}]").unwrap_err();

    assert!(found.starts_with("orders.yaml:7:"), "{found}");
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn numbers_of_any_size_are_copied_written_and_tested_by_their_value() {
    let digits = "7".repeat(128);
    let long = format!("-0.{digits}");
    for (number, crossing) in [
        (digits.as_str(), digits.as_str()),
        (long.as_str(), long.as_str()),
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1E+2", "100"),
        ("0.1e1", "1"),
        ("1e-7", "1e-7"),
        ("789.34000000000003", "789.34"),
        ("9007199254740993", "9007199254740993"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.10000000000000000001", "0.10000000000000000001"),
    ] {
        let copied = publication(&format!(
            "[{{op: copy, from: /detail/n, path: /data/n}}, \
             {{op: test, path: /data/n, value: {crossing}}}, \
             {{op: test, path: /detail/n, value: {number}}}, \
             {{op: add, path: /data/written, value: {number}}}, \
             {{op: test, path: /data/written, value: {number}}}, \
             {{op: replace, path: /data/written, value: [{number}]}}, \
             {{op: test, path: /data/written, value: [{crossing}]}}]"
        ));
        let data = made(&copied.unwrap(), parsed(&format!("{{\"n\":{number}}}"))).unwrap();
        assert_eq!(data.to_string(), format!("{{\"n\":{crossing},\"written\":[{crossing}]}}"));
    }
}

#[test]
fn numbers_that_differ_in_their_last_digit_are_different() {
    for (one, other) in [
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        ("0.10000000000000000001", "0.10000000000000000002"),
        ("1e300", "1.0000000000000000000000001e300"),
        ("1", "-1"),
    ] {
        let test = publication(&format!("[{{op: test, path: /detail/n, value: {one}}}]")).unwrap();
        assert!(made(&test, parsed(&format!("{{\"n\":{one}}}"))).is_ok(), "{one}");
        let error = made(&test, parsed(&format!("{{\"n\":{other}}}"))).unwrap_err();
        assert_eq!(error.code(), "patch-failed", "{one} {other}");
    }
}

#[test]
fn numbers_beyond_the_limits_are_refused_where_they_stand() {
    let longer = "1".repeat(129);
    for number in [longer.as_str(), "1e401", "-1e-401"] {
        let found = publication(&format!("[{{op: add, path: /data/n, value: [0, {number}]}}]"));
        let found = found.unwrap_err();
        assert!(found.starts_with("orders.yaml:7:"), "{found}");

        let copy = publication("[{op: copy, from: /detail, path: /data/d}]").unwrap();
        let error = made(&copy, parsed(&format!("{{\"n\":[0,{number}]}}"))).unwrap_err();
        assert_eq!(error.code(), "number-out-of-range");
        assert_eq!(error.violation().pointer, "/d/n/1");
    }
}

/// The text of a JSON number of up to 128 digits.
fn number() -> impl Strategy<Value = String> {
    let digits = prop_oneof![3 => "[1-9][0-9]{0,8}", 1 => "[1-9][0-9]{0,100}"];
    let fraction = prop_oneof![2 => Just(String::new()), 1 => "\\.[0-9]{1,20}"];
    let exponent = prop_oneof![2 => Just(String::new()), 1 => "[eE][+-]?[0-9]{1,2}"];
    ("-?", digits, fraction, exponent).prop_map(|(minus, digits, fraction, exponent)| {
        format!("{minus}{digits}{fraction}{exponent}")
    })
}

proptest! {
    #[test]
    fn any_number_crosses_with_its_one_text_whether_copied_or_written(
        one in number(), other in number()
    ) {
        let both = publication(&format!(
            "[{{op: copy, from: /detail/n, path: /data/n}}, {{op: add, path: /data/w, value: {one}}}, \
             {{op: test, path: /data/n, value: {one}}}, {{op: test, path: /data/w, value: {one}}}]"
        ));
        let data = made(&both.unwrap(), parsed(&format!("{{\"n\":{one}}}"))).unwrap();
        let crossing = crossing_text(&one).unwrap();
        prop_assert_eq!(data.to_string(), format!("{{\"n\":{crossing},\"w\":{crossing}}}"));

        let test = publication(&format!("[{{op: test, path: /detail/n, value: {one}}}]")).unwrap();
        let passes = made(&test, parsed(&format!("{{\"n\":{other}}}"))).is_ok();
        prop_assert_eq!(passes, NumericValue::of(&one) == NumericValue::of(&other));
    }
}
