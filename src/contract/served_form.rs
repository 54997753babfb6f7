//! The schema that consumers get: open where that cannot change what applies, and in draft-07
//! where that has the words.

use serde_json::{Map, Value, json};

use crate::contract::keyword::{Holds, holds};

/// Words of the normal form that draft-07 has no way to say.
const LATER: [&str; 4] =
    ["unevaluatedProperties", "unevaluatedItems", "minContains", "maxContains"];

/// Words under which a schema that accepts more can make the whole accept less.
const REFUSES_MORE: [&str; 4] = ["oneOf", "not", "if", "maxContains"];

const DRAFT_07: &str = "http://json-schema.org/draft-07/schema#";
const DRAFT_2020_12: &str = "https://json-schema.org/draft/2020-12/schema";

/// Writes a schema of the normal form for consumers, who ignore what they do not know.
///
/// `old` says that the contract is written in a dialect no later than draft-07, whose tools its
/// consumers have.
pub(super) fn served(schema: &Value, old: bool) -> Value {
    let mut served = schema.clone();
    if !mentions(&served, &REFUSES_MORE) {
        each(&mut served, &mut open);
    }
    let old = old && !mentions(&served, &LATER);
    if old {
        each(&mut served, &mut with_old_words);
    }
    let dialect = if old { DRAFT_07 } else { DRAFT_2020_12 };
    let mut root = match served {
        Value::Object(root) => root,
        Value::Bool(true) => Map::new(),
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    };
    root.insert("$schema".to_owned(), dialect.into());
    Value::Object(root)
}

/// Whether a schema, or one in it, has one of the keywords. Names of members do not count.
fn mentions(schema: &Value, keywords: &[&str]) -> bool {
    let mut found = false;
    let mut schema = schema.clone();
    each(&mut schema, &mut |object| {
        found |= object.keys().any(|keyword| keywords.contains(&keyword.as_str()));
    });
    found
}

/// Visits every schema in a schema, what is in it first. What is no schema stays as it is, such as
/// a `const` that looks like one.
fn each(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(object) = schema else { return };
    for (keyword, value) in object.iter_mut() {
        match (holds(keyword), value) {
            (Holds::Other, _) => {}
            (Holds::Schema, value) => each(value, visit),
            (_, Value::Array(items)) => items.iter_mut().for_each(|item| each(item, visit)),
            (Holds::SchemaOrList, value) => each(value, visit),
            (_, Value::Object(members)) => {
                members.values_mut().for_each(|member| each(member, visit));
            }
            _ => {}
        }
    }
    visit(object);
}

fn open(object: &mut Map<String, Value>) {
    for keyword in ["additionalProperties", "unevaluatedProperties"] {
        if object.get(keyword) == Some(&Value::Bool(false)) {
            object.remove(keyword);
        }
    }
}

fn with_old_words(object: &mut Map<String, Value>) {
    if let Some(list) = object.remove("prefixItems")
        && let Some(rest) = object.insert("items".to_owned(), list)
    {
        object.insert("additionalItems".to_owned(), rest);
    }
    let mut dependencies = Map::new();
    for keyword in ["dependentRequired", "dependentSchemas"] {
        let Some(Value::Object(members)) = object.remove(keyword) else { continue };
        for (name, member) in members {
            match dependencies.remove(&name) {
                None => dependencies.insert(name, member),
                Some(names) => {
                    let both = json!({ "allOf": [{ "dependencies": { &name: names } }, member] });
                    dependencies.insert(name, both)
                }
            };
        }
    }
    if !dependencies.is_empty() {
        object.insert("dependencies".to_owned(), dependencies.into());
    }
    if let Some(definitions) = object.remove("$defs") {
        object.insert("definitions".to_owned(), definitions);
    }
    let mapping = object.get_mut("discriminator").and_then(|written| written.get_mut("mapping"));
    if let Some(Value::Object(mapping)) = mapping {
        mapping.values_mut().for_each(of_definitions);
    }
    let Some(mut reference) = object.remove("$ref") else { return };
    of_definitions(&mut reference);
    if object.is_empty() {
        object.insert("$ref".to_owned(), reference);
    } else if let Value::Array(parts) = object.entry("allOf").or_insert_with(|| json!([])) {
        // Beside a reference draft-07 sees nothing.
        parts.insert(0, json!({ "$ref": reference }));
    }
}

fn of_definitions(reference: &mut Value) {
    if let Some(name) = reference.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
        *reference = Value::from(format!("#/definitions/{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_opened_only_where_that_accepts_more() {
        let closed = json!({
            "additionalProperties": false,
            "properties": {"a": {"additionalProperties": false}, "b": {"const": {"additionalProperties": false}}},
            "$defs": {"d": {"prefixItems": [{"unevaluatedProperties": false}], "additionalProperties": true}}
        });
        let mut open = json!({
            "properties": {"a": {}, "b": {"const": {"additionalProperties": false}}},
            "$defs": {"d": {"prefixItems": [{}], "additionalProperties": true}}
        });
        let mut exclusive = json!({"oneOf": [closed]});
        let mut counted = json!({"contains": closed, "maxContains": 1});

        open["$schema"] = DRAFT_2020_12.into();
        assert_eq!(served(&closed, false), open);
        let same = served(&exclusive, false);
        exclusive["$schema"] = DRAFT_2020_12.into();
        assert_eq!(same, exclusive);
        let same = served(&counted, false);
        counted["$schema"] = DRAFT_2020_12.into();
        assert_eq!(same, counted);
    }

    #[test]
    fn draft_07_gets_its_own_words() {
        let schema = json!({
            "$ref": "#/$defs/a", "type": "object",
            "dependentRequired": {"x": ["y"]}, "dependentSchemas": {"x": {"$ref": "#/$defs/a"}, "z": true},
            "$defs": {"a": {"prefixItems": [true], "items": false}}
        });

        assert_eq!(
            served(&schema, true),
            json!({
                "$schema": DRAFT_07, "type": "object",
                "allOf": [{"$ref": "#/definitions/a"}],
                "dependencies": {
                    "x": {"allOf": [{"dependencies": {"x": ["y"]}}, {"$ref": "#/definitions/a"}]},
                    "z": true
                },
                "definitions": {"a": {"items": [true], "additionalItems": false}}
            })
        );
        assert_eq!(served(&json!({"minContains": 1}), true)["$schema"], DRAFT_2020_12);
        assert_eq!(served(&json!(true), true), json!({ "$schema": DRAFT_07 }));
    }
}
