//! Whatever the schema, every sample keeps its message.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::message;
use crate::contract::Catalog;
use crate::contract::sample::samples::SampleRequest;

/// A schema without others in it, with small numbers so that parts meet.
fn leaf() -> impl Strategy<Value = Value> {
    let number = -3..6_i64;
    let count = 0..4_u64;
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        Just(json!({})),
        number.clone().prop_map(|n| json!({"const": n})),
        proptest::collection::vec(
            prop_oneof![Just(json!("x")), Just(json!(1)), Just(json!(null))],
            1..3
        )
        .prop_map(|list| json!({"enum": list})),
        (number.clone(), number.clone())
            .prop_map(|(a, b)| json!({"type": "integer", "minimum": a, "maximum": b})),
        (number, 1..4_i64)
            .prop_map(|(a, b)| json!({"type": "number", "exclusiveMinimum": a, "multipleOf": b})),
        (count.clone(), count.clone())
            .prop_map(|(a, b)| json!({"type": "string", "minLength": a, "maxLength": b})),
        Just(json!({"type": "string", "pattern": "^[ab]+$"})),
        Just(json!({"type": ["string", "null"], "format": "date"})),
        Just(json!({"type": "boolean"})),
    ]
}

/// A schema of any shape.
fn schema() -> impl Strategy<Value = Value> {
    let name = "[a-c]";
    let count = 0..4_u64;
    leaf().prop_recursive(4, 40, 4, move |inner| {
        let members = proptest::collection::btree_map(name, inner.clone(), 0..4);
        let names = proptest::collection::btree_set(name, 0..3);
        let list = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            3 => (members.clone(), names.clone()).prop_map(|(members, names)| json!({
                "type": "object", "properties": members, "required": names})),
            1 => (members.clone(), inner.clone(), inner.clone()).prop_map(|(members, rest, named)| {
                json!({"type": "object", "properties": members, "additionalProperties": rest,
                    "patternProperties": {"^[cd]$": named}})
            }),
            1 => (inner.clone(), count.clone(), any::<bool>()).prop_map(|(item, least, unique)| {
                json!({"type": "array", "items": item, "minItems": least, "uniqueItems": unique})
            }),
            1 => inner.clone().prop_map(|item| json!({"type": "array", "contains": item})),
            1 => (names.clone(), members).prop_map(|(names, members)| json!({
                "dependencies": members, "propertyNames": {"maxLength": 2}, "required": names})),
            1 => list.clone().prop_map(|parts| json!({"allOf": parts})),
            1 => list.clone().prop_map(|parts| json!({"anyOf": parts})),
            2 => list.prop_map(|parts| json!({"oneOf": parts})),
            1 => inner.clone().prop_map(|not| json!({"not": not})),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(test, then, other)| json!({"if": test, "then": then, "else": other})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_sample_keeps_its_message_whatever_the_schema(
        schema in schema(), seed in any::<u64>()
    ) {
        if let Some(message) = message(&schema) {
            let request = SampleRequest { count: 60, seed, varied: true, ..SampleRequest::default() };
            let samples = message.samples(&request);
            prop_assert!(samples.found.len() <= 60);
            for sample in &samples.found {
                let violations = message.check(&sample.data);
                prop_assert!(violations.is_empty(), "{} {}: {violations:?}", schema, sample.data);
            }
        }
    }
}

#[test]
fn a_discriminator_decides_in_samples_too() {
    let one =
        json!({"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}});
    let contract = json!({
        "asyncapi": "3.0.0", "info": {"title": "T", "version": "1.0.0"},
        "channels": {"c": {"messages": {"A.B": {"payload": {
            "oneOf": [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Sepa"}],
            "discriminator": "kind"
        }}}}},
        "components": {"schemas": {"Card": one, "Sepa": one}}
    });
    let files = BTreeMap::from([("c.json".to_owned(), contract.to_string())]);
    let catalog = Catalog::load(&files);
    let made = catalog.message("c.json", "A.B").unwrap().samples(&SampleRequest::default());
    let kinds: Vec<&Value> = made.found.iter().map(|sample| &sample.data["kind"]).collect();
    assert!(kinds.contains(&&json!("Card")) && kinds.contains(&&json!("Sepa")), "{kinds:?}");
}
