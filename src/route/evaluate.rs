//! Asks one conjunction of one event: plain recursion, linear in the event, the judge of the index.
//!
//! Fields of a conjunction that lie below one array must hold within one element of it, at every
//! level of nesting (array consistency). Values that stand in an array directly bind nothing.
//! `exists: false` follows the reference: it goes through the fields in the order of their names,
//! and a field counts as absent if it is nowhere within the elements picked for fields before it.

use serde_json::Value;

use crate::route::field::{Conjunction, Field, Term, member};

/// Tells whether an event without dotted names satisfies a conjunction.
pub(super) fn holds(conjunction: &Conjunction, event: &Value) -> bool {
    value_holds(event, conjunction.terms(), 0, None)
}

/// Tells whether an event without dotted names satisfies one field on its own.
pub(super) fn field_holds(field: &Field, event: &Value) -> bool {
    let reached = reach(event, field, 0);
    reached.accepted || (!reached.present && field.may_be_absent())
}

/// Tells whether an event has a value where a field says, whatever the value.
pub(super) fn field_is_there(field: &Field, event: &Value) -> bool {
    reach(event, field, 0).present
}

/// `demanded` is the rank of a term that must be found although it may be absent elsewhere: it is
/// what picks the element of the array above.
fn value_holds(value: &Value, terms: &[Term], depth: usize, demanded: Option<u16>) -> bool {
    match value {
        Value::Object(members) => {
            let (ending, below) = split_ending(terms, depth);
            if ending.is_some_and(|term| !may_miss(term, demanded)) {
                return false;
            }
            below.chunk_by(|a, b| name(a, depth) == name(b, depth)).all(|group| {
                let found = group.first().and_then(|term| member(members, name(term, depth)));
                found.map_or_else(
                    || group.iter().all(|term| may_miss(term, demanded)),
                    |found| value_holds(found, group, depth + 1, demanded),
                )
            })
        }
        Value::Array(items) => {
            let (ending, below) = split_ending(terms, depth);
            let direct = ending.is_some_and(|ending| {
                items.iter().any(|item| is_leaf(item) && ending.field.accepts(item))
            });
            (direct && one_element_holds(items, below, depth, demanded))
                || one_element_holds(items, terms, depth, demanded)
        }
        leaf => {
            let (ending, below) = split_ending(terms, depth);
            ending.is_none_or(|term| term.field.accepts(leaf))
                && below.iter().all(|term| may_miss(term, demanded))
        }
    }
}

fn one_element_holds(items: &[Value], terms: &[Term], depth: usize, demanded: Option<u16>) -> bool {
    let missing = |term: &Term| {
        may_miss(term, demanded)
            && !items.iter().any(|item| reach(item, &term.field, depth).present)
    };
    // Terms before the first one that must be found are absent everywhere; that one picks the
    // element, and all after it are asked within the element.
    let Some(first) = terms.iter().filter(|term| !missing(term)).map(|term| term.rank).min() else {
        return true;
    };
    items
        .iter()
        .filter(|item| !is_leaf(item))
        .any(|element| value_holds(element, terms, depth, Some(first)))
}

/// What a field finds below a value, whatever the elements of arrays.
#[derive(Clone, Copy, Default)]
struct ReachedNode {
    present: bool,
    accepted: bool,
}

fn reach(value: &Value, field: &Field, depth: usize) -> ReachedNode {
    match value {
        Value::Object(members) => field
            .path
            .get(depth)
            .and_then(|name| member(members, name))
            .map_or_else(ReachedNode::default, |found| reach(found, field, depth + 1)),
        Value::Array(items) => items.iter().fold(ReachedNode::default(), |so_far, item| {
            let reached = if so_far.accepted { so_far } else { reach(item, field, depth) };
            ReachedNode {
                present: so_far.present || reached.present,
                accepted: so_far.accepted || reached.accepted,
            }
        }),
        leaf if depth == field.path.len() => {
            ReachedNode { present: true, accepted: field.accepts(leaf) }
        }
        _ => ReachedNode::default(),
    }
}

