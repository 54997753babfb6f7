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

#[derive(Debug)]
struct PatchStep {
    /// As its author wrote it.
    written: PatchOperation,
    /// For a copy from the event: how the copy, once taken, comes to its place.
    landing: Option<PatchOperation>,
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
        self.0.push(PatchStep { written: operation, landing });
        Ok(())
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
mod tests {
    use json_patch::jsonptr::PointerBuf;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::source::Envelope;

    fn patch(operations: Value) -> Result<Patch, PatchMistake> {
        let operations: Vec<PatchOperation> = serde_json::from_value(operations).unwrap();
        let mut patch = Patch::default();
        operations.into_iter().try_for_each(|operation| patch.push(operation)).map(|()| patch)
    }

    fn apply(operations: Value, detail: Value, data: Value) -> Result<Value, PatchFailure> {
        let (envelope, context) = (Envelope::example(detail), json!({"currency": "EUR"}));
        let document = PatchedDocument { envelope: &envelope, context: &context };
        patch(operations).unwrap().apply(document, data, Numbers::Keep)
    }

    #[derive(Deserialize)]
    struct Record {
        comment: String,
        doc: Value,
        patch: Value,
        #[serde(default)]
        expected: Option<Value>,
        #[serde(default)]
        error: Option<String>,
    }

    #[test]
    fn the_records_of_the_standard_hold() {
        let records = include_str!("../../tests/vectors/json-patch/records.json");
        let records: Vec<Value> = serde_json::from_str(records).unwrap();
        assert!(records.len() > 50);

        for record in records {
            let null = record.get("expected").is_some_and(Value::is_null);
            let mut record: Record = serde_json::from_value(record).unwrap();
            record.expected = record.expected.or(null.then_some(Value::Null));
            for operation in record.patch.as_array_mut().unwrap() {
                for member in ["from", "path"] {
                    if let Some(Value::String(pointer)) = operation.get_mut(member) {
                        pointer.insert_str(0, "/data");
                    }
                }
            }
            let Record { comment, doc, patch: operations, expected, error } = record;
            if error.as_deref() == Some("refused") {
                assert!(patch(operations).is_err(), "{comment}");
                continue;
            }
            let made = apply(operations, json!({}), doc);
            assert_eq!(made.is_err(), error.is_some(), "{comment}: {made:?}");
            let same = made.ok().zip(expected.as_ref()).is_none_or(|(a, b)| equal(&a, b));
            assert!(same, "{comment}");
        }
    }

    #[test]
    fn data_is_taken_from_the_whole_event_and_from_constants() {
        let made = apply(
            json!([
                {"op": "copy", "from": "/detail/id", "path": "/data/orderId"},
                {"op": "copy", "from": "/time", "path": "/data/at"},
                {"op": "copy", "from": "/context/currency", "path": "/data/currency"},
                {"op": "test", "path": "/detail-type", "value": "OrderCreated"},
                {"op": "add", "path": "/data/lines", "value": []},
                {"op": "copy", "from": "/detail/line", "path": "/data/lines/-"},
            ]),
            json!({"id": 7, "line": {"sku": "a"}, "card": "4111"}),
            json!({}),
        );

        assert_eq!(
            made.unwrap(),
            json!({
                "orderId": 7, "at": "2026-11-21T20:17:00Z", "currency": "EUR", "lines": [{"sku": "a"}],
            })
        );
    }

    #[test]
    fn nothing_but_data_is_written() {
        for operation in [
            json!({"op": "add", "path": "/detail/x", "value": 1}),
            json!({"op": "add", "path": "/database", "value": 1}),
            json!({"op": "remove", "path": "/detail/id"}),
            json!({"op": "remove", "path": "/data"}),
            json!({"op": "replace", "path": "", "value": {}}),
            json!({"op": "move", "from": "/detail/id", "path": "/data/id"}),
            json!({"op": "move", "from": "/data", "path": "/data/x"}),
            json!({"op": "copy", "from": "", "path": "/data/x"}),
            json!({"op": "copy", "from": "/data/x", "path": "/taken"}),
            json!({"op": "test", "path": "", "value": {}}),
        ] {
            assert!(patch(json!([operation])).is_err(), "{operation}");
        }
    }

    #[test]
    fn a_patch_cannot_see_the_value_that_is_on_its_way() {
        let failure = apply(
            json!([
                {"op": "copy", "from": "/detail/id", "path": "/data/id"},
                {"op": "copy", "from": "/taken", "path": "/data/x"},
            ]),
            json!({"id": 1}),
            json!({}),
        );

        assert_eq!(failure.unwrap_err().reason, nothing_at(Pointer::from_static("/taken")));
    }

    #[test]
    fn a_failure_names_the_operation_and_no_value() {
        let failure = apply(
            json!([
                {"op": "add", "path": "/data/a", "value": 1},
                {"op": "test", "path": "/detail/secret", "value": "open sesame"},
            ]),
            json!({"secret": "4111"}),
            json!({}),
        );

        assert_eq!(
            failure.unwrap_err().to_string(),
            "operation 1, `test` at `/detail/secret`: the value is another one"
        );
    }

