//! Reads JSON from outside so strictly that every later reader sees one and the same event.
//!
//! JSON leaves open what a repeated member means, and parsers differ. The matcher, the validator and
//! the hash must agree, so it is refused here (RFC 8259, section 4), as is anything too long or too
//! deep. What a number is worth is said in [`number`](crate::event::number).

use serde_json::Value;

use crate::event::json_reader::{Mistake, Reader, TOO_DEEP, TOO_MANY, TextRules};
use crate::event::{Blame, Fault};

/// How much JSON is read before giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The deepest nesting of arrays and objects.
    pub depth: usize,
    /// The most values: in memory each takes many times the two bytes that it may come as.
    pub values: usize,
}

impl Limits {
    /// Bounds bytes and nesting, and values by the bytes alone.
    pub const fn new(bytes: usize, depth: usize) -> Self {
        Self { bytes, depth, values: usize::MAX }
    }
}

impl Default for Limits {
    /// 1 MiB and 64 levels.
    fn default() -> Self {
        Self::new(1024 * 1024, 64)
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
    #[error("not UTF-8 at byte {at} (counted from 0)")]
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
/// Numbers keep their text, whatever their size ([`number`](crate::event::number)).
///
/// # Errors
///
/// The caller's turn: the text is too long, too deep, not UTF-8, not JSON, holds half a surrogate
/// pair, or repeats a member name.
pub fn read(bytes: &[u8], limits: Limits) -> Result<Value, Error> {
    let text = text(bytes, limits)?;
    Reader::new(text, TextRules::Strict, limits.values)
        .whole(limits.depth)
        .map_err(|mistake| malformed(text, limits, &mistake))
}

/// Reads an event, so that what is wrong within a text harms only what lets that text cross.
///
/// A control character may stand unescaped, and half a surrogate pair is kept in a form that
/// [`crossing_fault`](crate::event::crossing_fault) finds.
///
/// # Errors
///
/// The caller's turn: the text is too long, too deep, not UTF-8, not JSON, or repeats a member
/// name.
pub fn read_event(bytes: &[u8], limits: Limits) -> Result<Value, Error> {
    let text = text(bytes, limits)?;
    Reader::new(text, TextRules::Lenient, limits.values)
        .whole(limits.depth)
        .map_err(|mistake| malformed(text, limits, &mistake))
}

fn text(bytes: &[u8], limits: Limits) -> Result<&str, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLong { actual: bytes.len(), limit: limits.bytes });
    }
    std::str::from_utf8(bytes).map_err(|error| Error::NotUtf8 { at: error.valid_up_to() })
}

fn malformed(text: &str, limits: Limits, mistake: &Mistake) -> Error {
    let before = text.as_bytes().get(..mistake.at).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let reason = match mistake.reason {
        TOO_DEEP => format!("nested too deeply, over {} levels,", limits.depth),
        TOO_MANY => format!("too many values, over {},", limits.values),
        reason => reason.to_owned(),
    };
    Error::Malformed { reason, line, column: before.len() - start + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::crossing_fault;

    fn read_text(text: &str) -> Result<Value, Error> {
        read(text.as_bytes(), Limits::new(1000, 4))
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
    fn numbers_keep_their_text_whatever_their_size() {
        for text in ["9007199254740993", "0.10000000000000000555", "1e-400", "-0", "1.500", "0e-5"]
        {
            assert_eq!(read_text(text).unwrap().to_string(), text);
        }
        assert!(read_text("1e999999999999999999999999").is_ok());
        for text in ["01", "1.", ".5", "+1", "1e", "--1", "1.2.3", "0x1", "1e+", "NaN", "-"] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_with_a_librarys_private_name_is_an_object() {
        for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
            let text = format!(r#"{{"{name}":"1"}}"#);
            assert!(read_text(&text).unwrap().is_object());
        }
    }

    #[test]
    fn what_no_text_can_hold_is_refused_but_in_an_event() {
        for text in [r#""\ud83d""#, r#""\udc00\ud800""#, r#""\ud83d\u0041""#, "\"a\u{1}b\""] {
            assert!(read_text(text).is_err(), "{text}");
            let event = read_event(text.as_bytes(), Limits::default()).unwrap();
            assert!(crossing_fault(event.as_str().unwrap()).is_some(), "{text}");
        }
        assert_eq!(read_text(r#""\ud83c\udf0d""#).unwrap(), "\u{1f30d}");
        let names = br#"{"\ud800":1,"\ud801":2}"#;
        assert_eq!(read_event(names, Limits::default()).unwrap().as_object().unwrap().len(), 2);
        for text in [r#""\x""#, r#""\u12g4""#, r#""\u123""#, r#""abc"#, "\"\\"] {
            assert!(read_event(text.as_bytes(), Limits::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_thousand_levels_are_read() {
        let deep = format!("{}1{}", "[{\"a\":".repeat(500), "}]".repeat(500));
        let limits = Limits { depth: 1000, ..Limits::default() };

        assert!(read(deep.as_bytes(), limits).is_ok());
        assert!(read(deep.as_bytes(), Limits { depth: 999, ..limits }).is_err());
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
    fn more_values_than_allowed_are_refused_at_the_first_one_too_many() {
        let limits = Limits { values: 4, ..Limits::default() };

        assert!(read(br#"{"a":[1,2]}"#, limits).is_ok());
        let error = read(br#"{"a":[1,2,{}]}"#, limits).unwrap_err().to_string();
        assert_eq!(error, "too many values, over 4, at line 1, column 11");
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
            let _ = read_event(&bytes, Limits::default());
        }

        #[test]
        fn what_the_library_reads_is_read_alike(text in r#"[\[\]{}",:0-2eE+\-. \\atrue]{0,24}"#) {
            let own = read_text(&text);
            let theirs = serde_json::from_str::<Value>(&text);
            if let Ok(own) = own {
                prop_assert_eq!(own, theirs.unwrap());
            } else if theirs.is_ok() {
                let problem = own.unwrap_err().to_string();
                prop_assert!(problem.contains("repeated") || problem.contains("deeply"), "{}", problem);
            }
        }

        #[test]
        fn every_double_survives(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let text = json!([number]).to_string();
            prop_assert_eq!(read_text(&text).unwrap(), json!([number]));
        }

        #[test]
        fn json_like_text_never_panics(text in r#"[\[\]{}",:0-9eE+\-. \\a]{0,60}"#) {
            let _ = read_text(&text);
            let _ = read_event(text.as_bytes(), Limits::default());
        }
    }
}
