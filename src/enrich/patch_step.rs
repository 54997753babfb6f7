//! One operation of a patch, and how it is carried out on an event.
//!
//! The crate `json_patch` does what RFC 6902 says, on a scratch document that is thrown away when
//! any operation fails; its own roll-back loses members. What it leaves open is settled here: how
//! much may be written, and that 1 equals 1.0 (section 4.6).

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{MoveOperation, PatchErrorKind, PatchOperation, RemoveOperation, patch_unsafe};
use serde_json::Value;

use crate::enrich::ValueMap;
use crate::enrich::document::PatchedDocument;
use crate::enrich::item_step::ItemStep;
use crate::enrich::patch_effort::{PatchEffort, deep_enough};
use crate::enrich::patch_failure::{
    NOTHING_AT_PATH, OperationIndex, PatchMistake, PatchProblem, StepFailure,
};
use crate::enrich::patch_rules::{in_data, mistakes_of};
use crate::enrich::same_value::equal;
use crate::enrich::taking::taken;
use crate::enrich::value_map::literal;

/// The member of the scratch document that holds a value on its way to the data.
const TAKEN: &str = "taken";

/// One operation of a patch.
#[derive(Debug)]
pub struct PatchStep {
    /// As its author wrote it.
    operation: PatchOperation,
    optional: bool,
    values: Option<ValueMap>,
    index: OperationIndex,
    place: (usize, usize),
    /// The group that it stands in, by its number among the groups.
    group: Option<usize>,
    /// How it is done for each item of an array.
    items: Option<Box<ItemStep>>,
    /// How a value that was taken out of the document comes to its place.
    landing: Vec<PatchOperation>,
}

/// What is written about one operation.
pub(super) struct WrittenStep {
    /// The operation that RFC 6902 knows.
    pub operation: PatchOperation,
    /// Whether it is left out where there is nothing at its source.
    pub optional: bool,
    /// Which values stand for those that are found.
    pub values: Option<ValueMap>,
    /// Where it stands in its patch.
    pub index: OperationIndex,
    /// Line and column in the file, each from 1.
    pub place: (usize, usize),
    /// The group that it stands in.
    pub group: Option<usize>,
}

impl PatchStep {
    /// Makes a step of what was written.
    ///
    /// # Errors
    ///
    /// The caller's turn: every rule that it breaks.
    pub(super) fn new(written: WrittenStep) -> Result<Self, Vec<PatchMistake>> {
        let WrittenStep { mut operation, optional, values, index, place, group } = written;
        let mistakes = mistakes_of(&operation, optional, values.as_ref());
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        settle(&mut operation);
        let items = ItemStep::of(&operation, optional, values.as_ref()).map(Box::new);
        let landing = landing(&operation, values.is_some());
        Ok(Self { operation, optional, values, index, place, group, items, landing })
    }

    /// The operation, as its author wrote it.
    pub const fn operation(&self) -> &PatchOperation {
        &self.operation
    }

    /// Whether it is left out where there is nothing at its source.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Which values it writes for those that it finds; nothing: those themselves.
    pub const fn values(&self) -> Option<&ValueMap> {
        self.values.as_ref()
    }

    /// Whether it is done for some events only, because it stands in a group with a `when`.
    pub const fn is_conditional(&self) -> bool {
        self.group.is_some()
    }

    /// The group that it stands in, by its number among the groups of its patch.
    pub const fn group(&self) -> Option<usize> {
        self.group
    }

    /// Which operation of its patch it is.
    pub const fn index(&self) -> OperationIndex {
        self.index
    }

