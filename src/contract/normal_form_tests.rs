//! Tests of the normal form: what each dialect's words become.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::contract::bundle::ContractBundle;
use crate::contract::dialect::Dialect;
use crate::contract::fields::Generation;
use crate::contract::reference::{Library, Location};
use crate::contract::rules::Rules;
use crate::contract::text::Text;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

fn library(files: &[(&str, &str)]) -> Library {
    let read = |(path, text): &(&str, &str)| {
        ((*path).to_owned(), Text::read(path, text).expect("readable"))
    };
    Library::new(files.iter().map(read).collect::<BTreeMap<_, _>>())
}

/// The bundle of `payload` in the first file, and its warnings; or its mistakes.
fn bundled(
    files: &[(&str, &str)],
    format: Option<Dialect>,
) -> Result<(ContractBundle, Vec<String>), Vec<String>> {
    let library = library(files);
    let payload = Location::root(files[0].0).child("payload");
    let bundle = ContractBundle::of(&library, &payload, Generation::Three, format);
    let bundle =
        bundle.map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let warnings = bundle.unasserted(&library).iter().map(ToString::to_string).collect();
    Ok((bundle, warnings))
}

/// What a payload becomes, without the `$schema` of the normal form.
fn normal(payload: &str, format: Option<Dialect>) -> Value {
    let file = format!("payload: {payload}\n");
    let (bundle, _) = bundled(&[("a.yaml", &file)], format).unwrap();
    let mut schema = bundle.schema;
    assert_eq!(
        schema.as_object_mut().and_then(|root| root.remove("$schema")),
        Some(json!(DIALECT))
    );
    schema
}

fn mistakes(payload: &str, format: Option<Dialect>) -> Vec<String> {
    let file = format!("payload: {payload}\n");
    bundled(&[("a.yaml", &file)], format).err().unwrap()
}

fn warnings(payload: &str, format: Option<Dialect>) -> Vec<String> {
    bundled(&[("a.yaml", &format!("payload: {payload}\n"))], format).unwrap().1
}

#[test]
fn words_of_the_old_drafts_become_those_of_2020_12() {
    for (written, expected) in [
        (
            "{ items: [true, { type: string }], additionalItems: false }",
            json!({"prefixItems": [true, {"type": "string"}], "items": false}),
        ),
        ("{ items: { type: string } }", json!({"items": {"type": "string"}})),
        (
            "{ dependencies: { a: [b], c: { required: [d] } } }",
            json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}}),
        ),
        (
            "{ dependencies: { a: [b] }, dependentRequired: { a: [c] } }",
            json!({"dependentRequired": {"a": ["c"]}, "allOf": [{"dependentRequired": {"a": ["b"]}}]}),
        ),
        (
            "{ allOf: [{ type: object }], dependencies: { a: [b] }, dependentRequired: { a: [c] } }",
            json!({"dependentRequired": {"a": ["c"]},
                "allOf": [{"type": "object"}, {"dependentRequired": {"a": ["b"]}}]}),
        ),
        ("{ definitions: { a: { type: string } } }", json!({})),
        (
            "{ type: object, x-mine: 1, $comment: c }",
            json!({"type": "object", "x-mine": 1, "$comment": "c"}),
        ),
        ("true", json!(true)),
    ] {
        for dialect in [None, Some(Dialect::Draft7)] {
            if expected == true {
                let file = [("a.yaml", "payload: true\n")];
                assert_eq!(bundled(&file, dialect).unwrap().0.schema, expected);
                continue;
            }
            assert_eq!(normal(written, dialect), expected, "{written}");
        }
    }
}

#[test]
fn exclusive_bounds_are_numbers_or_flags_as_the_dialect_says() {
    let flags = "{ minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false }";
    let numbers = "{ minimum: 1, exclusiveMinimum: 2 }";
    for dialect in [None, Some(Dialect::Draft4), Some(Dialect::OpenApi30)] {
        assert_eq!(normal(flags, dialect), json!({"exclusiveMinimum": 1, "maximum": 9}));
    }
    assert_eq!(normal(numbers, None), json!({"minimum": 1, "exclusiveMinimum": 2}));

    assert!(
        mistakes(flags, Some(Dialect::Draft7))[0].contains("`exclusiveMinimum` is a number in")
    );
    assert!(mistakes(numbers, Some(Dialect::Draft4))[0].contains("is `true` or `false` in"));
}

