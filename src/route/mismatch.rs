//! Why an event does not match: which fields, and what they lack, without a word of its values.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::route::evaluate::{Evaluation, ReachedNode, Spent};
use crate::route::field::Field;
use crate::route::part::Conjunction;
use crate::route::predicate::Predicate;

/// A reason why an event was not matched; it names the field and never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The member names that lead to the field, joined by dots.
    pub path: String,
    /// What the field lacks, in words.
    pub reason: String,
}

impl Mismatch {
    /// Says that it takes too much work to tell.
    pub fn untold() -> Self {
        let reason = "the event is too large for the pattern to tell which field keeps it out";
        Self { path: "*".to_owned(), reason: reason.to_owned() }
    }
}

/// The work of explaining one event, in which each field is asked once.
pub(super) struct Explaining {
    pub(super) evaluation: Evaluation,
    reached: HashMap<usize, ReachedNode>,
}

impl Explaining {
    /// Allows so many steps.
    pub(super) fn allowing(steps: u64) -> Self {
        Self { evaluation: Evaluation::allowing(steps), reached: HashMap::new() }
    }

    /// Names the fields that an event fails in the conjunction that is closest to a match.
    pub(super) fn closest(
        &mut self,
        conjunctions: &[Arc<Conjunction>],
        event: &Value,
    ) -> Result<Vec<Mismatch>, Spent> {
        let mut closest: Option<(usize, &Conjunction)> = None;
        for conjunction in conjunctions {
            // Fields that fail only together are one reason.
            let failed = self.failed(conjunction, event)?.len().max(1);
            if closest.is_none_or(|(least, _)| failed < least) {
                closest = Some((failed, conjunction));
            }
        }
        closest.map_or_else(|| Ok(Vec::new()), |(_, one)| self.conjunction(one, event))
    }

    /// Names the fields of a conjunction that an event fails on their own, or all of them together.
    pub(super) fn conjunction(
        &mut self,
        conjunction: &Conjunction,
        event: &Value,
    ) -> Result<Vec<Mismatch>, Spent> {
        let failed = self.failed(conjunction, event)?;
        if !failed.is_empty() {
            let named = |(field, reached): (&Arc<Field>, ReachedNode)| Mismatch {
                path: field.dotted.to_string(),
                reason: reason(field, reached.present),
            };
            return Ok(failed.into_iter().map(named).collect());
        }
        let fields = conjunction.fields();
        let paths: Vec<&str> = fields.iter().map(|field| &*field.dotted).collect();
        let reason =
            "each field matches, but not all within the same element of an array".to_owned();
        Ok(vec![Mismatch { path: paths.join(", "), reason }])
    }

    /// The fields that an event fails on their own.
    fn failed<'c>(
        &mut self,
        conjunction: &'c Conjunction,
        event: &Value,
    ) -> Result<Vec<(&'c Arc<Field>, ReachedNode)>, Spent> {
        let mut failed = Vec::new();
        for field in conjunction.fields() {
            let reached = self.reach(field, event)?;
            if !reached.satisfies(field) {
                failed.push((field, reached));
            }
        }
        Ok(failed)
    }

    fn reach(&mut self, field: &Arc<Field>, event: &Value) -> Result<ReachedNode, Spent> {
        let place = Arc::as_ptr(field).addr();
        if let Some(reached) = self.reached.get(&place) {
            self.evaluation.step(1)?;
            return Ok(*reached);
        }
        let reached = self.evaluation.reach(field, event)?;
        self.reached.insert(place, reached);
        Ok(reached)
    }
}

/// What a field lacks that fails on its own, without a word of what the event has there.
fn reason(field: &Field, is_there: bool) -> String {
    let mut operators: Vec<&str> = field.alternatives.iter().map(Predicate::operator).collect();
    operators.dedup();
    match (operators.as_slice(), is_there) {
        (["exists"], false) => "the event has no value there".to_owned(),
        (["exists"], true) => "the event has a value there, and must not".to_owned(),
        (["exact"], true) => "its value is another one".to_owned(),
        (operators, true) => {
            format!("no value of the field satisfies {}", operators.join(" or "))
        }
        (operators, false) => {
            format!("the event has no value there that could satisfy {}", operators.join(" or "))
        }
    }
}
