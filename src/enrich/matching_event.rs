//! Fills an event so that it matches a pattern, as far as that is easy.

use serde_json::{Map, Value, json};

use crate::route::Pattern;

/// Puts the first value that each field of a pattern allows to where the event has nothing.
pub(super) fn fill(event: &mut Value, when: &Pattern) {
    if let Ok(pattern) = serde_json::from_str::<Value>(when.text()) {
        fill_below(event, &pattern);
    }
}

fn fill_below(event: &mut Value, pattern: &Value) {
    let Some(fields) = pattern.as_object() else { return };
    if !event.is_object() {
        *event = Value::Object(Map::new());
    }
    for (name, field) in fields {
        match field {
            Value::Array(branches) if name == "$or" => {
                branches.iter().take(1).for_each(|branch| fill_below(event, branch));
            }
            Value::Array(alternatives) => {
                let Some(members) = event.as_object_mut() else { return };
                let found = members.get(name).cloned();
                if found.is_none()
                    && let Some(value) = alternatives.iter().find_map(example_of)
                {
                    members.insert(name.clone(), value);
                }
            }
            _ => {
                let Some(members) = event.as_object_mut() else { return };
                fill_below(members.entry(name.clone()).or_insert(Value::Null), field);
            }
        }
    }
}

/// A value that one alternative of a field allows; nothing: it wants none, or is hard to meet.
fn example_of(alternative: &Value) -> Option<Value> {
    let Some(operators) = alternative.as_object() else { return Some(alternative.clone()) };
    let (operator, operand) = operators.iter().next()?;
    match (operator.as_str(), operand) {
        ("prefix" | "suffix" | "equals-ignore-case", Value::String(_)) => Some(operand.clone()),
        ("prefix" | "suffix", Value::Object(inner)) => inner.values().next().cloned(),
        ("wildcard", Value::String(text)) => Some(text.replace('*', "").into()),
        ("exists", Value::Bool(true)) => Some("example".into()),
        ("anything-but", _) => Some("an example of anything else".into()),
        ("numeric", Value::Array(bounds)) => number_within(bounds),
        ("cidr", Value::String(block)) => block.split('/').next().map(Into::into),
        _ => None,
    }
}

fn number_within(bounds: &[Value]) -> Option<Value> {
    let bound = |at: usize| bounds.get(at)?.as_f64();
    let (first, second) = (bound(1)?, bound(3));
    Some(match (bounds.first()?.as_str()?, second) {
        (">" | ">=", Some(second)) => json!(f64::midpoint(first, second)),
        (">", None) => json!(first + 1.0),
        ("<", None) => json!(first - 1.0),
        _ => bounds.get(1)?.clone(),
    })
}
