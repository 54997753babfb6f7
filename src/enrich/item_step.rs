//! An operation whose pointers have a `*`: it is done for each item of an array.
//!
//! It is ours beside RFC 6902. What it takes is taken first and then written, so the work grows with
//! the items and never with their square.

use json_patch::PatchOperation;
use json_patch::jsonptr::{Pointer, PointerBuf, Resolve as _, ResolveMut as _};
use serde_json::Value;

use crate::enrich::document::PatchedDocument;
use crate::enrich::item_writing::{put, put_into_items, take_out};
use crate::enrich::patch_effort::{PatchEffort, deep_enough};
use crate::enrich::patch_failure::{NOTHING_AT_PATH, PatchProblem, StepFailure};
use crate::enrich::same_value::equal;
use crate::enrich::starred::StarredPointer;
use crate::enrich::taking::{TakingFault, taken};
use crate::enrich::value_map::ValueMap;

/// An operation with a `*`.
#[derive(Debug)]
pub(super) struct ItemStep {
    work: ItemWork,
    path: StarredPointer,
    /// With its `*`, whose place the index of an item takes.
    written: PointerBuf,
    optional: bool,
    values: Option<ValueMap>,
}

#[derive(Debug)]
enum ItemWork {
    Copy(StarredPointer),
    Move(StarredPointer),
    Add(Value),
    Replace(Value),
    Remove,
    Test(Value),
}

/// What each item of an array has; nothing: it may lack it.
type ItemValues = Vec<Option<Value>>;

impl ItemStep {
    /// Reads an operation that was found sound; nothing: it has no `*`.
    pub fn of(
        operation: &PatchOperation,
        optional: bool,
        values: Option<&ValueMap>,
    ) -> Option<Self> {
        let path = StarredPointer::of(operation.path())?;
        let work = match operation {
            PatchOperation::Copy(copy) => ItemWork::Copy(StarredPointer::of(&copy.from)?),
            PatchOperation::Move(step) => ItemWork::Move(StarredPointer::of(&step.from)?),
            PatchOperation::Add(add) => ItemWork::Add(add.value.clone()),
            PatchOperation::Replace(step) => ItemWork::Replace(step.value.clone()),
            PatchOperation::Remove(_) => ItemWork::Remove,
            PatchOperation::Test(test) => ItemWork::Test(test.value.clone()),
        };
        let written = operation.path().to_buf();
        Some(Self { work, path, written, optional, values: values.cloned() })
    }

    /// Does it for each item, if there is an array, and says whether there is: if not, a `*` is the
    /// name of a member.
    pub fn apply(
        &self,
        document: PatchedDocument<'_>,
        scratch: &mut Value,
        effort: &mut PatchEffort,
    ) -> Result<bool, StepFailure> {
        let taken = match &self.work {
            ItemWork::Copy(from) => self.copied(from, document, scratch, effort)?,
            ItemWork::Move(from) => self.moved(from, scratch, effort)?,
            ItemWork::Test(value) => {
                let data = scratch.get("data").unwrap_or(&Value::Null);
                return self.test(value, document, data, effort);
            }
            ItemWork::Add(_) | ItemWork::Replace(_) | ItemWork::Remove => {
                return self.write(scratch, effort);
            }
        };
        let Some(taken) = taken else { return Ok(false) };
        put_into_items(taken, &self.path, scratch, effort).map(|()| true)
    }

    fn copied(
        &self,
        from: &StarredPointer,
        document: PatchedDocument<'_>,
        scratch: &Value,
        effort: &mut PatchEffort,
    ) -> Result<Option<ItemValues>, StepFailure> {
        let data = scratch.get("data").unwrap_or(&Value::Null);
        let found = document.find(&from.array, data);
        let Some(Value::Array(items)) = found.as_deref() else { return Ok(None) };
        effort.visit(items.len())?;
        let copy = |(index, item): (usize, &Value)| {
            let Ok(found) = item.resolve(&from.below) else { return self.missing(from, index) };
            let copied = taken(found, self.values.as_ref(), &self.written, effort);
            copied.map(Some).map_err(|fault| self.misfit(from, index, fault))
        };
        items.iter().enumerate().map(copy).collect::<Result<_, _>>().map(Some)
    }

