//! What of an event's values may cross: one value for every number, text that every consumer can
//! carry, and no more of either than a patch may write.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use crate::event::number::{crossing_text, is_exact};
use crate::event::{NumberFault, TextFault, crossing_fault};

/// What happens to a number that not every JSON library reads alike.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Numbers {
    /// It crosses with all its digits.
    #[default]
    Keep,
    /// The event is refused, as one that cannot cross.
    Refuse,
}

/// What a patch writes when it takes values from the event.
pub(super) struct CrossingCopy<'a> {
    pub numbers: Numbers,
    /// The bytes of JSON that may still be written.
    pub left: &'a mut usize,
}

/// A value that cannot cross, and where it stands below the one that was to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossingFault {
    /// The place, as a JSON pointer into the copied value.
    pub pointer: String,
    /// What is wrong there.
    pub problem: CrossingProblem,
}

/// Why a value cannot cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossingProblem {
    /// A number that no rule lets cross.
    Number(NumberFault),
    /// A number that the publication does not let cross.
    Inexact,
    /// A text that not every consumer can carry.
    Text(TextFault),
    /// A member whose name not every consumer can carry.
    Name(TextFault),
    /// Too much is written.
    Size,
}

impl fmt::Display for CrossingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(fault) => fault.fmt(f),
            Self::Inexact => f.write_str(
                "a number that libraries with binary64 read as another one; send it as text or \
                     with fewer digits",
            ),
            Self::Text(fault) => write!(f, "a text with {fault}"),
            Self::Name(fault) => write!(f, "an object with a member whose name has {fault}"),
            Self::Size => f.write_str("the data grows over 256 KiB"),
        }
    }
}

impl From<CrossingProblem> for CrossingFault {
    fn from(problem: CrossingProblem) -> Self {
        Self { pointer: String::new(), problem }
    }
}

impl CrossingFault {
    fn within(mut self, step: impl fmt::Display) -> Self {
        self.pointer.insert_str(0, &format!("/{step}"));
        self
    }
}

/// A value as it would cross if a patch copied it, whatever its size.
///
/// # Errors
///
/// The caller's turn: a number or a text in it cannot cross.
pub fn as_crossed(value: &Value) -> Result<Value, CrossingFault> {
    CrossingCopy { numbers: Numbers::Keep, left: &mut { usize::MAX } }.copy(value)
}

impl CrossingCopy<'_> {
    /// Copies a value as it crosses, which nests no deeper than the caller allows.
    pub fn copy(&mut self, value: &Value) -> Result<Value, CrossingFault> {
        Ok(match value {
            Value::Null => {
                self.spend(4)?;
                Value::Null
            }
            Value::Bool(truth) => {
                self.spend(if *truth { 4 } else { 5 })?;
                Value::Bool(*truth)
            }
            Value::Number(number) => Value::Number(self.number(number)?),
            Value::String(text) => {
                self.text(text)?;
                Value::String(text.clone())
            }
            Value::Array(items) => {
                self.spend(2 + items.len().saturating_sub(1))?;
                let copy = |(index, item)| {
                    self.copy(item).map_err(|fault: CrossingFault| fault.within(index))
                };
                Value::Array(items.iter().enumerate().map(copy).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Value::Object(self.members(members)?),
        })
    }

    fn members(
        &mut self,
        members: &Map<String, Value>,
    ) -> Result<Map<String, Value>, CrossingFault> {
        self.spend(2 + members.len().saturating_sub(1) + members.len())?;
        let mut copied = Map::with_capacity(members.len());
        for (name, value) in members {
            let escaped = || name.replace('~', "~0").replace('/', "~1");
            // A name that cannot cross is not shown either.
            self.text(name).map_err(|problem| match problem {
                CrossingProblem::Text(fault) => CrossingProblem::Name(fault),
                other => other,
            })?;
            let value = self.copy(value).map_err(|fault| fault.within(escaped()))?;
            copied.insert(name.clone(), value);
        }
        Ok(copied)
    }

    fn number(&mut self, number: &Number) -> Result<Number, CrossingProblem> {
        let text = number.as_str();
        if self.numbers == Numbers::Refuse && !is_exact(text) {
            return Err(CrossingProblem::Inexact);
        }
        let crossing = crossing_text(text).map_err(CrossingProblem::Number)?;
        self.spend(crossing.len())?;
        if *crossing == *text {
            return Ok(number.clone());
        }
        // The library takes any JSON number.
        crossing.parse().map_err(|_| CrossingProblem::Inexact)
    }

    fn text(&mut self, text: &str) -> Result<(), CrossingProblem> {
        if let Some(fault) = crossing_fault(text) {
            return Err(CrossingProblem::Text(fault));
        }
        let is_escaped = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        self.spend(text.len() + 2 + text.as_bytes().iter().filter(|byte| is_escaped(byte)).count())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), CrossingProblem> {
        *self.left = self.left.checked_sub(bytes).ok_or(CrossingProblem::Size)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn copy(value: &Value, numbers: Numbers) -> Result<Value, (String, CrossingProblem)> {
        let mut left = 1000;
        let copied = CrossingCopy { numbers, left: &mut left }.copy(value);
        let copied = copied.map_err(|fault| (fault.pointer, fault.problem))?;
        assert_eq!(1000 - left, copied.to_string().len(), "{copied}");
        Ok(copied)
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_cross_with_one_text() {
        let value = parsed(r#"{"a":[1.0,1e2,789.34000000000003],"b":1152921506151679042}"#);

        let copied = copy(&value, Numbers::Keep).unwrap().to_string();

        assert_eq!(copied, r#"{"a":[1,100,789.34],"b":1152921506151679042}"#);
    }

    #[test]
    fn what_cannot_cross_is_told_with_its_place() {
        let long = format!(r#"{{"a":[0,{{"b/c":{}}}]}}"#, "1".repeat(129));
        assert_eq!(
            copy(&parsed(&long), Numbers::Keep),
            Err(("/a/1/b~1c".to_owned(), CrossingProblem::Number(NumberFault::TooPrecise)))
        );
        assert_eq!(
            copy(&json!({"a": "x\u{1}"}), Numbers::Keep),
            Err(("/a".to_owned(), CrossingProblem::Text(TextFault::Control)))
        );
        assert_eq!(
            copy(&json!({"a": {"\u{fffe}": 1}}), Numbers::Keep),
            Err(("/a".to_owned(), CrossingProblem::Name(TextFault::NotUnicode)))
        );
    }

    #[test]
    fn a_publication_may_refuse_what_libraries_read_differently() {
        for text in ["789.34000000000003", "1152921506151679042", "1e400"] {
            let fault = copy(&parsed(&format!("[{text}]")), Numbers::Refuse).unwrap_err();
            assert_eq!(fault, ("/0".to_owned(), CrossingProblem::Inexact));
        }
        assert!(copy(&parsed("[789.34, 1e21, -0, 9007199254740992]"), Numbers::Refuse).is_ok());
    }

    proptest! {
        #[test]
        fn the_bytes_are_counted_as_they_are_written(texts in proptest::collection::vec("[a\"\\\\\t\n\ré~/]{0,5}", 0..6)) {
            let members: Map<String, Value> =
                texts.iter().map(|text| (text.clone(), json!([text, null, true, false, 1.5]))).collect();
            prop_assert!(copy(&Value::Object(members), Numbers::Keep).is_ok());
        }
    }
}
