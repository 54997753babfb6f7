//! Conjunctions as trees of names, of which equal parts exist once and are therefore asked once.
//!
//! The `$or` lists of a pattern multiply to conjunctions that are alike but for a few fields. What
//! they have in common below a name is one [`Part`], whatever the number of combinations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::route::event_tree::{EventExtent, EventTree};
use crate::route::field::Field;
use crate::route::ranks::Ranks;

/// Fields that must all hold together.
#[derive(Clone, Debug)]
pub(super) struct Conjunction {
    pub(super) root: Arc<Part>,
    /// Whether an array can be asked twice in the same way, so that answers are worth keeping.
    pub(super) repeats: bool,
    pub(super) bound: StepBound,
}

/// What a conjunction asks of one value: of the value itself, and of what lies below its names.
#[derive(Debug)]
pub(super) struct Part {
    /// The field whose path ends here.
    pub(super) ending: Option<Term>,
    /// The names that go on, those with the fewest fields first.
    pub(super) below: Box<[NamedPart]>,
    /// The first of the fields below that must be found.
    pub(super) required: Option<u16>,
    /// The fields below that may be absent.
    pub(super) optional: Ranks,
    /// Where the fields of the whole pattern that may be absent lie from here on.
    pub(super) places: Option<Arc<Places>>,
    /// How many fields there are here and below.
    fields: usize,
}

/// What is asked below a name.
#[derive(Debug)]
pub(super) struct NamedPart {
    pub(super) name: Box<str>,
    /// The field, where it is all that is asked there or anywhere below: most events lead to it by
    /// objects alone, and then its path is all that need be looked at.
    pub(super) only: Option<Arc<Field>>,
    pub(super) part: Arc<Part>,
}

/// A field of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) field: Arc<Field>,
    /// Where its dotted path stands among all of the pattern; the reference goes in this order.
    pub(super) rank: u16,
    /// Whether it may be absent.
    pub(super) optional: bool,
}

/// The paths of the fields that may be absent, in every conjunction of a pattern.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) ending: Option<u16>,
    pub(super) below: BTreeMap<Box<str>, Arc<Self>>,
    /// All that end here or below.
    pub(super) all: Ranks,
}

/// How many steps a conjunction takes at the most, for each unit of an event's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StepBound {
    /// Whatever the event.
    pub(super) plain: u64,
    /// Once more for each level of arrays in the event.
    pub(super) nested: u64,
}

impl StepBound {
    /// Whether an event can take more steps than these.
    pub(super) fn may_exceed(self, steps: u64, event: &EventTree<'_>) -> bool {
        let EventExtent { size, nesting } = event.extent();
        let nested = self.nested.saturating_mul(nesting + 1);
        self.plain.saturating_add(nested).saturating_mul(size) > steps
    }

    /// The larger of two.
    pub(super) fn or(self, other: Self) -> Self {
        Self { plain: self.plain.max(other.plain), nested: self.nested.max(other.nested) }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            plain: self.plain.saturating_add(other.plain),
            nested: self.nested.saturating_add(other.nested),
        }
    }
}

impl Conjunction {
    /// Joins fields with distinct paths.
    pub(super) fn new(fields: Vec<Arc<Field>>) -> Self {
        let mut joined = Self::all_of(&[fields]);
        // One list makes one conjunction.
        joined.pop().unwrap_or_else(|| Self {
            root: Arc::default(),
            repeats: false,
            bound: StepBound::default(),
        })
    }

    /// Joins each of several lists of fields with distinct paths, which share their parts.
    pub(super) fn all_of(lists: &[Vec<Arc<Field>>]) -> Vec<Self> {
        let mut maker = PartMaker::of(lists);
        let roots: Vec<Arc<Part>> = lists.iter().map(|fields| maker.root(fields)).collect();
        let many = roots.len() > 1;
        let joined = |root: Arc<Part>| Self {
            repeats: many || root.repeats(),
            bound: root.bound(many),
            root,
        };
        roots.into_iter().map(joined).collect()
    }

    /// Its fields in the order of their paths.
    pub(super) fn fields(&self) -> Vec<&Arc<Field>> {
        let mut fields = Vec::with_capacity(self.root.fields);
        self.root.collect(&mut fields);
        fields.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        fields
    }

    /// How many fields it has.
    pub(super) fn count(&self) -> usize {
        self.root.fields
    }

    /// Whether one of its fields is the member of an event with this name, or lies below it.
    pub(super) fn asks_below(&self, name: &str) -> bool {
        self.root.below.iter().any(|below| *below.name == *name)
    }
}

