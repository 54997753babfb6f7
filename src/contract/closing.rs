//! Finds members of data that no schema declares: the border is closed on the way out.
//!
//! Draft-07 has no word for this across `allOf`, references and alternatives, so data is walked
//! along its schemas. To each value apply the schema that stands for it, and from there every
//! `$ref`, every part of `allOf`, those branches of `anyOf`, `oneOf` and `if` that accept the
//! value, and the `dependencies` of members that it has. A member of an object is declared if one
//! of these names it in `properties`, matches it in `patternProperties`, or says explicitly with
//! `additionalProperties` that others may be there. `not`, `contains` and `propertyNames` declare
//! nothing. The literal schema `true` in the place of a value opens everything below it; `{}` does
//! not.

use serde_json::Value;

use crate::contract::pointer;
use crate::contract::rules::{MAX_VIOLATIONS, Rules, undeclared};
use crate::contract::shape::{Choice, Id, Shape, Shapes};
use crate::event::Violation;

/// A step from a value to a part of it.
#[derive(Clone, Copy)]
enum Step<'v> {
    Member(&'v str),
    Item(usize),
}

/// Adds a violation for every undeclared member, until there are [`MAX_VIOLATIONS`].
pub(super) fn close(shapes: &Shapes, data: &Value, violations: &mut Vec<Violation>) {
    let mut walk = Walk { shapes, applied: Vec::with_capacity(16), path: Vec::new(), violations };
    walk.apply(0, data, 0);
    walk.value(data, 0);
}

struct Walk<'a, 'v> {
    shapes: &'a Shapes,
    /// The shapes that apply to the value at hand, above those of the values around it.
    applied: Vec<&'a Shape>,
    path: Vec<Step<'v>>,
    violations: &'a mut Vec<Violation>,
}

impl<'a, 'v> Walk<'a, 'v> {
    /// Walks one value, to which the shapes from `start` apply.
    fn value(&mut self, value: &'v Value, start: usize) {
        if self.frame(start).iter().any(|shape| shape.anything) {
            return;
        }
        let end = self.applied.len();
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.path.push(Step::Member(name));
                    if !self.member(name, member, start, end) {
                        self.report();
                    } else if is_container(member) {
                        self.value(member, end);
                    }
                    self.applied.truncate(end);
                    self.path.pop();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| is_container(item))
                {
                    self.path.push(Step::Item(index));
                    self.item(index, item, start, end);
                    self.value(item, end);
                    self.applied.truncate(end);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }

    fn frame(&self, start: usize) -> &[&'a Shape] {
        self.applied.get(start..).unwrap_or_default()
    }

    /// Puts the shapes of a member on the stack and tells whether it is declared.
    fn member(&mut self, name: &str, member: &Value, start: usize, end: usize) -> bool {
        let mut declared = false;
        let mut opened = false;
        for index in start..end {
            let Some(shape) = self.applied.get(index).copied() else { break };
            let mut here = false;
            if let Some(id) = shape.named.get(name) {
                here = true;
                self.apply(*id, member, end);
            }
            if !shape.patterned.is_empty() {
                let text = Value::from(name);
                for (_, id) in shape.patterned.iter().filter(|(rules, _)| rules.accept(&text)) {
                    here = true;
                    self.apply(*id, member, end);
                }
            }
            declared |= here;
            opened |= !here && shape.additional.is_some();
        }
        if opened {
            self.additional(name, member, declared, start, end);
        }
        declared || opened
    }

    /// Adds what `additionalProperties` says about a member. `true` says nothing about a member
    /// that another schema declares, so that one lax part of an `allOf` does not open the others.
    fn additional(&mut self, name: &str, member: &Value, declared: bool, start: usize, end: usize) {
        for index in start..end {
            let Some(shape) = self.applied.get(index).copied() else { break };
            let Some(id) = shape.additional else { continue };
            let text = Value::from(name);
            let here = shape.named.contains_key(name)
                || shape.patterned.iter().any(|(rules, _)| rules.accept(&text));
            let lax = self.shapes.get(id).is_some_and(|shape| shape.anything);
            if here || (declared && lax) {
                continue;
            }
            self.apply(id, member, end);
        }
    }

    fn item(&mut self, index: usize, item: &Value, start: usize, end: usize) {
        for position in start..end {
            let Some(shape) = self.applied.get(position).copied() else { break };
            if let Some(id) = shape.first_items.get(index).copied().or(shape.other_items) {
                self.apply(id, item, end);
            }
        }
    }

    /// Puts a shape and all that apply with it on the stack, each once above `base`.
    fn apply(&mut self, id: Id, value: &Value, base: usize) {
        let Some(shape) = self.shapes.get(id) else { return };
        let there = self.frame(base).iter().any(|known| std::ptr::eq(*known, shape));
        if there || !is_container(value) {
            return;
        }
        self.applied.push(shape);
        for id in &shape.all {
            self.apply(*id, value, base);
        }
        for choice in &shape.choices {
            self.choose(choice, value, base);
        }
        for (name, id) in &shape.dependent {
            if value.get(name).is_some() {
                self.apply(*id, value, base);
            }
        }
    }

    fn choose(&mut self, choice: &Choice, value: &Value, base: usize) {
        match choice {
            Choice::Branches(branches) => {
                let fits = |(rules, _): &&(Rules, Id)| rules.accept(value);
                let mut none = true;
                for (_, id) in branches.iter().filter(fits) {
                    none = false;
                    self.apply(*id, value, base);
                }
                // The schema has refused the value already; naming every member helps nobody.
                if none {
                    for (_, id) in branches {
                        self.apply(*id, value, base);
                    }
                }
            }
            Choice::Condition { test, when, then, otherwise } => {
                let branch = if test.accept(value) {
                    self.apply(*when, value, base);
                    then
                } else {
                    otherwise
                };
                if let Some(id) = branch {
                    self.apply(*id, value, base);
                }
            }
        }
    }

    fn report(&mut self) {
        if self.violations.len() >= MAX_VIOLATIONS {
            return;
        }
        let mut pointer = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) => pointer::push(&mut pointer, name),
                Step::Item(index) => pointer::push(&mut pointer, &index.to_string()),
            }
        }
        let violation = undeclared(pointer);
        // `additionalProperties: false` has had the schema report it already.
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Array(_))
}
