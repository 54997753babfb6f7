//! What is found in publications without an event, and that what is right stays silent.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::contract::Catalog;
use crate::enrich::Publications;
use crate::event::{Diagnostic, Severity};

const SCHEMA: &str = r##"{
  "type": "object", "required": ["name"],
  "properties": {
    "name": {"type": "string"}, "priority": {"type": "integer"}, "any": true,
    "customer": {"$ref": "#/components/schemas/Customer"},
    "lines": {"type": "array", "items": {"type": "object", "required": ["sku", "qty"],
      "properties": {"sku": {"type": "string"}, "qty": {"type": "integer"}}}},
    "texts": {"type": "object", "additionalProperties": {"type": "string"}},
    "open": {"type": "object", "additionalProperties": true}
  },
  "patternProperties": {"^x-": {}},
  "oneOf": [
    {"properties": {"card": {"type": "string"}}},
    {"if": {"properties": {"iban": {}}}, "then": {"properties": {"bic": {}}}}
  ]
}"##;

fn catalog(schema: &str) -> Catalog {
    let text = format!(
        r#"{{"asyncapi": "3.0.0", "info": {{"title": "t", "version": "1"}},
          "channels": {{"c": {{"messages": {{"A.B": {{"payload": {schema}}}}}}}}},
          "components": {{"schemas": {{"Customer": {{"allOf": [
            {{"type": "object", "required": ["id"], "properties": {{"id": {{}}, "mail": {{}}}}}}
          ]}}}}}}}}"#
    );
    Catalog::load(&BTreeMap::from([("x.json".to_owned(), text)]))
}

fn publications(head: &str, rest: &str) -> Publications {
    let text = format!(
        "domain: d\ncontract: asyncapi/x.json\nsource: /d\n{head}publications:\n  - event: A.B\n{rest}"
    );
    Publications::load(&BTreeMap::from([("d.yaml".to_owned(), text)])).unwrap()
}

/// What is found: the first line of each, with its place.
fn found_in(head: &str, rest: &str) -> Vec<String> {
    let found = catalog(SCHEMA).analyse(&publications(head, rest));
    let carets = found.iter().all(|one| one.to_string().contains('^'));
    assert!(carets, "{found:?}");
    found.iter().map(|one| one.to_string().lines().next().unwrap().to_owned()).collect()
}

fn found(patch: &str) -> Vec<String> {
    found_in("", &format!("    when: {{ source: [s] }}\n    patch:\n{patch}"))
}

const NAME: &str = "      - { op: copy, from: /detail/n, path: /data/name }\n";

fn with_name(operation: &str) -> Vec<String> {
    found(&format!("{NAME}      - {operation}\n"))
}

#[test]
fn a_target_that_is_not_declared_is_found_wherever_it_lies() {
    for (operation, pointer) in [
        ("{ op: copy, from: /detail/n, path: /data/nme }", "/data/nme"),
        ("{ op: add, path: /data/customer, value: { id: 1, idd: 2 } }", "/data/customer/idd"),
        (
            "{ op: add, path: /data/lines, value: [{ sku: a, qty: 1, cost: 2 }] }",
            "/data/lines/*/cost",
        ),
        ("{ op: add, path: /data/texts, value: { a: { b: 1 } } }", "/data/texts/a/b"),
    ] {
        let told = with_name(operation);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            told[0],
            format!("d.yaml:9:9: `A.B` does not declare `{pointer}`"),
            "{operation}"
        );
    }
    let told = found(&format!(
        "{NAME}      - {{ op: copy, from: /detail/c, path: /data/any }}\n      \
         - {{ op: copy, from: /id, path: /data/customer }}\n      \
         - {{ op: add, path: /data/customer/nick, value: x }}\n"
    ));
    assert!(
        told.iter().any(|one| one.starts_with("d.yaml:11:9: `A.B` does not declare")),
        "{told:?}"
    );
}

#[test]
fn what_some_branch_may_declare_is_silent() {
    for operation in [
        "{ op: add, path: /data/card, value: x }",
        "{ op: add, path: /data/iban, value: x }",
        "{ op: add, path: /data/bic, value: x }",
        "{ op: add, path: /data/x-ray, value: x }",
        "{ op: add, path: /data/any, value: { a: { b: 1 } } }",
        "{ op: add, path: /data/open, value: { a: 1 } }",
        "{ op: add, path: /data/texts, value: { a: b } }",
        "{ op: add, path: /data/customer, value: { id: 1, mail: x } }",
        "{ op: add, path: /data/lines, value: [] }",
        "{ op: copy, from: /time, path: /data/x-time }",
        "{ op: move, from: /data/name, path: /data/name }",
    ] {
        assert_eq!(with_name(operation), Vec::<String>::new(), "{operation}");
    }
    let used_up = found(
        "      - { op: copy, from: /detail, path: /data/tmp }\n      \
         - { op: copy, from: /data/tmp/n, path: /data/name }\n      \
         - { op: remove, path: /data/tmp }\n",
    );
    assert_eq!(used_up, Vec::<String>::new());
}

