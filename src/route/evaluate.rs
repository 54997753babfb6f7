//! Asks conjunctions of one event, and counts the work: plain recursion, the judge of the index.
//!
//! Fields of a conjunction that lie below one array must hold within one element of it, at every
//! level of nesting (array consistency). Values that stand in an array directly bind nothing.
//! `exists: false` follows the reference: it goes through the fields in the order of their names,
//! and a field counts as absent if it is nowhere within the elements picked for fields before it.
//!
//! Work is counted in steps, and never in time: a value that is visited, a name that is looked up,
//! 64 bytes of text that are compared with one alternative. The same conjunctions take the same
//! steps in the same event, in whichever process: numbers of deliveries hang on it, and vectors hold
//! it fixed.

use std::collections::HashMap;
use std::ptr;

use serde_json::Value;

use crate::event::EVENT_NAME;
use crate::route::event_tree::size_of_leaf;
use crate::route::field::{Field, member};
use crate::route::part::{Conjunction, KEPT_STEPS, NamedPart, Part, Places};
use crate::route::ranks::Ranks;

/// The work is more than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

/// The work of asking one event, and what was found out on the way.
///
/// It is made anew for each event: what it keeps is known by the places of values in memory.
pub(super) struct Evaluation {
    allowed: u64,
    left: u64,
    /// Whether arrays are asked twice in the same way.
    repeats: bool,
    /// Most events need none.
    kept: Option<Box<KeptAnswers>>,
}

/// What was found out of arrays.
#[derive(Default)]
struct KeptAnswers {
    holds: HashMap<AskedArray, bool>,
    present: HashMap<(usize, usize), Ranks>,
}

/// How a part is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Manner {
    /// Whether the field counts that ends there.
    with_ending: bool,
    /// The rank of a field that must be found although it may be absent elsewhere: it is what picks
    /// the element of the array above.
    demanded: Option<u16>,
}

impl Manner {
    const PLAIN: Self = Self { with_ending: true, demanded: None };
}

/// An array and what is asked of it: the places of both, and how.
type AskedArray = (usize, usize, Manner);

impl Evaluation {
    /// Allows so many steps.
    pub(super) fn allowing(steps: u64) -> Self {
        Self { allowed: steps, left: steps, repeats: false, kept: None }
    }

    /// Steps that were taken.
    pub(super) const fn taken(&self) -> u64 {
        self.allowed - self.left
    }

