//! The data that a patch can make, told from the patch alone.
//!
//! A patch is walked once, without an event. What it copies is unknown; what it writes member by
//! member, or as a constant, is known by its members. The walk keeps everything that *may* be there,
//! so a member that is absent from it is absent from every event.

use std::collections::BTreeMap;

use serde_json::Value;

/// What may stand at one place of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A copy, of which nothing is known but what was written into it later.
    Copied(BTreeMap<String, MadeMember>),
    /// A text, a number, a boolean or null that the patch itself brings.
    Constant,
    /// An object with these members and no others.
    Object(BTreeMap<String, MadeMember>),
    /// An array, each item of which is made like this one; nothing: it has no items.
    Array(Option<Box<Self>>),
}

/// A member that a patch may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeMember {
    /// What it is.
    pub value: Made,
    /// Whether every event that the patch fits has it.
    pub is_always_there: bool,
    /// The operation that wrote it first, from 0.
    pub step: usize,
}

/// An operation that fits no event, because of what the operations before it have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misstep {
    /// The operation, from 0.
    pub step: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub help: String,
}

/// The data that a patch can make, and the operations of it that can never be carried out.
#[derive(Clone, Debug)]
pub struct MadeData {
    /// The data as a whole.
    pub data: Made,
    /// Operations that fit no event.
    pub missteps: Vec<Misstep>,
}

impl Made {
    /// A copy into which nothing was written.
    pub(super) const fn copied() -> Self {
        Self::Copied(BTreeMap::new())
    }

    /// A constant.
    pub(super) fn of(value: &Value, step: usize) -> Self {
        match value {
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| {
                        let value = Self::of(value, step);
                        (name.clone(), MadeMember { value, is_always_there: true, step })
                    })
                    .collect(),
            ),
            Value::Array(items) => Self::Array(
                items.iter().map(|item| Self::of(item, step)).reduce(Self::either).map(Box::new),
            ),
            _ => Self::Constant,
        }
    }

    /// One or the other.
    pub(super) fn either(self, other: Self) -> Self {
        match (self, other) {
            (Self::Object(members), Self::Object(others)) => {
                Self::Object(either_member(members, others))
            }
            (Self::Array(items), Self::Array(others)) => {
                let joined = match (items, others) {
                    (Some(items), Some(others)) => Some(Box::new(items.either(*others))),
                    (one, other) => one.or(other),
                };
                Self::Array(joined)
            }
            (Self::Constant, Self::Constant) => Self::Constant,
            (one, other) => Self::Copied(either_member(one.members(), other.members())),
        }
    }

    fn members(self) -> BTreeMap<String, MadeMember> {
        match self {
            Self::Object(members) | Self::Copied(members) => members,
            Self::Constant | Self::Array(_) => BTreeMap::new(),
        }
    }

    /// Whether every event that the patch fits may have something there: nothing that the patch
    /// says makes it absent from some.
    pub fn is_always_there<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) -> bool {
        let mut found = self;
        for token in tokens {
            let (Self::Object(members) | Self::Copied(members)) = found else { return true };
            match members.get(token) {
                Some(member) if member.is_always_there => found = &member.value,
                Some(_) => return false,
                None => return matches!(found, Self::Copied(_)),
            }
        }
        true
    }

    /// What may be found below; nothing: there is never anything.
    pub fn find<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        let mut found = self;
        for token in tokens {
            found = match found {
                Self::Constant => return None,
                Self::Object(members) => &members.get(token)?.value,
                Self::Copied(members) => match members.get(token) {
                    Some(member) => &member.value,
                    None => return Some(Self::copied()),
                },
                Self::Array(items) => items.as_deref()?,
            };
        }
        Some(found.clone())
    }
}

/// Members of one or the other.
fn either_member(
    mut members: BTreeMap<String, MadeMember>,
    mut others: BTreeMap<String, MadeMember>,
) -> BTreeMap<String, MadeMember> {
    for (name, member) in &mut members {
        match others.remove(name) {
            Some(other) => {
                let before = std::mem::replace(&mut member.value, Made::Constant);
                member.value = before.either(other.value);
                member.is_always_there &= other.is_always_there;
            }
            None => member.is_always_there = false,
        }
    }
    let absent = |(name, other)| (name, MadeMember { is_always_there: false, ..other });
    members.extend(others.into_iter().map(absent));
    members
}
