//! How data breaks a shape: every breach under a stable code, at its pointer.

use std::cell::Cell;

use serde_json::{Map, Value};

use crate::contract::accepting::{accepts, contained, unevaluated_items, unevaluated_members};
use crate::contract::alternatives::{self, Meant};
use crate::contract::pointer;
use crate::contract::sentence;
use crate::contract::shape::{Branch, Choice, ChoiceKind, Contains, Id, Shape, Shapes};
use crate::contract::undeclared::{MAX_VIOLATIONS, undeclared};
use crate::event::Violation;

/// Alternatives within alternatives that are explained.
const MAX_DEPTH: usize = 8;

/// Adds every breach of the first shape, until there are [`MAX_VIOLATIONS`].
pub(super) fn explain(shapes: &Shapes, data: &Value, violations: &mut Vec<Violation>) {
    Explainer { shapes, pointer: String::new(), violations, depth: 0 }.value(0, data);
}

struct Explainer<'s, 'v> {
    shapes: &'s Shapes,
    /// Where the value at hand stands in the data.
    pointer: String,
    violations: &'v mut Vec<Violation>,
    /// How many alternatives are being explained within one another.
    depth: usize,
}

impl Explainer<'_, '_> {
    fn is_full(&self) -> bool {
        self.violations.len() >= MAX_VIOLATIONS
    }

    fn report(&mut self, code: &str, message: impl Into<String>) {
        let pointer = self.pointer.clone();
        self.add(Violation { pointer, code: code.to_owned(), message: message.into() });
    }

