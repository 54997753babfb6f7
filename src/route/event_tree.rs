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
        if has_dotted_name(event, DEEPEST) {
            Self(Cow::Owned(spelled_out(event.clone(), DEEPEST, &mut { MOST_DOTS })))
        } else {
            Self(Cow::Borrowed(event))
        }
    }

    pub(super) fn root(&self) -> &Value {
        &self.0
    }
}

/// How deep names are taken for paths; what lies deeper is as it was sent.
const DEEPEST: usize = 200;
/// The most dots of an event that make paths: each becomes an object, which takes many times the
/// byte that it came as.
const MOST_DOTS: usize = 20_000;

fn has_dotted_name(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Object(members) => members.iter().any(|(name, member)| {
            name.as_bytes().contains(&b'.') || has_dotted_name(member, below)
        }),
        Value::Array(items) => items.iter().any(|item| has_dotted_name(item, below)),
        _ => false,
    }
}

/// A name whose dots would lead deeper than `levels`, or are more than are left, stays a name.
fn spelled_out(value: Value, levels: usize, dots_left: &mut usize) -> Value {
    if levels == 0 {
        return value;
    }
    match value {
        Value::Object(members) => {
            let mut spelled = Map::new();
            for (name, member) in members {
                let dots = name.bytes().filter(|byte| *byte == b'.').count();
                let below = levels.checked_sub(dots + 1).zip(dots_left.checked_sub(dots));
                let Some((below, left)) = below else {
                    let member = spelled_out(member, levels.saturating_sub(1), dots_left);
                    join(&mut spelled, name, member);
                    continue;
                };
                *dots_left = left;
                let mut member = spelled_out(member, below, dots_left);
                let mut names = name.rsplit('.');
                let last_first = names.next_back().unwrap_or_default().to_owned();
                for inner in names {
                    member = Value::Object(Map::from_iter([(inner.to_owned(), member)]));
                }
                join(&mut spelled, last_first, member);
            }
            Value::Object(spelled)
        }
        Value::Array(items) => {
            let below = levels.saturating_sub(1);
            items.into_iter().map(|item| spelled_out(item, below, dots_left)).collect()
        }
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
    fn a_name_of_a_million_dots_is_no_path() {
        let event = json!({ ".".repeat(1_000_000): 1 });

        assert_eq!(*EventTree::of(&event).root(), event);
        let nested = (0..900).fold(json!(1), |inner, _| json!({ "a.b.c": inner }));
        assert!(EventTree::of(&nested).root()["a"]["b"]["c"].is_object());
    }

    #[test]
    fn an_event_without_dots_is_borrowed() {
        let event = json!({"a": [{"b": 1}]});

        assert!(matches!(EventTree::of(&event).0, Cow::Borrowed(_)));
    }
}
