//! What a schema requires of an object, and which types of JSON it allows, wherever it applies.

use std::collections::BTreeSet;

use serde_json::Value;

/// What one schema requires by itself and by its alternatives, its `allOf` and `$ref` left out.
pub(super) fn required_by<'s>(
    root: &'s Value,
    schema: &'s Value,
    depth: usize,
    left: &mut usize,
) -> BTreeSet<&'s str> {
    if depth == 0 || !spend(left) {
        return BTreeSet::new();
    }
    let mut names: BTreeSet<&str> = schema.get("required").into_iter().flat_map(texts).collect();
    for word in ["anyOf", "oneOf"] {
        let branches: Vec<&Value> = list(schema, word).collect();
        names.append(&mut required_by_all(root, &branches, depth - 1, left));
    }
    if let (Some(_), Some(then), Some(otherwise)) =
        (schema.get("if"), schema.get("then"), schema.get("else"))
    {
        names.append(&mut required_by_all(root, &[then, otherwise], depth - 1, left));
    }
    names
}

/// What every one of some alternatives requires.
fn required_by_all<'s>(
    root: &'s Value,
    alternatives: &[&'s Value],
    depth: usize,
    left: &mut usize,
) -> BTreeSet<&'s str> {
    let mut common: Option<BTreeSet<&str>> = None;
    for alternative in alternatives.iter().filter(|one| ***one != Value::Bool(false)) {
        let names = required_with_parts(root, alternative, depth, left);
        common = Some(match common {
            None => names,
            Some(before) => before.intersection(&names).copied().collect(),
        });
    }
    common.unwrap_or_default()
}

fn required_with_parts<'s>(
    root: &'s Value,
    schema: &'s Value,
    depth: usize,
    left: &mut usize,
) -> BTreeSet<&'s str> {
    let mut names = required_by(root, schema, depth, left);
    if depth > 0 {
        for part in parts(root, schema) {
            names.append(&mut required_with_parts(root, part, depth - 1, left));
        }
    }
    names
}

/// `$ref` and `allOf`: what applies wherever the schema does.
fn parts<'s>(root: &'s Value, schema: &'s Value) -> impl Iterator<Item = &'s Value> {
    let target = schema.as_object().and_then(|object| resolve(root, object.get("$ref")?.as_str()?));
    target.into_iter().chain(list(schema, "allOf"))
}

pub(super) fn allows<'s>(
    root: &'s Value,
    schema: &'s Value,
    kind: &str,
    depth: usize,
    left: &mut usize,
) -> bool {
    let Value::Object(object) = schema else { return schema != &Value::Bool(false) };
    if depth == 0 || !spend(left) {
        return true;
    }
    let is_kind = |name: &str| name == kind || (name == "integer" && kind == "number");
    let by_type = match object.get("type") {
        Some(Value::String(name)) => is_kind(name),
        Some(names @ Value::Array(_)) => texts(names).any(is_kind),
        _ => true,
    };
    let values = object.get("enum").and_then(Value::as_array);
    by_type
        && object.get("const").is_none_or(|value| kind_of(value) == kind)
        && values.is_none_or(|values| values.iter().any(|value| kind_of(value) == kind))
        && parts(root, schema).all(|part| allows(root, part, kind, depth - 1, left))
        && ["anyOf", "oneOf"].into_iter().all(|word| {
            let mut branches = list(schema, word).peekable();
            branches.peek().is_none()
                || branches.any(|branch| allows(root, branch, kind, depth - 1, left))
        })
}

/// Takes one step of an effort; tells whether there was one left.
const fn spend(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

/// The definition that a reference of the normal form leads to.
pub(super) fn resolve<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    root.get("$defs")?.get(reference.strip_prefix("#/$defs/")?)
}

pub(super) fn list<'s>(schema: &'s Value, word: &str) -> impl Iterator<Item = &'s Value> {
    schema.get(word).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
