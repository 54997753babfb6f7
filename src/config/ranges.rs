//! The range of every number, size and duration of the gateway file, as its JSON Schema says it: the one
//! place where a range stands, for editors and for whoever starts the gateway.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::ambient::{HumanDuration, Size};
use crate::config::settings::schema;
use crate::event::{Diagnostic, Placed, YamlNode};

/// The keyword of our own for what is written as text: the least and the greatest.
const OF_TEXT: &str = "x-range";

type Place = (usize, usize);

/// Settings of one file with what they may be.
pub(super) struct Ranges {
    found: Vec<Ranged>,
}

/// A setting that has a range.
struct Ranged {
    /// Where its name stands.
    name: Place,
    /// Where its value stands.
    value: Place,
    /// Where the mapping begins that it stands in.
    around: Place,
    /// What to use.
    words: String,
    /// Whether it is a number, of which a reader of types says nothing that helps.
    is_number: bool,
    /// Whether the value is read and lies outside.
    is_out: bool,
}

impl Ranges {
    /// Finds every setting of a file that has a range.
    pub(super) fn of(tree: &Placed<YamlNode>) -> Self {
        let schema = Value::from(schema());
        let mut ranges = Self { found: Vec::new() };
        ranges.walk(tree, &schema, &schema);
        ranges
    }

    fn walk(&mut self, node: &Placed<YamlNode>, schema: &Value, root: &Value) {
        match &node.value {
            YamlNode::Scalar(_) => {}
            YamlNode::Array(items) => {
                let Some(of_item) = schema.get("items") else { return };
                let of_item = resolved(of_item, root);
                for item in items {
                    self.walk(item, of_item, root);
                }
            }
            YamlNode::Object(members) => {
                for (name, member) in members {
                    let Some(property) = schema.pointer(&format!("/properties/{}", name.value))
                    else {
                        continue;
                    };
                    if let Some(range) = Range::of(property)
                        && let YamlNode::Scalar(value) = &member.value
                        && !value.is_null()
                    {
                        self.found.push(Ranged {
                            name: name.place,
                            value: member.place,
                            around: node.place,
                            words: range.words(),
                            is_number: matches!(range, Range::Number(_)),
                            is_out: range.holds(value) == Some(false),
                        });
                    }
                    self.walk(member, resolved(property, root), root);
                }
            }
        }
    }

    /// Puts what a number may be in place of what a reader of types says of it.
    pub(super) fn say(&self, mistakes: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let said = |mistake: Diagnostic| {
            let of = self.found.iter().find(|one| mistake.place == Some(one.value));
            match of.filter(|one| one.is_number) {
                Some(one) => {
                    let (problem, help) = (one.words.clone(), String::new());
                    Diagnostic { problem, help, ..mistake }
                }
                None => mistake,
            }
        };
        mistakes.into_iter().map(said).collect()
    }

    /// Every setting outside of its range of which nothing is said yet.
    pub(super) fn out(&self, (file, text): (&str, &str), said: &[Diagnostic]) -> Vec<Diagnostic> {
        let is_said = |one: &&Ranged| said.iter().any(|mistake| mistake.place == Some(one.value));
        let out = self.found.iter().filter(|one| one.is_out).filter(|one| !is_said(one));
        out.map(|one| Diagnostic::at(file, text, one.name, one.words.clone())).collect()
    }

    /// Where the mappings begin of which a setting lies outside of its range.
    pub(super) fn torn(&self) -> impl Iterator<Item = Place> {
        self.found.iter().filter(|one| one.is_out).map(|one| one.around)
    }
}

/// Where the parts begin that a path leads through, the whole left out.
pub(super) fn parts_on(tree: &Placed<YamlNode>, path: &[&str]) -> Vec<Place> {
    let (mut at, mut places) = (tree, Vec::new());
    for step in path {
        let YamlNode::Object(members) = &at.value else { break };
        let Some((_, member)) = members.iter().find(|(name, _)| name.value == **step) else {
            break;
        };
        places.push(member.place);
        at = member;
    }
    places
}

/// What a setting may be.
enum Range {
    Number(RangeInclusive<i128>),
    Size([Size; 2]),
    Duration([HumanDuration; 2]),
}

impl Range {
    fn of(property: &Value) -> Option<Self> {
        if let Some(bounds) = property.get(OF_TEXT) {
            let text = |at: usize| bounds.get(at).and_then(Value::as_str);
            let (least, greatest) = (text(0)?, text(1)?);
            if let (Ok(least), Ok(greatest)) = (least.parse(), greatest.parse()) {
                return Some(Self::Duration([least, greatest]));
            }
            return Some(Self::Size([least.parse().ok()?, greatest.parse().ok()?]));
        }
        let bound = |keyword| property.get(keyword)?.to_string().parse::<i128>().ok();
        Some(Self::Number(bound("minimum")?..=bound("maximum")?))
    }

    /// Whether a value lies in it; nothing if it cannot be read, which the reader of types tells.
    fn holds(&self, value: &Value) -> Option<bool> {
        // Underscores may divide the digits of a number.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match self {
            Self::Number(range) => Some(range.contains(&text.replace('_', "").parse().ok()?)),
            Self::Size([least, greatest]) => {
                Some((*least..=*greatest).contains(&text.parse().ok()?))
            }
            Self::Duration([least, greatest]) => {
                Some((*least..=*greatest).contains(&text.parse().ok()?))
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Number(range) => {
                format!("use {} to {}", grouped(*range.start()), grouped(*range.end()))
            }
            Self::Size([least, greatest]) => format!("use {least} to {greatest}"),
            Self::Duration([least, greatest]) => format!("use {least} to {greatest}"),
        }
    }
}

/// A number with its thousands apart.
fn grouped(number: i128) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The schema that a property stands for: what it refers to, without the null beside it.
fn resolved<'a>(property: &'a Value, root: &'a Value) -> &'a Value {
    let reference = |schema: &'a Value| {
        let name = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        root.pointer(name)
    };
    let of_any = |schema: &'a Value| schema.get("anyOf")?.as_array()?.iter().find_map(reference);
    reference(property).or_else(|| of_any(property)).unwrap_or(property)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every property of every object of a schema that is a number, a size or a duration.
    fn measured<'a>(schema: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
        let Some(members) = schema.as_object() else { return };
        for (name, property) in
            members.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let text = property.to_string();
            let is_measure = |one: &str| text.contains(&format!("\"#/$defs/{one}\""));
            let is_one = property.get("items").is_none();
            if is_one && (text.contains("\"integer\"") || is_measure("Size") || is_measure("Span"))
            {
                found.push((name, property));
            }
        }
        members.values().for_each(|below| measured(below, found));
    }

    #[test]
    fn every_number_size_and_duration_has_a_range() {
        let schema = Value::from(schema());
        let mut found = Vec::new();
        measured(&schema, &mut found);

        assert!(found.len() > 60, "{}", found.len());
        for (name, property) in found {
            // Bounds that a type alone makes are not meant: 2^32 and more connections are no setting.
            let range = Range::of(property);
            assert!(range.is_some(), "{name}: {property}");
            if let Some(Range::Number(range)) = range {
                assert!(!matches!(*range.end(), 255 | 65_535), "{name}: {property}");
            }
        }
    }

    #[test]
    fn numbers_are_told_with_their_thousands_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (10_000_000, "10,000,000")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
