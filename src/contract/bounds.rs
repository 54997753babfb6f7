//! What a schema demands of the size of a number, compared exactly.

use serde_json::Value;

use crate::contract::keyword_value;
use crate::event::NumericValue;

/// A keyword about the size of a number, with the number that the contract gives.
#[derive(Debug)]
pub(super) struct SizeBound {
    kind: BoundKind,
    limit: NumericValue,
    words: String,
}

#[derive(Clone, Copy, Debug)]
enum BoundKind {
    Minimum,
    Maximum,
    ExclusiveMinimum,
    ExclusiveMaximum,
    MultipleOf,
}

impl SizeBound {
    /// Reads the value of a keyword; nothing if the keyword is none of these.
    pub(super) fn read(keyword: &str, value: &Value) -> Option<Result<Self, String>> {
        let (kind, rule) = match keyword {
            "minimum" => (BoundKind::Minimum, "at least"),
            "maximum" => (BoundKind::Maximum, "at most"),
            "exclusiveMinimum" => (BoundKind::ExclusiveMinimum, "greater than"),
            "exclusiveMaximum" => (BoundKind::ExclusiveMaximum, "less than"),
            "multipleOf" => (BoundKind::MultipleOf, "a multiple of"),
            _ => return None,
        };
        let limit = keyword_value::bound(keyword, value);
        Some(limit.map(|limit| Self { kind, limit, words: format!("must be {rule} {value}") }))
    }

    /// The code of its violation.
    pub(super) const fn code(&self) -> &'static str {
        match self.kind {
            BoundKind::Minimum => "minimum",
            BoundKind::Maximum => "maximum",
            BoundKind::ExclusiveMinimum => "exclusive-minimum",
            BoundKind::ExclusiveMaximum => "exclusive-maximum",
            BoundKind::MultipleOf => "multiple-of",
        }
    }

    /// The rule as a sentence.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// Whether a value keeps it; other types than numbers do.
    pub(super) fn holds(&self, value: &Value) -> bool {
        let Value::Number(number) = value else { return true };
        NumericValue::of(number.as_str()).is_some_and(|number| match self.kind {
            BoundKind::Minimum => number >= self.limit,
            BoundKind::Maximum => number <= self.limit,
            BoundKind::ExclusiveMinimum => number > self.limit,
            BoundKind::ExclusiveMaximum => number < self.limit,
            BoundKind::MultipleOf => number.is_multiple_of(&self.limit),
        })
    }
}
