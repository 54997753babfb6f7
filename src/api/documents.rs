//! The contracts and publications that are in force: one state of both, put in place as a whole.

use std::sync::Arc;

use crate::contract::Catalog;
use crate::enrich::Publications;
use crate::source;

/// Contracts and publications that belong together.
///
/// Whoever answers a request takes one of these and asks nothing else, so that no answer mixes two states.
pub struct DocumentsInForce {
    /// The contracts.
    pub catalog: Arc<Catalog>,
    /// What crosses the border.
    pub publications: Arc<Publications>,
    /// Who may publish as which source.
    pub source: source::Config,
}
