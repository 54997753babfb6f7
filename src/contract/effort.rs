//! Bounds, before any data comes, how often a schema makes one value be looked at.
//!
//! A short schema can demand endless work: `allOf` parts that double with every reference, a
//! reference that comes back to itself without moving into the data, or alternatives that double
//! with every level of the data. All are found here, on the graph of shapes.

use std::collections::BTreeMap;

use crate::contract::shape::{Choice, Id, Shape, Shapes};

/// Schemas that may look at one value, over all the ways that lead to it.
const MAX_VISITS: u64 = 4_096;

/// Schemas that may lead to one another for the same value.
const MAX_CHAIN: usize = 128;

/// Levels of data that are followed; deeper data is refused on the way in.
const MAX_LEVELS: usize = 64;

/// Schemas that may be open at once, one within the other, down to the deepest data: a walk keeps
/// each on its stack.
const MAX_STACK: usize = 1_024;

/// Steps of this search itself.
const MAX_STEPS: u64 = 20_000_000;

/// Tells whether every value of any data is looked at a bounded number of times.
///
/// For each shape and level it counts the visits of a value that many levels below, along the
/// worst path; the counts grow without end exactly if some cycle multiplies them.
pub(super) fn check(shapes: &Shapes) -> Result<(), String> {
    let mut search = Search { shapes, steps: 0, now: vec![1; shapes.len()] };
    for id in 0..shapes.len() {
        search.visits_in_place(id, 0)?;
    }
    // Level 0 of a shape is the value itself.
    search.now =
        (0..shapes.len()).map(|id| search.visits_in_place(id, 0)).collect::<Result<_, _>>()?;
    for _ in 0..MAX_LEVELS {
        let next =
            (0..shapes.len()).map(|id| search.visits_below(id)).collect::<Result<Vec<_>, _>>()?;
        if next == search.now {
            break;
        }
        search.now = next;
    }
    stack(shapes)
}

/// Tells whether a walk through the deepest data stays within [`MAX_STACK`]. No shape comes back to
/// itself in place, as has been made sure of before.
fn stack(shapes: &Shapes) -> Result<(), String> {
    let mut below = vec![0; shapes.len()];
    for _ in 0..=MAX_LEVELS {
        let mut now = vec![None; shapes.len()];
        (0..shapes.len()).for_each(|id| {
            longest(shapes, id, &below, &mut now);
        });
        let next: Vec<usize> = now.into_iter().flatten().collect();
        if next.iter().any(|length| *length > MAX_STACK) {
            return Err(format!(
                "leads through more than {MAX_STACK} schemas to data that is {MAX_LEVELS} levels deep"
            ));
        }
        if next == below {
            break;
        }
        below = next;
    }
    Ok(())
}

/// The longest way from a shape through those for the same value and those below.
fn longest(shapes: &Shapes, id: Id, below: &[usize], now: &mut [Option<usize>]) -> usize {
    if let Some(known) = now.get(id).copied().flatten() {
        return known;
    }
    let Some(shape) = shapes.get(id) else { return 0 };
    let parts = shape.wild().chain(shape.named.iter().map(|(_, id)| id));
    let deepest = parts.filter_map(|id| below.get(id).copied()).max().unwrap_or(0);
    let here = shape.in_place().map(|id| longest(shapes, id, below, now)).max().unwrap_or(0);
    let length = 1 + deepest.max(here);
    if let Some(place) = now.get_mut(id) {
        *place = Some(length);
    }
    length
}

struct Search<'a> {
    shapes: &'a Shapes,
    steps: u64,
    /// For each shape, the visits of a value at the level that was counted last.
    now: Vec<u64>,
}

impl<'a> Search<'a> {
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err("too entangled to be checked in bounded time".to_owned());
        }
        Ok(())
    }

    /// How many shapes look at the same value as this one, itself included.
    fn visits_in_place(&mut self, id: Id, depth: usize) -> Result<u64, String> {
        self.step()?;
        if depth > MAX_CHAIN {
            return Err("refers to itself without moving into the data".to_owned());
        }
        let Some(shape) = self.shapes.get(id) else { return Ok(0) };
        let mut visits = 1;
        for next in shape.in_place().chain(self.asked_again(shape)?) {
            visits += self.visits_in_place(next, depth + 1)?;
            bound(visits)?;
        }
        Ok(visits)
    }

    /// How many visits a value one level further below this shape's gets, on the worst path.
    fn visits_below(&mut self, id: Id) -> Result<u64, String> {
        let mut named = BTreeMap::new();
        let mut shapes = Vec::new();
        self.collect(id, &mut shapes)?;
        // What has members has no items.
        let (mut members, mut items) = (0, 0);
        for shape in &shapes {
            members += self.sum(shape.wild_members());
            items += self.sum(shape.wild_items());
            for (name, _) in shape.named.iter() {
                named.insert(name, 0);
            }
        }
        for shape in &shapes {
            for (name, id) in shape.named.iter() {
                self.step()?;
                if let Some(visits) = named.get_mut(name) {
                    *visits += self.sum(std::iter::once(id));
                }
            }
        }
        let visits = items.max(members + named.values().copied().max().unwrap_or(0));
        bound(visits)?;
        Ok(visits)
    }

    fn collect(&mut self, id: Id, shapes: &mut Vec<&'a Shape>) -> Result<(), String> {
        self.step()?;
        let Some(shape) = self.shapes.get(id) else { return Ok(()) };
        shapes.push(shape);
        for next in shape.in_place().chain(self.asked_again(shape)?) {
            self.collect(next, shapes)?;
        }
        Ok(())
    }

    /// The branches that are asked a second time, to know what a shape has not evaluated. What
    /// applies without a choice needs no second look.
    fn asked_again(&mut self, shape: &Shape) -> Result<Vec<Id>, String> {
        let mut again = Vec::new();
        if shape.asks_for_the_rest() {
            self.branches(shape, 0, &mut again)?;
        }
        Ok(again)
    }

    fn branches(&mut self, shape: &Shape, depth: usize, found: &mut Vec<Id>) -> Result<(), String> {
        self.step()?;
        if depth > MAX_CHAIN {
            return Err("refers to itself without moving into the data".to_owned());
        }
        let choices = shape.choices.iter().filter(|choice| choice.declares);
        let chosen: Vec<Id> = choices.flat_map(Choice::shapes).collect();
        found.extend(&chosen);
        let shapes = self.shapes;
        for next in shape.certain().chain(chosen).filter_map(|id| shapes.get(id)) {
            self.branches(next, depth + 1, found)?;
        }
        Ok(())
    }

    fn sum(&self, ids: impl Iterator<Item = Id>) -> u64 {
        ids.map(|id| self.now.get(id).copied().unwrap_or(0)).sum()
    }
}

