//! A JSON Patch (RFC 6902) that reads the whole event and writes only the data that crosses.
//!
//! The crate `json_patch` carries out each operation, one at a time, on a scratch document that is
//! thrown away when any of them fails; its own roll-back loses members. What it leaves open is
//! settled here: what may be written, how much, and that 1 equals 1.0 (section 4.6).

use std::fmt;
use std::io;

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{CopyOperation, MoveOperation, PatchErrorKind, PatchOperation, patch_unsafe};
use serde_json::{Map, Value};

use crate::enrich::crossing::{CrossingCopy, CrossingFault, CrossingProblem, Numbers};
use crate::enrich::document::PatchedDocument;
use crate::event::NumericValue;
use crate::route::Pattern;

/// How much a patch may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatchLimits {
    /// The most operations.
    pub operations: usize,
    /// The most bytes of JSON that all operations write together.
    pub bytes: usize,
    /// The deepest nesting of the data.
    pub depth: usize,
    /// The longest pointer, in bytes.
    pub pointer: usize,
}

/// What every patch is held to: 100 operations, 256 KiB, 64 levels, pointers of 1 KiB.
pub(super) const LIMITS: PatchLimits =
    PatchLimits { operations: 100, bytes: 256 * 1024, depth: 64, pointer: 1024 };

/// The member of the scratch document that holds a value on its way from the event to the data.
const TAKEN: &str = "taken";

/// A patch that was read and found sound.
#[derive(Debug, Default)]
pub struct Patch(Vec<PatchStep>);

/// One operation of a patch, and where its author wrote it.
#[derive(Debug)]
pub struct PatchStep {
    /// As its author wrote it.
    written: PatchOperation,
    /// For a copy from the event: how the copy, once taken, comes to its place.
    landing: Option<PatchOperation>,
    /// Line and column in its file, each from 1.
    place: (usize, usize),
}

/// A mistake in an operation, found when the patch is read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatchMistake {
    /// The member of the operation that holds it: `op`, `from`, `path` or `value`.
    pub member: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// An operation that does not fit an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchFailure {
    /// Which operation, from 0.
    pub index: usize,
    /// Its `op`.
    pub operation: &'static str,
    /// Its `path`.
    pub path: String,
    /// Why, without values.
    pub reason: PatchProblem,
}

/// Why an operation does not fit an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchProblem {
    /// The event is not made as the operation expects.
    Misfit(&'static str),
    /// There is nothing where the operation takes its value from.
    Missing {
        /// Pointer into what the patch reads.
        from: String,
    },
    /// What is copied cannot cross: where it is in the event, where it would be in the data.
    Crossing {
        /// Pointer into what the patch reads.
        found: String,
        /// Pointer into the data, where the value would have come to stand.
        pointer: String,
        /// What is wrong there.
        problem: CrossingProblem,
    },
}

impl fmt::Display for PatchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misfit(reason) => f.write_str(reason),
            Self::Missing { from } => write!(f, "there is nothing at its `from`, `{from}`"),
            Self::Crossing { found, problem, .. } => write!(f, "`{found}` is {problem}"),
        }
    }
}

impl From<&'static str> for PatchProblem {
    fn from(reason: &'static str) -> Self {
        Self::Misfit(reason)
    }
}

impl fmt::Display for PatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, operation, path, reason } = self;
        write!(f, "operation {index}, `{operation}` at `{path}`: {reason}")
    }
}

impl std::error::Error for PatchFailure {}

impl Patch {
    /// Adds an operation at the end.
    ///
    /// # Errors
    ///
    /// The caller's turn: the operation writes outside `/data`, takes the event apart, or is over
    /// a limit.
    pub fn push(&mut self, mut operation: PatchOperation) -> Result<(), PatchMistake> {
        if self.0.len() >= LIMITS.operations {
            return Err(PatchMistake {
                member: "op",
                reason: "a patch has at most 100 operations",
            });
        }
        let path = operation.path();
        bounded("path", path)?;
        let writes = !matches!(operation, PatchOperation::Test(_));
        if writes && !in_data(path) {
            let reason = "only `/data` and what lies below it can be written";
            return Err(PatchMistake { member: "path", reason });
        }
        let mut landing = None;
        match &operation {
            PatchOperation::Copy(copy) => {
                bounded("from", &copy.from)?;
                if !in_data(&copy.from) {
                    let from = PointerBuf::from_tokens([TAKEN]);
                    let path = copy.path.clone();
                    landing = Some(PatchOperation::Move(MoveOperation { from, path }));
                }
            }
            PatchOperation::Move(step) => {
                bounded("from", &step.from)?;
                if !in_data(&step.from) || step.from.count() == 1 {
                    let reason = "only what lies below `/data` can be moved; use `copy`";
                    return Err(PatchMistake { member: "from", reason });
                }
            }
            PatchOperation::Remove(remove) if remove.path.count() == 1 => {
                let reason = "the data as a whole cannot be removed";
                return Err(PatchMistake { member: "path", reason });
            }
            PatchOperation::Add(json_patch::AddOperation { value, .. })
            | PatchOperation::Replace(json_patch::ReplaceOperation { value, .. })
            | PatchOperation::Test(json_patch::TestOperation { value, .. }) => {
                if !fits(value, LIMITS.depth) {
                    let reason = "the value is nested too deeply";
                    return Err(PatchMistake { member: "value", reason });
                }
            }
            PatchOperation::Remove(_) => {}
        }
        settle_literal(&mut operation)?;
        self.0.push(PatchStep { written: operation, landing, place: (0, 0) });
        Ok(())
    }

