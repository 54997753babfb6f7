//! Whether data keeps a shape.

use std::cell::Cell;

use serde_json::{Map, Value};

use crate::contract::alternatives::{self, Meant};
use crate::contract::shape::{Branch, Choice, ChoiceKind, Contains, Id, Shape, Shapes};

/// Whether a value keeps a shape.
pub(super) fn accepts(shapes: &Shapes, id: Id, value: &Value) -> bool {
    let Some(shape) = shapes.get(id) else { return false };
    if shape.nothing
        || !shape.types.contains(value)
        || !shape.assertions.iter().all(|assertion| assertion.holds(value))
    {
        return false;
    }
    let parts = match value {
        Value::Object(members) => keeps_members(shapes, shape, members),
        Value::Array(items) => keeps_items(shapes, shape, items),
        _ => true,
    };
    parts
        && shape.all.iter().all(|id| accepts(shapes, *id, value))
        && shape.choices.iter().all(|choice| is_chosen(shapes, choice, value))
        && shape.not.is_none_or(|id| !accepts(shapes, id, value))
        && keeps_the_rest(shapes, shape, value)
}

fn keeps_members(shapes: &Shapes, shape: &Shape, members: &Map<String, Value>) -> bool {
    if let Some(id) = shape.names
        && !members.keys().all(|name| accepts(shapes, id, &Value::from(name.as_str())))
    {
        return false;
    }
    if shape.named.is_empty() && shape.patterned.is_empty() && shape.additional.is_none() {
        return true;
    }
    let mut needed = 0;
    let keep = members.iter().all(|(name, member)| {
        let mut singled_out = false;
        if let Some(named) = shape.named.get(name) {
            singled_out = true;
            needed += usize::from(named.is_needed);
            if !accepts(shapes, named.id, member) {
                return false;
            }
        }
        for (_, id) in shape.patterned.iter().filter(|(pattern, _)| pattern.matches(name)) {
            singled_out = true;
            if !accepts(shapes, *id, member) {
                return false;
            }
        }
        singled_out || shape.additional.is_none_or(|id| accepts(shapes, id, member))
    });
    keep && needed == shape.named.needed()
}

fn keeps_items(shapes: &Shapes, shape: &Shape, items: &[Value]) -> bool {
    let keeps = |(index, item): (usize, &Value)| {
        shape.item(index).is_none_or(|id| accepts(shapes, id, item))
    };
    items.iter().enumerate().all(keeps)
        && shape.contains.as_ref().is_none_or(|rule| {
            let count = contained(shapes, rule, items);
            count >= rule.least && rule.most.is_none_or(|most| count <= most)
        })
}

/// How many items `contains` accepts.
pub(super) fn contained(shapes: &Shapes, rule: &Contains, items: &[Value]) -> usize {
    items.iter().filter(|item| accepts(shapes, rule.id, item)).count()
}

fn is_chosen(shapes: &Shapes, choice: &Choice, value: &Value) -> bool {
    let accepts_one = |branch: &Branch| accepts(shapes, branch.id, value);
    match &choice.kind {
        ChoiceKind::Any(branches) => branches.iter().any(accepts_one),
        ChoiceKind::One(branches) => {
            branches.iter().filter(|branch| accepts_one(branch)).take(2).count() == 1
        }
        ChoiceKind::Condition { test, then, otherwise } => {
            let part = if accepts(shapes, *test, value) { then } else { otherwise };
            part.is_none_or(|id| accepts(shapes, id, value))
        }
    }
}

/// `dependentSchemas`, and last what asks about everything else: `unevaluatedProperties` and
/// `unevaluatedItems`.
fn keeps_the_rest(shapes: &Shapes, shape: &Shape, value: &Value) -> bool {
    let applies = |name: &String| value.get(name).is_some();
    // Some branch of each choice accepts the value, or it would be refused by now.
    let no_guess = Cell::new(0);
    let dependent =
        shape.dependent.iter().all(|(name, id)| !applies(name) || accepts(shapes, *id, value));
    dependent
        && match (value, shape.unevaluated_members, shape.unevaluated_items) {
            (Value::Object(members), Some(id), _) => {
                unevaluated_members(shapes, shape, value, &no_guess)
                    .into_iter()
                    .filter_map(|name| members.get(name))
                    .all(|member| accepts(shapes, id, member))
            }
            (Value::Array(items), _, Some(id)) => {
                unevaluated_items(shapes, shape, value, &no_guess)
                    .into_iter()
                    .filter_map(|index| items.get(index))
                    .all(|item| accepts(shapes, id, item))
            }
            _ => true,
        }
}

