//! What decides whether events cross: one state of contracts and publications, replaced as a whole.

use std::sync::Arc;

use crate::contract::Gate;
use crate::enrich::Publications;
use crate::gateway::Crossing;
use crate::identify::Naming;

/// Contracts, publications and names that belong together. An event crosses by one of these from its
/// beginning to its end, whatever is put in place meanwhile.
pub struct CrossingRules {
    /// What crosses the border.
    pub publications: Arc<Publications>,
    /// The contracts.
    pub gate: Gate,
    /// How events are named.
    pub naming: Naming,
}

impl CrossingRules {
    /// The way of one event through one publication.
    pub fn crossing(&self) -> Crossing<'_> {
        let Self { publications, gate, naming } = self;
        Crossing { publications, gate, naming }
    }
}