    /// Line and column of the operation in the file, each from 1.
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Its `op`.
    pub const fn name(&self) -> &'static str {
        match self.operation {
            PatchOperation::Add(_) => "add",
            PatchOperation::Remove(_) => "remove",
            PatchOperation::Replace(_) => "replace",
            PatchOperation::Move(_) => "move",
            PatchOperation::Copy(_) => "copy",
            PatchOperation::Test(_) => "test",
        }
    }

    /// Carries the operation out.
    pub(super) fn apply(
        &self,
        document: PatchedDocument<'_>,
        scratch: &mut Value,
        effort: &mut PatchEffort,
    ) -> Result<(), StepFailure> {
        if let Some(items) = &self.items
            && items.apply(document, scratch, effort)?
        {
            return Ok(());
        }
        let path = self.operation.path();
        let data = scratch.get("data").unwrap_or(&Value::Null);
        let find = |pointer| document.find(pointer, data);
        // Sizes are counted before anything is copied, so that a copy of copies cannot grow.
        let taken = match &self.operation {
            PatchOperation::Test(test) => {
                return match find(&test.path) {
                    None => Err(NOTHING_AT_PATH.into()),
                    Some(found) if equal(&found, &test.value) => Ok(()),
                    Some(_) => Err("the value is another one".into()),
                };
            }
            PatchOperation::Add(add) => effort.reserve(path, &add.value).map(|()| None)?,
            PatchOperation::Replace(step) => effort.reserve(path, &step.value).map(|()| None)?,
            PatchOperation::Copy(copy) => {
                let Some(found) = find(&copy.from) else { return self.without(&copy.from) };
                if self.landing.is_empty() {
                    effort.reserve(path, &found).map(|()| None)?
                } else {
                    Some(self.take(&copy.from, &found, effort)?)
                }
            }
            PatchOperation::Move(step) => {
                let Some(found) = find(&step.from) else { return self.without(&step.from) };
                if self.landing.is_empty() {
                    deep_enough(path, &found).map(|()| None)?
                } else {
                    Some(self.take(&step.from, &found, effort)?)
                }
            }
            PatchOperation::Remove(remove) => {
                if self.optional && find(&remove.path).is_none() {
                    return Ok(());
                }
                None
            }
        };
        self.carry_out(taken, scratch)
    }

    /// What comes of an operation with nothing at its source.
    fn without(&self, from: &Pointer) -> Result<(), StepFailure> {
        let missing = PatchProblem::Missing { from: from.to_string() };
        if self.optional { Ok(()) } else { Err(missing.into()) }
    }

    fn take(
        &self,
        from: &Pointer,
        found: &Value,
        effort: &mut PatchEffort,
    ) -> Result<Value, PatchProblem> {
        let path = self.operation.path();
        taken(found, self.values.as_ref(), path, effort).map_err(|fault| fault.between(from, path))
    }

    fn carry_out(&self, taken: Option<Value>, scratch: &mut Value) -> Result<(), StepFailure> {
        if let (Some(taken), Value::Object(members)) = (taken, &mut *scratch) {
            members.insert(TAKEN.to_owned(), taken);
        }
        let written = std::slice::from_ref(&self.operation);
        let operations = if self.landing.is_empty() { written } else { &self.landing };
        patch_unsafe(scratch, operations).map_err(|error| match error.kind {
            PatchErrorKind::InvalidFromPointer => "there is nothing at its `from`".into(),
            PatchErrorKind::CannotMoveInsideItself => "a value cannot move into itself".into(),
            _ => NOTHING_AT_PATH.into(),
        })
    }
}

/// Gives the numbers of a value that the patch itself brings the text with which they cross.
fn settle(operation: &mut PatchOperation) {
    let value = match operation {
        PatchOperation::Add(add) => &mut add.value,
        PatchOperation::Replace(replace) => &mut replace.value,
        _ => return,
    };
    if let Ok(settled) = literal(value) {
        *value = settled;
    }
}

/// How a value that is taken from the event, or stands for another one, comes to its place; nothing:
/// the operation itself does it.
fn landing(operation: &PatchOperation, is_mapped: bool) -> Vec<PatchOperation> {
    let put = |path: &PointerBuf| {
        let from = PointerBuf::from_tokens([TAKEN]);
        PatchOperation::Move(MoveOperation { from, path: path.clone() })
    };
    match operation {
        PatchOperation::Copy(copy) if is_mapped || !in_data(&copy.from) => vec![put(&copy.path)],
        PatchOperation::Move(step) if is_mapped => {
            let remove = RemoveOperation { path: step.from.clone() };
            vec![PatchOperation::Remove(remove), put(&step.path)]
        }
        _ => Vec::new(),
    }
}
