//! What a pattern asks of one field.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::event::EVENT_NAME;
use crate::route::predicate::Predicate;

/// The names that lead to a field, split at every dot.
pub(super) type Path = Arc<[Box<str>]>;

/// The member of an event that a step of a path leads to.
pub(super) fn member<'e>(members: &'e Map<String, Value>, step: &str) -> Option<&'e Value> {
    let by_type = || if step == EVENT_NAME { members.get("type") } else { None };
    members.get(step).or_else(by_type)
}

/// A field and its alternatives: one of them must hold.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Field {
    pub(super) path: Path,
    /// The path as people write it.
    pub(super) dotted: Box<str>,
    pub(super) alternatives: Vec<Predicate>,
    /// How much work it is to ask a short value.
    pub(super) weight: u64,
}

impl Field {
    /// Asks a field, named by its dotted path, for one of some alternatives.
    pub(super) fn new(dotted: &str, mut alternatives: Vec<Predicate>) -> Self {
        alternatives.sort_unstable();
        alternatives.dedup();
        Self {
            path: dotted.split('.').map(Into::into).collect(),
            dotted: dotted.into(),
            weight: alternatives.iter().map(Predicate::weight).sum(),
            alternatives,
        }
    }

    /// Asks the name of an event, which is its `type` unless it has another.
    pub(super) fn of_name(alternatives: Vec<Predicate>) -> Self {
        let path = [EVENT_NAME.into()].into();
        Self { path, ..Self::new("type", alternatives) }
    }

    /// Tells whether some alternative accepts a value that is there.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        self.alternatives.iter().any(|alternative| alternative.accepts(value))
    }

    /// Tells whether the field may be absent.
    pub(super) fn may_be_absent(&self) -> bool {
        self.alternatives.contains(&Predicate::Absent)
    }
}
