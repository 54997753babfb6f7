//! Patches as tests write them, in JSON.

use json_patch::PatchOperation;
use serde_json::{Value, json};

use crate::enrich::document::PatchedDocument;
use crate::enrich::patch_step::WrittenStep;
use crate::enrich::{Numbers, OperationIndex, Patch, PatchFailure, PatchMistake, ValueMap};
use crate::route::Pattern;
use crate::source::Envelope;

/// A patch of operations and groups.
#[expect(clippy::needless_pass_by_value, reason = "tests write it in place")]
pub(super) fn patch(entries: Value) -> Result<Patch, Vec<PatchMistake>> {
    let mut patch = Patch::default();
    for (entry, written) in entries.as_array().unwrap().iter().enumerate() {
        let Some(when) = written.get("when") else {
            let index = OperationIndex { entry, within: None };
            patch.push(step(written, index, None))?;
            continue;
        };
        let group = patch.begin_group(Pattern::from_value(when).unwrap());
        for (within, written) in written["patch"].as_array().unwrap().iter().enumerate() {
            let index = OperationIndex { entry, within: Some(within) };
            patch.push(step(written, index, group))?;
        }
    }
    Ok(patch)
}

/// One operation.
pub(super) fn step(written: &Value, index: OperationIndex, group: Option<usize>) -> WrittenStep {
    let map = written.get("map").map(|known| {
        let mut map = ValueMap::default();
        for (text, value) in known.as_object().unwrap() {
            map.insert(text, value).unwrap();
        }
        written.get("default").into_iter().for_each(|value| map.set_default(value).unwrap());
        map
    });
    let operation: PatchOperation = serde_json::from_value(written.clone()).unwrap();
    let optional = written.get("optional") == Some(&json!(true));
    WrittenStep { operation, optional, values: map, index, place: (1, 1), group }
}

/// What a patch makes of `data` and an event with this detail.
pub(super) fn apply(operations: Value, detail: Value, data: Value) -> Result<Value, PatchFailure> {
    let (envelope, context) = (Envelope::example(detail), json!({"currency": "EUR"}));
    let document = PatchedDocument { envelope: &envelope, context: &context };
    patch(operations).unwrap().apply(document, data, Numbers::Keep)
}

/// What a patch makes of an event with this detail, or what is said about it.
pub(super) fn made(operations: Value, detail: Value) -> Result<Value, String> {
    apply(operations, detail, json!({})).map_err(|failure| failure.to_string())
}

/// An operation with nothing of ours.
pub(super) fn plain(operation: PatchOperation, entry: usize) -> WrittenStep {
    let index = OperationIndex { entry, within: None };
    WrittenStep { operation, optional: false, values: None, index, place: (1, 1), group: None }
}