/// The members that nothing in a shape evaluates but its own `unevaluatedProperties`.
pub(super) fn unevaluated_members<'v>(
    shapes: &Shapes,
    shape: &Shape,
    value: &'v Value,
    guesses: &Cell<usize>,
) -> Vec<&'v str> {
    let members = value.as_object().into_iter().flatten();
    let mut open: Vec<&str> = members.map(|(name, _)| name.as_str()).collect();
    if shape.additional.is_some() {
        return Vec::new();
    }
    take_members(shapes, shape, value, &mut open, guesses);
    open
}

fn take_members(
    shapes: &Shapes,
    shape: &Shape,
    value: &Value,
    open: &mut Vec<&str>,
    guesses: &Cell<usize>,
) {
    open.retain(|name| !shape.singles_out(name));
    each_applied(shapes, shape, value, guesses, &mut |part| {
        if part.additional.is_some() || part.unevaluated_members.is_some() {
            open.clear();
        }
        if !open.is_empty() {
            take_members(shapes, part, value, open, guesses);
        }
    });
}

/// The items that nothing in a shape evaluates but its own `unevaluatedItems`, in order.
pub(super) fn unevaluated_items(
    shapes: &Shapes,
    shape: &Shape,
    value: &Value,
    guesses: &Cell<usize>,
) -> Vec<usize> {
    let mut open: Vec<usize> = (0..value.as_array().map_or(0, Vec::len)).collect();
    take_items(shapes, shape, value, &mut open, guesses);
    open
}

fn take_items(
    shapes: &Shapes,
    shape: &Shape,
    value: &Value,
    open: &mut Vec<usize>,
    guesses: &Cell<usize>,
) {
    if shape.other_items.is_some() {
        open.clear();
    }
    open.retain(|index| *index >= shape.first_items.len());
    if let Some(rule) = &shape.contains {
        open.retain(|index| !value.get(index).is_some_and(|item| accepts(shapes, rule.id, item)));
    }
    each_applied(shapes, shape, value, guesses, &mut |part| {
        if part.unevaluated_items.is_some() {
            open.clear();
        }
        if !open.is_empty() {
            take_items(shapes, part, value, open, guesses);
        }
    });
}

/// Does something with each further shape that applies to the same value.
fn each_applied(
    shapes: &Shapes,
    shape: &Shape,
    value: &Value,
    guesses: &Cell<usize>,
    take: &mut dyn FnMut(&Shape),
) {
    let mut apply = |id: Id| {
        if let Some(part) = shapes.get(id) {
            take(part);
        }
    };
    shape.all.iter().for_each(|id| apply(*id));
    for choice in shape.choices.iter().filter(|choice| choice.declares) {
        applying(shapes, choice, value, guesses).into_iter().for_each(&mut apply);
    }
    for (name, id) in &shape.dependent {
        if value.get(name).is_some() {
            apply(*id);
        }
    }
}

/// The shapes of a choice that apply to a value.
///
/// Where no branch accepts the value it is refused anyhow; then the branch applies that it is meant
/// to be, or all of them, so that nobody is told of every member in it. All of them apply where no
/// guess is left, too: one takes a look at every branch.
pub(super) fn applying(
    shapes: &Shapes,
    choice: &Choice,
    value: &Value,
    guesses: &Cell<usize>,
) -> Vec<Id> {
    match &choice.kind {
        ChoiceKind::Any(branches) | ChoiceKind::One(branches) => {
            let ids = || branches.iter().map(|branch| branch.id);
            let fits: Vec<Id> = ids().filter(|id| accepts(shapes, *id, value)).collect();
            if !fits.is_empty() {
                return fits;
            }
            let left = guesses.get();
            guesses.set(left.saturating_sub(1));
            if left == 0 {
                return ids().collect();
            }
            match alternatives::meant(shapes, branches, value) {
                Meant::Branch { index, .. } => ids().skip(index).take(1).collect(),
                _ => ids().collect(),
            }
        }
        ChoiceKind::Condition { test, then, .. } if accepts(shapes, *test, value) => {
            std::iter::once(*test).chain(*then).collect()
        }
        ChoiceKind::Condition { otherwise, .. } => otherwise.iter().copied().collect(),
    }
}
