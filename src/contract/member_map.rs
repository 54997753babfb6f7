//! The members that a schema names in `properties`, quick to find, and which of them it requires.

use std::cmp::Ordering;

/// So many names are compared one by one: most differ in length already.
const FEW: usize = 12;

/// The members that a schema names, each with the number of its shape.
#[derive(Debug, Default)]
pub(super) struct MemberMap {
    /// In the order of length and then of text.
    members: Vec<NamedMember>,
    needed: usize,
}

/// A member that a schema names.
#[derive(Debug)]
pub(super) struct NamedMember {
    name: String,
    pub(super) id: usize,
    /// Whether the same schema requires it.
    pub(super) is_needed: bool,
}

fn order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl MemberMap {
    pub(super) fn of(mut members: Vec<(String, usize)>) -> Self {
        members.sort_by(|(one, _), (other, _)| order(one, other));
        let named = |(name, id)| NamedMember { name, id, is_needed: false };
        Self { members: members.into_iter().map(named).collect(), needed: 0 }
    }

    /// Notes that a member is required, if it is one of these.
    pub(super) fn require(&mut self, name: &str) -> bool {
        let Some(member) = self.members.iter_mut().find(|member| member.name == name) else {
            return false;
        };
        self.needed += usize::from(!member.is_needed);
        member.is_needed = true;
        true
    }

    /// How many of them are required.
    pub(super) const fn needed(&self) -> usize {
        self.needed
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&NamedMember> {
        if self.members.len() <= FEW {
            return self.members.iter().find(|member| member.name == name);
        }
        let place = self.members.binary_search_by(|member| order(&member.name, name)).ok()?;
        self.members.get(place)
    }

    /// Names and shapes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.members.iter().map(|member| (member.name.as_str(), member.id))
    }

    /// The names that are required.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        let needed = self.members.iter().filter(|member| member.is_needed);
        needed.map(|member| member.name.as_str())
    }
}
