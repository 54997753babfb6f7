//! What a schema demands of the size of a number, compared exactly.
//!
//! Written here because the crate rounds a number to binary64 before it compares it with a whole
//! bound, or divides it by a whole number.

use jsonschema::{Keyword, ValidationError};
use serde_json::Value;

use crate::event::NumericValue;

/// The keywords that this file judges in place of the crate.
pub(super) const BOUNDS: [&str; 5] =
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];

/// A keyword about the size of a number, with the number that the contract gives.
pub(super) struct SizeBound {
    keyword: &'static str,
    /// Nothing where the contract gives no number: the check of the schema itself says so.
    limit: Option<NumericValue>,
    words: String,
}

impl SizeBound {
    pub(super) fn new(keyword: &'static str, limit: &Value) -> Self {
        let rule = match keyword {
            "minimum" => "at least",
            "maximum" => "at most",
            "exclusiveMinimum" => "greater than",
            "exclusiveMaximum" => "less than",
            _ => "a multiple of",
        };
        let words = format!("must be {rule} {limit}");
        let number = limit.as_number().and_then(|number| NumericValue::of(number.as_str()));
        Self { keyword, limit: number, words }
    }

    fn holds(&self, number: &NumericValue) -> bool {
        self.limit.as_ref().is_none_or(|limit| match self.keyword {
            "minimum" => number >= limit,
            "maximum" => number <= limit,
            "exclusiveMinimum" => number > limit,
            "exclusiveMaximum" => number < limit,
            _ => number.is_multiple_of(limit),
        })
    }
}

impl<'i> Keyword<'i> for SizeBound {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom(self.words.clone()))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        match instance {
            Value::Number(number) => {
                NumericValue::of(number.as_str()).is_some_and(|number| self.holds(&number))
            }
            // Other types are none of its business.
            _ => true,
        }
    }
}
