//! Reads JSON from outside so strictly that every later reader sees one and the same event.
//!
//! JSON leaves open what a repeated member or a number beyond binary64 means, and parsers differ.
//! The matcher, the validator and the hash must agree, so both are refused here (RFC 8259, sections
//! 4 and 6; RFC 8785, section 3.1), as is anything too long or too deep.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::event::{Blame, Fault};

/// How much JSON is read before giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The deepest nesting of arrays and objects.
    pub depth: usize,
}

impl Default for Limits {
    /// 1 MiB and 64 levels.
    fn default() -> Self {
        Self { bytes: 1024 * 1024, depth: 64 }
    }
}

/// Why a text was not read. The text itself is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than allowed.
    #[error("{actual} bytes of JSON are over the limit of {limit} bytes")]
    TooLong {
        /// How many bytes there are.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Text that breaks a rule, and where.
    #[error("{reason} at line {line}, column {column}")]
    Malformed {
        /// The rule, in words.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
}

impl Blame for Error {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Reads one JSON text.
///
/// # Errors
///
/// The caller's turn: the text is too long, too deep, not UTF-8, not JSON, repeats a member name,
/// or holds a number that binary64 cannot carry exactly.
pub fn read(bytes: &[u8], limits: Limits) -> Result<Value, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLong { actual: bytes.len(), limit: limits.bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| Error::NotUtf8 { at: e.valid_up_to() })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: limits.depth }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| malformed(&error))?;
    exact_numbers(text)?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    // The crate appends the place to its sentence.
    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
    Error::Malformed { reason, line, column }
}

struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { depth })? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            // The name is the sender's and may be private, so the error gives its place only.
            if object.contains_key(&name) {
                return Err(A::Error::custom("a member name that is repeated"));
            }
            let value = members.next_value_seed(Strict { depth })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// Refuses numbers whose decimal text binary64 cannot carry; `text` is known to be JSON.
fn exact_numbers(text: &str) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = bytes
                    .iter()
                    .skip(at)
                    .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .map_or(bytes.len(), |length| at + length);
                let number = text.get(at..end).unwrap_or_default();
                if !is_exact(number) {
                    return Err(place(text, at));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn place(text: &str, at: usize) -> Error {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let reason = "a number that binary64 cannot carry exactly (send it as a string)".to_owned();
    Error::Malformed { reason, line, column }
}

/// Tells whether a JSON number and its nearest binary64, written shortest, are the same decimal.
///
/// What it refuses, [`read`] refuses too, so no event ever holds such a number.
pub fn is_exact(number: &str) -> bool {
    // Fifteen significant digits always survive binary64.
    if number.len() <= 15 && !number.contains(['e', 'E']) {
        return true;
    }
    let Ok(nearest) = number.parse::<f64>() else { return false };
    if !nearest.is_finite() {
        return false;
    }
    decimal(number) == decimal(ryu_js::Buffer::new().format_finite(nearest))
}

/// A decimal as its digits without leading or trailing zeros, and the power of ten of the last one.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (negative, mantissa) =
        mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let exponent: i64 = exponent.parse().ok()?;
    let trimmed = digits.trim_end_matches('0');
    if trimmed.trim_start_matches('0').is_empty() {
        return Some((false, String::new(), 0));
    }
    let dropped = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    Some((negative, trimmed.trim_start_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read_text(text: &str) -> Result<Value, Error> {
        read(text.as_bytes(), Limits { bytes: 1000, depth: 4 })
    }

    #[test]
    fn ordinary_json_is_read_as_the_library_reads_it() {
        let text = r#"{"a":[1,-2.5,"x\"1e999",null,true],"b":{"c":300.0,"d":1e2}}"#;

        assert_eq!(read_text(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_repeated_member_is_refused_at_its_place() {
        let error = read_text("{\"a\":1,\n\"b\":{\"x\":1,\"x\":2}}").unwrap_err().to_string();

        assert!(error.starts_with("a member name that is repeated at line 2"), "{error}");
    }

    #[test]
    fn numbers_that_binary64_would_change_are_refused() {
        for text in ["9007199254740993", "0.10000000000000000555", "[1e400]", "123456789012345678"]
        {
            assert!(read_text(text).is_err(), "{text}");
        }
        for text in ["9007199254740992", "0.1", "1e21", "-0", "1.50000000000000000000", "5e-324"] {
            assert!(read_text(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn too_long_too_deep_truncated_and_non_utf8_are_refused() {
        assert!(matches!(read_text(&" ".repeat(1001)), Err(Error::TooLong { .. })));
        assert!(read_text("[[[[]]]]").is_ok());
        assert!(read_text("[[[[[]]]]]").unwrap_err().to_string().contains("too deeply"));
        assert!(read_text("{\"a\":").is_err());
        assert!(matches!(read(b"\"\xff\"", Limits::default()), Err(Error::NotUtf8 { at: 1 })));
    }

    #[test]
    fn an_error_never_repeats_the_text() {
        let error = read_text(r#"{"secret":1,"secret":2}"#).unwrap_err();

        assert!(!error.to_string().contains("secret"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, Limits::default());
        }

        #[test]
        fn every_double_survives(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let text = json!([number]).to_string();
            prop_assert_eq!(read_text(&text).unwrap(), json!([number]));
        }

        #[test]
        fn json_like_text_never_panics(text in r#"[\[\]{}",:0-9eE+\-. \\a]{0,60}"#) {
            let _ = read_text(&text);
        }
    }
}
