//! The formats that are checked; every other one is an annotation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::event::NumericValue;

/// Formats of text that are checked. `regex` is left out: to check it is to compile a pattern that
/// a producer chose.
pub(super) const TEXT_FORMATS: [&str; 16] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// A check of each format of text.
static CHECKS: LazyLock<BTreeMap<&'static str, Validator>> = LazyLock::new(|| {
    let check = |name: &'static str| {
        let options =
            jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        options.build(&json!({ "format": name })).ok().map(|check| (name, check))
    };
    TEXT_FORMATS.into_iter().filter_map(check).collect()
});

/// A format that is checked.
#[derive(Clone, Copy, Debug)]
pub(super) enum CheckedFormat {
    /// A text of this form.
    Text(&'static str, &'static Validator),
    /// A whole number that so many bits hold.
    Integer(&'static str, i64, i64),
}

impl CheckedFormat {
    /// The format of a name; nothing if it is an annotation.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "int32" => Some(Self::Integer("int32", i32::MIN.into(), i32::MAX.into())),
            "int64" => Some(Self::Integer("int64", i64::MIN, i64::MAX)),
            _ => CHECKS.get_key_value(name).map(|(name, check)| Self::Text(name, check)),
        }
    }

    /// The name of the format.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Text(name, _) | Self::Integer(name, ..) => name,
        }
    }

    /// Whether a value is of the format; other types than its own are.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(_, check), Value::String(_)) => check.is_valid(value),
            (Self::Integer(_, least, greatest), Value::Number(number)) => {
                NumericValue::of(number.as_str()).is_some_and(|number| {
                    number.is_whole()
                        && number >= NumericValue::from(*least)
                        && number <= NumericValue::from(*greatest)
                })
            }
            _ => true,
        }
    }
}
