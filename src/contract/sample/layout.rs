//! Lays a schema out as a graph, in which nothing is excluded and every choice has branches.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::contract::sample::denial::{LIMITS, alternatives};
use crate::contract::sample::graph::{Node, NodeChoice, NodeId, SchemaGraph};

/// Nodes of one graph; what lies beyond says nothing, and the gate has the last word anyway.
const MAX_NODES: usize = 40_000;

/// Exclusions within exclusions.
const MAX_DENIALS: usize = 6;

/// Alternatives of a `oneOf` that are kept apart by what excludes the others.
const MAX_KEPT_APART: usize = 12;

/// References in a row.
const MAX_REFERENCES: usize = 32;

impl SchemaGraph {
    /// Lays out a schema in normal form.
    pub(super) fn of(schema: &Value) -> Self {
        let mut builder = Builder {
            root: schema,
            graph: Self::default(),
            definitions: HashMap::new(),
            waiting: Vec::new(),
        };
        builder.build(schema, 0);
        while let Some((id, definition)) = builder.waiting.pop() {
            let mut node = builder.node(definition, 0);
            node.is_definition = true;
            builder.put(id, node);
        }
        builder.graph.measure();
        builder.graph
    }
}

struct Builder<'a> {
    root: &'a Value,
    graph: SchemaGraph,
    definitions: HashMap<&'a str, NodeId>,
    /// Definitions whose node is promised.
    waiting: Vec<(NodeId, &'a Value)>,
}

impl<'a> Builder<'a> {
    fn reserve(&mut self) -> NodeId {
        self.graph.nodes.push(Node::default());
        self.graph.nodes.len() - 1
    }

    fn put(&mut self, id: NodeId, node: Node) {
        if let Some(place) = self.graph.nodes.get_mut(id) {
            *place = node;
        }
    }

    /// Adds a schema, and everything in it; `denials` is how many exclusions lie around it.
    fn build(&mut self, schema: &Value, denials: usize) -> NodeId {
        let id = self.reserve();
        if self.graph.nodes.len() < MAX_NODES {
            let node = self.node(schema, denials);
            self.put(id, node);
        }
        id
    }

    fn node(&mut self, schema: &Value, denials: usize) -> Node {
        let mut node = Node { is_never: schema == &Value::Bool(false), ..Node::default() };
        let Value::Object(words) = schema else { return node };
        for (word, value) in words {
            self.word(&mut node, (word, value), denials);
        }
        if let Some(condition) = words.get("if") {
            self.condition(&mut node, words, condition, denials);
        }
        if node.other_items.is_none() {
            node.other_items =
                words.get("unevaluatedItems").map(|items| self.build(items, denials));
        }
        node
    }

    fn word(&mut self, node: &mut Node, (word, value): (&str, &Value), denials: usize) {
        match (word, value) {
            ("properties", Value::Object(members)) => node.members = self.named(members, denials),
            (LIMITS, Value::Object(members)) => node.limits = self.named(members, denials),
            ("patternProperties", Value::Object(members)) => {
                node.patterned = self.named(members, denials);
            }
            ("additionalProperties", rest) => node.additional = Some(self.build(rest, denials)),
            ("unevaluatedProperties", rest) => node.unevaluated = Some(self.build(rest, denials)),
            ("propertyNames", names) => node.names = Some(self.build(names, denials)),
            ("prefixItems", Value::Array(items)) => node.first_items = self.list(items, denials),
            ("items", Value::Object(_) | Value::Bool(_)) => {
                node.other_items = Some(self.build(value, denials));
            }
            ("contains", item) => node.contains = Some(self.build(item, denials)),
            ("allOf", Value::Array(parts)) => {
                let parts = self.list(parts, denials);
                node.all.extend(parts);
            }
            ("$ref", Value::String(reference)) => node.all.extend(self.reference(reference)),
            ("anyOf", Value::Array(branches)) => {
                let branches = self.list(branches, denials);
                node.choices.extend(NodeChoice::of_alternatives(branches));
            }
            ("oneOf", Value::Array(branches)) => self.one_of(node, branches, denials),
            ("not", excluded) => node.choices.extend(self.denial(excluded, denials)),
            ("dependentSchemas", Value::Object(members)) => {
                for (name, schema) in members {
                    self.dependent(node, name, schema, denials);
                }
            }
            ("$defs" | "if" | "then" | "else" | "unevaluatedItems", _) => {}
            _ => {
                node.words.insert(word.to_owned(), value.clone());
            }
        }
    }