#[test]
fn a_required_member_that_no_operation_writes_is_found_at_every_level() {
    assert_eq!(found("      []\n").len(), 1);
    let told = found(
        "      - { op: add, path: /data/customer, value: {} }\n      \
         - { op: copy, from: /id, path: /data/customer/mail }\n      \
         - { op: add, path: /data/lines, value: [] }\n      \
         - { op: add, path: /data/lines/-, value: { sku: a } }\n",
    );
    assert_eq!(
        told,
        [
            "d.yaml:7:5: `A.B` requires `/data/name`, which no operation writes",
            "d.yaml:8:9: `A.B` requires `/data/customer/id`, which no operation writes",
            "d.yaml:10:9: `A.B` requires `/data/lines/*/qty`, which no operation writes",
        ]
    );
    assert_eq!(found("      - { op: copy, from: /detail, path: /data }\n"), Vec::<String>::new());
}

#[test]
fn a_key_or_name_that_the_data_cannot_have_is_found_at_its_pointer() {
    let told = found_in(
        "",
        &format!(
            "    when: {{ source: [s] }}\n    subject: /data/customer\n    metadata: /data/nam\n    \
             key: [/data/name, /data/nmae, /data/priority]\n    patch:\n{NAME}      \
             - {{ op: copy, from: /id, path: /data/customer }}\n"
        ),
    );
    assert_eq!(
        told,
        [
            "d.yaml:7:14: the subject is a text or a number, and `/data/customer` is none",
            "d.yaml:8:15: the metadata level cannot be at `/data/nam`: `A.B` does not declare it",
            "d.yaml:9:23: the key cannot be at `/data/nmae`: `A.B` does not declare it",
            "d.yaml:9:35: the key is at `/data/priority`, which no operation writes",
        ]
    );
}

#[test]
fn an_unconditional_copy_of_an_optional_member_is_a_warning_unless_its_source_is_certain() {
    let copy = "      - { op: copy, from: /detail/priority, path: /data/priority }\n";
    let told = |when: &str, first: &str| {
        found_in("", &format!("    when: {when}\n    patch:\n{NAME}{first}{copy}"))
    };
    assert_eq!(
        told("{ source: [s] }", ""),
        ["d.yaml:9:9: warning: `priority` is optional in the contract, and an event without \
          `/detail/priority` is refused"]
    );
    for when in ["[{ exists: true }]", "[1, 2]", "[{ numeric: [\">\", 1] }]"] {
        let when = format!("{{ detail: {{ priority: {when} }} }}");
        assert_eq!(told(&when, ""), Vec::<String>::new(), "{when}");
    }
    assert_eq!(told("{ detail: { priority: [1, { exists: false }] } }", "").len(), 1);
    let tested = "      - { op: test, path: /detail/priority, value: 1 }\n";
    assert_eq!(told("{ source: [s] }", tested), Vec::<String>::new());
}

#[test]
fn unknown_fields_of_the_envelope_are_found_in_patterns() {
    let told = found_in(
        "",
        &format!(
            "    when:\n      Source: [s]\n      detail-typ: [t]\n      detail: {{ Source: [x] }}\n      \
             $or: [{{ detailtype: [t] }}, {{ source: [s] }}]\n    patch:\n{NAME}"
        ),
    );
    assert_eq!(
        told,
        [
            "d.yaml:7:7: an envelope has no `Source`: this matches no event",
            "d.yaml:8:7: an envelope has no `detail-typ`: this matches no event",
            "d.yaml:10:15: warning: an envelope has no `detailtype`: this matches no event",
        ]
    );
}

#[test]
fn sources_that_lead_nowhere_are_found() {
    let told = found(&format!(
        "{NAME}      - {{ op: copy, from: /detial/id, path: /data/x-a }}\n      \
         - {{ op: copy, from: /context/none, path: /data/x-b }}\n      \
         - {{ op: copy, from: /detail/lines/01, path: /data/x-c }}\n      \
         - {{ op: add, path: /data/lines, value: [] }}\n      \
         - {{ op: add, path: /data/lines/01, value: {{ sku: a, qty: 1 }} }}\n      \
         - {{ op: copy, from: /id, path: /data/customer/id }}\n"
    ));
    for start in [
        "d.yaml:9:9: `from` leads nowhere: an event has no `detial`",
        "d.yaml:10:9: `context` has no constant for `/context/none`",
        "d.yaml:11:9: warning: `01` is no index of an array",
        "d.yaml:13:9: `01` is no index of the array",
        "d.yaml:14:9: no operation before this one writes `/data/customer`",
    ] {
        assert!(told.iter().any(|one| one.starts_with(start)), "{start} in {told:#?}");
    }
}

