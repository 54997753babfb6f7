//! A schema as a graph of nodes: what each says of a value, and which others hold with it.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

/// Index of a node in its [`SchemaGraph`].
pub(super) type NodeId = usize;

/// The height of what has no end.
pub(super) const ENDLESS: u32 = 1_000;

/// One schema.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// `false`: nothing may be there.
    pub(super) is_never: bool,
    /// Words that hold no schema.
    pub(super) words: Map<String, Value>,
    /// `allOf` and `$ref`: they hold as well.
    pub(super) all: Vec<NodeId>,
    /// One branch of each holds as well.
    pub(super) choices: Vec<NodeChoice>,
    /// `properties`.
    pub(super) members: BTreeMap<String, NodeId>,
    /// What members keep that are there, without being declared by it.
    pub(super) limits: BTreeMap<String, NodeId>,
    /// `patternProperties`.
    pub(super) patterned: Vec<(String, NodeId)>,
    /// `additionalProperties`.
    pub(super) additional: Option<NodeId>,
    /// `unevaluatedProperties`.
    pub(super) unevaluated: Option<NodeId>,
    /// `propertyNames`.
    pub(super) names: Option<NodeId>,
    /// `prefixItems`.
    pub(super) first_items: Vec<NodeId>,
    /// `items`, else `unevaluatedItems`.
    pub(super) other_items: Option<NodeId>,
    /// `contains`.
    pub(super) contains: Option<NodeId>,
    /// Whether references name it.
    pub(super) is_definition: bool,
}

/// Schemas of which one holds.
#[derive(Debug)]
pub(super) struct NodeChoice {
    /// What each branch is, as part of the name of a sample; nothing: it is not worth a sample.
    pub(super) names: Option<Vec<String>>,
    pub(super) branches: Vec<NodeId>,
}

/// All nodes of a schema; the first is the schema itself.
#[derive(Debug, Default)]
pub(super) struct SchemaGraph {
    pub(super) nodes: Vec<Node>,
    /// How many levels of data each node has at the least.
    heights: Vec<u32>,
}

impl SchemaGraph {
    pub(super) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// How many levels of data lie below a value that keeps all of these, at the least.
    pub(super) fn height(&self, ids: &[NodeId]) -> u32 {
        ids.iter().filter_map(|id| self.heights.get(*id)).copied().max().unwrap_or(0)
    }

    /// The nodes that hold wherever one holds, itself first; branches of choices are not among them.
    pub(super) fn certain(&self, id: NodeId, most: usize) -> Vec<&Node> {
        let mut seen = HashSet::from([id]);
        let mut open = vec![id];
        let mut found = Vec::new();
        while let Some(node) = open.pop().and_then(|id| self.get(id)) {
            found.push(node);
            if found.len() >= most {
                break;
            }
            open.extend(node.all.iter().filter(|id| seen.insert(**id)));
        }
        found
    }

    /// Tells whether nothing can keep a node, as far as is seen at a glance.
    pub(super) fn is_never(&self, id: NodeId) -> bool {
        self.certain(id, 32).iter().any(|node| node.is_never)
    }

    /// Computes the heights: the least that hold for all nodes together.
    pub(super) fn measure(&mut self) {
        const ROUNDS: usize = 64;
        self.heights = vec![ENDLESS; self.nodes.len()];
        for _ in 0..ROUNDS {
            let heights: Vec<u32> = self.nodes.iter().map(|node| self.height_of(node)).collect();
            if heights == self.heights {
                break;
            }
            self.heights = heights;
        }
    }

    fn height_of(&self, node: &Node) -> u32 {
        if node.is_never {
            return ENDLESS;
        }
        let of = |id: &NodeId| self.heights.get(*id).copied().unwrap_or(0);
        let mut height = node.all.iter().map(of).max().unwrap_or(0);
        for choice in &node.choices {
            height = height.max(choice.branches.iter().map(of).min().unwrap_or(0));
        }
        let required = node.words.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let below = node.members.get(name).or(node.limits.get(name)).map_or(0, of);
            height = height.max(below + 1);
        }
        let some = |word: &str| node.words.get(word).and_then(Value::as_u64).unwrap_or(0) > 0;
        if some("minItems") || node.contains.is_some() {
            let first = node.first_items.first().or(node.other_items.as_ref());
            height = height.max(first.map_or(0, of) + 1);
        }
        height.min(ENDLESS)
    }
}
