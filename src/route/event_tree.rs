//! An event as patterns see it: a name with dots is a path.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// An event in which the member `"a.b"` is the member `b` of the member `a`.
///
/// Making one is cheap where no name has a dot; make it once to ask many patterns about one event.
pub struct EventTree<'e> {
    root: Cow<'e, Value>,
    extent: EventExtent,
}

/// How much there is to look through in an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventExtent {
    /// Its values, and one more for each 64 bytes of their texts.
    pub(super) size: u64,
    /// The most arrays that lie within each other.
    pub(super) nesting: u64,
}

impl<'e> EventTree<'e> {
    /// Reads an event.
    pub fn of(event: &'e Value) -> Self {
        let mut extent = EventExtent::default();
        if is_plain(event, (DEEPEST, 0), &mut extent) {
            return Self { root: Cow::Borrowed(event), extent };
        }
        let root = spelled_out(event.clone(), DEEPEST, &mut { MOST_DOTS });
        let mut extent = EventExtent::default();
        // What dots have not made a path stays as it is, and counts.
        measure(&root, 0, &mut extent);
        Self { root: Cow::Owned(root), extent }
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    pub(super) const fn extent(&self) -> EventExtent {
        self.extent
    }
}

/// How deep patterns look, with the levels that dots make: asking costs as much as an event is large
/// for each level of arrays.
const DEEPEST: usize = 100;
/// The most dots of an event that make paths: each becomes an object, which takes many times the
/// byte that it came as.
const MOST_DOTS: usize = 20_000;

/// Whether an event has no dots in names and nothing deeper than patterns look; measures it on the
/// way.
fn is_plain(value: &Value, (levels, arrays): (usize, u64), extent: &mut EventExtent) -> bool {
    let below = levels.checked_sub(1);
    match value {
        Value::Object(members) => below.is_some_and(|below| {
            extent.size += 1;
            members.iter().all(|(name, member)| {
                !name.as_bytes().contains(&b'.') && is_plain(member, (below, arrays), extent)
            })
        }),
        Value::Array(items) => below.is_some_and(|below| {
            extent.size += 1;
            extent.nesting = extent.nesting.max(arrays + 1);
            items.iter().all(|item| is_plain(item, (below, arrays + 1), extent))
        }),
        leaf => {
            extent.size += size_of_leaf(leaf);
            true
        }
    }
}

fn measure(value: &Value, arrays: u64, extent: &mut EventExtent) {
    match value {
        Value::Object(members) => {
            extent.size += 1;
            for member in members.values() {
                measure(member, arrays, extent);
            }
        }
        Value::Array(items) => {
            extent.size += 1;
            extent.nesting = extent.nesting.max(arrays + 1);
            for item in items {
                measure(item, arrays + 1, extent);
            }
        }
        leaf => extent.size += size_of_leaf(leaf),
    }
}

/// How large a value is that is neither an object nor an array, in steps for one alternative.
pub(super) fn size_of_leaf(leaf: &Value) -> u64 {
    let bytes = match leaf {
        Value::String(text) => text.len(),
        Value::Number(number) => number.as_str().len(),
        _ => 0,
    };
    1 + bytes as u64 / 64
}

/// A name whose dots would lead deeper than `levels`, or are more than are left, stays a name; what
/// lies deeper is left out.
fn spelled_out(value: Value, levels: usize, dots_left: &mut usize) -> Value {
    match value {
        Value::Object(_) if levels == 0 => Value::Object(Map::new()),
        Value::Array(_) if levels == 0 => Value::Array(Vec::new()),
        Value::Object(members) => {
            let mut gathered = Gathered::new();
            for (name, member) in members {
                let dots = name.bytes().filter(|byte| *byte == b'.').count();
                let below = levels.checked_sub(dots + 1).zip(dots_left.checked_sub(dots));
                let Some((below, left)) = below else {
                    let member = spelled_out(member, levels - 1, dots_left);
                    gathered.entry(name).or_default().push(member);
                    continue;
                };
                *dots_left = left;
                let mut member = spelled_out(member, below, dots_left);
                let mut names = name.rsplit('.');
                let first = names.next_back().unwrap_or_default().to_owned();
                for inner in names {
                    member = Value::Object(Map::from_iter([(inner.to_owned(), member)]));
                }
                gathered.entry(first).or_default().push(member);
            }
            joined(gathered)
        }
        Value::Array(items) => {
            items.into_iter().map(|item| spelled_out(item, levels - 1, dots_left)).collect()
        }
        leaf => leaf,
    }
}

/// The values that an event has under each name.
type Gathered = BTreeMap<String, Vec<Value>>;

/// Makes one member of the values under each name: objects become one, and beside other values all
/// stand in one array, because every value of an event counts.
fn joined(gathered: Gathered) -> Value {
    let join = |(name, values)| (name, join(values));
    Value::Object(gathered.into_iter().map(join).collect())
}

fn join(mut values: Vec<Value>) -> Value {
    if values.len() < 2 {
        return values.pop().unwrap_or_default();
    }
    let mut gathered = Gathered::new();
    let mut others = Vec::new();
    let mut has_objects = false;
    for value in values {
        if let Value::Object(members) = value {
            has_objects = true;
            for (name, member) in members {
                gathered.entry(name).or_default().push(member);
            }
        } else {
            others.push(value);
        }
    }
    match (has_objects, others.is_empty()) {
        (true, true) => joined(gathered),
        (true, false) => {
            others.push(joined(gathered));
            Value::Array(others)
        }
        (false, _) => Value::Array(others),
    }
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
    fn many_names_below_one_leaf_make_no_deep_event() {
        let mut members = Map::from_iter([("a".to_owned(), json!(1))]);
        members.extend((0..19_000).map(|n| (format!("a.{n}"), json!(n))));
        let event = Value::Object(members);

        let tree = EventTree::of(&event);

        assert_eq!(tree.root()["a"][0], 1);
        assert_eq!(tree.root()["a"][1].as_object().unwrap().len(), 19_000);
    }

    #[test]
    fn patterns_look_a_hundred_levels_deep() {
        let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        let event = json!({ "a": deep(99), "b": deep(100) });

        let tree = EventTree::of(&event);

        assert_eq!(tree.root()["a"], deep(99));
        assert_eq!(tree.root()["b"], (0..99).fold(json!([]), |inner, _| json!([inner])));
    }

    #[test]
    fn an_event_without_dots_is_borrowed() {
        let event = json!({"a": [{"b": 1}]});

        assert!(matches!(EventTree::of(&event).root, Cow::Borrowed(_)));
    }
}
