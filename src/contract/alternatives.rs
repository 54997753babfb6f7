//! Which alternative a value is meant to be that none of them accepts.
//!
//! Most unions have a member whose value says which alternative it is. It is found here from the
//! alternatives themselves: a member to which each of them gives other values. Failing that, the
//! fixed values, the required members and the types of the alternatives are held against the value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::contract::assertion::Assertion;
use crate::contract::exact;
use crate::contract::keyword_value::TypeSet;
use crate::contract::shape::{Branch, Id, Shape, Shapes};

/// Shapes that are looked at for one alternative.
const MAX_SHAPES: usize = 256;

/// Alternatives that are told apart.
const MAX_BRANCHES: usize = 512;

/// Which alternative a value is meant to be.
pub(super) enum Meant<'s> {
    /// This one, for what the names say.
    Branch { index: usize, by: Sign<'s> },
    /// The member decides, and says none of these.
    Undecided { member: &'s str, allowed: Vec<&'s Value> },
    /// Every alternative is a list of values.
    Values(Vec<&'s Value>),
    /// None more than another.
    Unknown,
}

/// What of a value tells which alternative it is.
pub(super) enum Sign<'s> {
    /// The values of these members.
    Values(Vec<&'s str>),
    /// That these members are there.
    Presence(Vec<&'s str>),
    /// Its type.
    Type,
}

/// Tells which alternative a value is meant to be.
pub(super) fn meant<'s>(shapes: &'s Shapes, branches: &[Branch], value: &Value) -> Meant<'s> {
    if branches.len() > MAX_BRANCHES {
        return Meant::Unknown;
    }
    let outlines: Vec<Outline<'s>> =
        branches.iter().map(|branch| Outline::of(shapes, branch.id)).collect();
    if let Value::Object(members) = value {
        let found = by_discriminator(&outlines, members)
            .or_else(|| by_fixed_members(&outlines, members))
            .or_else(|| by_required_members(&outlines, members));
        if let Some(found) = found {
            return found;
        }
    }
    let listed = outlines.iter().map(|outline| outline.own);
    if let Some(lists) = listed.collect::<Option<Vec<_>>>() {
        return Meant::Values(lists.into_iter().flatten().collect());
    }
    let fits = |(index, outline): (usize, &Outline<'_>)| {
        let is_listed = outline.own.is_none_or(|own| lists(own, value));
        (outline.types.contains(value) && is_listed).then_some(index)
    };
    match only(outlines.iter().enumerate().filter_map(fits)) {
        Some(index) => Meant::Branch { index, by: Sign::Type },
        None => Meant::Unknown,
    }
}

/// What an alternative says at first sight.
struct Outline<'s> {
    types: TypeSet,
    /// The values that it lists for the whole.
    own: Option<&'s [Value]>,
    /// The values that it lists for members.
    fixed: BTreeMap<&'s str, &'s [Value]>,
    required: BTreeSet<&'s str>,
}

impl<'s> Outline<'s> {
    fn of(shapes: &'s Shapes, id: Id) -> Self {
        let mut outline = Self {
            types: TypeSet::ALL,
            own: None,
            fixed: BTreeMap::new(),
            required: BTreeSet::new(),
        };
        for shape in together(shapes, id) {
            outline.types = outline.types.and(shape.types);
            for assertion in &shape.assertions {
                if let Assertion::Required(names) = assertion {
                    outline.required.extend(names.iter().map(String::as_str));
                }
                outline.own = fewer(outline.own, assertion.allowed());
            }
            outline.required.extend(shape.named.required());
            for (name, id) in shape.named.iter() {
                let assertions =
                    together(shapes, id).into_iter().flat_map(|shape| &shape.assertions);
                let allowed = assertions.map(Assertion::allowed).fold(None, fewer);
                let known = outline.fixed.get(name).copied();
                if let Some(values) = fewer(known, allowed) {
                    outline.fixed.insert(name, values);
                }
            }
        }
        outline
    }

    /// How many of its fixed members a value has; nothing if one of them is another.
    fn fits(&self, members: &Map<String, Value>) -> Option<Vec<&'s str>> {
        let mut names = Vec::new();
        for (name, values) in &self.fixed {
            match members.get(*name) {
                Some(value) if lists(values, value) => names.push(*name),
                Some(_) => return None,
                None => {}
            }
        }
        Some(names)
    }
}

