//! A publication that wants an event, with the groups of its patch that want it too.

use std::sync::Arc;

use serde_json::Value;

use crate::enrich::{EnrichError, Enriched, Publication, Publications};
use crate::route::{EventTree, StepAllowance, Undecided};
use crate::source::Received;

/// A publication that wants an event, and which groups of its patch do.
#[derive(Clone, Debug)]
pub struct Wanting {
    publication: Arc<Publication>,
    groups: Vec<bool>,
}

impl Wanting {
    /// The publication.
    pub const fn publication(&self) -> &Arc<Publication> {
        &self.publication
    }

    /// Makes the publication's event out of the one that it wants.
    ///
    /// # Errors
    ///
    /// The caller's turn: the patch does not fit the event, or a text that names it is missing.
    pub fn enrich(&self, received: &Arc<Received>) -> Result<Enriched, EnrichError> {
        self.publication.enrich_with(received, &self.groups)
    }
}

/// The publications that want an event, and those that it is too much work to ask.
#[derive(Clone, Debug, Default)]
pub struct WantingPublications {
    /// Those that want it, in the order of their files.
    pub wanting: Vec<Wanting>,
    /// Those for which more work would be needed to tell that, or what their patch does.
    pub undecided: Vec<Arc<Publication>>,
}

impl WantingPublications {
    /// Whether a publication wants the event or is undecided.
    pub fn names(&self, publication: &Arc<Publication>) -> bool {
        let wanting = self.wanting.iter().map(|one| &one.publication);
        wanting.chain(&self.undecided).any(|one| Arc::ptr_eq(one, publication))
    }
}

impl Publications {
    /// Finds the publications that want an event, with this much work.
    pub fn wanted_by(&self, received: &Received, allowance: StepAllowance) -> WantingPublications {
        self.wanting(&received.envelope.to_tree(), allowance)
    }

    /// Finds the publications that want an event, given as the [tree](crate::source::Envelope::to_tree) of its envelope.
    pub fn wanting(&self, tree: &Value, allowance: StepAllowance) -> WantingPublications {
        let routed = self.patterns.route(tree, allowance);
        let of = |index: usize| self.all.get(index).cloned();
        let undecided = routed.undecided.into_iter().filter_map(of).collect();
        let mut wanted = WantingPublications { wanting: Vec::new(), undecided };
        for publication in routed.matching.into_iter().filter_map(of) {
            let patch = publication.patch();
            // Most have no groups, and need not look at the event again.
            let groups = match patch.groups() {
                [] => Ok(Vec::new()),
                _ => patch.wanting(&EventTree::of(tree), allowance.each),
            };
            match groups {
                Ok(groups) => wanted.wanting.push(Wanting { publication, groups }),
                Err(Undecided) => wanted.undecided.push(publication),
            }
        }
        wanted
    }
}
