//! Checks the tree over a log on disk: computes it anew from its leaves, and these from the entries
//! that are still there.

use crate::cli::Failure;
use crate::eventlog::StoredLog;
use crate::transparency::{Frontier, StoredSpan, TILE_HEIGHT, TILE_WIDTH, TreeHash};

/// What was found.
#[derive(Default)]
pub(super) struct CheckedTree {
    /// Leaves that were read.
    pub(super) leaves: u64,
    /// What is wrong.
    pub(super) findings: Vec<String>,
}

/// Reads the whole tree, a tile at a time.
///
/// # Errors
///
/// Ours: the file cannot be read at all.
pub(super) fn check(log: &StoredLog) -> Result<CheckedTree, Failure> {
    let mut checked = CheckedTree::default();
    let (first, size, head) = log.tree_extent().map_err(Failure::blame)?;
    if first.0 + size != head.0 + 1 {
        checked.findings.push(format!(
            "the tree: has {size} leaves from position {first} on, and the log ends at {head}"
        ));
    }
    let mut frontier = Frontier::empty();
    let mut start = 0;
    while start < size {
        let count = TILE_WIDTH.min(size - start);
        let span = StoredSpan { level: 0, start, count };
        let Some(leaves) = log.tree_hashes(span).map_err(Failure::blame)? else {
            checked
                .findings
                .push(format!("the tree: leaves {start} to {} are missing", start + count - 1));
            return Ok(checked);
        };
        compare_leaves(log, (start, &leaves), &mut checked)?;
        let mut completed = Vec::new();
        for leaf in leaves {
            frontier.push(leaf, |height, number, hash| {
                if height % TILE_HEIGHT == 0 {
                    completed.push((height / TILE_HEIGHT, number, hash));
                }
            });
        }
        for (level, number, hash) in completed {
            let span = StoredSpan { level, start: number, count: 1 };
            let kept = log.tree_hashes(span).map_err(Failure::blame)?;
            if kept.is_none_or(|kept| kept != [hash]) {
                checked.findings.push(format!(
                    "the tree: hash {number} of level {level} is not that of its leaves"
                ));
            }
        }
        start += count;
        checked.leaves = start;
    }
    Ok(checked)
}

/// Holds leaves against the entries that are still there.
fn compare_leaves(
    log: &StoredLog,
    (start, leaves): (u64, &[TreeHash]),
    checked: &mut CheckedTree,
) -> Result<(), Failure> {
    let indexes = start..start + leaves.len() as u64;
    for (index, leaf) in log.tree_leaves(indexes).map_err(Failure::blame)? {
        let kept = usize::try_from(index - start).ok().and_then(|at| leaves.get(at));
        if kept.is_none_or(|kept| *kept != TreeHash::of_leaf(&leaf)) {
            checked.findings.push(format!("the tree: leaf {index} is not that of its entry"));
        }
    }
    Ok(())
}