    fn named<T: FromIterator<(String, NodeId)>>(
        &mut self,
        schemas: &Map<String, Value>,
        denials: usize,
    ) -> T {
        schemas.iter().map(|(name, schema)| (name.clone(), self.build(schema, denials))).collect()
    }

    fn list(&mut self, schemas: &[Value], denials: usize) -> Vec<NodeId> {
        schemas.iter().map(|schema| self.build(schema, denials)).collect()
    }

    /// The node of the definition that a reference names.
    fn reference(&mut self, reference: &str) -> Option<NodeId> {
        let root = self.root;
        let name = reference.strip_prefix("#/$defs/")?;
        let (name, definition) = root.get("$defs")?.as_object()?.get_key_value(name)?;
        if let Some(id) = self.definitions.get(name.as_str()) {
            return Some(*id);
        }
        let id = self.reserve();
        self.definitions.insert(name, id);
        self.waiting.push((id, definition));
        Some(id)
    }

    /// Each branch, with what keeps a value from matching the others as well.
    fn one_of(&mut self, node: &mut Node, branches: &[Value], denials: usize) {
        let ids = self.list(branches, denials);
        if branches.len() > MAX_KEPT_APART {
            node.choices.extend(NodeChoice::of_alternatives(ids));
            return;
        }
        let mut apart = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let mut one = Node { all: vec![*id], ..Node::default() };
            for (other, branch) in branches.iter().enumerate() {
                if other != index {
                    one.choices.extend(self.denial(branch, denials));
                }
            }
            let id = self.reserve();
            self.put(id, one);
            apart.push(id);
        }
        node.choices.extend(NodeChoice::of_alternatives(apart));
    }

    /// A choice among what may stand in place of what is excluded; nothing if nothing is known.
    fn denial(&mut self, excluded: &Value, denials: usize) -> Option<NodeChoice> {
        if denials >= MAX_DENIALS || self.graph.nodes.len() >= MAX_NODES {
            return None;
        }
        let branches = alternatives(self.settled(excluded));
        if branches.is_empty() {
            return None;
        }
        let branches = branches.iter().map(|branch| self.build(branch, denials + 1)).collect();
        Some(NodeChoice { names: None, branches })
    }

    /// The schema behind references that stand alone.
    fn settled<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'a: 's,
    {
        let mut settled = schema;
        for _ in 0..MAX_REFERENCES {
            let Some(Value::String(reference)) = settled.get("$ref") else { break };
            let definition = reference.strip_prefix("#/$defs/").and_then(|name| {
                let root: &'s Value = self.root;
                root.get("$defs")?.get(name)
            });
            let Some(definition) = definition else { break };
            settled = definition;
        }
        settled
    }

    fn condition(
        &mut self,
        node: &mut Node,
        words: &Map<String, Value>,
        condition: &Value,
        denials: usize,
    ) {
        let (then, otherwise) = (words.get("then"), words.get("else"));
        let mut holds = Node { all: vec![self.build(condition, denials)], ..Node::default() };
        holds.all.extend(then.map(|then| self.build(then, denials)));
        let mut fails = Node::default();
        fails.all.extend(otherwise.map(|otherwise| self.build(otherwise, denials)));
        fails.choices.extend(self.denial(condition, denials));
        let branches = [holds, fails].map(|branch| {
            let id = self.reserve();
            self.put(id, branch);
            id
        });
        let names = ["where `if` holds", "where `if` does not hold"].map(str::to_owned);
        let names = Some(names.to_vec());
        node.choices.push(NodeChoice { names, branches: branches.to_vec() });
    }

    /// The member with what depends on it, or neither.
    fn dependent(&mut self, node: &mut Node, name: &str, schema: &Value, denials: usize) {
        let with = json!({ "required": [name], "allOf": [schema] });
        let without = json!({ LIMITS: { name: false } });
        let branches = [with, without].iter().map(|branch| self.build(branch, denials)).collect();
        let names = [format!("with `{name}`"), format!("without `{name}`")];
        node.choices.push(NodeChoice { names: Some(names.to_vec()), branches });
    }
}

impl NodeChoice {
    fn of_alternatives(branches: Vec<NodeId>) -> Option<Self> {
        let count = branches.len();
        let name = |number: usize| format!("as alternative {number} of {count}");
        let names = Some((1..=count).map(name).collect());
        (count > 0).then_some(Self { names, branches })
    }
}
