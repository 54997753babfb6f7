//! Samples keep their message, show everything that it allows, and end on any schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::Draft;
use serde_json::{Value, json};

use super::*;
use crate::contract::Catalog;

/// A message with this payload, as a contract gives it; nothing if the contract is refused.
pub(super) fn message(payload: &Value) -> Option<Arc<Message>> {
    let contract = json!({
        "asyncapi": "3.0.0", "info": {"title": "T", "version": "1.0.0"},
        "channels": {"c": {"messages": {"A.B": {"payload": payload}}}}
    });
    let files = BTreeMap::from([("c.json".to_owned(), contract.to_string())]);
    let catalog = Catalog::load(&files);
    catalog.message("c.json", "A.B").cloned()
}

fn samples(payload: &Value) -> Samples {
    message(payload).expect("a message").samples(&SampleRequest::default())
}

/// Samples of a schema that stands in normal form, judged by the validator of the newest dialect.
fn of_normal_form(schema: &Value) -> Samples {
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .expect("a schema");
    let judge = |data: &Value| {
        let violation = |error: jsonschema::ValidationError<'_>| Violation {
            pointer: error.instance_path().to_string(),
            code: "schema".to_owned(),
            message: String::new(),
        };
        validator.iter_errors(data).map(violation).collect()
    };
    search(schema, &judge, &SampleRequest::default())
}

fn named<'s>(samples: &'s Samples, name: &str) -> &'s Value {
    let found = samples.found.iter().find(|sample| sample.name == name);
    let names: Vec<_> = samples.found.iter().map(|sample| &sample.name).collect();
    &found.unwrap_or_else(|| panic!("no `{name}` among {names:#?}")).data
}

/// Whether some sample has this value at a place.
fn shows(samples: &Samples, at: &str, value: &Value) -> bool {
    samples.found.iter().any(|sample| sample.data.pointer(at) == Some(value))
}

fn order() -> Value {
    json!({
        "type": "object", "required": ["orderId", "lines"],
        "properties": {
            "orderId": {"type": "string", "format": "uuid"},
            "placedAt": {"type": "string", "format": "date-time"},
            "priority": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
            "status": {"enum": ["open", "paid", "sent"]},
            "note": {"type": "string", "minLength": 2, "maxLength": 20},
            "total": {"type": "number", "minimum": 0, "maximum": 99.99, "multipleOf": 0.01},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]},
            "lines": {"type": "array", "minItems": 1, "maxItems": 5, "items": {
                "type": "object", "required": ["sku"],
                "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer",
                    "exclusiveMinimum": 0}}
            }}
        }
    })
}

#[test]
fn the_ordinary_sample_has_every_member_with_a_plausible_value() {
    let samples = samples(&order());

    let ordinary = &samples.found[0];
    assert_eq!((ordinary.kind, ordinary.name.as_str()), (SampleKind::Ordinary, "ordinary"));
    assert_eq!(
        ordinary.data,
        json!({
            "orderId": "01234567-89ab-4def-8123-000000000001", "placedAt": "2026-01-01T12:30:00Z",
            "priority": 1, "status": "open", "note": "note", "total": 1.5, "currency": "EUR",
            "lines": [{"sku": "sku", "quantity": 1}, {"sku": "sku 1", "quantity": 2}]
        })
    );
    assert_eq!(samples.unreached, Vec::<String>::new());
    assert!(!samples.is_cut_short);
}

#[test]
fn each_optional_member_is_left_out_once_and_all_together() {
    let samples = samples(&order());

    for name in ["placedAt", "priority", "status", "note", "total", "currency"] {
        let without = named(&samples, &format!("without /{name}"));
        assert!(without.get(name).is_none() && without.get("orderId").is_some(), "{without}");
    }
    assert!(named(&samples, "without /lines/0/quantity")["lines"][0].get("quantity").is_none());
    let none = named(&samples, "without any optional member");
    assert_eq!(none.as_object().unwrap().keys().collect::<Vec<_>>(), ["lines", "orderId"]);
}

