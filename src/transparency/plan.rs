//! Which kept hashes a root or a proof needs, and what is made of them.

use ct_merkle::{indices_for_consistency_proof, indices_for_inclusion_proof};

use crate::transparency::stored::Subtree;
use crate::transparency::{MOST_LEAVES, StoredSpan, TreeHash};

/// The nodes of a tree that a proof consists of, as spans of kept hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlan {
    spans: Vec<StoredSpan>,
    /// How many of the spans make each node.
    nodes: Vec<usize>,
}

impl ProofPlan {
    /// What proves that a tree of so many leaves has a leaf at an index (RFC 6962, section 2.1.1);
    /// nothing if it has none there.
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        let is_there = index < size && size <= MOST_LEAVES;
        is_there.then(|| Self::of_nodes(indices_for_inclusion_proof(size, index), size))
    }

    /// What proves that a tree begins with all of a smaller one (RFC 6962, section 2.1.2); nothing if
    /// the smaller one is larger. Of a tree without leaves it is empty.
    pub fn consistency(old: u64, new: u64) -> Option<Self> {
        if old > new || new > MOST_LEAVES {
            return None;
        }
        let nodes = match old {
            0 => Vec::new(),
            _ => indices_for_consistency_proof(old, new - old),
        };
        Some(Self::of_nodes(nodes, new))
    }

    /// The hash of a leaf.
    pub fn leaf(index: u64) -> Self {
        Self { spans: vec![StoredSpan { level: 0, start: index, count: 1 }], nodes: vec![1] }
    }

    /// What makes the root of a tree of so many leaves; nothing of none.
    pub fn root(size: u64) -> Option<Self> {
        let mut plan = Self { spans: Vec::new(), nodes: Vec::new() };
        (1..=MOST_LEAVES).contains(&size).then(|| {
            plan.add(0, size);
            plan
        })
    }

    /// What makes the frontier of a tree of so many leaves.
    pub fn frontier(size: u64) -> Self {
        let spans: Vec<_> = Subtree::of_range(0, size).into_iter().map(Subtree::span).collect();
        Self { nodes: vec![1; spans.len()], spans }
    }

    /// Nodes are numbered as RFC 9420, appendix C, numbers them: the trailing ones of a number are the
    /// height of its node, and what stands before them is the node's place. At the right edge of a
    /// tree a node reaches no further than the last leaf.
    fn of_nodes(numbers: Vec<u64>, size: u64) -> Self {
        let mut plan = Self { spans: Vec::new(), nodes: Vec::with_capacity(numbers.len()) };
        for number in numbers {
            let height = number.trailing_ones();
            let start = number >> (height + 1) << height;
            plan.add(start, size.min(start + (1 << height)));
        }
        plan
    }

    fn add(&mut self, start: u64, end: u64) {
        let subtrees = Subtree::of_range(start, end);
        self.nodes.push(subtrees.len());
        self.spans.extend(subtrees.into_iter().map(Subtree::span));
    }

    /// The hashes that are needed.
    pub fn spans(&self) -> &[StoredSpan] {
        &self.spans
    }

    /// The proof, made of the hashes of all spans, in order; nothing unless they are all there.
    pub fn assemble(&self, hashes: &[Vec<TreeHash>]) -> Option<Vec<TreeHash>> {
        if hashes.len() != self.spans.len() {
            return None;
        }
        let mut roots =
            self.spans.iter().zip(hashes).map(|(span, hashes)| span.root(hashes)).fuse();
        let mut node = |parts: &usize| {
            let parts: Vec<_> = roots.by_ref().take(*parts).collect::<Option<_>>()?;
            TreeHash::of_parts(&parts)
        };
        self.nodes.iter().map(&mut node).collect()
    }
}