#[test]
fn a_prefix_without_its_dot_is_a_warning_and_one_with_it_is_silent() {
    let rest = format!("    when: {{ source: [s] }}\n    patch:\n{NAME}");
    let told = found_in("type-prefix: com.example\n", &rest);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("d.yaml:4:14: warning: types would begin with"), "{told:?}");
    assert_eq!(found_in("type-prefix: com.example.\n", &rest), Vec::<String>::new());
}

#[test]
fn a_publication_that_observes_has_warnings_only() {
    let rest = "    when: { source: [s] }\n    mode: observe\n    patch: []\n";
    let found = catalog(SCHEMA).analyse(&publications("", rest));
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|one| one.severity == Severity::Warning));
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(true)), Just(json!({})), Just(json!({"type": "string"}))];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let members = || proptest::collection::btree_map("[a-c]", inner.clone(), 0..3);
        prop_oneof![
            (members(), proptest::collection::vec("[a-c]", 0..2)).prop_map(
                |(members, required)| json!({"properties": members, "required": required})
            ),
            inner.clone().prop_map(|one| json!({"additionalProperties": one})),
            inner.clone().prop_map(|one| json!({"patternProperties": {"^a": one}})),
            inner.clone().prop_map(|one| json!({"type": "array", "items": one})),
            (
                proptest::sample::select(vec!["allOf", "anyOf", "oneOf"]),
                proptest::collection::vec(inner.clone(), 1..3)
            )
                .prop_map(|(word, list)| json!({ word: list })),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(test, then, other)| json!({"if": test, "then": then, "else": other})),
        ]
    })
}

fn operation() -> impl Strategy<Value = String> {
    let pointer = || proptest::collection::vec("[a-c0-]", 1..3).prop_map(|all| all.join("/"));
    let value =
        prop_oneof![Just("{}"), Just("[]"), Just("x"), Just("{ a: {} }"), Just("[{ b: 1 }]")];
    prop_oneof![
        (pointer(), value)
            .prop_map(|(at, value)| format!("{{ op: add, path: /data/{at}, value: {value} }}")),
        (pointer(), "[a-c]").prop_map(|(at, from)| format!(
            "{{ op: copy, from: /detail/{from}, path: /data/{at} }}"
        )),
        (pointer(), pointer())
            .prop_map(|(at, from)| format!("{{ op: copy, from: /data/{from}, path: /data/{at} }}")),
        (pointer(), pointer())
            .prop_map(|(at, from)| format!("{{ op: move, from: /data/{from}, path: /data/{at} }}")),
        pointer().prop_map(|at| format!("{{ op: remove, path: /data/{at} }}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_crosses_has_no_error(
        schema in schema(),
        operations in proptest::collection::vec(operation(), 0..5),
        details in proptest::collection::vec(detail(), 4),
    ) {
        let text = schema.to_string();
        let patch: String = operations.iter().flat_map(|one| ["      - ", one, "\n"]).collect();
        let patch = if patch.is_empty() { "      []\n".to_owned() } else { patch };
        let rest = format!("    when: {{ source: [s] }}\n    patch:\n{patch}");
        let files = format!("domain: d\ncontract: asyncapi/x.json\nsource: /d\npublications:\n  - event: A.B\n{rest}");
        let Ok(publications) = Publications::load(&BTreeMap::from([("d.yaml".to_owned(), files)])) else {
            return Ok(());
        };
        let catalog = catalog(&text);
        let errors: Vec<_> = catalog.analyse(&publications).into_iter()
            .filter(Diagnostic::is_error).collect();
        let publication = publications.iter().next().unwrap();
        let message = catalog.message("x.json", "A.B").unwrap();
        for detail in details {
            let received = crate::source::Received {
                envelope: crate::source::Envelope::example(detail),
                repeatable: false,
                traceparent: None,
                producer: None,
            };
            if let Ok(made) = publication.enrich(&Arc::new(received)) {
                let crosses = message.check(made.data()).is_empty();
                prop_assert!(!crosses || errors.is_empty(), "{text}\n{patch}\n{} {errors:?}", made.data());
            }
        }
    }
}

fn detail() -> impl Strategy<Value = Value> {
    let inner = prop_oneof![
        Just(json!({})),
        Just(json!({"a": {}})),
        Just(json!([])),
        Just(json!([{"b": 1}])),
        Just(json!("x"))
    ];
    proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(|members| json!(members))
}
