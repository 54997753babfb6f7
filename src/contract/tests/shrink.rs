//! Makes what fails smaller, so that a person can read it.

use serde_json::Value;

/// The smallest value that still fails, taken apart member by member.
pub(super) fn smallest(value: &Value, fails: impl Fn(&Value) -> bool) -> Value {
    let mut smallest = value.clone();
    'again: loop {
        for smaller in smaller(&smallest) {
            if fails(&smaller) {
                smallest = smaller;
                continue 'again;
            }
        }
        return smallest;
    }
}

/// The value without one of its parts, in each way.
fn smaller(value: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    match value {
        Value::Object(members) => {
            for name in members.keys() {
                let mut without = members.clone();
                without.remove(name);
                found.push(Value::Object(without));
            }
            for (name, member) in members {
                for smaller in smaller(member) {
                    let mut with = members.clone();
                    with.insert(name.clone(), smaller);
                    found.push(Value::Object(with));
                }
            }
        }
        Value::Array(items) => {
            for index in 0..items.len() {
                let mut without = items.clone();
                without.remove(index);
                found.push(Value::Array(without));
            }
            for (index, item) in items.iter().enumerate() {
                for smaller in smaller(item) {
                    let mut with = items.clone();
                    with[index] = smaller;
                    found.push(Value::Array(with));
                }
            }
        }
        _ => {}
    }
    found
}

#[test]
fn what_fails_becomes_as_small_as_it_can() {
    let value = serde_json::json!({"a": [1, {"b": 2, "c": [3]}], "d": 4});

    let small = smallest(&value, |value| value.to_string().contains("\"c\":["));

    assert_eq!(small, serde_json::json!({"a": [{"c": []}]}));
}
