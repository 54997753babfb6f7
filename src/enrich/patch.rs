//! A JSON Patch (RFC 6902) that reads the whole event and writes only the data that crosses.

use serde_json::{Map, Value};

use crate::enrich::document::PatchedDocument;
use crate::enrich::patch_effort::{LIMITS, PatchEffort};
use crate::enrich::patch_step::WrittenStep;
use crate::enrich::{Numbers, PatchFailure, PatchMistake, PatchStep};
use crate::route::{EventTree, MatchOutcome, Pattern, Undecided};
use crate::source::Envelope;

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

    /// Applies all operations in order to `data`, those of the groups that want the event among them.
    #[cfg(test)]
    pub(super) fn apply(
        &self,
        document: PatchedDocument<'_>,
        data: Value,
        numbers: Numbers,
    ) -> Result<Value, PatchFailure> {
        let wanting = self.groups_of(document.envelope);
        self.apply_groups(document, (data, &wanting), numbers)
    }

    /// Which groups want an event, whatever work that is.
    pub(super) fn groups_of(&self, envelope: &Envelope) -> Vec<bool> {
        if self.groups.is_empty() {
            return Vec::new();
        }
        let tree = envelope.to_tree();
        // Every question ends, and without a bound each is answered.
        self.wanting(&EventTree::of(&tree), u64::MAX).unwrap_or_default()
    }

    /// Applies all operations in order to `data`, and gives the data that they make of it; those of a
    /// group only where `wanting` says that it wants the event.
    pub(super) fn apply_groups(
        &self,
        document: PatchedDocument<'_>,
        (data, wanting): (Value, &[bool]),
        numbers: Numbers,
    ) -> Result<Value, PatchFailure> {
        let mut scratch = Value::Object(Map::from_iter([("data".to_owned(), data)]));
        let mut effort = PatchEffort::of(numbers);
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

    /// Which groups want an event, each told in so many steps at the most.
    pub(super) fn wanting(
        &self,
        event: &EventTree<'_>,
        steps: u64,
    ) -> Result<Vec<bool>, Undecided> {
        let decide = |when: &Pattern| match when.decide(event, steps) {
            MatchOutcome::Matches => Ok(true),
            MatchOutcome::Differs => Ok(false),
            MatchOutcome::Undecided => Err(Undecided),
        };
        self.groups.iter().map(decide).collect()
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
