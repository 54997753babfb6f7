//! A schema as a graph of what it asserts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::contract::meaning::words::{asserts, canonical, set};
use crate::contract::pointer;

/// A schema or a list or map of schemas: what it says by itself, and the parts that say more.
pub(super) enum Node {
    /// `true`, `false`, and what is no schema.
    Plain(String),
    /// Keywords whose value asserts by itself, and those that hold schemas.
    Schema(BTreeMap<String, Part>),
}

/// The value of a keyword.
pub(super) enum Part {
    Value(String),
    One(usize),
    /// In this order.
    List(Vec<usize>),
    /// In any order, where each counts once (`allOf`, `anyOf`) or as often as it is there (`oneOf`).
    Set(Vec<usize>, bool),
    Map(BTreeMap<String, usize>),
}

/// Schemas by number; the first one is the whole.
pub(super) struct Graph<'a> {
    root: &'a Value,
    pub(super) nodes: Vec<Option<Node>>,
    /// Schemas by where they stand in memory.
    known: HashMap<*const Value, usize>,
}

impl<'a> Graph<'a> {
    /// Reads a schema that stands alone.
    pub(super) fn of(schema: &'a Value) -> Self {
        let mut graph = Self { root: schema, nodes: Vec::new(), known: HashMap::new() };
        graph.visit(schema);
        graph
    }

    /// Numbers a schema and everything below it.
    fn visit(&mut self, schema: &'a Value) {
        let mut open = Vec::new();
        self.number(schema, &mut open);
        // No recursion: a chain of references may be long.
        while let Some((schema, number)) = open.pop() {
            let node = self.read(schema, &mut open);
            if let Some(place) = self.nodes.get_mut(number) {
                *place = Some(node);
            }
        }
    }

    fn number(&mut self, schema: &'a Value, open: &mut Vec<(&'a Value, usize)>) -> usize {
        let schema = self.settle(schema);
        let next = self.nodes.len();
        let number = *self.known.entry(std::ptr::from_ref(schema)).or_insert(next);
        if number == next {
            self.nodes.push(None);
            open.push((schema, number));
        }
        number
    }

    /// Follows what only refers to another schema, or holds nothing but one in an `allOf`.
    fn settle(&self, mut schema: &'a Value) -> &'a Value {
        let mut seen = BTreeSet::new();
        while let Value::Object(object) = schema
            && seen.insert(std::ptr::from_ref(schema))
        {
            let mut says = object.iter().filter(|(word, _)| asserts(word));
            let next = match (says.next(), says.next()) {
                (Some((word, target)), None) if word == "$ref" => self.target(target),
                (Some((word, Value::Array(parts))), None)
                    if word == "allOf" && parts.len() == 1 =>
                {
                    parts.first()
                }
                _ => None,
            };
            match next {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    fn target(&self, reference: &Value) -> Option<&'a Value> {
        self.root.pointer(reference.as_str()?.strip_prefix('#')?)
    }

    fn read(&mut self, schema: &'a Value, open: &mut Vec<(&'a Value, usize)>) -> Node {
        let Value::Object(object) = schema else { return Node::Plain(canonical(schema)) };
        let mut parts = BTreeMap::new();
        for (word, value) in object.iter().filter(|(word, _)| asserts(word)) {
            if let Some(part) = self.part(word, value, open) {
                parts.insert(word.clone(), part);
            }
        }
        Node::Schema(parts)
    }

    fn part(
        &mut self,
        word: &str,
        value: &'a Value,
        open: &mut Vec<(&'a Value, usize)>,
    ) -> Option<Part> {
        let mut list = |items: &'a [Value]| -> Vec<usize> {
            items.iter().map(|item| self.number(item, open)).collect()
        };
        let part = match (word, value) {
            ("required", Value::Array(names)) if names.is_empty() => return None,
            ("required" | "enum" | "type", value) => Part::Value(set(value)),
            ("allOf" | "anyOf", Value::Array(items)) => Part::Set(list(items), true),
            ("oneOf", Value::Array(items)) => Part::Set(list(items), false),
            ("prefixItems", Value::Array(items)) => Part::List(list(items)),
            (
                "properties" | "patternProperties" | "dependentSchemas" | "dependentRequired",
                value,
            ) => self.map(value.as_object()?, open),
            ("discriminator", Value::Object(object)) => self.discriminator(object, open),
            ("$ref", reference) => match self.target(reference) {
                Some(target) => Part::One(self.number(target, open)),
                None => Part::Value(canonical(reference)),
            },
            (
                "additionalProperties"
                | "unevaluatedProperties"
                | "propertyNames"
                | "items"
                | "unevaluatedItems"
                | "contains"
                | "not"
                | "if"
                | "then"
                | "else",
                schema,
            ) => Part::One(self.number(schema, open)),
            (_, value) => Part::Value(canonical(value)),
        };
        Some(part)
    }

    /// Schemas by name, and lists of names as they stand in `dependentRequired`.
    fn map(&mut self, members: &'a Map<String, Value>, open: &mut Vec<(&'a Value, usize)>) -> Part {
        let mut numbers = BTreeMap::new();
        for (name, member) in members {
            let number = match member {
                Value::Array(_) => {
                    self.nodes.push(Some(Node::Plain(set(member))));
                    self.nodes.len() - 1
                }
                schema => self.number(schema, open),
            };
            numbers.insert(name.clone(), number);
        }
        Part::Map(numbers)
    }

    fn discriminator(
        &mut self,
        object: &'a Map<String, Value>,
        open: &mut Vec<(&'a Value, usize)>,
    ) -> Part {
        let mut numbers = BTreeMap::new();
        for (value, target) in
            object.get("mapping").and_then(Value::as_object).into_iter().flatten()
        {
            let number = if let Some(target) = self.target(target) {
                self.number(target, open)
            } else {
                self.nodes.push(Some(Node::Plain(canonical(target))));
                self.nodes.len() - 1
            };
            numbers.insert(pointer::join("/mapping", value), number);
        }
        if let Some(property) = object.get("propertyName") {
            self.nodes.push(Some(Node::Plain(canonical(property))));
            numbers.insert("/propertyName".to_owned(), self.nodes.len() - 1);
        }
        Part::Map(numbers)
    }
}
