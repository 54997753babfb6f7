//! What may stand in place of what a schema excludes.
//!
//! A generator cannot make a value from `not`. Here `not` becomes alternatives, each of which breaks
//! one demand of the excluded schema and is a schema itself, with three words of our own.

use serde_json::{Map, Value, json};

/// Values that may not stand there.
pub(super) const EXCLUDED: &str = "%excluded";
/// What a member has to keep if it is there; unlike `properties` it does not make one be there.
pub(super) const LIMITS: &str = "%limits";
/// Patterns that a text may not match.
pub(super) const UNMATCHED: &str = "%unmatched";
/// Types of which the value is one, without having each of them be tried.
pub(super) const TYPES: &str = "%types";

/// All types, `number` without whole numbers aside.
pub(super) const ALL_TYPES: [&str; 7] =
    ["object", "array", "string", "integer", "number", "boolean", "null"];

/// Alternatives that one exclusion gives.
const MAX_ALTERNATIVES: usize = 8;

/// Schemas, most likely first, each of which no value keeps that keeps `schema`. A reference is
/// followed by whoever asks.
pub(super) fn alternatives(schema: &Value) -> Vec<Value> {
    let Value::Object(words) = schema else {
        return if schema == &Value::Bool(false) { vec![Value::Bool(true)] } else { Vec::new() };
    };
    let mut found = Vec::new();
    listed(words, &mut found);
    members(words, &mut found, true);
    presence(words, &mut found);
    parts(words, &mut found);
    kinds(words, &mut found);
    sizes(words, &mut found);
    members(words, &mut found, false);
    found.truncate(MAX_ALTERNATIVES);
    found
}

fn listed(words: &Map<String, Value>, found: &mut Vec<Value>) {
    if let Some(value) = words.get("const") {
        found.push(json!({ EXCLUDED: [value] }));
    }
    if let Some(Value::Array(values)) = words.get("enum") {
        found.push(json!({ EXCLUDED: values }));
    }
}

/// Members that are there and break what they have to keep: first those with fixed values.
fn members(words: &Map<String, Value>, found: &mut Vec<Value>, fixed: bool) {
    let Some(Value::Object(members)) = words.get("properties") else { return };
    for (name, member) in members {
        let is_fixed = ["const", "enum"].iter().any(|word| member.get(word).is_some());
        if is_fixed == fixed && member.as_object().is_none_or(|words| !words.is_empty()) {
            found.push(json!({
                TYPES: ["object"], "required": [name], LIMITS: { name: { "not": member } }
            }));
        }
    }
}

fn presence(words: &Map<String, Value>, found: &mut Vec<Value>) {
    if let Some(Value::Array(names)) = words.get("required") {
        for name in names.iter().filter_map(Value::as_str) {
            found.push(json!({ TYPES: ["object"], LIMITS: { name: false } }));
        }
    }
}

fn parts(words: &Map<String, Value>, found: &mut Vec<Value>) {
    if let Some(Value::Array(parts)) = words.get("allOf") {
        found.extend(parts.iter().map(|part| json!({ "not": part })));
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(Value::Array(parts)) = words.get(word) {
            let none: Vec<Value> = parts.iter().map(|part| json!({ "not": part })).collect();
            found.push(json!({ "allOf": none }));
        }
    }
    if let Some(excluded) = words.get("not") {
        found.push(excluded.clone());
    }
}

fn kinds(words: &Map<String, Value>, found: &mut Vec<Value>) {
    let kinds: Vec<&str> = match words.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() {
        let taken =
            |kind: &&str| kinds.contains(kind) || (*kind == "integer" && kinds.contains(&"number"));
        let others: Vec<&str> = ALL_TYPES.into_iter().filter(|kind| !taken(kind)).collect();
        found.push(json!({ TYPES: others }));
    }
    if let Some(pattern) = words.get("pattern") {
        found.push(json!({ TYPES: ["string"], UNMATCHED: [pattern] }));
    }
}

fn sizes(words: &Map<String, Value>, found: &mut Vec<Value>) {
    for (word, opposite) in [
        ("minimum", "exclusiveMaximum"),
        ("maximum", "exclusiveMinimum"),
        ("exclusiveMinimum", "maximum"),
        ("exclusiveMaximum", "minimum"),
    ] {
        if let Some(limit) = words.get(word) {
            found.push(json!({ TYPES: ["integer", "number"], opposite: limit }));
        }
    }
    for (kind, least, most) in [
        ("string", "minLength", "maxLength"),
        ("array", "minItems", "maxItems"),
        ("object", "minProperties", "maxProperties"),
    ] {
        let count = |word: &str| words.get(word).and_then(Value::as_u64);
        if let Some(fewer) = count(least).and_then(|count| count.checked_sub(1)) {
            found.push(json!({ TYPES: [kind], most: fewer }));
        }
        if let Some(more) = count(most).and_then(|count| count.checked_add(1)) {
            found.push(json!({ TYPES: [kind], least: more }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_alternatives_apart_comes_first() {
        let card = json!({"properties": {"till": {"type": "integer"}, "kind": {"const": "card"}},
            "required": ["kind"], "type": "object"});

        let found = alternatives(&card);

        assert_eq!(found[0][LIMITS], json!({"kind": {"not": {"const": "card"}}}));
        assert_eq!(found[1][LIMITS], json!({"kind": false}));
    }

    #[test]
    fn everything_and_nothing_are_each_others_denial() {
        assert_eq!(alternatives(&json!(true)), Vec::<Value>::new());
        assert_eq!(alternatives(&json!(false)), [json!(true)]);
        assert_eq!(alternatives(&json!({"not": {"type": "null"}})), [json!({"type": "null"})]);
    }
}
