//! Canonical JSON (RFC 8785): one text for one value, so that equal content has equal digests.
//!
//! Written here because the crates for it are nine times slower and round large integers silently.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use crate::event::NumberFault;
use crate::event::number::crossing_text;

/// A number that has no canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data holds {0}")]
pub struct CanonicalError(#[from] NumberFault);

/// Writes a value in its canonical form.
///
/// # Errors
///
/// The caller's turn: a number of too many digits, too large or too small.
pub fn canonical(value: &Value) -> Result<String, CanonicalError> {
    let mut text = String::with_capacity(512);
    write(&mut text, value)?;
    Ok(text)
}

pub(super) fn write(text: &mut String, value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => return write_number(text, number),
        Value::String(string) => write_string(text, string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(text, item)?;
            }
            text.push(']');
        }
        Value::Object(members) => return write_object(text, members),
    }
    Ok(())
}

/// Members stand in the order of their names' UTF-16 code units (section 3.2.3).
fn write_object(text: &mut String, members: &Map<String, Value>) -> Result<(), CanonicalError> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| {
        // UTF-8 and UTF-16 order differ above U+D7FF only, so most names compare as bytes.
        if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
    });
    text.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(text, name);
        text.push(':');
        write(text, value)?;
    }
    text.push('}');
    Ok(())
}

/// Numbers are written as ECMAScript writes the nearest binary64 (section 3.2.2.3) where that denotes
/// them, and otherwise in plain digits ([`number`](crate::event::number)).
fn write_number(text: &mut String, number: &Number) -> Result<(), CanonicalError> {
    text.push_str(&crossing_text(number.as_str())?);
    Ok(())
}

/// Only what JSON must escape is escaped, in its shortest form (section 3.2.2.2).
pub(super) fn write_string(text: &mut String, string: &str) {
    text.push('"');
    let mut rest = string;
    let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    while let Some(at) = rest.as_bytes().iter().position(special) {
        // What is special is ASCII, so it is a character of its own.
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let mut characters = after.chars();
        let escaped = characters.next().unwrap_or_default();
        rest = characters.as_str();
        match escaped {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            control => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
        }
    }
    text.push_str(rest);
    text.push('"');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Document {
        comment: String,
        input: String,
        canonical: Option<String>,
    }

    #[test]
    fn the_documents_have_their_published_form() {
        let documents = include_str!("../../tests/vectors/canonical/documents.json");
        let documents: Vec<Document> = serde_json::from_str(documents).unwrap();
        assert!(documents.len() > 10);

        for Document { comment, input, canonical: expected } in documents {
            let value: Value = serde_json::from_str(&input).unwrap();
            assert_eq!(canonical(&value).ok(), expected, "{comment}");
        }
    }

    #[test]
    fn the_numbers_have_their_published_form() {
        let numbers = include_str!("../../tests/vectors/canonical/numbers.txt");
        assert_eq!(numbers.lines().count(), 24);

        for line in numbers.lines() {
            let (bits, expected) = line.split_once(',').unwrap();
            let number = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(canonical(&json!(number)).unwrap(), expected, "{bits}");
        }
    }

    /// A JSON value with names and texts beyond ASCII and numbers of every kind.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (proptest::num::f64::NORMAL | proptest::num::f64::ZERO).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x1f\"\\\\/é\u{e000}\u{10000}]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let name = prop_oneof![any::<String>(), "[a-c\u{e000}\u{10000}\u{ff}]{0,3}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..6)
                    .prop_map(|members: BTreeMap<String, Value>| members.into_iter().collect()),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(members) => {
                members.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect()
            }
            plain => plain.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(value in any_value()) {
            let text = canonical(&value).unwrap();
            let again: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical(&again).unwrap(), text);
        }

        #[test]
        fn the_order_of_members_does_not_matter(value in any_value()) {
            prop_assert_eq!(canonical(&reversed(&value)).unwrap(), canonical(&value).unwrap());
        }

        #[test]
        fn every_whole_number_is_written_exactly(number in any::<u64>()) {
            let text = canonical(&json!(number)).unwrap();
            if text.contains('e') {
                prop_assert_eq!(crate::event::NumericValue::of(&text), crate::event::NumericValue::of(&number.to_string()));
            } else {
                prop_assert_eq!(text, number.to_string());
            }
        }
    }
}
