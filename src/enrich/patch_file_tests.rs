//! Tests of reading patches, beside the code they test.

use std::collections::BTreeMap;

use serde_json::json;

use crate::enrich::{Publication, Publications};
use crate::event::{Diagnostic, Severity};
use crate::source::{Envelope, Received};

fn load(patch: &str) -> Result<Publications, Vec<Diagnostic>> {
    let text = format!(
        "domain: x\ncontract: asyncapi/x.yaml\nsource: /x\npublications:\n  - event: A.B\n    \
         when: {{ source: [a] }}\n    patch:\n{patch}"
    );
    Publications::load(&BTreeMap::from([("x.yaml".to_owned(), text)]))
}

/// The first lines of what is said, without the name of the file.
fn said(found: &[Diagnostic]) -> Vec<String> {
    let line = |shown: &Diagnostic| {
        let shown = shown.to_string();
        shown.lines().next().unwrap().trim_start_matches("x.yaml:").to_owned()
    };
    found.iter().map(line).collect()
}

fn mistakes(patch: &str) -> Vec<String> {
    said(&load(patch).map(|_| ()).unwrap_err())
}

fn made(patch: &str, detail: serde_json::Value) -> String {
    let publications = load(patch).unwrap();
    let publication: &std::sync::Arc<Publication> = publications.iter().next().unwrap();
    let received = Received {
        envelope: Envelope::example(detail),
        repeatable: true,
        traceparent: None,
        producer: None,
    };
    publication.enrich(&received.into()).unwrap().data().to_string()
}

#[test]
fn every_mistake_of_a_patch_is_found_at_its_place() {
    let found = mistakes(
        "      - { op: append, path: /data/a, value: 1 }
      - { op: add, path: data/a, value: 1 }
      - { op: add, path: /detail/a, value: 1 }
      - { op: add, path: /data/a }
      - { op: copy, path: /data/a }
      - { op: copy, from: /a~2b, path: /data/a~ }
      - { op: move, from: /detail/id, path: /data/a }
      - { op: add, path: /data/a, value: [1, 1e-401] }
      - copy
      - { path: /data/a }
      - { op: 1, path: 2 }
      - { op: copy }
",
    );

    assert_eq!(
        found,
        [
            "8:15: unknown operation `append`",
            "9:26: `data/a` is not a pointer",
            "10:26: only `/data` and what lies below it can be written",
            "11:15: `add` needs a `value`",
            "12:15: `copy` needs a `from`",
            "13:40: `/data/a~` is not a pointer",
            "13:27: `/a~2b` is not a pointer",
            "14:27: only what lies below `/data` can be moved; use `copy`",
            "15:46: a number beyond 1e400 or below 1e-400; send it as text",
            "16:9: an operation is a mapping",
            "17:9: the key `op` is missing",
            "18:15: `op` is a text",
            "19:15: `copy` needs a `path`",
            "19:15: `copy` needs a `from`",
        ]
    );
}