#[test]
fn edges_are_the_ends_of_numbers_texts_and_arrays_each_listed_value_and_null() {
    let samples = samples(&order());

    for (at, value) in [
        ("/priority", json!(1)),
        ("/priority", json!(9)),
        ("/priority", json!(null)),
        ("/status", json!("paid")),
        ("/status", json!("sent")),
        ("/total", json!(0)),
        ("/total", serde_json::from_str("99.99").unwrap()),
        ("/note", json!("no")),
    ] {
        assert!(shows(&samples, at, &value), "{at} {value}");
    }
    assert_eq!(named(&samples, "/note at its longest")["note"].as_str().unwrap().len(), 20);
    assert_eq!(named(&samples, "/lines at its shortest")["lines"].as_array().unwrap().len(), 1);
    assert_eq!(named(&samples, "/lines at its longest")["lines"].as_array().unwrap().len(), 5);
}

#[test]
fn every_alternative_of_a_union_is_shown_with_its_own_edges() {
    let samples = samples(&json!({
        "type": "object", "required": ["method"],
        "properties": {"method": {"oneOf": [
            {"type": "object", "required": ["kind", "pan"], "properties": {
                "kind": {"const": "card"}, "pan": {"type": "string", "pattern": "^\\d{16}$"}}},
            {"type": "object", "required": ["kind"], "properties": {
                "kind": {"const": "cash"}, "till": {"type": "integer", "maximum": 5}}}
        ]}}
    }));

    let second = named(&samples, "/method as alternative 2 of 2");
    assert_eq!(second["method"]["kind"], "cash");
    assert!(named(&samples, "without /method/till")["method"].get("till").is_none());
    assert!(shows(&samples, "/method/till", &json!(5)));
    assert!(shows(&samples, "/method/kind", &json!("card")));
    assert_eq!(samples.unreached, Vec::<String>::new());
}

#[test]
fn exactly_one_of_two_members_is_told_apart() {
    let samples = samples(&json!({
        "type": "object",
        "properties": {"email": {"type": "string"}, "phone": {"type": "string"}},
        "oneOf": [{"required": ["email"]}, {"required": ["phone"]}]
    }));

    assert!(samples.found[0].data.get("phone").is_none());
    assert!(shows(&samples, "/phone", &json!("phone")));
    assert_eq!(samples.unreached, Vec::<String>::new());
}

#[test]
fn conditions_are_shown_where_they_hold_and_where_they_do_not() {
    let samples = samples(&json!({
        "type": "object", "required": ["kind"],
        "properties": {"kind": {"enum": ["card", "cash"]}},
        "if": {"properties": {"kind": {"const": "card"}}, "required": ["kind"]},
        "then": {"required": ["pan"], "properties": {"pan": {"type": "string"}}},
        "else": {"required": ["till"], "properties": {"till": {"type": "integer"}}}
    }));

    assert!(shows(&samples, "/pan", &json!("pan")) && shows(&samples, "/till", &json!(1)));
    assert!(shows(&samples, "/kind", &json!("card")) && shows(&samples, "/kind", &json!("cash")));
}

#[test]
fn what_is_excluded_is_avoided() {
    for schema in [
        json!({"not": {"type": "string"}}),
        json!({"type": "string", "not": {"const": ""}}),
        json!({"type": "integer", "not": {"enum": [1, 2, 3]}}),
        json!({"type": "integer", "minimum": 0, "not": {"maximum": 100}}),
        json!({"type": "string", "not": {"pattern": "^[a-z]*$"}, "pattern": "^\\w+$"}),
        json!({"type": "object", "properties": {"a": {}, "b": {}}, "not": {"required": ["a", "b"]}}),
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "not": {"anyOf": [{"required": ["a"]}, {"properties": {"b": {"const": "b"}}}]}}),
    ] {
        assert!(!of_normal_form(&schema).found.is_empty(), "{schema}");
    }
}