    fn add(&mut self, violation: Violation) {
        if !self.is_full() && !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    fn undeclared(&mut self, name: &str) {
        self.add(undeclared(pointer::join(&self.pointer, name)));
    }

    fn below(&mut self, token: &str, id: Id, value: &Value) {
        let length = self.pointer.len();
        pointer::push(&mut self.pointer, token);
        self.value(id, value);
        self.pointer.truncate(length);
    }

    fn value(&mut self, id: Id, value: &Value) {
        let Some(shape) = self.shapes.get(id) else { return };
        if self.is_full() {
            return;
        }
        if shape.nothing {
            return self.report("forbidden", "is not allowed here");
        }
        if !shape.types.contains(value) {
            self.report("type", format!("must be {}", shape.types.names()));
        }
        for (code, message) in shape.assertions.iter().flat_map(|one| one.breaches(value)) {
            self.report(code, message);
        }
        match value {
            Value::Object(members) => self.members(shape, members),
            Value::Array(items) => self.items(shape, items),
            _ => {}
        }
        self.applied(shape, value);
        self.unevaluated(shape, value);
    }

    /// What applies to the value beside the shape's own words.
    fn applied(&mut self, shape: &Shape, value: &Value) {
        for id in &shape.all {
            self.value(*id, value);
        }
        for choice in &shape.choices {
            self.choice(choice, value);
        }
        if shape.not.is_some_and(|id| accepts(self.shapes, id, value)) {
            self.report("not", "must not match what the contract excludes");
        }
        for (name, id) in &shape.dependent {
            if value.get(name).is_some() {
                self.value(*id, value);
            }
        }
    }

    fn members(&mut self, shape: &Shape, members: &Map<String, Value>) {
        let allows = |name: &String| {
            shape.names.is_none_or(|id| accepts(self.shapes, id, &Value::from(name.as_str())))
        };
        if !members.keys().all(allows) {
            let message = "has a member whose name the contract does not allow";
            self.report("property-name", message);
        }
        for name in shape.named.required().filter(|name| !members.contains_key(*name)) {
            self.report("required", format!("`{name}` is required"));
        }
        for (name, member) in members {
            let mut singled_out = false;
            for id in shape.members(name) {
                singled_out = true;
                self.below(name, id, member);
            }
            match shape.additional {
                Some(id) if !singled_out => self.rest(name, id, member),
                _ => {}
            }
        }
    }

    /// A member that only `additionalProperties` or `unevaluatedProperties` speaks of.
    fn rest(&mut self, name: &str, id: Id, member: &Value) {
        if self.shapes.is_nothing(id) {
            self.undeclared(name);
        } else {
            self.below(name, id, member);
        }
    }

    fn items(&mut self, shape: &Shape, items: &[Value]) {
        let first = shape.first_items.len();
        if items.len() > first && shape.other_items.is_some_and(|id| self.shapes.is_nothing(id)) {
            let message = match first {
                0 => "must have no items".to_owned(),
                _ => format!("must have no items after the first {first}"),
            };
            self.report("additional-item", message);
        }
        for (index, item) in items.iter().enumerate() {
            let rest = index >= first;
            match shape.item(index) {
                Some(id) if !(rest && self.shapes.is_nothing(id)) => {
                    self.below(&index.to_string(), id, item);
                }
                _ => {}
            }
        }
        if let Some(rule) = &shape.contains {
            self.contains(rule, items);
        }
    }

    fn contains(&mut self, rule: &Contains, items: &[Value]) {
        let count = contained(self.shapes, rule, items);
        if count < rule.least {
            match rule.least {
                1 => self.report("contains", "must contain an item that the contract asks for"),
                least => {
                    let rule = format!("must contain at least {least} items");
                    self.report("min-contains", rule + " that the contract asks for");
                }
            }
        }
        if let Some(most) = rule.most.filter(|most| count > *most) {
            let rule = format!("must contain at most {most} items");
            self.report("max-contains", rule + " that the contract asks for");
        }
    }

    fn choice(&mut self, choice: &Choice, value: &Value) {
        if self.is_full() {
            return;
        }
        let (branches, code, rule) = match &choice.kind {
            ChoiceKind::Condition { test, then, otherwise } => {
                let part = if accepts(self.shapes, *test, value) { then } else { otherwise };
                if let Some(id) = part {
                    self.value(*id, value);
                }
                return;
            }
            ChoiceKind::Any(branches) => {
                (branches, "any-of", "must match one of the contract's alternatives")
            }
            ChoiceKind::One(branches) => {
                (branches, "one-of", "must match exactly one of the contract's alternatives")
            }
        };
        let fits = branches.iter().enumerate();
        let fits: Vec<usize> = fits
            .filter(|(_, branch)| accepts(self.shapes, branch.id, value))
            .map(|(index, _)| index)
            .collect();
        match (fits.as_slice(), code) {
            ([], _) => self.no_branch(branches, code, rule, value),
            ([_, _, ..], "one-of") => {
                let names = sentence::branches(branches, &fits);
                self.report(code, format!("{rule}, and matches several: {names}"));
            }
            _ => {}
        }
    }

    /// Says which alternative the value is meant to be, and what is wrong with it.
    fn no_branch(&mut self, branches: &[Branch], code: &str, rule: &str, value: &Value) {
        let rule = match code {
            "one-of" => format!("{rule}, and matches none"),
            _ => rule.to_owned(),
        };
        let meant = alternatives::meant(self.shapes, branches, value);
        self.report(code, sentence::meant(&rule, &meant, branches, value));
        if let Meant::Branch { index, .. } = meant
            && let Some(branch) = branches.get(index)
            && self.depth < MAX_DEPTH
        {
            self.depth += 1;
            self.value(branch.id, value);
            self.depth -= 1;
        }
    }

    fn unevaluated(&mut self, shape: &Shape, value: &Value) {
        if self.is_full() {
            return;
        }
        // Each value that needs one has been reported, so that there are few.
        let guesses = Cell::new(MAX_VIOLATIONS);
        match (value, shape.unevaluated_members, shape.unevaluated_items) {
            (Value::Object(members), Some(id), _) => {
                for name in unevaluated_members(self.shapes, shape, value, &guesses) {
                    if let Some(member) = members.get(name) {
                        self.rest(name, id, member);
                    }
                }
            }
            (Value::Array(items), _, Some(id)) => {
                for index in unevaluated_items(self.shapes, shape, value, &guesses) {
                    let Some(item) = items.get(index) else { continue };
                    if self.shapes.is_nothing(id) {
                        self.undeclared_item(index);
                    } else {
                        self.below(&index.to_string(), id, item);
                    }
                }
            }
            _ => {}
        }
    }

    fn undeclared_item(&mut self, index: usize) {
        self.add(Violation {
            pointer: pointer::join(&self.pointer, &index.to_string()),
            code: "unevaluated-item".to_owned(),
            message: "the contract does not declare this item".to_owned(),
        });
    }
}