fn is_leaf(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

fn may_miss(term: &Term, demanded: Option<u16>) -> bool {
    demanded != Some(term.rank) && term.field.may_be_absent()
}

fn name(term: &Term, depth: usize) -> &str {
    term.field.path.get(depth).map_or("", |name| name)
}

/// Parts the term whose path ends here from those that go on; paths are distinct and in order.
fn split_ending(terms: &[Term], depth: usize) -> (Option<&Term>, &[Term]) {
    match terms.split_first() {
        Some((first, rest)) if first.field.path.len() == depth => (Some(first), rest),
        _ => (None, terms),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::route::{EventTree, Pattern, strategies};

    /// A value of an event, its dotted path, and the elements of arrays that it lies in.
    struct Leaf<'e> {
        path: String,
        value: &'e Value,
        elements: BTreeMap<usize, usize>,
    }

    fn flatten<'e>(
        value: &'e Value,
        path: &str,
        elements: &BTreeMap<usize, usize>,
        arrays: &mut usize,
        leaves: &mut Vec<Leaf<'e>>,
    ) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    flatten(member, &format!("{path}{dot}{name}"), elements, arrays, leaves);
                }
            }
            Value::Array(items) => {
                let array = *arrays;
                *arrays += 1;
                for (index, item) in items.iter().enumerate() {
                    let mut inside = elements.clone();
                    // As in the reference, a value directly in an array is not bound to it.
                    if !is_leaf(item) {
                        inside.insert(array, index);
                    }
                    flatten(item, path, &inside, arrays, leaves);
                }
            }
            value => leaves.push(Leaf { path: path.to_owned(), value, elements: elements.clone() }),
        }
    }

    fn consistent(a: &BTreeMap<usize, usize>, b: &BTreeMap<usize, usize>) -> bool {
        a.iter().all(|(array, index)| b.get(array).is_none_or(|other| other == index))
    }

    /// The reference's definition: fields in the order of their names, every choice of values.
    fn search(fields: &[&Field], leaves: &[Leaf<'_>], picked: &BTreeMap<usize, usize>) -> bool {
        let Some((field, rest)) = fields.split_first() else { return true };
        let here: Vec<&Leaf<'_>> = leaves
            .iter()
            .filter(|leaf| leaf.path == *field.dotted && consistent(picked, &leaf.elements))
            .collect();
        (field.may_be_absent() && here.is_empty() && search(rest, leaves, picked))
            || here.iter().any(|leaf| {
                let mut picked = picked.clone();
                picked.extend(&leaf.elements);
                field.accepts(leaf.value) && search(rest, leaves, &picked)
            })
    }

    fn agrees(pattern: &Value, event: &Value) -> Result<(), TestCaseError> {
        let pattern = Pattern::from_value(pattern).unwrap();
        let event = EventTree::of(event);
        let (mut leaves, mut arrays) = (Vec::new(), 0);
        flatten(event.root(), "", &BTreeMap::new(), &mut arrays, &mut leaves);
        for conjunction in pattern.conjunctions() {
            let mut fields: Vec<&Field> =
                conjunction.terms().iter().map(|term| &*term.field).collect();
            fields.sort_by_key(|field| field.dotted.clone());
            prop_assert_eq!(
                holds(conjunction, event.root()),
                search(&fields, &leaves, &BTreeMap::new()),
                "{} {}",
                &pattern,
                event.root()
            );
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_recursion_agrees_with_a_search_over_all_choices(
            pattern in strategies::pattern(),
            event in strategies::event(),
        ) {
            agrees(&pattern, &event)?;
        }

        #[test]
        fn the_recursion_agrees_with_the_search_where_arrays_are_dense(
            pattern in strategies::dense_pattern(),
            events in prop::collection::vec(strategies::dense_event(), 20),
        ) {
            for event in events {
                agrees(&pattern, &event)?;
            }
        }

        #[test]
        fn an_explanation_is_empty_exactly_for_a_match(
            pattern in strategies::pattern(),
            event in strategies::event(),
        ) {
            let pattern = Pattern::from_value(&pattern).unwrap();
            prop_assert_eq!(pattern.explain(&event).is_empty(), pattern.matches(&event));
        }

        #[test]
        fn an_explanation_names_fields_of_the_pattern_that_fail(
            pattern in strategies::pattern(),
            event in strategies::event(),
        ) {
            let pattern = Pattern::from_value(&pattern).unwrap();
            let tree = EventTree::of(&event);
            let fields = || pattern.conjunctions().iter().flat_map(|one| one.terms());
            for mismatch in pattern.explain(&event) {
                let paths: Vec<&str> = mismatch.path.split(", ").collect();
                for path in &paths {
                    let mut named = fields().filter(|term| &*term.field.dotted == *path);
                    let fails = |term: &Term| !field_holds(&term.field, tree.root());
                    // Where all hold on their own, they fail together.
                    let is_right = if paths.len() == 1 { named.any(fails) } else { named.next().is_some() };
                    prop_assert!(is_right, "{} {}", path, pattern);
                }
            }
        }
    }
}
