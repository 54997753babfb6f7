//! Which words of a schema assert something, and values as texts that are equal where values are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::event::number::crossing_text;

/// Words that assert nothing.
pub(super) const ANNOTATIONS: [&str; 12] = [
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "externalDocs",
    "xml",
    "$comment",
    "$schema",
];

/// Whether a word says anything about data.
pub(super) fn asserts(word: &str) -> bool {
    let is_annotation = ANNOTATIONS.contains(&word) || word.starts_with("content");
    word != "$defs" && !is_annotation && !word.starts_with("x-")
}

/// A list whose order and repeats say nothing; one alone is the same without the list.
pub(super) fn set(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let texts: BTreeSet<String> = items.iter().map(canonical).collect();
            texts.into_iter().collect::<Vec<_>>().join(",")
        }
        value => canonical(value),
    }
}

/// A value as one text: members in order, numbers as they cross.
pub(super) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => {
            let crosses = crossing_text(number.as_str());
            text.push_str(crosses.as_deref().unwrap_or(number.as_str()));
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (name, member) in members.iter().collect::<BTreeMap<_, _>>() {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(member, text);
                text.push(',');
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
