//! Gives a schema in the words of draft-07 the words of the normal form.

use serde_json::{Map, Value};

/// The schema with `$defs`, `prefixItems`, `dependentRequired` and `dependentSchemas`.
pub(super) fn in_normal_form(schema: &Value) -> Value {
    let Value::Object(words) = schema else { return schema.clone() };
    let mut normal = Map::new();
    for (word, value) in words {
        rewrite(&mut normal, word, value);
    }
    if let Some(Value::Array(_)) = words.get("items") {
        normal.remove("items");
        normal.extend(words.get("items").map(|list| ("prefixItems".to_owned(), each(list))));
        let rest = words.get("additionalItems").map(in_normal_form);
        normal.extend(rest.map(|rest| ("items".to_owned(), rest)));
    }
    Value::Object(normal)
}

fn rewrite(normal: &mut Map<String, Value>, word: &str, value: &Value) {
    let (word, value) = match (word, value) {
        ("additionalItems", _) => return,
        ("dependencies", Value::Object(members)) => {
            let (names, schemas): (Map<_, _>, Map<_, _>) =
                members.clone().into_iter().partition(|(_, member)| member.is_array());
            normal.insert("dependentRequired".to_owned(), names.into());
            ("dependentSchemas", each(&schemas.into()))
        }
        ("definitions" | "$defs", _) => ("$defs", each(value)),
        ("$ref", Value::String(reference)) => {
            (word, reference.replacen("#/definitions/", "#/$defs/", 1).into())
        }
        (
            "properties" | "patternProperties" | "dependentSchemas" | "allOf" | "anyOf" | "oneOf"
            | "prefixItems",
            _,
        ) => (word, each(value)),
        (
            "additionalProperties"
            | "propertyNames"
            | "unevaluatedProperties"
            | "items"
            | "contains"
            | "unevaluatedItems"
            | "not"
            | "if"
            | "then"
            | "else",
            _,
        ) => (word, in_normal_form(value)),
        _ => (word, value.clone()),
    };
    normal.insert(word.to_owned(), value);
}

/// Every schema of a list or a mapping.
fn each(schemas: &Value) -> Value {
    match schemas {
        Value::Array(list) => list.iter().map(in_normal_form).collect(),
        Value::Object(members) => {
            let normal = members.iter().map(|(name, one)| (name.clone(), in_normal_form(one)));
            Value::Object(normal.collect())
        }
        _ => schemas.clone(),
    }
}