/// Makes sure that the ordinary sample of each schema has this value at this place.
fn shows_each(cases: &[(Value, &str, Value)]) {
    for (schema, at, value) in cases {
        let samples = of_normal_form(schema);
        let found = samples.found.first().unwrap_or_else(|| panic!("{schema}"));
        let shown = found.data.pointer(at).unwrap_or_else(|| panic!("{schema} {}", found.data));
        assert!(crate::contract::sample::demand::same(shown, value), "{schema} {}", found.data);
    }
}

#[test]
fn arrays_are_followed_in_every_word_of_the_normal_form() {
    shows_each(&[
        (json!({"prefixItems": [{"const": 1}, {"const": "b"}], "items": false}), "/1", json!("b")),
        (
            json!({"type": "array", "items": {"type": "integer"}, "uniqueItems": true, "minItems": 5}),
            "/4",
            json!(5),
        ),
        (
            json!({"type": "array", "items": {"type": "boolean"}, "uniqueItems": true, "minItems": 2}),
            "/1",
            json!(false),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "contains": {"const": 70},
            "minContains": 2, "maxContains": 2}),
            "/1",
            json!(70),
        ),
        (json!({"type": "array", "unevaluatedItems": {"const": 3}, "minItems": 1}), "/0", json!(3)),
    ]);
}

#[test]
fn objects_are_followed_in_every_word_of_the_normal_form() {
    shows_each(&[
        (
            json!({"properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]},
            "required": ["a"]}),
            "/b",
            json!("b"),
        ),
        (
            json!({"properties": {"a": {}}, "dependentSchemas": {"a": {"required": ["c"],
            "properties": {"c": {"const": 4}}}}}),
            "/c",
            json!(4),
        ),
        (
            json!({"type": "object", "patternProperties": {"^x-[a-z]{2}$": {"const": 5}},
            "additionalProperties": false}),
            "/x-aa",
            json!(5),
        ),
    ]);
}

#[test]
fn names_and_sizes_are_followed_in_every_word_of_the_normal_form() {
    shows_each(&[
        (
            json!({"type": "object", "additionalProperties": {"const": 6},
            "propertyNames": {"pattern": "^[A-Z]{2}$"}, "minProperties": 3}),
            "/AA",
            json!(6),
        ),
        (
            json!({"type": "object", "propertyNames": {"enum": ["k", "l"]}, "minProperties": 2,
            "additionalProperties": {"const": 6}}),
            "/l",
            json!(6),
        ),
        (json!({"type": "object", "unevaluatedProperties": {"const": 7}}), "/other", json!(7)),
        (
            json!({"allOf": [{"minimum": 3}, {"maximum": 8}, {"multipleOf": 2.5}], "type": "number"}),
            "",
            json!(5),
        ),
    ]);
}

#[test]
fn parts_that_hold_together_are_followed() {
    shows_each(&[
        (
            json!({"$ref": "#/$defs/a", "maximum": 4, "$defs": {"a": {"type": "integer",
            "minimum": 4}}}),
            "",
            json!(4),
        ),
        (
            json!({"properties": {"a": {"const": 1}, "b": {"const": 2}}, "maxProperties": 1,
            "required": ["b"]}),
            "/b",
            json!(2),
        ),
    ]);
}

#[test]
fn recursion_ends() {
    let samples = samples(&json!({
        "type": "object", "properties": {"root": {"$ref": "#/channels/c/messages/A.B/payload/x-node"}},
        "required": ["root"],
        "x-node": {"type": "object", "required": ["name", "children"], "properties": {
            "name": {"type": "string"},
            "parent": {"$ref": "#/channels/c/messages/A.B/payload/x-node"},
            "children": {"type": "array",
                "items": {"$ref": "#/channels/c/messages/A.B/payload/x-node"}}}}
    }));

    let ordinary = &samples.found[0].data;
    assert_eq!(ordinary["root"]["children"][0]["children"], json!([]));
    assert!(ordinary.to_string().len() < 1_000, "{ordinary}");
    // A tree that has to end in a leaf finds it.
    let tree = json!({"$ref": "#/$defs/t", "$defs": {"t": {"anyOf": [
        {"type": "object", "required": ["l", "r"], "properties": {
            "l": {"$ref": "#/$defs/t"}, "r": {"$ref": "#/$defs/t"}}},
        {"type": "integer"}]}}});
    assert_eq!(of_normal_form(&tree).found[0].data, json!({"l": 1, "r": 1}));
}