    fn moved(
        &self,
        from: &StarredPointer,
        scratch: &mut Value,
        effort: &mut PatchEffort,
    ) -> Result<Option<ItemValues>, StepFailure> {
        let Ok(Value::Array(items)) = scratch.resolve_mut(&from.array) else { return Ok(None) };
        effort.visit(items.len())?;
        let out: ItemValues = if from.below.is_root() {
            std::mem::take(items).into_iter().map(Some).collect()
        } else {
            items.iter_mut().map(|item| take_out(item, &from.below)).collect()
        };
        let change = |(index, value): (usize, Option<Value>)| {
            let Some(value) = value else { return self.missing(from, index) };
            let changed = match self.values.as_ref() {
                None => deep_enough(&self.written, &value).map(|()| value).map_err(Into::into),
                values => taken(&value, values, &self.written, effort),
            };
            changed.map(Some).map_err(|fault| self.misfit(from, index, fault))
        };
        out.into_iter().enumerate().map(change).collect::<Result<_, _>>().map(Some)
    }

    fn missing(&self, from: &StarredPointer, index: usize) -> Result<Option<Value>, StepFailure> {
        if self.optional {
            return Ok(None);
        }
        let reason = PatchProblem::Missing { from: from.of_item(index).to_string() };
        Err(StepFailure::of_item(index)(reason))
    }

    fn misfit(&self, from: &StarredPointer, index: usize, fault: TakingFault) -> StepFailure {
        let reason = fault.between(&from.of_item(index), &self.path.of_item(index));
        StepFailure::of_item(index)(reason)
    }

    fn test(
        &self,
        value: &Value,
        document: PatchedDocument<'_>,
        data: &Value,
        effort: &mut PatchEffort,
    ) -> Result<bool, StepFailure> {
        let found = document.find(&self.path.array, data);
        let Some(Value::Array(items)) = found.as_deref() else { return Ok(false) };
        effort.visit(items.len())?;
        for (index, item) in items.iter().enumerate() {
            let problem = match item.resolve(&self.path.below) {
                Ok(found) if equal(found, value) => continue,
                Ok(_) => "the value is another one",
                Err(_) => NOTHING_AT_PATH,
            };
            return Err(StepFailure::of_item(index)(problem.into()));
        }
        Ok(true)
    }

    /// Writes what the patch itself brings into each item that is there, or takes something out.
    fn write(&self, scratch: &mut Value, effort: &mut PatchEffort) -> Result<bool, StepFailure> {
        let array = scratch.resolve_mut(&self.path.array);
        let Ok(Value::Array(items)) = array else { return Ok(false) };
        effort.visit(items.len())?;
        let below: &Pointer = &self.path.below;
        if let (ItemWork::Add(value) | ItemWork::Replace(value), false) =
            (&self.work, items.is_empty())
        {
            effort.reserve_for_each(&self.written, value, items.len())?;
        }
        if below.is_root() && matches!(self.work, ItemWork::Remove) {
            items.clear();
        }
        for (index, item) in items.iter_mut().enumerate() {
            let written = match &self.work {
                ItemWork::Add(value) => put(item, below, value.clone()),
                ItemWork::Replace(value) => {
                    let place = item.resolve_mut(below).map_err(|_| NOTHING_AT_PATH);
                    place.map(|place| *place = value.clone())
                }
                _ => match take_out(item, below) {
                    None if !self.optional => Err(NOTHING_AT_PATH),
                    _ => Ok(()),
                },
            };
            written.map_err(|reason| StepFailure::of_item(index)(reason.into()))?;
        }
        Ok(true)
    }
}

#[cfg(test)]
#[path = "item_step_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "item_model_tests.rs"]
mod model;