    /// Says where the operation that was added last is written.
    pub(super) fn set_place(&mut self, place: (usize, usize)) {
        if let Some(step) = self.0.last_mut() {
            step.place = place;
        }
    }

    /// The operations with what stands beside each, in order.
    pub fn steps(&self) -> impl Iterator<Item = &PatchStep> {
        self.0.iter()
    }

    /// The patterns of its groups.
    pub const fn groups(&self) -> &[Pattern] {
        &[]
    }

    /// The operations, as their author wrote them.
    pub fn operations(&self) -> impl Iterator<Item = &PatchOperation> {
        self.0.iter().map(|step| &step.written)
    }

    /// Applies all operations in order to `data`, and gives the data that they make of it.
    pub(super) fn apply(
        &self,
        document: PatchedDocument<'_>,
        data: Value,
        numbers: Numbers,
    ) -> Result<Value, PatchFailure> {
        let mut scratch = Value::Object(Map::from_iter([("data".to_owned(), data)]));
        let mut left = LIMITS.bytes;
        for (index, step) in self.0.iter().enumerate() {
            let crossing = CrossingCopy { numbers, left: &mut left };
            step.apply(document, &mut scratch, crossing).map_err(|reason| PatchFailure {
                index,
                operation: name(&step.written),
                path: step.written.path().to_string(),
                reason,
            })?;
        }
        Ok(scratch.get_mut("data").map(Value::take).unwrap_or_default())
    }
}

impl PatchStep {
    /// The operation, as its author wrote it.
    pub const fn operation(&self) -> &PatchOperation {
        &self.written
    }

    /// Line and column of the operation in its file, each from 1.
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Whether it is left out where its source is absent.
    pub const fn is_optional(&self) -> bool {
        false
    }

    /// Whether it is carried out for some events only.
    pub const fn is_conditional(&self) -> bool {
        self.group().is_some()
    }

    /// The group that it stands in, by its index.
    pub const fn group(&self) -> Option<usize> {
        None
    }

    /// The values that it puts in the place of those that it finds.
    pub const fn values(&self) -> Option<&Value> {
        None
    }

    fn apply(
        &self,
        document: PatchedDocument<'_>,
        scratch: &mut Value,
        mut crossing: CrossingCopy<'_>,
    ) -> Result<(), PatchProblem> {
        let path = self.written.path();
        let data = scratch.get("data").unwrap_or(&Value::Null);
        let find = |pointer| document.find(pointer, data);
        // Sizes are counted before anything is copied, so that a copy of copies cannot grow.
        let taken = match &self.written {
            PatchOperation::Test(test) => {
                return match find(&test.path) {
                    None => Err(NOTHING_AT_PATH.into()),
                    Some(found) if equal(&found, &test.value) => Ok(()),
                    Some(_) => Err("the value is another one".into()),
                };
            }
            PatchOperation::Add(add) => reserve(path, &add.value, crossing.left).map(|()| None)?,
            PatchOperation::Replace(step) => {
                reserve(path, &step.value, crossing.left).map(|()| None)?
            }
            PatchOperation::Copy(copy) => {
                let found = find(&copy.from).ok_or_else(|| nothing_at(&copy.from))?;
                if self.landing.is_some() {
                    deep_enough(path, &found)?;
                    let taken = crossing.copy(&found).map_err(|fault| placed(copy, &fault))?;
                    spend_name(path, crossing.left);
                    Some(taken)
                } else {
                    reserve(path, &found, crossing.left)?;
                    None
                }
            }
            PatchOperation::Move(step) => {
                let found = find(&step.from).ok_or_else(|| nothing_at(&step.from))?;
                deep_enough(path, &found).map(|()| None)?
            }
            PatchOperation::Remove(_) => None,
        };
        if let (Some(taken), Value::Object(members)) = (taken, &mut *scratch) {
            members.insert(TAKEN.to_owned(), taken);
        }
        let operation = self.landing.as_ref().unwrap_or(&self.written);
        patch_unsafe(scratch, std::slice::from_ref(operation)).map_err(|error| match error.kind {
            PatchErrorKind::InvalidFromPointer => "there is nothing at its `from`".into(),
            PatchErrorKind::CannotMoveInsideItself => "a value cannot move into itself".into(),
            _ => NOTHING_AT_PATH.into(),
        })
    }
}