#[test]
fn what_cannot_be_shown_is_named_whether_one_sample_is_asked_for_or_all() {
    let schema = json!({
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "string"}, "b": {"type": "string", "pattern": "^[0-9]+$",
            "enum": ["x"]}}
    });
    for deviations in [false, true] {
        let request = SampleRequest { deviations, ..SampleRequest::default() };
        let samples = message(&schema).unwrap().samples(&request);
        assert_eq!(samples.found[0].data, json!({"a": "a"}));
        assert_eq!(samples.unreached, ["with /b"]);
    }
    let nothing = of_normal_form(&json!({"type": "integer", "minimum": 2, "maximum": 1}));
    assert!(nothing.found.is_empty());
    assert_eq!(nothing.unreached, ["the ordinary sample"]);
}

#[test]
fn fixed_values_stand_and_decide_what_goes_with_them() {
    let message = message(&json!({
        "type": "object", "required": ["kind"],
        "properties": {"kind": {"type": "string"}, "n": {"type": "integer"}},
        "oneOf": [
            {"properties": {"kind": {"const": "card"}, "pan": {"type": "string"}}, "required": ["pan"]},
            {"properties": {"kind": {"const": "cash"}, "till": {"type": "string"}}}
        ]
    }));
    let fixed = BTreeMap::from([("/kind".to_owned(), json!("cash"))]);
    let request = SampleRequest { fixed, ..SampleRequest::default() };

    let samples = message.unwrap().samples(&request);

    assert!(samples.found.len() > 2);
    assert!(samples.found.iter().all(|sample| sample.data["kind"] == "cash"));
    assert_eq!(samples.found[0].data["till"], "till");
}

#[test]
fn the_same_seed_gives_the_same_samples_and_another_one_others() {
    let message = message(&order()).unwrap();
    let with = |seed| {
        let request = SampleRequest {
            count: 20,
            seed,
            deviations: false,
            varied: true,
            fixed: BTreeMap::new(),
        };
        message.samples(&request).found
    };

    assert_eq!(with(1), with(1));
    assert_eq!(with(1).len(), 20);
    assert_ne!(with(1), with(2));
}

#[test]
fn hostile_schemas_end_soon_and_within_bounds() {
    let wide: Value = (0..900).map(|n| (format!("m{n}"), json!({"type": "string"}))).collect();
    let nested = (0..40).fold(
        json!({"type": "integer"}),
        |inner, _| json!({"type": "array", "minItems": 2, "items": inner}),
    );
    let not = (0..40).fold(json!({"type": "integer"}), |inner, _| json!({"not": inner}));
    for schema in [
        json!({"type": "object", "properties": wide}),
        nested,
        not,
        json!({"type": "string", "minLength": 4_000_000_000_u64}),
        json!({"type": "array", "minItems": 4_000_000_000_u64}),
        json!({"type": "object", "minProperties": 1_000_000}),
        json!({"type": "array", "minItems": 200, "items": {"type": "array", "minItems": 10,
            "items": {"type": "string", "minLength": 9_000}}}),
        json!({"type": "array", "minItems": 150, "items": {"const": ["x".repeat(100_000)]}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"required": ["n"],
            "properties": {"n": {"$ref": "#/$defs/a"}}}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"properties": {"b":
            {"$ref": "#/$defs/a"}}}}}}),
    ] {
        let samples = of_normal_form(&schema);
        assert!(samples.found.iter().all(|sample| sample.data.to_string().len() < 1_000_000));
    }
}
