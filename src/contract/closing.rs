//! Finds members of data that no schema declares: the border is closed on the way out.
//!
//! Data is walked along its schemas. To each value apply the schema that stands for it, and from
//! there every `$ref`, every part of `allOf`, those branches of `anyOf`, `oneOf` and `if` that accept
//! the value, and the `dependentSchemas` of members that it has. A member of an object is declared if
//! one of these names it in `properties`, matches it in `patternProperties`, or says explicitly with
//! `additionalProperties` or `unevaluatedProperties` that others may be there. `not`, `contains`,
//! `propertyNames` and `dependentRequired` declare nothing. The literal schema `true` in the place of
//! a value opens everything below it; `{}` does not.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::Value;

use crate::contract::accepting::{applying, unevaluated_items, unevaluated_members};
use crate::contract::pointer;
use crate::contract::shape::{Id, Shape, Shapes};
use crate::contract::undeclared::{MAX_VIOLATIONS, undeclared};
use crate::event::Violation;

/// A step from a value to a part of it.
#[derive(Clone, Copy)]
enum ClosingStep<'v> {
    Member(&'v str),
    Item(usize),
}

/// Adds a violation for every undeclared member, until there are [`MAX_VIOLATIONS`].
pub(super) fn close(shapes: &Shapes, data: &Value, violations: &mut Vec<Violation>) {
    if violations.len() >= MAX_VIOLATIONS {
        return;
    }
    let mut walk = Walk {
        shapes,
        applied: Vec::with_capacity(16),
        path: Vec::with_capacity(8),
        violations,
        guesses: Cell::new(MAX_VIOLATIONS),
    };
    walk.apply(0, data, 0);
    walk.value(data, 0);
}

struct Walk<'a, 'v> {
    shapes: &'a Shapes,
    /// The shapes that apply to the value at hand, above those of the values around it.
    applied: Vec<&'a Shape>,
    path: Vec<ClosingStep<'v>>,
    violations: &'a mut Vec<Violation>,
    /// How often it may still be asked which alternative a value is meant to be.
    guesses: Cell<usize>,
}