fn nothing_at(from: &Pointer) -> PatchProblem {
    PatchProblem::Missing { from: from.to_string() }
}

const NOTHING_AT_PATH: &str = "its `path` leads nowhere";

const fn name(operation: &PatchOperation) -> &'static str {
    match operation {
        PatchOperation::Add(_) => "add",
        PatchOperation::Remove(_) => "remove",
        PatchOperation::Replace(_) => "replace",
        PatchOperation::Move(_) => "move",
        PatchOperation::Copy(_) => "copy",
        PatchOperation::Test(_) => "test",
    }
}

fn in_data(pointer: &Pointer) -> bool {
    pointer.front().is_some_and(|member| member.encoded() == "data")
}

fn bounded(member: &'static str, pointer: &Pointer) -> Result<(), PatchMistake> {
    if pointer.len() > LIMITS.pointer {
        return Err(PatchMistake { member, reason: "a pointer has at most 1024 bytes" });
    }
    if pointer.is_root() {
        let reason = "the empty pointer names the event as a whole; name a member";
        return Err(PatchMistake { member, reason });
    }
    Ok(())
}

/// Gives the numbers of a value that the patch itself brings the text with which they cross.
fn settle_literal(operation: &mut PatchOperation) -> Result<(), PatchMistake> {
    let value = match operation {
        PatchOperation::Add(add) => &mut add.value,
        PatchOperation::Replace(replace) => &mut replace.value,
        _ => return Ok(()),
    };
    let mut left = LIMITS.bytes;
    let crossing = CrossingCopy { numbers: Numbers::Keep, left: &mut left }.copy(value);
    *value = crossing.map_err(|_| PatchMistake {
        member: "value",
        reason: "the value holds a number or a text that cannot cross, or is over 256 KiB",
    })?;
    Ok(())
}

/// Says of a value that cannot cross where it is, and where it would be.
fn placed(copy: &CopyOperation, fault: &CrossingFault) -> PatchProblem {
    let below = copy.path.split_front().map_or("", |(_, rest)| rest.as_str());
    PatchProblem::Crossing {
        found: format!("{}{}", copy.from, fault.pointer),
        pointer: format!("{below}{}", fault.pointer),
        problem: fault.problem,
    }
}

/// Takes what `value` will need at `path` from the bytes that are left.
fn reserve(path: &Pointer, value: &Value, left: &mut usize) -> Result<(), &'static str> {
    deep_enough(path, value)?;
    let mut counter = OperationCount { left: *left };
    serde_json::to_writer(&mut counter, value).map_err(|_| "the data grows over 256 KiB")?;
    *left = counter.left;
    spend_name(path, left);
    Ok(())
}

/// Takes the name under which a value comes to stand from the bytes that are left.
fn spend_name(path: &Pointer, left: &mut usize) {
    *left = left.saturating_sub(path.back().map_or(0, |member| member.encoded().len()));
}

fn deep_enough(path: &Pointer, value: &Value) -> Result<(), &'static str> {
    // The first token is `data` itself, whose own level is the first.
    let room = LIMITS.depth.checked_sub(path.count().saturating_sub(1));
    let fits = room.is_some_and(|levels| fits(value, levels));
    fits.then_some(()).ok_or("the data is nested over 64 levels")
}

fn fits(value: &Value, levels: usize) -> bool {
    let below = levels.checked_sub(1);
    match value {
        Value::Array(items) => below.is_some_and(|b| items.iter().all(|item| fits(item, b))),
        Value::Object(members) => below.is_some_and(|b| members.values().all(|v| fits(v, b))),
        _ => true,
    }
}

/// Counts bytes instead of writing them, and fails at the first one too many.
struct OperationCount {
    left: usize,
}

impl io::Write for OperationCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares as RFC 6902, section 4.6 demands: numbers by their value, members in any order.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || NumericValue::of(a.as_str()) == NumericValue::of(b.as_str())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, value)| b.get(name).is_some_and(|other| equal(value, other));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => one == other,
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