#[test]
fn nullable_adds_null_to_the_types() {
    for (written, expected) in [
        ("{ type: string, nullable: true }", json!({"type": ["string", "null"]})),
        ("{ nullable: true, type: [string, 'null'] }", json!({"type": ["string", "null"]})),
        ("{ type: string, nullable: false }", json!({"type": "string"})),
        (
            "{ type: string, nullable: true, enum: [a] }",
            json!({"type": ["string", "null"], "enum": ["a"]}),
        ),
    ] {
        for dialect in [None, Some(Dialect::OpenApi30)] {
            assert_eq!(normal(written, dialect), expected, "{written}");
        }
    }
    let told = mistakes("{ type: string, nullable: true }", Some(Dialect::Draft202012));
    assert!(told[0].contains("write `type: [string, 'null']`"), "{told:?}");
    assert!(warnings("{ nullable: true }", None)[0].contains("`nullable` without `type`"));
}

#[test]
fn what_stands_beside_a_reference_applies_as_the_dialect_says() {
    let written = "{ properties: { a: { $ref: '#/payload/$defs/t', maxLength: 3, title: T } }, \
                   $defs: { t: { type: string } } }";
    let old =
        json!({"properties": {"a": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"type": "string"}}});
    let mut new = old.clone();
    new["properties"]["a"] = json!({"$ref": "#/$defs/t", "maxLength": 3, "title": "T"});

    for dialect in [None, Some(Dialect::Draft4), Some(Dialect::Draft7), Some(Dialect::OpenApi30)] {
        assert_eq!(normal(written, dialect), old);
        let told = warnings(written, dialect);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("1:58: warning: `maxLength` beside `$ref` demands nothing"),
            "{told:?}"
        );
    }
    for dialect in [Some(Dialect::Draft201909), Some(Dialect::Draft202012)] {
        assert_eq!(normal(written, dialect), new);
        assert!(warnings(written, dialect).is_empty());
    }
}

#[test]
fn every_word_that_no_dialect_knows_is_refused_at_its_place() {
    let found =
        mistakes("{ minlength: 3, properties: { a: { requird: [b] }, zebra: { frob: 1 } } }", None);

    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("a.yaml:1:12: `minlength` is a keyword that no dialect"),
        "{found:?}"
    );
    assert!(found[0].contains("did you mean `minLength`?"));
    assert!(found[1].contains("`requird`") && found[1].contains("did you mean `required`?"));
    assert!(found[2].contains("`frob`") && found[2].contains("`x-frob`"));
}

#[test]
fn what_demands_nothing_is_told_once_for_each_word() {
    let told = warnings(
        "{ properties: { a: { format: double }, b: { format: double }, \
         c: { contentMediaType: text/html }, d: { format: uuid } } }",
        None,
    );

    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("`contentMediaType` demands nothing"));
    assert!(told[1].contains("`format: double` demands nothing of data, here and in 1 further"));
}

#[test]
fn words_that_say_something_only_beside_others_are_told_without_them() {
    for (payload, told) in [
        ("{ then: { type: string } }", "`then` without `if`"),
        ("{ else: { type: string } }", "`else` without `if`"),
        ("{ if: { type: string } }", "`if` without `then` or `else`"),
        ("{ minContains: 2 }", "`minContains` without `contains`"),
        ("{ maxContains: 2 }", "`maxContains` without `contains`"),
        ("{ additionalItems: false }", "`additionalItems` without a list of `items`"),
    ] {
        let found = warnings(payload, None);
        assert!(found.len() == 1 && found[0].contains(told), "{payload}: {found:?}");
    }
    for payload in ["{ if: true, then: true }", "{ contains: true, minContains: 2 }"] {
        assert_eq!(warnings(payload, None), Vec::<String>::new());
    }
}

#[test]
fn the_dialect_is_the_formats_else_the_schemas_else_asyncapis() {
    let lists = "{ $schema: 'https://json-schema.org/draft/2020-12/schema', items: [true] }";
    assert!(mistakes(lists, None)[0].contains("write the list under `prefixItems`"));

    let multiple =
        "{ schemaFormat: application/schema+json;version=2020-12, schema: { items: [true] } }";
    assert!(mistakes(multiple, None)[0].contains("write the list under `prefixItems`"));
    let multiple = "{ schemaFormat: application/schema+json;version=draft-07, \
                    schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', items: [true] } }";
    assert_eq!(normal(multiple, None), json!({"prefixItems": [true]}));
    let foreign = "{ $schema: 'http://json-schema.org/draft-03/schema#' }";
    assert!(mistakes(foreign, None)[0].contains("is not a dialect that is read"));
}