fn bound(visits: u64) -> Result<(), String> {
    if visits > MAX_VISITS {
        return Err(format!(
            "makes one value of the data be looked at more than {MAX_VISITS} times"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(schema: &Value) -> Option<String> {
        check(&Shapes::of(schema).unwrap()).err()
    }

    #[test]
    fn ordinary_recursion_is_allowed() {
        let tree = json!({"$ref": "#/$defs/t", "$defs": {"t": {
            "anyOf": [{"type": "string"}, {"properties": {
                "left": {"$ref": "#/$defs/t"}, "right": {"$ref": "#/$defs/t"}}}]}}});

        assert_eq!(refusal(&tree), None);
    }

    #[test]
    fn any_json_value_may_be_described_by_its_own_kinds() {
        // What generators write for a value of any kind.
        let value = json!({"$ref": "#/$defs/v", "$defs": {"v": {"oneOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"$ref": "#/$defs/v"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/v"}}
        ]}}});
        assert_eq!(refusal(&value), None);
    }

    #[test]
    fn a_schema_that_comes_back_to_itself_in_place_is_refused() {
        let circle = json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {
            "a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/b"}]},
            "b": {"not": {"$ref": "#/$defs/a"}}}});

        assert!(refusal(&circle).unwrap().contains("refers to itself"));
    }

    #[test]
    fn parts_that_double_with_every_reference_are_refused() {
        let mut definitions = json!({"d0": {"type": "string"}});
        for level in 1..=22 {
            let next = json!({"$ref": format!("#/$defs/d{}", level - 1)});
            definitions[format!("d{level}")] = json!({"allOf": [next, next]});
        }

        let doubling = json!({"$ref": "#/$defs/d22", "$defs": definitions});
        assert!(refusal(&doubling).unwrap().contains("more than 4096 times"));
    }

    #[test]
    fn alternatives_that_double_with_every_level_of_data_are_refused() {
        let next = json!({"properties": {"next": {"$ref": "#/$defs/a"}}});
        let doubling = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"anyOf": [next, {"additionalProperties": {"$ref": "#/$defs/a"}}]}}});

        assert!(refusal(&doubling).unwrap().contains("more than 4096 times"));
    }

    #[test]
    fn what_is_not_evaluated_counts_its_branches_twice() {
        let mut schema = json!({"type": "string"});
        for _ in 0..14 {
            schema = json!({"anyOf": [schema, {"type": "null"}], "unevaluatedProperties": false});
        }

        assert!(refusal(&schema).unwrap().contains("more than 4096 times"));
    }

    #[test]
    fn recursion_whose_rest_is_closed_is_allowed() {
        let part = json!({"properties": {"v": {}, "next": {"$ref": "#/$defs/n"}}});
        for node in [
            json!({"allOf": [part], "unevaluatedProperties": false}),
            json!({"$ref": "#/$defs/open", "unevaluatedProperties": false}),
        ] {
            let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": node, "open": part}});
            assert_eq!(refusal(&schema), None, "{schema}");
        }
    }

    #[test]
    fn the_deepest_walk_that_is_allowed_needs_no_more_stack_than_a_thread_has() {
        let recursive = |chain: usize| {
            let mut next = json!({"properties": {"a": {"$ref": "#/$defs/t"}}, "required": ["a"]});
            for _ in 0..chain {
                next = json!({"oneOf": [next, {"type": "null"}]});
            }
            json!({"$ref": "#/$defs/t", "$defs": {"t": next}})
        };
        assert!(refusal(&recursive(100)).unwrap().contains("64 levels deep"));

        let schema = recursive(12);
        assert_eq!(refusal(&schema), None);
        let walk = move || {
            let rules = crate::contract::rules::Rules::compile(&schema).unwrap();
            let mut data = json!({});
            for _ in 0..64 {
                data = json!({ "a": data });
            }
            assert!(!rules.accept(&data));
            let mut violations = Vec::new();
            rules.explain(&data, &mut violations);
            crate::contract::closing::close(&rules.shapes(), &data, &mut violations);
            assert!(!violations.is_empty());
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(walk).unwrap().join().unwrap();
    }
}