    pub(super) fn step(&mut self, steps: u64) -> Result<(), Spent> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Spent)
    }

    /// Tells whether an event without dotted names satisfies a conjunction.
    pub(super) fn holds(
        &mut self,
        conjunction: &Conjunction,
        event: &Value,
    ) -> Result<bool, Spent> {
        self.repeats = conjunction.repeats;
        self.value_holds((event, 0), &conjunction.root, Manner::PLAIN)
    }

    /// Asks a value that so many names have led to.
    fn value_holds(
        &mut self,
        (value, depth): (&Value, usize),
        part: &Part,
        how: Manner,
    ) -> Result<bool, Spent> {
        self.step(1)?;
        let ending = part.ending(how.with_ending);
        match value {
            Value::Object(members) => {
                if ending.is_some_and(|term| !term.may_miss(how.demanded)) {
                    return Ok(false);
                }
                for below in &part.below {
                    let how = Manner { with_ending: true, ..how };
                    let holds = match (member(members, &below.name), &below.only) {
                        (Some(found), Some(field)) => {
                            self.only_holds((found, depth + 1), (field, below), how)?
                        }
                        (Some(found), None) => {
                            self.value_holds((found, depth + 1), &below.part, how)?
                        }
                        (None, _) => {
                            self.step(1)?;
                            below.part.may_miss(how.demanded)
                        }
                    };
                    if !holds {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Value::Array(items) => self.array_holds((value, items, depth), part, how),
            leaf => Ok(match ending {
                Some(term) => self.accepts(&term.field, leaf)?,
                None => true,
            } && part.below_may_miss(how.demanded)),
        }
    }

    /// Asks a value below which there is one field alone: as long as there are objects, along its path.
    fn only_holds(
        &mut self,
        (value, depth): (&Value, usize),
        (field, below): (&Field, &NamedPart),
        how: Manner,
    ) -> Result<bool, Spent> {
        let (mut reached, mut names) = (value, field.path.get(depth..).unwrap_or_default());
        loop {
            match (reached, names.split_first()) {
                (Value::Object(members), Some((name, rest))) => {
                    self.step(1)?;
                    let Some(found) = member(members, name) else {
                        self.step(1)?;
                        return Ok(below.part.may_miss(how.demanded));
                    };
                    (reached, names) = (found, rest);
                }
                (leaf, None) if is_leaf(leaf) => {
                    self.step(1)?;
                    return self.accepts(field, leaf);
                }
                _ => {
                    let now = field.path.len() - names.len();
                    let part = below.part.after(now - depth);
                    return self.value_holds((reached, now), part, how);
                }
            }
        }
    }

    /// A question that was asked already is answered as before.
    fn array_holds(
        &mut self,
        (array, items, depth): (&Value, &[Value], usize),
        part: &Part,
        how: Manner,
    ) -> Result<bool, Spent> {
        let optional = part.all_optional(how.with_ending);
        let demanded = how.demanded.filter(|rank| optional.contains(*rank));
        let how = Manner { demanded, ..how };
        let asked = (ptr::from_ref(array).addr(), ptr::from_ref(part).addr(), how);
        if self.repeats
            && let Some(answer) = self.kept.as_ref().and_then(|kept| kept.holds.get(&asked))
        {
            return Ok(*answer);
        }
        let without = Manner { with_ending: false, ..how };
        let holds = (self.has_leaf(items, part, how)?
            && self.one_element_holds((array, items, depth), part, without)?)
            || self.one_element_holds((array, items, depth), part, how)?;
        if self.repeats {
            self.step(KEPT_STEPS)?;
            self.kept.get_or_insert_default().holds.insert(asked, holds);
        }
        Ok(holds)
    }

    /// Whether a value directly in an array is accepted by the field that ends there.
    fn has_leaf(&mut self, items: &[Value], part: &Part, how: Manner) -> Result<bool, Spent> {
        let Some(term) = part.ending(how.with_ending) else { return Ok(false) };
        for item in items.iter().filter(|item| is_leaf(item)) {
            if self.accepts(&term.field, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn one_element_holds(
        &mut self,
        (array, items, depth): (&Value, &[Value], usize),
        part: &Part,
        how: Manner,
    ) -> Result<bool, Spent> {
        // Fields before the first one that must be found are absent everywhere; that one picks the
        // element, and all after it are asked within the element.
        let optional = part.all_optional(how.with_ending);
        let present = self.present(array, part)?.intersection(optional).first();
        let demanded = how.demanded.filter(|rank| optional.contains(*rank));
        let required = part.first_required(how.with_ending);
        let Some(first) = present.into_iter().chain(demanded).chain(required).min() else {
            return Ok(true);
        };
        let how = Manner { demanded: Some(first), ..how };
        for item in items {
            let holds = if is_leaf(item) {
                self.step(1).map(|()| false)
            } else {
                self.value_holds((item, depth), part, how)
            };
            if holds? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The fields of the pattern that may be absent and are somewhere in an array; computed once for
    /// all conjunctions.
    fn present(&mut self, array: &Value, part: &Part) -> Result<Ranks, Spent> {
        let Some(places) = &part.places else { return Ok(Ranks::default()) };
        let asked = (ptr::from_ref(array).addr(), ptr::from_ref(&**places).addr());
        let kept = self.kept.as_ref().filter(|_| self.repeats);
        if let Some(present) = kept.and_then(|kept| kept.present.get(&asked)) {
            return Ok(*present);
        }
        let mut present = Ranks::default();
        self.gather(array, places, &mut present)?;
        if self.repeats {
            self.step(KEPT_STEPS)?;
            self.kept.get_or_insert_default().present.insert(asked, present);
        }
        Ok(present)
    }

    /// Adds the fields that are in a value.
    fn gather(&mut self, value: &Value, places: &Places, found: &mut Ranks) -> Result<(), Spent> {
        self.step(1)?;
        match value {
            Value::Object(members)
                if members.len() < places.below.len() && !places.below.contains_key(EVENT_NAME) =>
            {
                for (name, member) in members {
                    self.step(1)?;
                    if let Some(places) = places.below.get(&**name) {
                        self.gather(member, places, found)?;
                    }
                }
            }
            Value::Object(members) => {
                for (name, places) in &places.below {
                    self.step(1)?;
                    if let Some(member) = member(members, name) {
                        self.gather(member, places, found)?;
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    // Nothing more can be found where all is.
                    if places.all.is_within(*found) {
                        break;
                    }
                    self.gather(item, places, found)?;
                }
            }
            _ => *found = places.ending.map_or(*found, |rank| found.with(rank)),
        }
        Ok(())
    }

    fn accepts(&mut self, field: &Field, leaf: &Value) -> Result<bool, Spent> {
        self.step(1 + field.weight.saturating_mul(size_of_leaf(leaf)))?;
        Ok(field.accepts(leaf))
    }

    /// Tells what an event has where a field says, whatever the elements of arrays.
    pub(super) fn reach(&mut self, field: &Field, event: &Value) -> Result<ReachedNode, Spent> {
        self.reach_below(event, field, 0)
    }

    fn reach_below(
        &mut self,
        value: &Value,
        field: &Field,
        depth: usize,
    ) -> Result<ReachedNode, Spent> {
        self.step(1)?;
        match value {
            Value::Object(members) => {
                match field.path.get(depth).and_then(|name| member(members, name)) {
                    Some(found) => self.reach_below(found, field, depth + 1),
                    None => Ok(ReachedNode::default()),
                }
            }
            Value::Array(items) => {
                let mut so_far = ReachedNode::default();
                for item in items {
                    if so_far.accepted {
                        break;
                    }
                    let reached = self.reach_below(item, field, depth)?;
                    so_far.present |= reached.present;
                    so_far.accepted |= reached.accepted;
                }
                Ok(so_far)
            }
            leaf if depth == field.path.len() => {
                Ok(ReachedNode { present: true, accepted: self.accepts(field, leaf)? })
            }
            _ => Ok(ReachedNode::default()),
        }
    }
}

/// What a field finds in an event.
#[derive(Clone, Copy, Default)]
pub(super) struct ReachedNode {
    /// There is a value, whatever it is.
    pub(super) present: bool,
    /// The field accepts a value that is there.
    pub(super) accepted: bool,
}

impl ReachedNode {
    /// Tells whether a field is satisfied on its own.
    pub(super) fn satisfies(self, field: &Field) -> bool {
        self.accepted || (!self.present && field.may_be_absent())
    }
}

fn is_leaf(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

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
                conjunction.fields().into_iter().map(|field| &**field).collect();
            fields.sort_by_key(|field| field.dotted.clone());
            prop_assert_eq!(
                Evaluation::allowing(u64::MAX).holds(conjunction, event.root()).unwrap(),
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
            prop_assert_eq!(pattern.explain(&event, u64::MAX).unwrap().is_empty(), pattern.matches(&event));
        }

        #[test]
        fn an_explanation_names_fields_of_the_pattern_that_fail(
            pattern in strategies::pattern(),
            event in strategies::event(),
        ) {
            let pattern = Pattern::from_value(&pattern).unwrap();
            let tree = EventTree::of(&event);
            let fields = || pattern.conjunctions().iter().flat_map(|one| one.fields());
            for mismatch in pattern.explain(&event, u64::MAX).unwrap() {
                let paths: Vec<&str> = mismatch.path.split(", ").collect();
                for path in &paths {
                    let mut named = fields().filter(|field| &*field.dotted == *path);
                    let fails = |field: &Arc<Field>| {
                        let reached = Evaluation::allowing(u64::MAX).reach(field, tree.root());
                        !reached.unwrap().satisfies(field)
                    };
                    // Where all hold on their own, they fail together.
                    let is_right = if paths.len() == 1 { named.any(fails) } else { named.next().is_some() };
                    prop_assert!(is_right, "{} {}", path, pattern);
                }
            }
        }
    }
}
