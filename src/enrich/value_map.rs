//! Which public value stands for an internal one: the `map` of an operation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::enrich::Numbers;
use crate::enrich::crossing::CrossingCopy;
use crate::enrich::patch_effort::{LIMITS, fits};
use crate::event::number::crossing_text;

/// The values that an operation writes instead of those that it finds.
///
/// What is found is known by its text: a text by itself, a number by the text with which it would
/// cross, and `true`, `false` and `null` by these words.
#[derive(Clone, Debug, Default)]
pub struct ValueMap {
    known: BTreeMap<String, Value>,
    default: Option<Value>,
}

impl ValueMap {
    /// Adds what stands for the value whose text is `text`.
    ///
    /// # Errors
    ///
    /// The caller's turn: the value cannot cross, or the map knows too many.
    pub(super) fn insert(&mut self, text: &str, value: &Value) -> Result<(), &'static str> {
        if self.known.len() >= LIMITS.values {
            return Err("a `map` knows at most 1,000 values");
        }
        self.known.insert(text.to_owned(), literal(value)?);
        Ok(())
    }

    /// Says what stands for every other value.
    ///
    /// # Errors
    ///
    /// The caller's turn: the value cannot cross.
    pub(super) fn set_default(&mut self, value: &Value) -> Result<(), &'static str> {
        self.default = Some(literal(value)?);
        Ok(())
    }

    /// What stands for a value; nothing: the map does not know it.
    pub fn value_for(&self, found: &Value) -> Option<&Value> {
        text_of(found).and_then(|text| self.known.get(&*text)).or(self.default.as_ref())
    }

    /// The texts that it knows, in alphabetical order, and what stands for them.
    pub fn known(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.known.iter().map(|(text, value)| (text.as_str(), value))
    }

    /// What stands for every value that it does not know.
    pub const fn fallback(&self) -> Option<&Value> {
        self.default.as_ref()
    }
}

fn text_of(found: &Value) -> Option<Cow<'_, str>> {
    match found {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => crossing_text(number.as_str()).ok(),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null => Some(Cow::Borrowed("null")),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value that the patch itself brings, with each number in the text with which it crosses.
///
/// # Errors
///
/// The caller's turn: it cannot cross.
pub(super) fn literal(value: &Value) -> Result<Value, &'static str> {
    if !fits(value, LIMITS.depth) {
        return Err("the value is nested too deeply");
    }
    let mut left = LIMITS.bytes;
    CrossingCopy { numbers: Numbers::Keep, left: &mut left }
        .copy(value)
        .map_err(|_| "the value holds a number or a text that cannot cross, or is over 256 KiB")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(entries: &[(&str, Value)]) -> ValueMap {
        let mut map = ValueMap::default();
        for (text, value) in entries {
            map.insert(text, value).unwrap();
        }
        map
    }

    #[test]
    fn a_value_is_known_by_its_text_whatever_its_type() {
        let map = map(&[
            ("A", json!("authorised")),
            ("1", json!("one")),
            ("1e+21", json!("many")),
            ("true", json!(["yes"])),
            ("null", Value::Null),
        ]);
        for (found, stands) in [
            (r#""A""#, json!("authorised")),
            ("1", json!("one")),
            (r#""1""#, json!("one")),
            ("1.0", json!("one")),
            ("10e-1", json!("one")),
            ("1000000000000000000000", json!("many")),
            ("true", json!(["yes"])),
            ("null", Value::Null),
        ] {
            let found: Value = serde_json::from_str(found).unwrap();
            assert_eq!(map.value_for(&found), Some(&stands), "{found}");
        }
        for unknown in [json!("a"), json!(2), json!(false), json!(["A"]), json!({"A": 1})] {
            assert_eq!(map.value_for(&unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_default_stands_for_everything_else() {
        let mut map = map(&[("A", json!(1))]);
        map.set_default(&json!({"other": 1.0})).unwrap();

        let endless: Value = serde_json::from_str("1e999999").unwrap();
        for unknown in [json!("B"), json!([]), endless, Value::Null] {
            assert_eq!(map.value_for(&unknown).map(Value::to_string).unwrap(), r#"{"other":1}"#);
        }
        assert_eq!(map.value_for(&json!("A")), Some(&json!(1)));
    }

    #[test]
    fn what_cannot_cross_stands_for_nothing() {
        let mut map = ValueMap::default();
        assert!(map.insert("A", &json!("\u{1}")).is_err());
        assert!(map.insert("A", &serde_json::from_str("1e401").unwrap()).is_err());
        assert!(map.set_default(&json!("\u{fffe}")).is_err());
        let many = (0..1_000).try_for_each(|n| map.insert(&n.to_string(), &json!(n)));
        assert_eq!(many, Ok(()));
        assert!(map.insert("x", &json!(1)).is_err());
    }
}
