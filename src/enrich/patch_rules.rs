//! What an operation of a patch may be, whatever the event: every rule that it breaks.

use json_patch::jsonptr::Pointer;
use json_patch::{AddOperation, PatchOperation, ReplaceOperation, TestOperation};

use crate::enrich::patch_effort::{LIMITS, fits};
use crate::enrich::patch_failure::PatchMistake;
use crate::enrich::starred::StarredPointer;
use crate::enrich::value_map::{ValueMap, literal};

/// Finds what is wrong with an operation and what is added to it.
pub(super) fn mistakes_of(
    operation: &PatchOperation,
    optional: bool,
    values: Option<&ValueMap>,
) -> Vec<PatchMistake> {
    let mut mistakes = Vec::new();
    let mut must = |holds: bool, member: &'static str, reason: &'static str| {
        if !holds {
            mistakes.push(PatchMistake { member, reason });
        }
    };
    let path = operation.path();
    let (from, is_move) = match operation {
        PatchOperation::Copy(copy) => (Some(&*copy.from), false),
        PatchOperation::Move(step) => (Some(&*step.from), true),
        _ => (None, false),
    };
    let removes = matches!(operation, PatchOperation::Remove(_));
    for (member, pointer) in std::iter::once(("path", path)).chain(from.map(|from| ("from", from)))
    {
        must(pointer.len() <= LIMITS.pointer, member, "a pointer has at most 1024 bytes");
        must(
            !pointer.is_root(),
            member,
            "the empty pointer names the event as a whole; name a member",
        );
        must(
            StarredPointer::stars_of(pointer) <= 1,
            member,
            "a pointer has at most one `*`, which stands for each item of one array",
        );
    }
    let writes = !matches!(operation, PatchOperation::Test(_)) && !path.is_root();
    must(!writes || in_data(path), "path", "only `/data` and what lies below it can be written");
    must(!removes || path.count() != 1, "path", "the data as a whole cannot be removed");
    if let Some(from) = from {
        let is_starred = |pointer| StarredPointer::stars_of(pointer) > 0;
        must(
            is_starred(from) == is_starred(path),
            "path",
            "`from` and `path` both have a `*`, or neither has",
        );
        must(
            !is_move || from.is_root() || (in_data(from) && from.count() > 1),
            "from",
            "only what lies below `/data` can be moved; use `copy`",
        );
        must(
            !is_move || !StarredPointer::lies_below(path, from),
            "path",
            "a value cannot move into itself",
        );
    }
    must(
        !optional || removes || from.is_some(),
        "optional",
        "only `copy`, `move` and `remove` can be `optional`",
    );
    must(values.is_none() || from.is_some(), "map", "only `copy` and `move` can have a `map`");
    mistakes.extend(mistake_in_value(operation));
    mistakes
}

fn mistake_in_value(operation: &PatchOperation) -> Option<PatchMistake> {
    let reason = match operation {
        PatchOperation::Add(AddOperation { value, .. })
        | PatchOperation::Replace(ReplaceOperation { value, .. }) => literal(value).err(),
        PatchOperation::Test(TestOperation { value, .. }) if !fits(value, LIMITS.depth) => {
            Some("the value is nested too deeply")
        }
        _ => None,
    };
    reason.map(|reason| PatchMistake { member: "value", reason })
}

/// Whether a pointer names the data or something in it.
pub(super) fn in_data(pointer: &Pointer) -> bool {
    pointer.front().is_some_and(|member| member.encoded() == "data")
}