#[test]
fn mistakes_in_what_is_ours_are_found_at_their_places() {
    let found = mistakes(
        "      - { op: copy, from: /resources/-1, path: /data/-10 }
      - { op: copy, from: /detail/a/*/b/*, path: /data/a }
      - { op: move, from: /data/a, path: /data/a/b }
      - { op: add, path: /data/a, value: 1, optional: true }
      - { op: test, path: /data/a, value: 1, map: { a: 1 } }
      - { op: copy, from: /detail/a, path: /data/a, optional: 1, map: {}, default: \"\\x01\" }
      - { op: copy, from: /detail/a, path: /data/a, default: 1 }
      - { op: copy, from: /detail/a, path: /data/a, map: { a: 1e-401, b: \"\\x01\", c: 1 } }
      - { op: copy, from: /detail/a, path: /data/a, map: [a] }
      - { op: copy, from: /detail/a, path: /data/a, when: { detail: { a: [1] } } }
",
    );

    assert_eq!(
        found,
        [
            "8:48: no array has an item `-10`",
            "8:27: no array has an item `-1`",
            "9:27: a pointer has at most one `*`, which stands for each item of one array",
            "9:50: `from` and `path` both have a `*`, or neither has",
            "10:42: a value cannot move into itself",
            "11:55: only `copy`, `move` and `remove` can be `optional`",
            "12:51: only `copy` and `move` can have a `map`",
            "13:63: `optional` is true or false",
            "13:71: `map` names what stands for each value",
            "13:84: the value holds a number or a text that cannot cross, or is over 256 KiB",
            "14:62: `default` belongs to a `map`",
            "15:63: a number beyond 1e400 or below 1e-400; send it as text",
            "15:74: the value holds a number or a text that cannot cross, or is over 256 KiB",
            "16:58: `map` names what stands for each value",
            "17:53: `copy` has no `when`",
        ]
    );
}

#[test]
fn mistakes_of_groups_are_found_at_their_places() {
    let found = mistakes(
        "      - when: { detail: { a: 1 } }
        patch: [{ op: copy, from: /a, path: /b }]
      - when: { detail: { a: [1] } }
        pach: []
      - patch: [{ op: add, path: /data/x }]
      - when: { detail: { a: [1] } }
        patch:
          - when: { detail: { a: [1] } }
            patch: []
          - 7
      - when: { detail: { a: [1] } }
        patch: {}
",
    );

    let starts = [
        "8:30: ",
        "9:45: only `/data` and what lies below it can be written",
        "11:9: a group has no `pach`",
        "10:9: a group needs its operations, as `patch`",
        "12:9: a group needs its `when`",
        "12:23: `add` needs a `value`",
        "15:13: a group cannot stand in a group",
        "17:13: an operation is a mapping",
        "19:16: `patch` is a list of operations",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (shown, start) in found.iter().zip(starts) {
        assert!(shown.starts_with(start), "{shown} is not {start}");
    }
}

#[test]
fn a_value_is_mapped_once() {
    let twice = "      - { op: copy, from: /detail/a, path: /data/a, map: { 1: a, \"1\": b } }\n";

    let found = mistakes(twice);

    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("8:") && found[0].contains("twice"), "{found:?}");
}

#[test]
fn members_that_rfc_6902_does_not_know_are_ignored_with_a_warning() {
    let patch = "      - { op: copy, from: /detail/a, path: /data/a, note: for the auditor }
      - { op: copy, from: /detail/b, path: /data/b, value: 1, optinal: true }
      - { op: add, path: /data/c, value: 1, from: /detail/a, defualt: 7 }
      - { op: remove, path: /data/c, Value: 1 }
";

    let publications = load(patch).unwrap();

    let warnings = publications.warnings();
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
    assert_eq!(
        said(warnings),
        [
            "8:53: warning: `copy` has no `note`, which is ignored",
            "9:63: warning: `copy` has no `optinal`, which is ignored",
            "9:60: warning: `copy` has no `value`, which is ignored",
            "10:62: warning: `add` has no `defualt`, which is ignored",
            "10:51: warning: `add` has no `from`, which is ignored",
            "11:38: warning: `remove` has no `Value`, which is ignored",
        ]
    );
    let helps: Vec<&str> = warnings.iter().map(|warning| warning.help.as_str()).collect();
    assert_eq!(
        helps,
        [
            "leave it out",
            "did you mean `optional`?",
            "leave it out",
            "did you mean `default`?",
            "leave it out",
            "did you mean `value`?",
        ]
    );
    assert_eq!(made(patch, json!({"a": 1, "b": 2})), r#"{"a":1,"b":2}"#);
}

#[test]
fn what_yaml_reads_as_a_number_or_a_truth_is_a_key_of_a_map() {
    let patch = "      - op: copy
        from: /detail/a
        path: /data/a
        map: { 1: one, true: yes, \"null\": nothing, 1e+21: many, no: on }
";

    for (found, stands) in [
        ("1", "one"),
        ("true", "yes"),
        ("null", "nothing"),
        ("1000000000000000000000", "many"),
        ("\"no\"", "on"),
    ] {
        let detail: serde_json::Value =
            serde_json::from_str(&format!(r#"{{"a":{found}}}"#)).unwrap();
        assert_eq!(made(patch, detail), format!(r#"{{"a":"{stands}"}}"#), "{found}");
    }
}

#[test]
fn steps_know_what_was_written_and_where() {
    let publications = load(
        "      - { op: copy, from: /detail/a, path: /data/a, optional: true }
      - when: { detail: { b: [{ exists: true }] } }
        patch:
          - { op: copy, from: /detail/b, path: /data/b, map: { x: 1 }, default: 2 }
",
    )
    .unwrap();
    let steps: Vec<_> = publications.iter().next().unwrap().patch().steps().collect();

    assert_eq!(steps.iter().map(|step| step.place()).collect::<Vec<_>>(), [(8, 9), (11, 13)]);
    assert_eq!(steps.iter().map(|step| step.is_optional()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(steps.iter().map(|step| step.is_conditional()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(steps[1].index().to_string(), "1.0");
    let values = steps[1].values().unwrap();
    assert_eq!(values.known().collect::<Vec<_>>(), [("x", &json!(1))]);
    assert_eq!(values.fallback(), Some(&json!(2)));
}

#[test]
fn operations_in_groups_count_like_others() {
    let add = "{ op: add, path: /data/a, value: 1 }";
    let group = |operations: usize| {
        format!(
            "      - when: {{ detail: {{ b: [1] }} }}\n        patch: [{}]\n",
            vec![add; operations].join(", ")
        )
    };

    assert!(load(&group(50).repeat(2)).is_ok());
    let over = mistakes(&group(51).repeat(2));
    assert_eq!(over.len(), 1, "{over:?}");
    assert!(over[0].ends_with("a patch has at most 100 operations"));
    assert!(load(&group(0).repeat(100)).is_ok());
    assert!(mistakes(&group(0).repeat(101))[0].ends_with("a patch has at most 100 groups"));
}
