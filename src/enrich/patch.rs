//! A JSON Patch (RFC 6902) that reads the whole event and writes only the data that crosses.

use serde_json::{Map, Value};

use crate::enrich::document::PatchedDocument;
use crate::enrich::patch_effort::{LIMITS, PatchEffort};
use crate::enrich::patch_step::WrittenStep;
use crate::enrich::{Numbers, PatchFailure, PatchMistake, PatchStep};
use crate::route::{EventTree, Pattern};

/// A patch that was read and found sound.
#[derive(Debug, Default)]
pub struct Patch {
    steps: Vec<PatchStep>,
    /// The patterns over the envelope of its groups.
    groups: Vec<Pattern>,
}

impl Patch {
    /// Adds an operation at the end.
    ///
    /// # Errors
    ///
    /// The caller's turn: every rule that the operation breaks.
    pub(super) fn push(&mut self, written: WrittenStep) -> Result<(), Vec<PatchMistake>> {
        if self.steps.len() >= LIMITS.operations {
            let reason = "a patch has at most 100 operations";
            return Err(vec![PatchMistake { member: "op", reason }]);
        }
        self.steps.push(PatchStep::new(written)?);
        Ok(())
    }

    /// Begins a group of operations for the events that match, and gives its number; nothing: there
    /// are too many groups.
    pub(super) fn begin_group(&mut self, when: Pattern) -> Option<usize> {
        let number = self.groups.len();
        (number < LIMITS.groups).then(|| self.groups.push(when)).map(|()| number)
    }

    /// The operations in order, those of groups where their group stands.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &PatchStep> {
        self.steps.iter()
    }

    /// The patterns of its groups, by their numbers.
    pub fn groups(&self) -> &[Pattern] {
        &self.groups
    }

    /// Applies all operations in order to `data`, and gives the data that they make of it.
    pub(super) fn apply(
        &self,
        document: PatchedDocument<'_>,
        data: Value,
        numbers: Numbers,
    ) -> Result<Value, PatchFailure> {
        let mut scratch = Value::Object(Map::from_iter([("data".to_owned(), data)]));
        let mut effort = PatchEffort::of(numbers);
        let wanting = self.wanting(document);
        for step in &self.steps {
            if step.group().is_some_and(|group| wanting.get(group) != Some(&true)) {
                continue;
            }
            step.apply(document, &mut scratch, &mut effort).map_err(|failure| PatchFailure {
                index: step.index(),
                operation: step.name(),
                path: step.operation().path().to_string(),
                item: failure.item,
                reason: failure.reason,
            })?;
        }
        Ok(scratch.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// Which groups want the event.
    fn wanting(&self, document: PatchedDocument<'_>) -> Vec<bool> {
        if self.groups.is_empty() {
            return Vec::new();
        }
        let tree = document.envelope.to_tree();
        let event = EventTree::of(&tree);
        self.groups.iter().map(|when| when.matches_tree(&event)).collect()
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