/// A shape and all that always apply with it, a bounded number.
fn together(shapes: &Shapes, id: Id) -> Vec<&Shape> {
    let mut ids = vec![id];
    let mut next = 0;
    while let Some(shape) = ids.get(next).and_then(|id| shapes.get(*id)) {
        next += 1;
        for id in &shape.all {
            if ids.len() < MAX_SHAPES && !ids.contains(id) {
                ids.push(*id);
            }
        }
    }
    ids.into_iter().filter_map(|id| shapes.get(id)).collect()
}

fn fewer<'s>(one: Option<&'s [Value]>, other: Option<&'s [Value]>) -> Option<&'s [Value]> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.len() < one.len() { other } else { one }),
        (one, other) => one.or(other),
    }
}

fn lists(values: &[Value], value: &Value) -> bool {
    values.iter().any(|known| exact::equal(known, value))
}

fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn for_objects<'o, 's>(outlines: &'o [Outline<'s>]) -> Vec<&'o Outline<'s>> {
    let object = Value::Object(Map::new());
    outlines.iter().filter(|outline| outline.types.contains(&object)).collect()
}

/// By a member to which each alternative for objects gives other values.
fn by_discriminator<'s>(
    outlines: &[Outline<'s>],
    members: &Map<String, Value>,
) -> Option<Meant<'s>> {
    let objects = for_objects(outlines);
    if objects.len() < 2 {
        return None;
    }
    let names = objects.first().into_iter().flat_map(|outline| outline.fixed.keys().copied());
    let (mut found, mut undecided): (Option<(usize, Vec<&str>)>, _) = (None, None);
    for member in names.filter(|name| tells_apart(&objects, name)) {
        let named = members.get(member).and_then(|value| {
            let says = |values: &&[Value]| lists(values, value);
            outlines.iter().position(|one| one.fixed.get(member).is_some_and(says))
        });
        match (named, &mut found) {
            (Some(index), None) => found = Some((index, vec![member])),
            (Some(index), Some((known, by))) if index == *known => by.push(member),
            // Two members say two things.
            (Some(_), Some(_)) => return Some(Meant::Unknown),
            (None, _) => {
                undecided.get_or_insert(member);
            }
        }
    }
    if let Some((index, by)) = found {
        return Some(Meant::Branch { index, by: Sign::Values(by) });
    }
    undecided.map(|member| {
        let values = objects.iter().filter_map(|outline| outline.fixed.get(member));
        Meant::Undecided { member, allowed: values.copied().flatten().collect() }
    })
}

/// Whether each alternative fixes this member, and no two give it the same value.
fn tells_apart(objects: &[&Outline<'_>], member: &str) -> bool {
    let Some(fixed) = objects
        .iter()
        .map(|outline| outline.fixed.get(member).copied())
        .collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let all: Vec<Value> = fixed.iter().copied().flatten().cloned().collect();
    exact::all_differ(&all)
}

/// By the fixed members of which the value has the most, and none another.
fn by_fixed_members<'s>(
    outlines: &[Outline<'s>],
    members: &Map<String, Value>,
) -> Option<Meant<'s>> {
    let fits = outlines.iter().map(|outline| outline.fits(members).unwrap_or_default());
    let fits: Vec<Vec<&str>> = fits.collect();
    let most = fits.iter().map(Vec::len).max().filter(|most| *most > 0)?;
    let best = fits.into_iter().enumerate().filter(|(_, names)| names.len() == most);
    only(best).map(|(index, names)| Meant::Branch { index, by: Sign::Values(names) })
}

/// By the members that only some alternatives require.
fn by_required_members<'s>(
    outlines: &[Outline<'s>],
    members: &Map<String, Value>,
) -> Option<Meant<'s>> {
    let is_common = |name: &&str| outlines.iter().all(|outline| outline.required.contains(*name));
    let signs = |outline: &Outline<'s>| -> Vec<&'s str> {
        outline.required.iter().copied().filter(|name| !is_common(name)).collect()
    };
    let fits = |(index, outline): (usize, &Outline<'s>)| {
        let names = signs(outline);
        let is_there = names.iter().all(|name| members.contains_key(*name));
        let fits = !names.is_empty() && is_there && outline.fits(members).is_some();
        fits.then_some((index, names))
    };
    only(outlines.iter().enumerate().filter_map(fits))
        .map(|(index, names)| Meant::Branch { index, by: Sign::Presence(names) })
}
