//! The members of an operation, or of a group of operations, as they stand in a file.

use crate::event::{Placed, YamlNode};

/// The members that an operation may have.
pub(super) const OPERATION: &[&str] =
    &["op", "from", "path", "value", "optional", "map", "default"];
/// The members of a group.
pub(super) const GROUP: &[&str] = &["when", "patch"];

/// A mapping, by its names.
pub(super) struct Members<'n> {
    place: (usize, usize),
    all: &'n [(Placed<String>, Placed<YamlNode>)],
}

impl<'n> Members<'n> {
    /// The members of a node; nothing: it is no mapping.
    pub fn of(node: &'n Placed<YamlNode>) -> Option<Self> {
        let YamlNode::Object(all) = &node.value else { return None };
        Some(Self { place: node.place, all })
    }

    /// Line and column of the mapping, each from 1.
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Finds a member.
    pub fn get(&self, name: &str) -> Option<&'n Placed<YamlNode>> {
        self.all.iter().find(|(known, _)| known.value == name).map(|(_, node)| node)
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether it is meant as a group of operations.
    pub fn is_group(&self) -> bool {
        !self.has("op") && GROUP.iter().any(|name| self.has(name))
    }

    /// The members that are not among those that are known.
    pub fn others(
        &self,
        known: &[&str],
    ) -> impl Iterator<Item = &'n (Placed<String>, Placed<YamlNode>)> {
        self.all.iter().filter(move |(name, _)| !known.contains(&&*name.value))
    }
}

/// Which members RFC 6902 gives to an operation.
#[derive(Clone, Copy)]
pub(super) struct MemberKind {
    /// It takes its value from somewhere.
    pub has_from: bool,
    /// It brings its value.
    pub has_value: bool,
}

impl MemberKind {
    /// The members of an operation by its `op`; nothing: there is no such operation.
    pub fn of(op: &str) -> Option<Self> {
        match op {
            "copy" | "move" => Some(Self { has_from: true, has_value: false }),
            "add" | "replace" | "test" => Some(Self { has_from: false, has_value: true }),
            "remove" => Some(Self { has_from: false, has_value: false }),
            _ => None,
        }
    }
}
