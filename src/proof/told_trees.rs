//! The trees over the log that a gateway has told of at different moments: whether one log can have them all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Timestamp;
use crate::transparency::{TreeHash, TreeHead};

/// How far the clocks of one gateway may differ: its own may be set.
const LEEWAY: Duration = Duration::from_mins(1);

/// What was told of the trees of one size.
#[derive(Debug)]
struct ToldTree {
    line: Option<usize>,
    root: TreeHash,
    earliest: Timestamp,
    latest: Timestamp,
}

/// The trees of one incarnation, by size.
#[derive(Debug, Default)]
struct IncarnationTrees {
    first: Option<u64>,
    by_size: BTreeMap<u64, ToldTree>,
}

/// Every tree that was told of, by the incarnation of its log and its size.
#[derive(Debug, Default)]
pub(super) struct ToldTrees {
    incarnations: BTreeMap<u64, IncarnationTrees>,
    /// Lines of answers that contradict others.
    contradictions: Vec<(Option<usize>, &'static str)>,
}

impl ToldTrees {
    /// Takes a tree that an answer of a line told of at a moment, or the bundle.
    pub(super) fn take(
        &mut self,
        line: Option<usize>,
        at: Timestamp,
        (incarnation, tree): (u64, TreeHead),
    ) {
        let told = self.incarnations.entry(incarnation).or_default();
        if *told.first.get_or_insert(tree.first) != tree.first {
            return self.contradictions.push((line, "the tree begins at two positions: two logs"));
        }
        let root = tree.tree.root;
        let told = told.by_size.entry(tree.tree.size).or_insert(ToldTree {
            line,
            root,
            earliest: at,
            latest: at,
        });
        if told.root != root {
            let problem = "the tree over the log has one size and two roots: two histories";
            self.contradictions.push((line.or(told.line), problem));
        }
        told.earliest = told.earliest.min(at);
        told.latest = told.latest.max(at);
    }

    /// Says what no honest log has: two roots of one size, or less leaves than before.
    pub(super) fn contradictions(&self) -> Vec<(Option<usize>, &'static str)> {
        let mut found = self.contradictions.clone();
        for IncarnationTrees { by_size, .. } in self.incarnations.values() {
            let mut latest: Option<Timestamp> = None;
            for told in by_size.values() {
                if latest.is_some_and(|latest| latest > told.earliest.after(LEEWAY)) {
                    let problem =
                        "the tree over the log had less leaves later: the log was set back";
                    found.push((told.line, problem));
                }
                latest = latest.max(Some(told.latest));
            }
        }
        found
    }
}
