//! Writes into the items of an array: what a pointer names in each of them is put there or taken out.

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, PatchOperation, patch_unsafe};
use serde_json::{Map, Value};

use crate::enrich::patch_effort::PatchEffort;
use crate::enrich::patch_failure::{NOTHING_AT_PATH, StepFailure};
use crate::enrich::starred::StarredPointer;

/// Puts each value to its item, where the array and the items that are missing are made. Nothing
/// instead of a value leaves the item as it is.
pub(super) fn put_into_items(
    values: Vec<Option<Value>>,
    path: &StarredPointer,
    scratch: &mut Value,
    effort: &mut PatchEffort,
) -> Result<(), StepFailure> {
    let items = array_at(&path.array, scratch, effort)?;
    for (index, value) in values.into_iter().enumerate() {
        let of_item = StepFailure::of_item(index);
        let is_whole = path.below.is_root() && value.is_some();
        if items.len() <= index && !is_whole {
            effort.make_item(&path.array).map_err(|reason| of_item(reason.into()))?;
            items.push(Value::Object(Map::new()));
        }
        match (value, items.get_mut(index)) {
            (Some(value), Some(item)) => {
                put(item, &path.below, value).map_err(|reason| of_item(reason.into()))?;
            }
            (Some(value), None) => items.push(value),
            (None, _) => {}
        }
    }
    Ok(())
}

/// The array, which is made if there is nothing.
fn array_at<'s>(
    at: &PointerBuf,
    scratch: &'s mut Value,
    effort: &mut PatchEffort,
) -> Result<&'s mut Vec<Value>, StepFailure> {
    if at.resolve_mut(scratch).is_err() {
        let value = Value::Array(Vec::new());
        effort.reserve(at, &value)?;
        let add = PatchOperation::Add(AddOperation { path: at.clone(), value });
        patch_unsafe(scratch, std::slice::from_ref(&add)).map_err(|_| NOTHING_AT_PATH)?;
    }
    match at.resolve_mut(scratch) {
        Ok(Value::Array(items)) => Ok(items),
        Ok(_) => Err("its `path` has a `*` where the data has no array".into()),
        Err(_) => Err(NOTHING_AT_PATH.into()),
    }
}

/// Puts a value into an item as `add` does; at the empty pointer it becomes the item.
pub(super) fn put(item: &mut Value, at: &Pointer, value: Value) -> Result<(), &'static str> {
    let Some((around, last)) = at.split_back() else {
        *item = value;
        return Ok(());
    };
    match around.resolve_mut(item) {
        Ok(Value::Object(members)) => {
            members.insert(last.decoded().into_owned(), value);
        }
        Ok(Value::Array(items)) => {
            let index = last.to_index().ok().and_then(|index| index.for_len_incl(items.len()).ok());
            items.insert(index.ok_or(NOTHING_AT_PATH)?, value);
        }
        _ => return Err(NOTHING_AT_PATH),
    }
    Ok(())
}

/// Takes what a pointer names out of an item.
pub(super) fn take_out(item: &mut Value, at: &Pointer) -> Option<Value> {
    let (around, last) = at.split_back()?;
    match around.resolve_mut(item) {
        Ok(Value::Object(members)) => members.remove(last.decoded().as_ref()),
        Ok(Value::Array(items)) => {
            let index = last.to_index().ok()?.for_len(items.len()).ok()?;
            Some(items.remove(index))
        }
        _ => None,
    }
}