impl Default for Part {
    fn default() -> Self {
        Self::joined(None, Vec::new(), None)
    }
}

impl Part {
    fn joined(
        ending: Option<Term>,
        mut below: Vec<(Box<str>, Arc<Self>)>,
        places: Option<Arc<Places>>,
    ) -> Self {
        below.sort_by_key(|(_, part)| part.fields);
        let named = |(name, part): (Box<str>, Arc<Self>)| NamedPart {
            name,
            only: part.only_field().map(Arc::clone),
            part,
        };
        let mut part = Self {
            required: below.iter().filter_map(|(_, part)| part.first_required(true)).min(),
            optional: Ranks::default(),
            fields: below.iter().map(|(_, part)| part.fields).sum(),
            places: None,
            below: below.into_iter().map(named).collect(),
            ending,
        };
        for below in &part.below {
            part.optional = part.optional.union(below.part.all_optional(true));
        }
        part.fields += usize::from(part.ending.is_some());
        part.places = places.filter(|_| !part.all_optional(true).is_empty());
        part
    }

    /// Its field, where it has one alone.
    fn only_field(&self) -> Option<&Arc<Field>> {
        match (&self.ending, &*self.below) {
            (Some(term), []) => Some(&term.field),
            (None, [below]) => below.only.as_ref(),
            _ => None,
        }
    }

    /// The part that so many names of its only field lead to.
    pub(super) fn after(&self, names: usize) -> &Self {
        (0..names).fold(self, |part, _| part.below.first().map_or(part, |below| &*below.part))
    }

    /// The field that ends here, if it counts.
    pub(super) fn ending(&self, counts: bool) -> Option<&Term> {
        self.ending.as_ref().filter(|_| counts)
    }

    /// The first of its fields that must be found.
    pub(super) fn first_required(&self, with_ending: bool) -> Option<u16> {
        let ending = self.ending(with_ending).filter(|term| !term.optional);
        ending.map(|term| term.rank).into_iter().chain(self.required).min()
    }

    /// Its fields that may be absent.
    pub(super) fn all_optional(&self, with_ending: bool) -> Ranks {
        match self.ending(with_ending) {
            Some(term) if term.optional => self.optional.with(term.rank),
            _ => self.optional,
        }
    }

    /// Whether all of it may be absent; `demanded` is a field that must be found although it may be
    /// absent elsewhere.
    pub(super) fn may_miss(&self, demanded: Option<u16>) -> bool {
        self.first_required(true).is_none() && self.below_may_miss(demanded) && {
            self.ending.as_ref().is_none_or(|term| term.may_miss(demanded))
        }
    }

    /// Whether all that lies below may be absent.
    pub(super) fn below_may_miss(&self, demanded: Option<u16>) -> bool {
        self.required.is_none() && !demanded.is_some_and(|rank| self.optional.contains(rank))
    }

    fn collect<'p>(&'p self, fields: &mut Vec<&'p Arc<Field>>) {
        fields.extend(self.ending.as_ref().map(|term| &term.field));
        self.below.iter().for_each(|below| below.part.collect(fields));
    }

    /// Whether a field ends above others, so that an array is asked both with it and without.
    fn repeats(&self) -> bool {
        (self.ending.is_some() && !self.below.is_empty())
            || self.below.iter().any(|below| below.part.repeats())
    }

    /// How many steps it takes at the most. A value is visited thrice at the most, with and without
    /// the field that ends above it, for each field that may have picked it.
    fn bound(&self, many: bool) -> StepBound {
        let optional = self.all_optional(true).len();
        let visits = if many || self.repeats() || optional > 0 { 3 * (1 + optional) } else { 1 };
        StepBound {
            plain: visits.saturating_mul(self.steps()),
            nested: if optional > 0 { visits.saturating_mul(4) } else { 0 },
        }
    }

    /// Steps of one visit of everything.
    fn steps(&self) -> u64 {
        let own = 6 + 2 * KEPT_STEPS + 2 * self.below.len() as u64;
        let ending = self.ending.as_ref().map_or(0, |term| 2 * term.field.weight);
        let below = self.below.iter().map(|below| below.part.steps());
        below.fold(own.saturating_add(ending), u64::saturating_add)
    }
}

/// Steps that it costs to keep an answer: what is kept takes memory.
pub(super) const KEPT_STEPS: u64 = 16;

impl Term {
    pub(super) fn may_miss(&self, demanded: Option<u16>) -> bool {
        self.optional && demanded != Some(self.rank)
    }
}