#[test]
fn a_file_that_is_referred_to_is_read_in_its_own_dialect() {
    let contract = "payload: { properties: { a: { $ref: 'old.json#/definitions/a' }, \
                    b: { $ref: 'registry.yaml#/components/schemas/B' } } }\n";
    let old = r##"{"$schema": "http://json-schema.org/draft-04/schema#", "definitions":
        {"a": {"minimum": 1, "exclusiveMinimum": true, "items": {"$ref": "#/definitions/b"}},
         "b": {"$ref": "#"}}, "title": "whole"}"##;
    let registry =
        "openapi: 3.0.0\ncomponents:\n  schemas:\n    B: { type: string, nullable: true }\n";

    let files = [("a.yaml", contract), ("old.json", old), ("registry.yaml", registry)];
    let schema = bundled(&files, None).unwrap().0.schema;

    assert_eq!(
        schema["$defs"],
        json!({
            "a": {"exclusiveMinimum": 1, "items": {"$ref": "#/$defs/schema"}},
            "schema": {"title": "whole"},
            "B": {"type": ["string", "null"]}
        })
    );
}

#[test]
fn schemas_are_found_by_their_own_names() {
    let written = "
  $schema: https://json-schema.org/draft/2020-12/schema
  $id: https://example.com/tree
  $dynamicAnchor: node
  properties:
    data: true
    children: { items: { $dynamicRef: '#node' } }
    named: { $ref: '#leaf' }
    addressed: { $ref: leaf.json }
  $defs:
    one: { $anchor: leaf, type: string }
    two: { $id: leaf.json, type: integer }
";
    let schema = normal(written, None);

    assert_eq!(schema["properties"]["children"], json!({"items": {"$ref": "#/$defs/payload"}}));
    assert_eq!(schema["$defs"]["one"], json!({"type": "string"}));
    assert_eq!(schema["$defs"]["two"], json!({"type": "integer"}));
    assert_eq!(schema["$defs"]["payload"]["properties"]["named"], json!({"$ref": "#/$defs/one"}));
}

#[test]
fn a_dynamic_reference_leads_to_the_outermost_schema_of_its_name() {
    // A strict tree extends an open one: its nodes are strict trees, too.
    let contract = "payload: { $ref: 'strict.json' }\n";
    let strict = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/strict",
        "$dynamicAnchor": "node", "$ref": "tree.json", "unevaluatedProperties": false}"#;
    let tree = r##"{"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicAnchor": "node",
        "properties": {"children": {"items": {"$dynamicRef": "#node"}}}}"##;

    let files = [("a.yaml", contract), ("strict.json", strict), ("tree.json", tree)];
    let schema = bundled(&files, None).unwrap().0.schema;

    let strict = |name: &str| schema["$defs"][name]["unevaluatedProperties"] == false;
    let names: Vec<&String> = schema["$defs"].as_object().unwrap().keys().collect();
    let items = |name: &str| schema["$defs"][name].pointer("/properties/children/items/$ref");
    let nodes: Vec<&str> = names.iter().filter_map(|name| items(name)?.as_str()).collect();
    assert!(!nodes.is_empty());
    for node in nodes {
        assert!(strict(node.strip_prefix("#/$defs/").unwrap()), "{schema}");
    }
}