    #[test]
    fn copies_of_copies_stop_at_the_limit() {
        let mut operations = vec![json!({"op": "add", "path": "/data/a", "value": ["0123456789"]})];
        operations
            .extend((0..40).map(|_| json!({"op": "copy", "from": "/data/a", "path": "/data/a/-"})));

        let failure = apply(Value::Array(operations), json!({}), json!({})).unwrap_err();

        assert_eq!(failure.reason, "the data grows over 256 KiB".into());
        assert!(failure.index < 20, "each copy doubles the data: {failure}");
    }

    #[test]
    fn nesting_stops_at_the_limit() {
        let mut operations =
            vec![json!({"op": "add", "path": "/data/a", "value": [[[[[[[[]]]]]]]]})];
        operations.extend(
            (0..20).map(
                |_| json!({"op": "copy", "from": "/data/a", "path": "/data/a/0/0/0/0/0/0/0/-"}),
            ),
        );
        let failure = apply(Value::Array(operations), json!({}), json!({})).unwrap_err();
        assert_eq!(failure.reason, "the data is nested over 64 levels".into());

        let moves = json!([
            {"op": "add", "path": "/data/a", "value": nested(40)},
            {"op": "add", "path": "/data/b", "value": nested(40)},
            {"op": "move", "from": "/data/b", "path": format!("/data/a{}/-", "/0".repeat(39))},
        ]);
        let failure = apply(moves, json!({}), json!({})).unwrap_err();
        assert_eq!(
            (failure.index, failure.reason),
            (2, "the data is nested over 64 levels".into())
        );
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| json!([inner]))
    }

    #[test]
    fn the_number_of_operations_and_the_length_of_pointers_are_limited() {
        let add = json!({"op": "add", "path": "/data/a", "value": 1});
        assert!(patch(Value::Array(vec![add.clone(); 100])).is_ok());
        assert_eq!(patch(Value::Array(vec![add; 101])).unwrap_err().member, "op");

        let long = format!("/data/{}", "x".repeat(1024));
        let mistake = patch(json!([{"op": "copy", "from": long, "path": "/data/a"}])).unwrap_err();
        assert_eq!(mistake.member, "from");
    }

    /// Pointers that often name something, and sometimes nothing.
    fn pointer() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![Just("a"), Just("b"), Just("0"), Just("-"), Just("01")],
            0..4,
        )
        .prop_map(|tokens| tokens.iter().fold(String::from("/data"), |p, t| format!("{p}/{t}")))
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!(1.0)), Just(json!("x"))];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[ab0]", inner, 0..3)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    fn operation() -> impl Strategy<Value = PatchOperation> {
        let one = (pointer(), pointer(), value(), 0..6_u8, any::<bool>());
        one.prop_map(|(from, path, value, kind, outside)| {
            let outside = if outside { from.replacen("/data", "/detail", 1) } else { from.clone() };
            let operation = match kind {
                0 => json!({"op": "add", "path": path, "value": value}),
                1 => json!({"op": "remove", "path": path}),
                2 => json!({"op": "replace", "path": path, "value": value}),
                3 => json!({"op": "move", "from": from, "path": path}),
                4 => json!({"op": "copy", "from": outside, "path": path}),
                _ => json!({"op": "test", "path": outside, "value": value}),
            };
            serde_json::from_value(operation).unwrap()
        })
    }

    proptest! {
        /// The reference is the crate's own patch over one whole document.
        #[test]
        fn a_patch_applies_whole_or_not_at_all_and_agrees_with_the_plain_library(
            operations in proptest::collection::vec(operation(), 0..8),
            detail in value(),
            data in value(),
        ) {
            let mut sound = Patch::default();
            let kept: Vec<PatchOperation> =
                operations.into_iter().filter(|one| sound.push(one.clone()).is_ok()).collect();
            let envelope = Envelope::example(detail);
            let before = envelope.clone();
            let document = PatchedDocument { envelope: &envelope, context: &json!({}) };

            let made = sound.apply(document, data.clone(), Numbers::Keep);

            prop_assert_eq!(&envelope, &before);
            let mut whole = envelope.to_tree();
            whole["data"] = data;
            // The library tells 1 from 1.0 in a test; RFC 6902 does not.
            let numeric = kept.iter().any(|one| matches!(one, PatchOperation::Test(_)));
            match (patch_unsafe(&mut whole, &kept), made) {
                // A number that crosses has one text.
                (Ok(()), made) => prop_assert!(equal(&made.unwrap(), &whole["data"])),
                (Err(_), Ok(_)) => prop_assert!(numeric),
                (Err(error), Err(failure)) => {
                    prop_assert!(failure.index == error.operation || numeric);
                }
            }
        }

        #[test]
        fn any_text_is_a_pointer_or_is_refused(text in "[/~a01-]{0,12}") {
            let operation = json!([{"op": "add", "path": "/data/x", "value": 1}, {"op": "copy", "from": "/data/x", "path": "/data"}]);
            let parsed = PointerBuf::parse(text.as_str());
            if let Ok(path) = parsed {
                let mut patch = patch(operation).unwrap();
                let _ = patch.push(PatchOperation::Remove(json_patch::RemoveOperation { path }));
                let envelope = Envelope::example(json!({}));
                let _ = patch.apply(PatchedDocument { envelope: &envelope, context: &json!({}) }, json!({}), Numbers::Keep);
            }
        }
    }
}
