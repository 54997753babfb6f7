//! A payload's schema, compiled: a graph that data can be walked along.
//!
//! Each schema object is a [`Shape`], which names other ones by number. All who look at data walk
//! this graph: `rules` asks whether data keeps it, `explaining` how data breaks it, `closing` what it
//! declares, and `effort` counts beforehand what such a walk can cost.

use std::sync::Arc;

use crate::contract::assertion::Assertion;
use crate::contract::keyword_value::TypeSet;
use crate::contract::member_map::MemberMap;
use crate::contract::pattern::TextPattern;

/// Index of a shape in its [`Shapes`].
pub(super) type Id = usize;

/// What one schema object says.
#[derive(Debug)]
pub(super) struct Shape {
    /// The literal `true` where a value stands: anything may be there.
    pub(super) anything: bool,
    /// The literal `false`: nothing may be there.
    pub(super) nothing: bool,
    /// `type`.
    pub(super) types: TypeSet,
    /// What is demanded of the value by itself.
    pub(super) assertions: Vec<Assertion>,
    /// `properties`.
    pub(super) named: MemberMap,
    /// `patternProperties`: a rule that the name keeps, and the member's shape.
    pub(super) patterned: Vec<(Arc<TextPattern>, Id)>,
    /// `additionalProperties`.
    pub(super) additional: Option<Id>,
    /// `propertyNames`.
    pub(super) names: Option<Id>,
    /// `unevaluatedProperties`.
    pub(super) unevaluated_members: Option<Id>,
    /// `prefixItems`, by index.
    pub(super) first_items: Vec<Id>,
    /// `items`.
    pub(super) other_items: Option<Id>,
    /// `contains`.
    pub(super) contains: Option<Contains>,
    /// `unevaluatedItems`.
    pub(super) unevaluated_items: Option<Id>,
    /// `$ref` and `allOf`: always apply.
    pub(super) all: Vec<Id>,
    /// `anyOf`, `oneOf` and `if`: those apply that accept the value.
    pub(super) choices: Vec<Choice>,
    /// `not`.
    pub(super) not: Option<Id>,
    /// `dependentSchemas`, each applying when its member is there.
    pub(super) dependent: Vec<(String, Id)>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            anything: false,
            nothing: false,
            types: TypeSet::ALL,
            assertions: Vec::new(),
            named: MemberMap::default(),
            patterned: Vec::new(),
            additional: None,
            names: None,
            unevaluated_members: None,
            first_items: Vec::new(),
            other_items: None,
            contains: None,
            unevaluated_items: None,
            all: Vec::new(),
            choices: Vec::new(),
            not: None,
            dependent: Vec::new(),
        }
    }
}

/// `contains`: how many items have to be of a shape.
#[derive(Debug)]
pub(super) struct Contains {
    pub(super) id: Id,
    /// `minContains`, 1 without it.
    pub(super) least: usize,
    /// `maxContains`.
    pub(super) most: Option<usize>,
}

/// Schemas of which some apply.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) kind: ChoiceKind,
    /// Whether a branch declares anything: asking which one applies is the dear part of a walk.
    pub(super) declares: bool,
}

/// How it is chosen.
#[derive(Debug)]
pub(super) enum ChoiceKind {
    /// `anyOf`: the branches that accept the value, at least one.
    Any(Vec<Branch>),
    /// `oneOf`: the one branch that accepts the value.
    One(Vec<Branch>),
    /// `if`, with `then` and `else`.
    Condition { test: Id, then: Option<Id>, otherwise: Option<Id> },
}

/// A branch of `anyOf` or `oneOf`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) id: Id,
    /// What the contract calls it: its title, or the name that it is referred to by.
    pub(super) label: Option<String>,
}

impl Choice {
    /// The branches of `anyOf` or `oneOf`.
    pub(super) fn branches(&self) -> &[Branch] {
        match &self.kind {
            ChoiceKind::Any(branches) | ChoiceKind::One(branches) => branches,
            ChoiceKind::Condition { .. } => &[],
        }
    }

    /// All shapes among which is chosen.
    pub(super) fn shapes(&self) -> impl Iterator<Item = Id> {
        let condition = match self.kind {
            ChoiceKind::Condition { test, then, otherwise } => [Some(test), then, otherwise],
            _ => [None; 3],
        };
        self.branches().iter().map(|branch| branch.id).chain(condition.into_iter().flatten())
    }
}