impl<'a, 'v> Walk<'a, 'v> {
    /// Walks one value, to which the shapes from `start` apply.
    fn value(&mut self, value: &'v Value, start: usize) {
        let is_full = self.violations.len() >= MAX_VIOLATIONS;
        if is_full || self.frame(start).iter().any(|shape| shape.anything) {
            return;
        }
        let end = self.applied.len();
        match value {
            Value::Object(members) => {
                let rest = self.unevaluated_members(value, start);
                for (name, member) in members {
                    self.path.push(ClosingStep::Member(name));
                    if !self.member(name, member, start, end, &rest) {
                        self.report();
                    } else if is_container(member) {
                        self.value(member, end);
                    }
                    self.applied.truncate(end);
                    self.path.pop();
                }
            }
            Value::Array(items) => {
                let rest = self.unevaluated_items(value, start);
                for (index, item) in items.iter().enumerate().filter(|(_, item)| is_container(item))
                {
                    self.path.push(ClosingStep::Item(index));
                    self.item(index, item, start, end, &rest);
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

    /// What of an object is left to `unevaluatedProperties`, for each schema under that word that
    /// declares something.
    fn unevaluated_members(&self, value: &'v Value, start: usize) -> Vec<(Id, HashSet<&'v str>)> {
        let left = |shape: &&'a Shape| {
            let id = shape.unevaluated_members.filter(|id| !self.shapes.is_nothing(*id))?;
            let names = unevaluated_members(self.shapes, shape, value, &self.guesses);
            Some((id, names.into_iter().collect()))
        };
        self.frame(start).iter().filter_map(left).collect()
    }

    /// What of an array is left to `unevaluatedItems`, in order, in the same way.
    fn unevaluated_items(&self, value: &Value, start: usize) -> Vec<(Id, Vec<usize>)> {
        let left = |shape: &&'a Shape| {
            let id = shape.unevaluated_items.filter(|id| !self.shapes.is_nothing(*id))?;
            Some((id, unevaluated_items(self.shapes, shape, value, &self.guesses)))
        };
        self.frame(start).iter().filter_map(left).collect()
    }

    /// Puts the shapes of a member on the stack and tells whether it is declared.
    fn member(
        &mut self,
        name: &str,
        member: &Value,
        start: usize,
        end: usize,
        rest: &[(Id, HashSet<&str>)],
    ) -> bool {
        let mut declared = false;
        let mut opening = false;
        for index in start..end {
            let Some(shape) = self.applied.get(index).copied() else { break };
            let is_named = self.named(shape, name, member, end);
            opening |= !is_named && shape.additional.is_some();
            declared |= is_named;
        }
        let mut opened = false;
        if opening {
            opened = self.additional(name, member, declared, start, end);
        }
        for (id, _) in rest.iter().filter(|(_, names)| names.contains(name)) {
            opened |= self.open(*id, member, declared, end);
        }
        declared || opened
    }

    /// Adds what a shape says about a member by its name; tells whether it says anything.
    fn named(&mut self, shape: &'a Shape, name: &str, member: &Value, end: usize) -> bool {
        let mut is_named = false;
        for id in shape.members(name) {
            is_named = true;
            self.apply(id, member, end);
        }
        is_named
    }

    /// Adds what `additionalProperties` says about a member.
    fn additional(
        &mut self,
        name: &str,
        member: &Value,
        declared: bool,
        start: usize,
        end: usize,
    ) -> bool {
        let mut opened = false;
        for index in start..end {
            let Some(shape) = self.applied.get(index).copied() else { break };
            let Some(id) = shape.additional else { continue };
            if !shape.singles_out(name) {
                opened |= self.open(id, member, declared, end);
            }
        }
        opened
    }

    /// Adds what a schema for all others says about a member or item, and tells whether it declares
    /// it. `false` does not, and `true` says nothing about one that another schema declares, so that
    /// one lax part of an `allOf` does not open the others.
    fn open(&mut self, id: Id, value: &Value, declared: bool, end: usize) -> bool {
        if self.shapes.is_nothing(id) {
            return false;
        }
        if !(declared && self.shapes.is_anything(id)) {
            self.apply(id, value, end);
        }
        true
    }

    fn item(
        &mut self,
        index: usize,
        item: &Value,
        start: usize,
        end: usize,
        rest: &[(Id, Vec<usize>)],
    ) {
        let mut declared = false;
        for position in start..end {
            let Some(shape) = self.applied.get(position).copied() else { break };
            if let Some(id) = shape.item(index) {
                declared = true;
                self.apply(id, item, end);
            }
        }
        for (id, _) in rest.iter().filter(|(_, indexes)| indexes.binary_search(&index).is_ok()) {
            self.open(*id, item, declared, end);
        }
    }

    /// Puts a shape and all that apply with it on the stack, each once above `base`.
    fn apply(&mut self, id: Id, value: &Value, base: usize) {
        // Nothing stands below a number or a text, and most members are one.
        if !is_container(value) {
            return;
        }
        let Some(shape) = self.shapes.get(id) else { return };
        if self.frame(base).iter().any(|known| std::ptr::eq(*known, shape)) {
            return;
        }
        self.applied.push(shape);
        for id in &shape.all {
            self.apply(*id, value, base);
        }
        for choice in shape.choices.iter().filter(|choice| choice.declares) {
            for id in applying(self.shapes, choice, value, &self.guesses) {
                self.apply(id, value, base);
            }
        }
        for (name, id) in &shape.dependent {
            if value.get(name).is_some() {
                self.apply(*id, value, base);
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
                ClosingStep::Member(name) => pointer::push(&mut pointer, name),
                ClosingStep::Item(index) => pointer::push(&mut pointer, &index.to_string()),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::contract::rules::Rules;

    /// The pointers of what is undeclared, in data that need not keep the schema.
    fn undeclared_in(schema: &Value, data: &Value) -> Vec<String> {
        let shapes = Shapes::of(schema).unwrap();
        let mut violations = Vec::new();
        close(&shapes, data, &mut violations);
        let mut pointers: Vec<String> =
            violations.into_iter().map(|violation| violation.pointer).collect();
        pointers.sort();
        pointers
    }

    #[test]
    fn members_are_declared_by_name_by_pattern_or_by_an_explicit_word() {
        let schema = json!({
            "properties": {"a": {}, "open": {"additionalProperties": true}, "any": true,
                "texts": {"additionalProperties": {"type": "string"}}, "shut": {"type": "object"}},
            "patternProperties": {"^x-": {"properties": {"in": {}}}}
        });
        let data = json!({
            "a": {"b": 1}, "open": {"b": {"c": 1}}, "any": {"b": [{"c": 1}]}, "texts": {"b": {"c": 1}},
            "shut": {"b": 1}, "x-1": {"in": 1, "out": 1}, "y": null, "sl/ash": [{}]
        });

        assert_eq!(
            undeclared_in(&schema, &data),
            ["/a/b", "/shut/b", "/sl~1ash", "/texts/b/c", "/x-1/out", "/y"]
        );
    }

    #[test]
    fn parts_of_all_of_and_references_declare_together_at_every_level() {
        let schema = json!({
            "allOf": [
                {"properties": {"a": {"properties": {"x": {}}}}},
                {"$ref": "#/$defs/more"}
            ],
            "properties": {"c": {}},
            "$defs": {"more": {"properties": {"a": {"properties": {"y": {}}}, "b": {}}}}
        });

        let data = json!({"a": {"x": 1, "y": 1, "z": 1}, "b": 1, "c": 1, "d": 1});
        assert_eq!(undeclared_in(&schema, &data), ["/a/z", "/d"]);
    }

    #[test]
    fn only_the_alternative_that_accepts_declares() {
        let schema = json!({
            "properties": {"kind": {}},
            "oneOf": [
                {"properties": {"kind": {"const": "card"}, "pan": {}}},
                {"properties": {"kind": {"const": "cash"}, "till": {}}}
            ]
        });

        assert!(undeclared_in(&schema, &json!({"kind": "card", "pan": 1})).is_empty());
        assert_eq!(undeclared_in(&schema, &json!({"kind": "cash", "pan": 1})), ["/pan"]);
        // The schema refuses this one; what a branch declares is not named on top.
        assert_eq!(undeclared_in(&schema, &json!({"kind": "x", "pan": 1, "q": 1})), ["/q"]);
    }

    #[test]
    fn conditions_and_dependencies_declare_where_they_apply() {
        let schema = json!({
            "properties": {"kind": {}, "b": {}},
            "if": {"properties": {"kind": {"const": "card"}, "i": {}}, "required": ["kind"]},
            "then": {"properties": {"pan": {}}},
            "else": {"properties": {"till": {}}},
            "dependentSchemas": {"b": {"properties": {"c": {}}}},
            "dependentRequired": {"kind": ["kind"], "b": ["d"]}
        });

        let data = |kind: &str| json!({"kind": kind, "i": 1, "pan": 1, "till": 1, "c": 1});
        assert_eq!(undeclared_in(&schema, &data("card")), ["/c", "/till"]);
        assert_eq!(undeclared_in(&schema, &data("cash")), ["/c", "/i", "/pan"]);
        assert!(undeclared_in(&schema, &json!({"b": 1, "c": 1})).is_empty());
    }

    #[test]
    fn what_excludes_or_counts_declares_nothing() {
        let schema = json!({
            "not": {"properties": {"a": {"const": 1}}, "required": ["a"]},
            "propertyNames": {"properties": {"b": {}}},
            "properties": {"list": {"contains": {"properties": {"c": {}}}}}
        });

        let data = json!({"a": 2, "b": 1, "list": [{"c": 1}]});
        assert_eq!(undeclared_in(&schema, &data), ["/a", "/b", "/list/0/c"]);
    }

    #[test]
    fn items_are_closed_one_by_one_and_as_the_rest() {
        let schema = json!({"prefixItems": [{"properties": {"a": {}}}],
            "items": {"properties": {"b": {}}}});
        let alike = json!({"items": {"items": {"properties": {"a": {}}}}});

        assert_eq!(
            undeclared_in(&schema, &json!([{"a": 1, "b": 1}, {"a": 1, "b": 1}])),
            ["/0/b", "/1/a"]
        );
        assert_eq!(undeclared_in(&alike, &json!([[{"a": 1}, {"b": 1}]])), ["/0/1/b"]);
        assert_eq!(undeclared_in(&json!({"type": "array"}), &json!([{"a": 1}])), ["/0/a"]);
    }

    #[test]
    fn one_lax_part_does_not_open_what_another_declares() {
        let schema = json!({"allOf": [
            {"additionalProperties": true},
            {"properties": {"a": {"properties": {"b": {}}}}}
        ]});

        assert_eq!(
            undeclared_in(&schema, &json!({"a": {"b": 1, "c": 1}, "z": {"q": 1}})),
            ["/a/c"]
        );
    }

    #[test]
    fn what_is_not_evaluated_is_declared_by_a_schema_and_opened_by_true() {
        let part = json!({"properties": {"a": {"properties": {"b": {}}}}});
        let schema = |rest: Value| json!({"allOf": [part], "unevaluatedProperties": rest});
        let data = json!({"a": {"b": 1, "c": 1}, "z": {"q": 1, "r": 1}});

        assert_eq!(undeclared_in(&schema(json!(true)), &data), ["/a/c"]);
        assert_eq!(undeclared_in(&schema(json!(false)), &data), ["/a/c", "/z"]);
        let declaring = schema(json!({"properties": {"q": {}, "c": {}}}));
        assert_eq!(undeclared_in(&declaring, &data), ["/a/c", "/z/r"]);
        let inside = json!({"properties": {"a": {"properties": {"b": {}}}},
            "allOf": [{"unevaluatedProperties": {"properties": {"c": {}}}}]});
        assert_eq!(undeclared_in(&inside, &data), ["/z/q", "/z/r"]);
    }

    #[test]
    fn items_that_are_not_evaluated_are_declared_by_a_schema_and_opened_by_true() {
        let schema = |rest: Value| json!({"allOf": [{"prefixItems": [{"properties": {"a": {}}}]}], "unevaluatedItems": rest});
        let data = json!([{"a": 1, "b": 1}, {"b": 1, "c": 1}]);

        assert_eq!(undeclared_in(&schema(json!(true)), &data), ["/0/b"]);
        assert_eq!(
            undeclared_in(&schema(json!({"properties": {"b": {}}})), &data),
            ["/0/b", "/1/c"]
        );
        // What `contains` accepts is evaluated, and declared by nobody.
        let counted = json!({"contains": {"required": ["c"]}, "unevaluatedItems": {"properties": {"a": {}, "b": {}}}});
        assert_eq!(undeclared_in(&counted, &data), ["/1/b", "/1/c"]);
    }

    #[test]
    fn a_reference_declares_together_with_what_stands_beside_it() {
        let schema = json!({"$ref": "#/$defs/base", "properties": {"b": {}},
            "$defs": {"base": {"properties": {"a": {}}}}});

        assert_eq!(undeclared_in(&schema, &json!({"a": 1, "b": 1, "c": 1})), ["/c"]);
    }

    #[test]
    fn true_opens_where_a_value_stands_and_nowhere_else() {
        let data = json!({"a": {"b": 1}});
        let referring = json!({"$ref": "#/$defs/any", "$defs": {"any": true}});

        assert!(undeclared_in(&json!(true), &data).is_empty());
        assert!(undeclared_in(&referring, &data).is_empty());
        assert_eq!(undeclared_in(&json!({"allOf": [true]}), &data), ["/a"]);
        assert_eq!(undeclared_in(&json!({"unevaluatedProperties": false}), &data), ["/a"]);
    }

    #[test]
    fn where_no_alternative_accepts_the_one_that_was_meant_declares() {
        let schema = json!({"oneOf": [
            {"properties": {"kind": {"const": "card"}, "pan": {"type": "string"}}},
            {"properties": {"kind": {"const": "cash"}, "till": {}}}
        ]});

        assert_eq!(
            undeclared_in(&schema, &json!({"kind": "card", "pan": 1, "till": 1})),
            ["/till"]
        );
    }

    #[test]
    fn recursive_schemas_close_at_every_depth() {
        let schema = json!({"$ref": "#/$defs/tree", "$defs": {"tree": {
            "properties": {"leaf": {}, "next": {"$ref": "#/$defs/tree"}}}}});

        let data = json!({"next": {"next": {"leaf": 1, "x": 1}}});
        assert_eq!(undeclared_in(&schema, &data), ["/next/next/x"]);
    }

    #[test]
    fn ever_so_many_items_and_members_are_looked_up_and_not_searched() {
        // Searched for one by one in a list, these would take minutes.
        let items = Value::Array(vec![json!({}); 150_000]);
        let members: Value = (0..150_000).map(|n| (format!("m{n}"), json!({}))).collect();

        let schema = |word: &str| json!({word: {"type": "object"}});
        assert!(undeclared_in(&schema("unevaluatedItems"), &items).is_empty());
        assert!(undeclared_in(&schema("unevaluatedProperties"), &members).is_empty());
    }

    #[test]
    fn which_alternative_is_meant_is_asked_a_bounded_number_of_times() {
        // The alternatives for the whole are told apart by nothing, so that both apply.
        let schema = json!({
            "oneOf": [{"items": {"$ref": "#/$defs/pay"}}, {"items": {"$ref": "#/$defs/pay"}}],
            "$defs": {"pay": {"oneOf": [
                {"properties": {"kind": {"const": "card"}, "pan": {"type": "string"}}},
                {"properties": {"kind": {"const": "cash"}, "till": {}}}
            ]}}
        });
        let last = json!({"kind": "card", "pan": 1, "till": 1});
        let after = |count: usize| {
            let mut items = vec![json!({"kind": "card", "pan": 1}); count];
            items.push(last.clone());
            undeclared_in(&schema, &Value::Array(items))
        };

        assert_eq!(after(5), ["/5/till"]);
        assert!(after(2 * MAX_VIOLATIONS).is_empty());
    }

    #[test]
    fn reports_end_after_a_bounded_number() {
        let data: Value = (0..500).map(|n| (format!("m{n}"), json!(n))).collect();

        assert_eq!(undeclared_in(&json!({}), &data).len(), MAX_VIOLATIONS);
    }

    /// A schema of nested objects, and the same with every object closed in draft-07's own words.
    fn simple(depth: u32) -> BoxedStrategy<Value> {
        let leaf = prop_oneof![
            Just(json!({"type": "integer"})),
            Just(json!({"type": "string"})),
            Just(json!({"type": "object"})),
            Just(json!({"type": "object", "additionalProperties": true})),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            let named = proptest::collection::btree_map("[a-d]", inner.clone(), 0..4);
            prop_oneof![
                named.prop_map(|members| json!({"type": "object", "properties": members})),
                inner.clone().prop_map(|item| json!({"type": "array", "items": item})),
            ]
        })
        .boxed()
    }

    fn closed(schema: &Value) -> Value {
        let mut closed = schema.clone();
        if closed["type"] == "object" && closed.get("additionalProperties").is_none() {
            closed["additionalProperties"] = json!(false);
        }
        if let Some(members) = closed.get_mut("properties").and_then(Value::as_object_mut) {
            members.values_mut().for_each(|member| *member = self::closed(member));
        }
        if let Some(item) = closed.get("items") {
            closed["items"] = self::closed(item);
        }
        closed
    }

    fn data() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("x")), Just(json!({})), Just(json!([]))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::btree_map("[a-e]", inner.clone(), 0..4)
                    .prop_map(|members| json!(members)),
                proptest::collection::vec(inner, 0..3).prop_map(Value::Array),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_open_schema_and_the_walk_agree_with_a_schema_closed_in_its_own_words(
            schema in simple(4), data in data()
        ) {
            let open = Rules::compile(&schema).ok().unwrap();
            let own_words = Rules::compile(&closed(&schema)).ok().unwrap();

            let walked = open.accept(&data) && undeclared_in(&schema, &data).is_empty();
            prop_assert_eq!(walked, own_words.accept(&data), "{} {}", schema, data);
        }
    }
}
