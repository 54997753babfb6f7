//! What the log still has of the tree of each of its incarnations.

use crate::api::{Code, Problem, Services};
use crate::transparency::{TreeHead, TreeRoot};

/// What this log still has of the tree of an incarnation, of which the present tree is given.
pub(super) fn tree_of(
    services: &Services,
    number: u64,
    head: TreeHead,
) -> Result<TreeRoot, Problem> {
    let all = services.subscription_service.sealer().incarnations();
    all.tree_of(number, head.tree).ok_or_else(|| {
        let problem = format!(
            "the log has no incarnation {number} of which anything survived; the present one is {}",
            all.current()
        );
        Problem::new(Code::NotFound, problem)
    })
}

/// What to say of what is asked for beyond the end of an incarnation.
pub(super) fn survived(number: u64, tree: TreeRoot) -> String {
    format!(
        "of the tree of incarnation {number} of the log there are {} leaves here: what survived the \
         restores, or what it has so far",
        tree.size
    )
}
