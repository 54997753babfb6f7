//! Reads the patch of a publication: its operations, and its groups of them.

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use serde_json::Value;

use crate::enrich::patch_members::{GROUP, MemberKind, Members, OPERATION};
use crate::enrich::patch_step::WrittenStep;
use crate::enrich::publication_reader::PublicationReader;
use crate::enrich::{Numbers, OperationIndex, Patch, PatchMistake, ValueMap};
use crate::event::{Diagnostic, Placed, YamlNode, nearest};

/// Where an operation stands: its index, and its group.
type OperationPlace = (OperationIndex, Option<usize>);

impl PublicationReader<'_> {
    /// Reads a patch, and notes every mistake in it.
    pub(super) fn patch(&mut self, entries: &[Placed<YamlNode>]) -> Patch {
        let mut patch = Patch::default();
        for (entry, node) in entries.iter().enumerate() {
            let index = OperationIndex { entry, within: None };
            let Some(members) = self.members(node) else { continue };
            if members.is_group() {
                self.group(&mut patch, &members, index);
            } else {
                self.operation(&mut patch, &members, (index, None));
            }
        }
        patch
    }

    fn members<'n>(&mut self, node: &'n Placed<YamlNode>) -> Option<Members<'n>> {
        let members = Members::of(node);
        if members.is_none() {
            let help = "write `{ op: copy, from: /detail/…, path: /data/… }`";
            self.mistake(node.place, "an operation is a mapping", help);
        }
        members
    }

    fn group(&mut self, patch: &mut Patch, members: &Members<'_>, index: OperationIndex) {
        let number = self.condition(patch, members);
        let Some(operations) = members.get("patch") else {
            self.mistake(members.place(), "a group needs its operations, as `patch`", "");
            return;
        };
        let YamlNode::Array(operations) = &operations.value else {
            self.mistake(operations.place, "`patch` is a list of operations", "");
            return;
        };
        for (within, node) in operations.iter().enumerate() {
            let index = OperationIndex { within: Some(within), ..index };
            let Some(members) = self.members(node) else { continue };
            if members.is_group() {
                let help = "let it stand beside this one, with both conditions in its `when`";
                self.mistake(members.place(), "a group cannot stand in a group", help);
            } else {
                self.operation(patch, &members, (index, number));
            }
        }
    }

    /// Reads the `when` of a group, and gives its number.
    fn condition(&mut self, patch: &mut Patch, members: &Members<'_>) -> Option<usize> {
        for (name, _) in members.others(GROUP) {
            let help = nearest(&name.value, GROUP.iter().copied())
                .map_or("a group has `when` and `patch`".into(), |name| {
                    format!("did you mean `{name}`?")
                });
            self.mistake(name.place, format!("a group has no `{}`", name.value), &help);
        }
        let when = members.get("when").map(|when| self.pattern(when));
        if when.is_none() {
            let help = "write `when: { detail: { … } }`, a pattern over the envelope";
            self.mistake(members.place(), "a group needs its `when`", help);
        }
        let number = patch.begin_group(when.flatten()?);
        if number.is_none() {
            self.mistake(members.place(), "a patch has at most 100 groups", "");
        }
        number
    }

    fn operation(&mut self, patch: &mut Patch, members: &Members<'_>, at: OperationPlace) {
        let Some((op, place)) = self.text(members, "op") else {
            self.others(members, "an operation");
            if !members.has("op") {
                let help = "RFC 6902 knows add, remove, replace, move, copy and test";
                self.mistake(members.place(), "the key `op` is missing", help);
            }
            return;
        };
        let Some(kind) = MemberKind::of(op) else {
            let help = "RFC 6902 knows add, remove, replace, move, copy and test";
            self.mistake(place, format!("unknown operation `{op}`"), help);
            return;
        };
        self.others(members, &format!("`{op}`"));
        self.ignored(members, op, kind);
        let optional = self.optional(members);
        let values = self.values(members);
        let Some(operation) = self.typed(members, (op, place), kind) else { return };
        let (index, group) = at;
        let written =
            WrittenStep { operation, optional, values, index, place: members.place(), group };
        self.push(patch, written, members);
    }

    /// Tells of members that other operations have.
    fn ignored(&mut self, members: &Members<'_>, op: &str, kind: MemberKind) {
        for (member, is_ignored) in [("from", !kind.has_from), ("value", !kind.has_value)] {
            if let Some(node) = members.get(member).filter(|_| is_ignored) {
                let problem = format!("`{op}` has no `{member}`, which is ignored");
                self.warning(node.place, problem, "leave it out");
            }
        }
    }

    fn typed(
        &mut self,
        members: &Members<'_>,
        (op, place): (&str, (usize, usize)),
        kind: MemberKind,
    ) -> Option<PatchOperation> {
        let path = self.needed_pointer(members, (op, place), "path");
        if kind.has_from {
            let from = self.needed_pointer(members, (op, place), "from");
            let (from, path) = from.zip(path)?;
            return Some(match op {
                "copy" => PatchOperation::Copy(CopyOperation { from, path }),
                _ => PatchOperation::Move(MoveOperation { from, path }),
            });
        }
        if kind.has_value {
            let value = self.value(members, (op, place));
            let (value, path) = value.zip(path)?;
            return Some(match op {
                "add" => PatchOperation::Add(AddOperation { path, value }),
                "replace" => PatchOperation::Replace(ReplaceOperation { path, value }),
                _ => PatchOperation::Test(TestOperation { path, value }),
            });
        }
        Some(PatchOperation::Remove(RemoveOperation { path: path? }))
    }

    fn push(&mut self, patch: &mut Patch, written: WrittenStep, members: &Members<'_>) {
        for PatchMistake { member, reason } in patch.push(written).err().unwrap_or_default() {
            // Of too many operations, the first is told.
            let is_told = |told: &Diagnostic| member == "op" && told.problem == reason;
            if !self.mistakes.iter().any(is_told) {
                let at = members.get(member).map_or(members.place(), |node| node.place);
                self.mistake(at, reason, "");
            }
        }
    }

    /// Tells of members that no operation has: RFC 6902, section 4 has them ignored.
    fn others(&mut self, members: &Members<'_>, what: &str) {
        for (name, _) in members.others(OPERATION) {
            if GROUP.contains(&&*name.value) {
                let help = "put the operations into a group: `- when: …`, and `patch: […]` below";
                self.mistake(name.place, format!("{what} has no `{}`", name.value), help);
                continue;
            }
            let help = nearest(&name.value, OPERATION.iter().copied())
                .map_or("leave it out".into(), |name| format!("did you mean `{name}`?"));
            let problem = format!("{what} has no `{}`, which is ignored", name.value);
            self.warning(name.place, problem, &help);
        }
    }

    fn text<'n>(
        &mut self,
        members: &Members<'n>,
        name: &'static str,
    ) -> Option<(&'n str, (usize, usize))> {
        let node = members.get(name)?;
        let YamlNode::Scalar(Value::String(text)) = &node.value else {
            self.mistake(node.place, format!("`{name}` is a text"), "");
            return None;
        };
        Some((text, node.place))
    }

    fn needed_pointer(
        &mut self,
        members: &Members<'_>,
        (op, place): (&str, (usize, usize)),
        name: &'static str,
    ) -> Option<PointerBuf> {
        if !members.has(name) {
            self.mistake(place, format!("`{op}` needs a `{name}`"), "");
        }
        let (text, place) = self.text(members, name)?;
        self.pointer_at(text, place)
    }

    fn value(
        &mut self,
        members: &Members<'_>,
        (op, place): (&str, (usize, usize)),
    ) -> Option<Value> {
        let Some(value) = members.get("value") else {
            self.mistake(place, format!("`{op}` needs a `value`"), "");
            return None;
        };
        let before = self.mistakes.len();
        let numbers = if op == "test" { Numbers::Keep } else { self.numbers };
        let value = self.exact(value, numbers);
        (self.mistakes.len() == before).then_some(value)
    }

    fn optional(&mut self, members: &Members<'_>) -> bool {
        match members.get("optional").map(|node| (&node.value, node.place)) {
            None => false,
            Some((YamlNode::Scalar(Value::Bool(optional)), _)) => *optional,
            Some((_, place)) => {
                self.mistake(place, "`optional` is true or false", "");
                false
            }
        }
    }

    fn values(&mut self, members: &Members<'_>) -> Option<ValueMap> {
        let default = members.get("default");
        let Some(map) = members.get("map") else {
            if let Some(default) = default {
                self.mistake(default.place, "`default` belongs to a `map`", "");
            }
            return None;
        };
        let known: &[_] = match &map.value {
            YamlNode::Object(known) if !known.is_empty() => known,
            _ => {
                let help = "write `map: { A: authorised, … }`";
                self.mistake(map.place, "`map` names what stands for each value", help);
                &[]
            }
        };
        let mut values = ValueMap::default();
        for (text, node) in known {
            self.stands(node, |value| values.insert(&text.value, value));
        }
        if let Some(node) = default {
            self.stands(node, |value| values.set_default(value));
        }
        Some(values)
    }

    /// Keeps what stands for a value, or notes why it cannot.
    fn stands(
        &mut self,
        node: &Placed<YamlNode>,
        keep: impl FnOnce(&Value) -> Result<(), &'static str>,
    ) {
        let value = self.exact(node, self.numbers);
        if let Err(reason) = keep(&value) {
            self.once(node.place, reason);
        }
    }

    /// Notes a mistake where none is noted yet.
    fn once(&mut self, place: (usize, usize), problem: &str) {
        if self.mistakes.last().is_none_or(|last| last.place != Some(place)) {
            self.mistake(place, problem, "");
        }
    }
}

#[cfg(test)]
#[path = "patch_file_tests.rs"]
mod tests;
