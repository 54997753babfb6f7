//! Everything that holds for one value, added up from all schemas that apply to it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::contract::sample::denial::{ALL_TYPES, EXCLUDED, TYPES, UNMATCHED};
use crate::contract::sample::graph::{Node, NodeId};
use crate::event::NumericValue;

/// The schemas that apply to a value, and what they say together.
#[derive(Debug, Default)]
pub(super) struct Demand<'g> {
    pub(super) parts: Vec<&'g Node>,
}

/// The least and the greatest of a size; nothing: no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeRange {
    pub(super) least: usize,
    pub(super) most: Option<usize>,
}

impl SizeRange {
    pub(super) fn holds(self, size: usize) -> bool {
        size >= self.least && self.most.is_none_or(|most| size <= most)
    }

    pub(super) fn is_empty(self) -> bool {
        self.most.is_some_and(|most| most < self.least)
    }
}

impl<'g> Demand<'g> {
    /// The words of all parts.
    pub(super) fn words(&self) -> impl Iterator<Item = &'g Map<String, Value>> {
        self.parts.iter().map(|part| &part.words)
    }

    /// Every value of a word.
    pub(super) fn each(&self, word: &str) -> impl Iterator<Item = &'g Value> {
        self.words().filter_map(move |words| words.get(word))
    }

    /// The texts of a word.
    pub(super) fn texts(&self, word: &str) -> impl Iterator<Item = &'g str> {
        self.each(word).filter_map(Value::as_str)
    }

    /// The texts of lists that a word has.
    pub(super) fn listed(&self, word: &str) -> impl Iterator<Item = &'g str> {
        self.each(word).filter_map(Value::as_array).flatten().filter_map(Value::as_str)
    }

    pub(super) fn size(&self, least: &str, most: &str) -> SizeRange {
        let count = |value: &Value| {
            let whole = value.as_u64().or_else(|| {
                let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
                format!("{number:.0}").parse().ok()
            });
            whole.and_then(|count| usize::try_from(count).ok())
        };
        SizeRange {
            least: self.each(least).filter_map(count).max().unwrap_or(0),
            most: self.each(most).filter_map(count).min(),
        }
    }

    /// The types of which the value is one, in order of preference, and whether the schema lists
    /// them.
    pub(super) fn types(&self) -> (Vec<&'static str>, bool) {
        let mut types: Vec<&'static str> = ALL_TYPES.to_vec();
        let mut is_listed = false;
        for words in self.words() {
            for (word, counts) in [("type", true), (TYPES, false)] {
                let Some(allowed) = words.get(word) else { continue };
                is_listed |= counts;
                let allows = |name: &str| match allowed {
                    Value::String(one) => one == name,
                    Value::Array(several) => several.iter().any(|one| one == name),
                    _ => false,
                };
                types.retain(|kind| allows(kind) || (*kind == "integer" && allows("number")));
            }
        }
        // Where any number may stand, a whole one is no type of its own.
        if types.contains(&"number") {
            types.retain(|kind| *kind != "integer");
        }
        (types, is_listed)
    }

    /// The type that the other words are about, if the schema names none.
    pub(super) fn implied_type(&self) -> &'static str {
        let says = |words: &[&str]| words.iter().any(|word| self.each(word).next().is_some());
        let is = |about: fn(&Node) -> bool| self.parts.iter().any(|part| about(part));
        if is(|part| !part.members.is_empty() || part.additional.is_some())
            || is(|part| !part.patterned.is_empty() || part.names.is_some())
            || says(&["required", "minProperties", "maxProperties", "dependentRequired"])
        {
            return "object";
        }
        if is(|part| !part.first_items.is_empty() || part.contains.is_some())
            || is(|part| part.other_items.is_some())
            || says(&["minItems", "maxItems", "uniqueItems"])
        {
            return "array";
        }
        let is_whole = self.texts("format").any(|format| matches!(format, "int32" | "int64"));
        let bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
        if is_whole || says(&bounds) { "number" } else { "string" }
    }

    /// The values of `const` and `enum` that stand in all of them; nothing: any value may stand.
    pub(super) fn fixed(&self) -> Option<Vec<&'g Value>> {
        let lists = self.words().flat_map(|words| {
            let one = words.get("const").map(std::slice::from_ref);
            let several = words.get("enum").and_then(Value::as_array).map(Vec::as_slice);
            one.into_iter().chain(several)
        });
        lists.fold(None, |fixed: Option<Vec<&Value>>, list| {
            Some(match fixed {
                None => list.iter().collect(),
                Some(fixed) => {
                    fixed.into_iter().filter(|one| list.iter().any(|it| same(one, it))).collect()
                }
            })
        })
    }

    /// Tells whether a value is among those that are excluded.
    pub(super) fn excludes(&self, value: &Value) -> bool {
        let mut lists = self.each(EXCLUDED).filter_map(Value::as_array);
        lists.any(|list| list.iter().any(|excluded| same(excluded, value)))
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &'g str> {
        self.texts("pattern")
    }

    pub(super) fn unmatched(&self) -> impl Iterator<Item = &'g str> {
        self.listed(UNMATCHED)
    }

    pub(super) fn required(&self) -> BTreeSet<&'g str> {
        self.listed("required").collect()
    }

    /// The names of `dependentRequired`: which member asks for which other one.
    pub(super) fn dependents(&self) -> Vec<(&'g str, &'g str)> {
        let maps = self.each("dependentRequired").filter_map(Value::as_object);
        maps.flatten()
            .filter_map(|(name, others)| Some((name.as_str(), others.as_array()?)))
            .flat_map(|(name, others)| {
                others.iter().filter_map(Value::as_str).map(move |other| (name, other))
            })
            .collect()
    }

    /// What is said of an item.
    pub(super) fn item(&self, index: usize) -> Vec<NodeId> {
        let of = |part: &&Node| part.first_items.get(index).copied().or(part.other_items);
        self.parts.iter().filter_map(of).collect()
    }
}

/// Compares as JSON Schema does: numbers by their value.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            NumericValue::of(a.as_str()) == NumericValue::of(b.as_str())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}
