//! Holds what a patch can make against what a message declares and requires.

use std::collections::BTreeSet;

use crate::contract::pointer;
use crate::contract::reach::SchemaPlace;
use crate::enrich::Made;

/// A difference between what is made and what is described.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Pointer into the data.
    pub(super) pointer: String,
    /// The operation that wrote the member, or the object that lacks it; nothing: no operation did.
    pub(super) step: Option<usize>,
    /// Whether every event is concerned.
    pub(super) is_certain: bool,
    pub(super) kind: DifferenceKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum DifferenceKind {
    /// A member that no schema declares: the nearest name, and the names that there are.
    Undeclared { nearest: Option<String>, names: Vec<String> },
    /// A member that is required and never written; `with`: because another one is there.
    Missing { with: Option<String> },
}

/// What the walk knows about the value at hand.
#[derive(Clone, Copy)]
struct WrittenPlace {
    step: Option<usize>,
    is_certain: bool,
}

/// Compares the data that a patch makes with the schema of its message.
pub(super) fn differences(made: &Made, place: &SchemaPlace<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let standing = WrittenPlace { step: None, is_certain: true };
    compare(made, place, &mut String::new(), standing, &mut found);
    found
}

fn compare(
    made: &Made,
    place: &SchemaPlace<'_>,
    at: &mut String,
    standing: WrittenPlace,
    found: &mut Vec<Difference>,
) {
    if place.is_open() {
        return;
    }
    let members = match made {
        Made::Constant => return,
        Made::Array(items) => {
            if let (Some(items), Some(below)) = (items, place.items()) {
                within(at, "*", |at| compare(items, &below, at, standing, found));
            }
            return;
        }
        Made::Object(members) => {
            if place.may_be("object") {
                missing(made, place, at, standing, found);
            }
            members
        }
        Made::Copied(members) => members,
    };
    for (name, member) in members {
        let standing = WrittenPlace {
            step: Some(member.step),
            is_certain: standing.is_certain && member.is_always_there,
        };
        within(at, name, |at| match place.step(name) {
            Some(below) => compare(&member.value, &below, at, standing, found),
            None => found.push(Difference {
                pointer: at.clone(),
                step: standing.step,
                is_certain: standing.is_certain,
                kind: DifferenceKind::Undeclared {
                    nearest: place.nearest(name),
                    names: place.names().into_iter().map(str::to_owned).collect(),
                },
            }),
        });
    }
}

/// Notes the members that an object must have and never has.
fn missing(
    made: &Made,
    place: &SchemaPlace<'_>,
    at: &str,
    standing: WrittenPlace,
    found: &mut Vec<Difference>,
) {
    let Made::Object(members) = made else { return };
    let mut wanted: Vec<(&str, Option<&str>)> =
        place.required().into_iter().map(|name| (name, None)).collect();
    for (name, _) in members.iter().filter(|(_, member)| member.is_always_there) {
        let also = place.required_with(name);
        wanted.extend(also.into_iter().map(|other| (other, Some(name.as_str()))));
    }
    let mut told = BTreeSet::new();
    for (name, with) in wanted {
        if members.contains_key(name) || !told.insert(name) {
            continue;
        }
        found.push(Difference {
            pointer: pointer::join(at, name),
            step: standing.step,
            is_certain: standing.is_certain,
            kind: DifferenceKind::Missing { with: with.map(str::to_owned) },
        });
    }
}

fn within(at: &mut String, token: &str, walk: impl FnOnce(&mut String)) {
    let length = at.len();
    pointer::push(at, token);
    walk(at);
    at.truncate(length);
}
