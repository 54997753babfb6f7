//! What is said of a value that no alternative accepts.

use serde_json::{Value, json};

use crate::contract::rules::Rules;

/// Code, pointer and message of each violation.
fn explained(schema: &Value, data: &Value) -> Vec<(String, String, String)> {
    let rules = Rules::compile(schema).map_err(|mistake| mistake.problem).unwrap();
    let mut violations = Vec::new();
    rules.explain(data, &mut violations);
    violations.into_iter().map(|one| (one.code, one.pointer, one.message)).collect()
}

fn places(found: &[(String, String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(code, pointer, _)| (&**code, &**pointer)).collect()
}

fn payments() -> Value {
    json!({
        "oneOf": [
            {"$ref": "#/$defs/Card"},
            {"allOf": [{"$ref": "#/$defs/Cash"}], "properties": {"till": {"type": "integer"}}},
            {"title": "By transfer", "properties": {"kind": {"enum": ["sepa", "swift"]}}, "required": ["kind"]}
        ],
        "$defs": {
            "Kind": {"type": "string"},
            "Base": {"properties": {"currency": {"enum": ["EUR", "USD"]}}},
            "Card": {"allOf": [{"$ref": "#/$defs/Base"}], "required": ["kind", "pan"],
                "properties": {"kind": {"const": "card", "$ref": "#/$defs/Kind"}, "pan": {"type": "string"}}},
            "Cash": {"properties": {"kind": {"$ref": "#/$defs/IsCash"}, "currency": {"const": "EUR"}},
                "required": ["kind"]},
            "IsCash": {"const": "cash"}
        }
    })
}

#[test]
fn the_branch_whose_discriminator_fits_is_named_with_what_failed_inside_it() {
    let found = explained(&payments(), &json!({"kind": "card", "pan": 4111, "currency": "secret"}));
    assert_eq!(places(&found), [("one-of", ""), ("type", "/pan"), ("enum", "/currency")]);
    assert!(found[0].2.ends_with("its `kind` is that of `Card` (alternative 1 of 3)"), "{found:?}");
    assert!(!format!("{found:?}").contains("secret") && !format!("{found:?}").contains("4111"));

    let found = explained(&payments(), &json!({"kind": "cash", "till": "x"}));
    assert_eq!(places(&found), [("one-of", ""), ("type", "/till")]);
    assert!(found[0].2.contains("`Cash` (alternative 2 of 3)"), "{found:?}");
}

#[test]
fn a_discriminator_that_fits_no_branch_is_named_with_the_values_it_may_have() {
    for (data, fault) in [(json!({"kind": "secret"}), ""), (json!({}), " is missing,")] {
        let found = explained(&payments(), &data);
        assert_eq!(places(&found), [("one-of", "")]);
        let said = format!(
            ": `kind` decides which,{fault} and may be \"card\", \"cash\", \"sepa\", \"swift\""
        );
        assert!(found[0].2.ends_with(&said), "{found:?}");
    }
    let many: Vec<Value> = (0..40)
        .map(|n| json!({"properties": {"v": {"const": format!("{n}{}", "x".repeat(100))}}, "required": ["v"]}))
        .collect();
    let found = explained(&json!({ "oneOf": many }), &json!({"v": "y"}));
    assert!(found[0].2.ends_with(" and 24 more") && found[0].2.len() < 2_000, "{found:?}");
}

#[test]
fn without_one_discriminator_the_fixed_or_required_members_tell() {
    let two = json!({"anyOf": [
        {"title": "old", "properties": {"type": {"const": "a"}, "v": {"const": 1}, "n": {"type": "null"}}},
        {"title": "new", "properties": {"type": {"const": "a"}, "v": {"const": 2}, "n": {"type": "string"}}},
        {"properties": {"type": {"const": "b"}, "v": {"const": 1}}}
    ]});
    let found = explained(&two, &json!({"type": "a", "v": 2.0, "n": 7}));
    assert_eq!(places(&found), [("any-of", ""), ("type", "/n")]);
    assert!(
        found[0].2.contains("its `type`, `v` are that of `new` (alternative 2 of 3)"),
        "{found:?}"
    );

    let required = json!({"oneOf": [
        {"required": ["id", "iban"], "properties": {"iban": {"minLength": 15}}},
        {"required": ["id", "pan"]}
    ]});
    let found = explained(&required, &json!({"id": 1, "iban": "DE"}));
    assert_eq!(places(&found), [("one-of", ""), ("min-length", "/iban")]);
    assert!(found[0].2.ends_with("it has the `iban` of alternative 1 of 2"), "{found:?}");
}

#[test]
fn failing_that_the_type_tells() {
    let nullable = json!({"anyOf": [{"type": "null"}, {"type": "object", "required": ["a"]}]});
    let found = explained(&nullable, &json!({}));
    assert_eq!(places(&found), [("any-of", ""), ("required", "")]);
    assert!(found[0].2.ends_with("its type is that of alternative 2 of 2"), "{found:?}");

    let listed = json!({"oneOf": [{"const": "a"}, {"const": "b", "title": "B"}]});
    let found = explained(&listed, &json!("secret"));
    assert!(found.len() == 1 && found[0].2.ends_with("it may be \"a\", \"b\""), "{found:?}");
}

#[test]
fn where_several_fit_equally_nothing_more_is_said() {
    let alike = json!({"oneOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "null"}}}
    ]});
    let found = explained(&alike, &json!({"a": 1}));
    assert_eq!(places(&found), [("one-of", "")]);
    assert!(found[0].2.ends_with("and matches none"), "{found:?}");

    let several = json!({"oneOf": [{"title": "One"}, {"type": "null"}, {}]});
    let found = explained(&several, &json!(1));
    let said = "and matches several: `One` (alternative 1 of 3), alternative 3 of 3";
    assert!(found[0].2.ends_with(said), "{found:?}");
}

#[test]
fn alternatives_within_alternatives_are_explained_to_a_bounded_depth() {
    let mut schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    for _ in 0..3 {
        schema =
            json!({"type": "object", "properties": {"in": {"oneOf": [schema, {"type": "null"}]}}});
    }
    let found = explained(&schema, &json!({"in": {"in": {"in": {"n": "x"}}}}));
    assert_eq!(
        places(&found),
        [("one-of", "/in"), ("one-of", "/in/in"), ("one-of", "/in/in/in"), ("type", "/in/in/in/n")]
    );

    let mut deep = json!({"type": "integer"});
    for _ in 0..20 {
        deep = json!({"anyOf": [{"type": "null"}, deep]});
    }
    assert!(explained(&deep, &json!(1.5)).len() < 12);
}