impl Shape {
    /// Further shapes for the same value, whether they apply or not.
    pub(super) fn in_place(&self) -> impl Iterator<Item = Id> {
        let chosen = self.choices.iter().flat_map(Choice::shapes);
        self.certain().chain(chosen).chain(self.not).chain(self.names)
    }

    /// Further shapes for the same value that apply without a choice, where a member is there.
    pub(super) fn certain(&self) -> impl Iterator<Item = Id> {
        let dependent = self.dependent.iter().map(|(_, id)| *id);
        self.all.iter().copied().chain(dependent)
    }

    /// Whether it asks what nothing else has evaluated.
    pub(super) const fn asks_for_the_rest(&self) -> bool {
        self.unevaluated_members.is_some() || self.unevaluated_items.is_some()
    }

    /// Shapes for members and items whose name or index this shape does not single out.
    pub(super) fn wild(&self) -> impl Iterator<Item = Id> {
        self.wild_members().chain(self.wild_items())
    }

    /// Shapes for members whose name this shape does not single out.
    pub(super) fn wild_members(&self) -> impl Iterator<Item = Id> {
        let patterned = self.patterned.iter().map(|(_, id)| *id);
        patterned.chain(self.additional).chain(self.unevaluated_members)
    }

    /// Shapes for items, whichever their index is.
    pub(super) fn wild_items(&self) -> impl Iterator<Item = Id> {
        let contained = self.contains.iter().flat_map(|contains| [contains.id, contains.id]);
        let items = self.first_items.iter().copied().chain(self.other_items);
        items.chain(self.unevaluated_items).chain(contained)
    }

    /// What an item at this index has to be by `prefixItems` and `items`.
    pub(super) fn item(&self, index: usize) -> Option<Id> {
        self.first_items.get(index).copied().or(self.other_items)
    }

    /// What a member has to be by `properties` and `patternProperties`.
    pub(super) fn members<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Id> + 's {
        let patterned = self.patterned.iter().filter(|(pattern, _)| pattern.matches(name));
        self.named.get(name).map(|member| member.id).into_iter().chain(patterned.map(|(_, id)| *id))
    }

    /// Whether `properties` or `patternProperties` speaks of a member.
    pub(super) fn singles_out(&self, name: &str) -> bool {
        self.named.get(name).is_some()
            || self.patterned.iter().any(|(pattern, _)| pattern.matches(name))
    }
}

/// All shapes of one payload; the first is the payload itself.
#[derive(Debug)]
pub(super) struct Shapes(Vec<Shape>);

impl Shapes {
    /// Takes all shapes, and notes which choices declare anything.
    pub(super) fn new(shapes: Vec<Shape>) -> Self {
        let mut shapes = Self(shapes);
        let declares: Vec<bool> = (0..shapes.0.len()).map(|id| shapes.declares(id)).collect();
        for shape in &mut shapes.0 {
            for choice in &mut shape.choices {
                let declares_any =
                    choice.shapes().any(|id| declares.get(id).copied().unwrap_or(true));
                choice.declares = declares_any;
            }
        }
        shapes
    }

    /// Tells whether a shape, or one that may apply with it, declares or evaluates anything.
    fn declares(&self, id: Id) -> bool {
        let mut seen = vec![id];
        let mut next = 0;
        while let Some(shape) = seen.get(next).and_then(|id| self.get(*id)) {
            next += 1;
            if shape.anything || !shape.named.is_empty() || shape.wild().next().is_some() {
                return true;
            }
            let chosen = shape.choices.iter().flat_map(Choice::shapes);
            for id in shape.certain().chain(chosen) {
                if !seen.contains(&id) {
                    seen.push(id);
                }
            }
        }
        false
    }

    pub(super) fn get(&self, id: Id) -> Option<&Shape> {
        self.0.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a shape is the literal `false`.
    pub(super) fn is_nothing(&self, id: Id) -> bool {
        self.get(id).is_none_or(|shape| shape.nothing)
    }

    /// Whether a shape is the literal `true`.
    pub(super) fn is_anything(&self, id: Id) -> bool {
        self.get(id).is_some_and(|shape| shape.anything)
    }
}
