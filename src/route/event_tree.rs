//! An event as patterns see it: a name with dots is a path.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// An event in which the member `"a.b"` is the member `b` of the member `a`.
///
/// Making one is cheap where no name has a dot; make it once to ask many patterns about one event.
pub struct EventTree<'e>(Cow<'e, Value>);

impl<'e> EventTree<'e> {
    /// Reads an event.
    pub fn of(event: &'e Value) -> Self {
        if has_dotted_name(event) {
            Self(Cow::Owned(spelled_out(event.clone())))
        } else {
            Self(Cow::Borrowed(event))
        }
    }

    pub(super) fn root(&self) -> &Value {
        &self.0
    }
}

fn has_dotted_name(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| name.as_bytes().contains(&b'.') || has_dotted_name(member)),
        Value::Array(items) => items.iter().any(has_dotted_name),
        _ => false,
    }
}

fn spelled_out(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut spelled = Map::new();
            for (name, member) in members {
                let mut member = spelled_out(member);
                let mut names = name.rsplit('.');
                let last_first = names.next_back().unwrap_or_default().to_owned();
                for inner in names {
                    member = Value::Object(Map::from_iter([(inner.to_owned(), member)]));
                }
                join(&mut spelled, last_first, member);
            }
            Value::Object(spelled)
        }
        Value::Array(items) => items.into_iter().map(spelled_out).collect(),
        leaf => leaf,
    }
}

/// Adds a member; two objects under one name become one, anything else becomes an array of both,
/// because every value of an event counts.
fn join(members: &mut Map<String, Value>, name: String, value: Value) {
    let joined = match (members.remove(&name), value) {
        (None, value) => value,
        (Some(Value::Object(mut there)), Value::Object(more)) => {
            for (name, value) in more {
                join(&mut there, name, value);
            }
            Value::Object(there)
        }
        (Some(there), value) => Value::Array(vec![there, value]),
    };
    members.insert(name, joined);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dotted_names_become_paths_and_meet_nested_ones() {
        let event = json!({"a.b": 1, "a": {"c": 2, "d.e": [{"x.y": 3}]}, "a.c": 4, "z": 5});

        assert_eq!(
            *EventTree::of(&event).root(),
            json!({"a": {"b": 1, "c": [2, 4], "d": {"e": [{"x": {"y": 3}}]}}, "z": 5})
        );
    }

    #[test]
    fn an_event_without_dots_is_borrowed() {
        let event = json!({"a": [{"b": 1}]});

        assert!(matches!(EventTree::of(&event).0, Cow::Borrowed(_)));
    }
}
