//! Asks one conjunction of one event: plain recursion, linear in the event, the judge of the index.
//!
//! Fields of a conjunction that lie below one array must hold within one element of it, at every
//! level of nesting (array consistency). Values that stand in an array directly bind nothing.
//! `exists: false` follows the reference: it goes through the fields in the order of their names,
//! and a field counts as absent if it is nowhere within the elements picked for fields before it.

use serde_json::Value;

use crate::route::field::{Conjunction, Field, Term};

/// Tells whether an event without dotted names satisfies a conjunction.
pub(super) fn holds(conjunction: &Conjunction, event: &Value) -> bool {
    value_holds(event, conjunction.terms(), 0, Demand::default())
}

/// Tells whether an event without dotted names satisfies one field on its own.
pub(super) fn field_holds(field: &Field, event: &Value) -> bool {
    let reached = reach(event, field, 0);
    reached.accepted || (!reached.present && field.may_be_absent())
}

/// What must be there, although its alternatives would let it be absent.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// The term of this rank: it is what picks the element.
    term: Option<u16>,
    /// The term that ends at the array at hand, which holds refused values of it already.
    ending: bool,
}

fn value_holds(value: &Value, terms: &[Term], depth: usize, demand: Demand) -> bool {
    match value {
        Value::Object(members) => {
            let (ending, below) = split_ending(terms, depth);
            if ending.is_some_and(|term| demand.ending || !may_miss(term, demand)) {
                return false;
            }
            below.chunk_by(|a, b| name(a, depth) == name(b, depth)).all(|group| {
                let member = group.first().and_then(|term| members.get(name(term, depth)));
                let demand = Demand { ending: false, ..demand };
                member.map_or_else(
                    || group.iter().all(|term| may_miss(term, demand)),
                    |member| value_holds(member, group, depth + 1, demand),
                )
            })
        }
        Value::Array(items) => array_holds(items, terms, depth, demand),
        leaf => {
            let (ending, below) = split_ending(terms, depth);
            ending.is_none_or(|term| term.field.accepts(leaf))
                && below.iter().all(|term| may_miss(term, demand))
        }
    }
}

fn array_holds(items: &[Value], terms: &[Term], depth: usize, mut demand: Demand) -> bool {
    let (ending, below) = split_ending(terms, depth);
    if let Some(ending) = ending {
        let mut leaves = items.iter().filter(|item| is_leaf(item)).peekable();
        demand.ending |= leaves.peek().is_some();
        if leaves.any(|leaf| ending.field.accepts(leaf))
            && one_element_holds(items, below, depth, Demand { ending: false, ..demand })
        {
            return true;
        }
    }
    one_element_holds(items, terms, depth, demand)
}

fn one_element_holds(items: &[Value], terms: &[Term], depth: usize, demand: Demand) -> bool {
    let (ending, _) = split_ending(terms, depth);
    let missing = |term: &Term| {
        let demanded = demand.ending && ending.is_some_and(|ending| ending.rank == term.rank);
        !demanded
            && may_miss(term, demand)
            && !items.iter().any(|item| reach(item, &term.field, depth).present)
    };
    // Terms before the first one that must be found are absent everywhere; that one picks the
    // element, and all after it are asked within the element.
    let Some(first) = terms.iter().filter(|term| !missing(term)).map(|term| term.rank).min() else {
        return true;
    };
    let demand = Demand { term: Some(first), ..demand };
    items
        .iter()
        .filter(|item| !is_leaf(item))
        .any(|element| value_holds(element, terms, depth, demand))
}

/// What a field finds below a value, whatever the elements of arrays.
#[derive(Clone, Copy, Default)]
struct Reached {
    present: bool,
    accepted: bool,
}

fn reach(value: &Value, field: &Field, depth: usize) -> Reached {
    match value {
        Value::Object(members) => field
            .path
            .get(depth)
            .and_then(|name| members.get(&**name))
            .map_or_else(Reached::default, |member| reach(member, field, depth + 1)),
        Value::Array(items) => items.iter().fold(Reached::default(), |so_far, item| {
            let reached = if so_far.accepted { so_far } else { reach(item, field, depth) };
            Reached {
                present: so_far.present || reached.present,
                accepted: so_far.accepted || reached.accepted,
            }
        }),
        leaf if depth == field.path.len() => {
            Reached { present: true, accepted: field.accepts(leaf) }
        }
        _ => Reached::default(),
    }
}

fn is_leaf(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

fn may_miss(term: &Term, demand: Demand) -> bool {
    demand.term != Some(term.rank) && term.field.may_be_absent()
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
