//! The extension attributes that a publication gives its events, and what of an event stands outside
//! of tokens.

use std::collections::BTreeSet;

use json_patch::jsonptr::{Pointer, PointerBuf};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::event::number::crossing_text;
use crate::event::{AttributeName, AttributeValue};

/// An extension attribute of a publication's events.
#[derive(Clone, Debug)]
pub struct PublishedAttribute {
    pub(super) name: AttributeName,
    pub(super) from: PointerBuf,
    pub(super) optional: bool,
    pub(super) place: (usize, usize),
}

impl PublishedAttribute {
    /// What it is called.
    pub const fn name(&self) -> &AttributeName {
        &self.name
    }

    /// Where its value is found: in what a patch reads, or in the data that it makes.
    pub fn from(&self) -> &Pointer {
        &self.from
    }

    /// Whether an event may lack it.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Line and column of its name in the file, from 1.
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }
}

/// Where an attribute has its value from: a pointer, or a pointer and whether it may lead nowhere.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes in the schema what is read with places")]
pub(super) enum AttributeOrigin {
    /// A pointer; an event without a value there is refused.
    Pointer(String),
    /// A pointer, and whether an event may lack the value.
    Chosen(ChosenOrigin),
}

/// A pointer, and whether an event may lack the value.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes in the schema what is read with places")]
pub(super) struct ChosenOrigin {
    /// Pointer into the event, the constants or the data.
    from: String,
    /// Whether the attribute is left out where there is nothing.
    #[serde(default)]
    optional: bool,
}

/// What of an event stands outside of tokens beside what always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClearNames {
    /// Its subject, where that is not the event's name.
    pub subject: bool,
    /// Some of its extension attributes.
    pub extensions: BTreeSet<AttributeName>,
}

/// Why an event gives an attribute no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttributeProblem {
    /// There is none, in these words.
    Missing(&'static str),
    /// No attribute has such a value, in these words.
    Invalid(&'static str),
}

/// The value of an attribute as it crosses, by its type in JSON. Each number has its one text.
pub(super) fn attribute_value(found: Option<&Value>) -> Result<Value, AttributeProblem> {
    let text = |text: &str| {
        let fault = |_| AttributeProblem::Invalid("a text that is too long or not printable");
        AttributeValue::text(text).map_err(fault)
    };
    match found {
        None => Err(AttributeProblem::Missing("nothing")),
        Some(Value::Null) => Err(AttributeProblem::Missing("null")),
        Some(Value::String(found)) if found.is_empty() => {
            Err(AttributeProblem::Missing("an empty text"))
        }
        Some(Value::String(found)) => text(found).map(|value| value.to_json()),
        Some(Value::Bool(truth)) => Ok(Value::Bool(*truth)),
        Some(Value::Number(number)) => {
            let long = |_| AttributeProblem::Invalid("a number too long");
            let crossing = crossing_text(number.as_str()).map_err(long)?;
            text(&crossing)?;
            Ok(Value::Number(Number::from_string_unchecked(crossing.into_owned())))
        }
        Some(Value::Array(_) | Value::Object(_)) => {
            Err(AttributeProblem::Invalid("neither a text, a number nor a boolean"))
        }
    }
}