impl Places {
    fn insert(&mut self, path: &[Box<str>], rank: u16) {
        self.all = self.all.with(rank);
        match path.split_first() {
            None => self.ending = Some(rank),
            Some((name, rest)) => {
                let below = self.below.entry(name.clone()).or_default();
                // Nobody else has it yet.
                if let Some(below) = Arc::get_mut(below) {
                    below.insert(rest, rank);
                }
            }
        }
    }
}

/// Makes the parts of several conjunctions, each once.
struct PartMaker {
    ranks: HashMap<Box<str>, u16>,
    places: Arc<Places>,
    made: HashMap<PartKey, Arc<Part>>,
}

/// What makes two parts equal: the field that ends there, and the parts below each name.
type PartKey = (Option<usize>, Vec<(Box<str>, usize)>);

impl PartMaker {
    fn of(lists: &[Vec<Arc<Field>>]) -> Self {
        let all = || lists.iter().flatten();
        let dotted: BTreeSet<&str> = all().map(|field| &*field.dotted).collect();
        let ranks: HashMap<Box<str>, u16> =
            (0..).zip(dotted).map(|(rank, dotted)| (dotted.into(), rank)).collect();
        let mut places = Places::default();
        for field in all().filter(|field| field.may_be_absent()) {
            let rank = ranks.get(&field.dotted).copied().unwrap_or_default();
            places.insert(&field.path, rank);
        }
        Self { ranks, places: Arc::new(places), made: HashMap::new() }
    }

    fn root(&mut self, fields: &[Arc<Field>]) -> Arc<Part> {
        let mut terms: Vec<Term> = fields
            .iter()
            .map(|field| Term {
                rank: self.ranks.get(&field.dotted).copied().unwrap_or_default(),
                optional: field.may_be_absent(),
                field: Arc::clone(field),
            })
            .collect();
        terms.sort_unstable_by(|a, b| a.field.path.cmp(&b.field.path));
        let places = Arc::clone(&self.places);
        self.part(&terms, 0, Some(&places))
    }

    /// Makes the part of terms that are alike up to this depth, in the order of their paths.
    fn part(&mut self, terms: &[Term], depth: usize, places: Option<&Arc<Places>>) -> Arc<Part> {
        let (ending, rest) = match terms.split_first() {
            Some((first, rest)) if first.field.path.len() == depth => (Some(first), rest),
            _ => (None, terms),
        };
        let below: Vec<(Box<str>, Arc<Part>)> = rest
            .chunk_by(|a, b| a.field.path.get(depth) == b.field.path.get(depth))
            .map(|group| {
                let name = group.first().and_then(|term| term.field.path.get(depth).cloned());
                let name = name.unwrap_or_default();
                let places = places.and_then(|places| places.below.get(&name));
                let part = self.part(group, depth + 1, places);
                (name, part)
            })
            .collect();
        let address = |part: &Arc<Part>| Arc::as_ptr(part).addr();
        let key = (
            ending.map(|term| Arc::as_ptr(&term.field).addr()),
            below.iter().map(|(name, part)| (name.clone(), address(part))).collect(),
        );
        let make = || Arc::new(Part::joined(ending.cloned(), below, places.cloned()));
        Arc::clone(self.made.entry(key).or_insert_with(make))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::predicate::Predicate;

    fn field(dotted: &str, alternative: Predicate) -> Arc<Field> {
        Arc::new(Field::new(dotted, vec![alternative]))
    }

    #[test]
    fn what_conjunctions_have_in_common_is_there_once() {
        let common = [field("a.x", Predicate::Absent), field("a.y", Predicate::Exists)];
        let with = |own: Arc<Field>| common.iter().cloned().chain([own]).collect::<Vec<_>>();

        let joined = Conjunction::all_of(&[
            with(field("b", Predicate::Null)),
            with(field("b", Predicate::Exists)),
        ]);

        let below = |one: &Conjunction, name: &str| {
            let mut found = one.root.below.iter().filter(|below| *below.name == *name);
            Arc::clone(&found.next().unwrap().part)
        };
        assert!(Arc::ptr_eq(&below(&joined[0], "a"), &below(&joined[1], "a")));
        assert!(!Arc::ptr_eq(&below(&joined[0], "b"), &below(&joined[1], "b")));
        let dotted: Vec<&str> = joined[0].fields().iter().map(|field| &*field.dotted).collect();
        assert_eq!(dotted, ["a.x", "a.y", "b"]);
        assert_eq!(&*joined[0].root.below[0].name, "b", "what is asked with less is asked first");
    }
}
