//! What one keyword demands of a value by itself, and the code and words of its breach.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::contract::bounds::SizeBound;
use crate::contract::exact::{self, ValueSet};
use crate::contract::format::CheckedFormat;
use crate::contract::keyword_value;
use crate::contract::pattern::TextPattern;

/// What one keyword demands of a value by itself.
#[derive(Debug)]
pub(super) enum Assertion {
    Listed(ValueSet),
    Fixed(Value),
    Size(SizeBound),
    MinLength(usize),
    MaxLength(usize),
    Pattern(Arc<TextPattern>),
    Format(CheckedFormat),
    MinItems(usize),
    MaxItems(usize),
    UniqueItems,
    MinProperties(usize),
    MaxProperties(usize),
    Required(Vec<String>),
    DependentRequired(Vec<(String, Vec<String>)>),
}

/// The code of a breach, and the rule in words: texts of the schema may appear, values of the data
/// never.
pub(super) type Breach = (&'static str, String);

impl Assertion {
    /// Reads a keyword that needs nothing but its value; nothing if it is none of these, or demands
    /// nothing.
    pub(super) fn read(keyword: &str, value: &Value) -> Result<Option<Self>, String> {
        if let Some(bound) = SizeBound::read(keyword, value) {
            return bound.map(|bound| Some(Self::Size(bound)));
        }
        let count = || keyword_value::count(keyword, value);
        Ok(Some(match keyword {
            "enum" => Self::Listed(ValueSet::of(keyword_value::values(keyword, value)?)),
            "const" => Self::Fixed(value.clone()),
            "minLength" => Self::MinLength(count()?),
            "maxLength" => Self::MaxLength(count()?),
            "minItems" => Self::MinItems(count()?),
            "maxItems" => Self::MaxItems(count()?),
            "minProperties" => Self::MinProperties(count()?),
            "maxProperties" => Self::MaxProperties(count()?),
            "required" => Self::Required(keyword_value::names(keyword, value)?),
            "format" => {
                let name = keyword_value::text(keyword, value)?;
                return Ok(CheckedFormat::named(name).map(Self::Format));
            }
            "uniqueItems" => {
                let wanted = keyword_value::switch(keyword, value)?;
                return Ok(wanted.then_some(Self::UniqueItems));
            }
            "dependentRequired" => Self::DependentRequired(lists_of_names(keyword, value)?),
            _ => return Ok(None),
        }))
    }

    /// Whether a value keeps it.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Listed(values), _) => values.contains(value),
            (Self::Fixed(fixed), _) => exact::equal(fixed, value),
            (Self::Size(bound), Value::Number(_)) => bound.holds(value),
            (Self::Format(format), _) => format.holds(value),
            (Self::MinLength(least), Value::String(text)) => {
                // No text has more characters than bytes.
                text.len() >= *least && text.chars().count() >= *least
            }
            (Self::MaxLength(most), Value::String(text)) => {
                text.len() <= *most || text.chars().count() <= *most
            }
            (Self::Pattern(pattern), Value::String(text)) => pattern.matches(text),
            (Self::MinItems(least), Value::Array(items)) => items.len() >= *least,
            (Self::MaxItems(most), Value::Array(items)) => items.len() <= *most,
            (Self::UniqueItems, Value::Array(items)) => exact::all_differ(items),
            (Self::MinProperties(least), Value::Object(members)) => members.len() >= *least,
            (Self::MaxProperties(most), Value::Object(members)) => members.len() <= *most,
            (Self::Required(names), Value::Object(members)) => has_all(members, names),
            (Self::DependentRequired(lists), Value::Object(members)) => lists
                .iter()
                .all(|(name, names)| !members.contains_key(name) || has_all(members, names)),
            // Other types are none of its business.
            _ => true,
        }
    }

    /// How a value breaks it; nothing if it does not.
    pub(super) fn breaches(&self, value: &Value) -> Vec<Breach> {
        if self.holds(value) {
            return Vec::new();
        }
        let lacks = |name: &String| value.get(name).is_none();
        match self {
            Self::Required(names) => {
                let breach = |name: &String| ("required", format!("`{name}` is required"));
                names.iter().filter(|name| lacks(name)).map(breach).collect()
            }
            Self::DependentRequired(lists) => {
                let mut breaches = Vec::new();
                for (given, names) in lists.iter().filter(|(given, _)| !lacks(given)) {
                    breaches.extend(names.iter().filter(|name| lacks(name)).map(|name| {
                        let words = format!("`{name}` is required where `{given}` is there");
                        ("dependent-required", words)
                    }));
                }
                breaches
            }
            _ => vec![self.breach()],
        }
    }

    fn breach(&self) -> Breach {
        match self {
            Self::Listed(_) => ("enum", "must be one of the values that the contract lists".into()),
            Self::Fixed(_) => ("const", "must be the value that the contract fixes".into()),
            Self::Size(bound) => (bound.code(), bound.words().to_owned()),
            Self::MinLength(least) => {
                ("min-length", format!("must have at least {least} characters"))
            }
            Self::MaxLength(most) => ("max-length", format!("must have at most {most} characters")),
            Self::Pattern(pattern) => ("pattern", format!("must match `{}`", pattern.text())),
            Self::Format(format) => ("format", format!("must be a valid `{}`", format.name())),
            Self::MinItems(least) => ("min-items", format!("must have at least {least} items")),
            Self::MaxItems(most) => ("max-items", format!("must have at most {most} items")),
            Self::UniqueItems => ("unique-items", "must not repeat an item".into()),
            Self::MinProperties(least) => {
                ("min-properties", format!("must have at least {least} members"))
            }
            Self::MaxProperties(most) => {
                ("max-properties", format!("must have at most {most} members"))
            }
            Self::Required(_) | Self::DependentRequired(_) => ("required", "lacks a member".into()),
        }
    }

    /// The values that it allows, where it lists them: a `const` or an `enum`.
    pub(super) fn allowed(&self) -> Option<&[Value]> {
        match self {
            Self::Listed(values) => Some(values.values()),
            Self::Fixed(value) => Some(std::slice::from_ref(value)),
            _ => None,
        }
    }
}

/// What each member demands beside it.
fn lists_of_names(keyword: &str, value: &Value) -> Result<Vec<(String, Vec<String>)>, String> {
    let lists = keyword_value::map(keyword, value)?.iter();
    lists.map(|(name, list)| Ok((name.clone(), keyword_value::names(keyword, list)?))).collect()
}

fn has_all(members: &Map<String, Value>, names: &[String]) -> bool {
    names.iter().all(|name| members.contains_key(name))
}
