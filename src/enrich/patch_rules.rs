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
    let path = operation.path();
    let from = source(operation);
    let removes = matches!(operation, PatchOperation::Remove(_));
    let writes = !matches!(operation, PatchOperation::Test(_)) && !path.is_root();
    let mut broken = Broken(Vec::new());
    broken.by_pointer("path", path);
    if let Some(from) = from {
        broken.by_pointer("from", from);
    }
    let reason = "only `/data` and what lies below it can be written";
    broken.unless(!writes || in_data(path), "path", reason);
    let reason = "the data as a whole cannot be removed";
    broken.unless(!removes || path.count() != 1, "path", reason);
    if let Some(from) = from {
        broken.by_source(from, path, matches!(operation, PatchOperation::Move(_)));
    }
    let reason = "only `copy`, `move` and `remove` can be `optional`";
    broken.unless(!optional || removes || from.is_some(), "optional", reason);
    let reason = "only `copy` and `move` can have a `map`";
    broken.unless(values.is_none() || from.is_some(), "map", reason);
    broken.0.extend(mistake_in_value(operation));
    broken.0
}

/// What an operation takes its value from.
fn source(operation: &PatchOperation) -> Option<&Pointer> {
    match operation {
        PatchOperation::Copy(copy) => Some(&copy.from),
        PatchOperation::Move(step) => Some(&step.from),
        _ => None,
    }
}

/// The rules that are broken.
struct Broken(Vec<PatchMistake>);

impl Broken {
    fn unless(&mut self, holds: bool, member: &'static str, reason: &'static str) {
        if !holds {
            self.0.push(PatchMistake { member, reason });
        }
    }

    fn by_pointer(&mut self, member: &'static str, pointer: &Pointer) {
        let reason = "a pointer has at most 1024 bytes";
        self.unless(pointer.len() <= LIMITS.pointer, member, reason);
        let reason = "the empty pointer names the event as a whole; name a member";
        self.unless(!pointer.is_root(), member, reason);
        let reason = "a pointer has at most one `*`, which stands for each item of one array";
        self.unless(StarredPointer::stars_of(pointer) <= 1, member, reason);
    }

    fn by_source(&mut self, from: &Pointer, path: &Pointer, is_move: bool) {
        let is_starred = |pointer| StarredPointer::stars_of(pointer) > 0;
        let reason = "`from` and `path` both have a `*`, or neither has";
        self.unless(is_starred(from) == is_starred(path), "path", reason);
        let may_move = from.is_root() || (in_data(from) && from.count() > 1);
        let reason = "only what lies below `/data` can be moved; use `copy`";
        self.unless(!is_move || may_move, "from", reason);
        let goes_inside = StarredPointer::lies_below(path, from);
        self.unless(!is_move || !goes_inside, "path", "a value cannot move into itself");
    }
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