#[test]
fn a_discriminator_leads_from_values_to_branches() {
    let contract = "
payload:
  discriminator: { propertyName: kind, mapping: { card: '#/schemas/Card', cash: Cash } }
  oneOf: [{ $ref: '#/schemas/Card' }, { $ref: '#/schemas/Cash' }, { $ref: '#/schemas/Fixed' }, { type: object }]
schemas:
  Card: { type: object }
  Cash: { type: object }
  Fixed: { properties: { kind: { const: fixed } } }
";
    let (bundle, warnings) = bundled(&[("a.yaml", contract)], None).unwrap();

    assert!(warnings.is_empty());
    assert_eq!(
        bundle.schema["discriminator"],
        json!({"propertyName": "kind", "mapping": {
            "card": "#/$defs/Card", "Card": "#/$defs/Card", "cash": "#/$defs/Cash", "Cash": "#/$defs/Cash"
        }})
    );
    let refined = bundle.refined();
    assert_eq!(
        refined["oneOf"][0],
        json!({"allOf": [
            {"properties": {"kind": {"enum": ["Card", "card"]}}, "required": ["kind"]},
            {"$ref": "#/$defs/Card"}
        ]})
    );
    assert_eq!(refined["oneOf"][2], json!({"$ref": "#/$defs/Fixed"}));

    let wrong = contract.replace("'#/schemas/Card', cash", "'#/schemas/Crad', cash");
    let told = bundled(&[("a.yaml", &wrong)], None).err().unwrap();
    assert!(told[0].contains("`#/schemas/Crad` is none of the alternatives"), "{told:?}");
    let alone = warnings_of("{ discriminator: kind, properties: { kind: { type: string } } }");
    assert!(alone[0].contains("`discriminator` without `oneOf`"), "{alone:?}");
}

#[test]
fn a_branch_that_fixes_the_member_in_a_part_or_behind_references_needs_no_name() {
    let contract = "
payload:
  discriminator: { propertyName: kind, mapping: { bird: '#/schemas/RealBird' } }
  oneOf: [{ $ref: '#/schemas/Cat' }, { $ref: '#/schemas/Dog' }, { $ref: '#/schemas/Cow' }, { $ref: '#/schemas/Bird' }]
schemas:
  Base: { type: object }
  Cat: { allOf: [{ $ref: '#/schemas/Base' }, { properties: { kind: { const: cat } } }] }
  Dog: { properties: { kind: { $ref: '#/schemas/DogKind' } } }
  DogKind: { enum: [dog] }
  Cow: { $ref: '#/schemas/RealCow' }
  RealCow: { properties: { kind: { const: cow } } }
  Bird: { $ref: '#/schemas/RealBird' }
  RealBird: { type: object }
";
    let (bundle, _) = bundled(&[("a.yaml", contract)], None).unwrap();

    let mapping = &bundle.schema["discriminator"]["mapping"];
    let values: Vec<&String> = mapping.as_object().unwrap().keys().collect();
    assert_eq!(values, ["Bird", "bird"], "{mapping}");
}

#[test]
fn a_discriminator_holds_only_what_is_read() {
    let told = mistakes(
        "{ discriminator: { propertyName: k, maping: {}, mapping: [a] }, oneOf: [{ $ref: '#/payload' }] }",
        None,
    );
    assert!(told.iter().any(|one| one.contains("did you mean `mapping`?")), "{told:?}");
    assert!(told.iter().any(|one| one.contains("`mapping` leads from values")), "{told:?}");
}

fn warnings_of(payload: &str) -> Vec<String> {
    warnings(payload, None)
}

#[test]
fn every_dangling_reference_is_found_not_the_first_alone() {
    let found = mistakes(
        "{ properties: { a: { $ref: '#/x' }, b: { $ref: 'https://example.com/b' }, c: { $ref: '#c' } } }",
        None,
    );

    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("leads nowhere"));
    assert!(found[1].contains("never fetched"));
    assert!(found[2].contains("does not name a place by its path"));
}

#[test]
fn contains_of_2019_looks_at_nothing_whichever_file_asks() {
    let contract = "payload: { $ref: './a.json' }\n";
    let asking = r#"{"$schema": "https://json-schema.org/draft/2019-09/schema",
        "$ref": "./b.json", "unevaluatedItems": false}"#;
    let counting = r#"{"$schema": "https://json-schema.org/draft/2019-09/schema",
        "contains": {"type": "integer"}}"#;
    let files = [("a.yaml", contract), ("a.json", asking), ("b.json", counting)];
    let schema = bundled(&files, None).unwrap().0.schema;
    let rules = Rules::compile(&schema).ok().unwrap();

    assert!(!rules.accept(&json!([1])), "{schema}");
    let alone = [("a.yaml", "payload: { $ref: './b.json' }\n"), ("b.json", counting)];
    let schema = bundled(&alone, None).unwrap().0.schema;
    assert!(Rules::compile(&schema).ok().unwrap().accept(&json!([1])), "{schema}");
}
