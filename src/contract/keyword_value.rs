//! What the value of a keyword may be, and what is said where it is something else.

use serde_json::{Map, Value};

use crate::event::NumericValue;

/// The names that `type` knows.
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// Types of JSON, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeSet(u8);

impl TypeSet {
    /// Every type.
    pub(super) const ALL: Self = Self(0b0111_1111);

    const INTEGER: u8 = 1 << 2;
    const NUMBER: u8 = 1 << 3;

    /// Whether a value is of one of the types.
    pub(super) fn contains(self, value: &Value) -> bool {
        let bit = match value {
            Value::Null => 1,
            Value::Bool(_) => 1 << 1,
            Value::Number(_) if self.0 & Self::NUMBER != 0 => return true,
            Value::Number(number) => {
                return self.0 & Self::INTEGER != 0 && is_whole(number.as_str());
            }
            Value::String(_) => 1 << 4,
            Value::Array(_) => 1 << 5,
            Value::Object(_) => 1 << 6,
        };
        self.0 & bit != 0
    }

    /// The types that are in both sets.
    pub(super) fn and(self, other: Self) -> Self {
        // A whole number is a number.
        let spread = |set: u8| if set & Self::NUMBER == 0 { set } else { set | Self::INTEGER };
        Self(spread(self.0) & spread(other.0))
    }

    /// The names of the types, as in a sentence.
    pub(super) fn names(self) -> String {
        let named = TYPES.iter().enumerate().filter(|(index, _)| self.0 & (1 << index) != 0);
        named.map(|(_, name)| *name).collect::<Vec<_>>().join(" or ")
    }
}

fn is_whole(text: &str) -> bool {
    let is_plain = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    is_plain || NumericValue::of(text).is_some_and(|number| number.is_whole())
}

/// The value of `type`.
pub(super) fn types(value: &Value) -> Result<TypeSet, String> {
    let names = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(names) if !names.is_empty() => names,
        _ => return Err("`type` takes the name of a type, or a list of them".to_owned()),
    };
    let mut set = 0;
    for name in names {
        let name = name.as_str().unwrap_or_default();
        let Some(index) = TYPES.iter().position(|known| *known == name) else {
            let shown: String = name.chars().take(64).collect();
            return Err(format!("`{shown}` is no type; there are `{}`", TYPES.join("`, `")));
        };
        set |= 1 << index;
    }
    Ok(TypeSet(set))
}

/// A number of characters, items or members.
pub(super) fn count(keyword: &str, value: &Value) -> Result<usize, String> {
    let wrong = || format!("`{keyword}` takes a whole number from 0 upwards");
    let Value::Number(number) = value else { return Err(wrong()) };
    let number = NumericValue::of(number.as_str()).ok_or_else(wrong)?;
    if !number.is_whole() || number < NumericValue::from(0) {
        return Err(wrong());
    }
    // By halves, since a number may be written as `2.0` or `2e3`. What no machine holds is more
    // than any data has.
    if number > NumericValue::from(i64::MAX) {
        return Ok(usize::MAX);
    }
    let (mut least, mut most) = (0, i64::MAX);
    while least < most {
        let middle = least + (most - least) / 2;
        if NumericValue::from(middle) < number {
            least = middle + 1;
        } else {
            most = middle;
        }
    }
    Ok(usize::try_from(least).unwrap_or(usize::MAX))
}

/// A number that bounds others.
pub(super) fn bound(keyword: &str, value: &Value) -> Result<NumericValue, String> {
    let number = match value {
        Value::Number(number) => NumericValue::of(number.as_str()),
        _ => None,
    };
    let number = number.ok_or_else(|| format!("`{keyword}` takes a number"))?;
    if keyword == "multipleOf" && number <= NumericValue::from(0) {
        return Err("`multipleOf` takes a number greater than 0".to_owned());
    }
    Ok(number)
}

/// `true` or `false`.
pub(super) fn switch(keyword: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("`{keyword}` takes `true` or `false`"))
}

/// A text.
pub(super) fn text<'v>(keyword: &str, value: &'v Value) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("`{keyword}` takes a text"))
}

/// Names of members.
pub(super) fn names(keyword: &str, value: &Value) -> Result<Vec<String>, String> {
    let names = value.as_array().and_then(|names| {
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    names.ok_or_else(|| format!("`{keyword}` takes a list of names of members"))
}

/// Values of any type, at least one.
pub(super) fn values<'v>(keyword: &str, value: &'v Value) -> Result<&'v [Value], String> {
    match value {
        Value::Array(values) if !values.is_empty() => Ok(values),
        _ => Err(format!("`{keyword}` takes a list of at least one value")),
    }
}

/// Schemas in a list, at least one.
pub(super) fn schemas<'v>(keyword: &str, value: &'v Value) -> Result<&'v [Value], String> {
    match value {
        Value::Array(schemas) if !schemas.is_empty() => Ok(schemas),
        _ => Err(format!("`{keyword}` takes a list of at least one schema")),
    }
}

/// Schemas, or something else, by name.
pub(super) fn map<'v>(keyword: &str, value: &'v Value) -> Result<&'v Map<String, Value>, String> {
    let of = if keyword == "dependentRequired" { "lists of names" } else { "schemas" };
    value.as_object().ok_or_else(|| format!("`{keyword}` takes a mapping from names to {of}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_whole_numbers_however_they_are_written() {
        let read = |text: &str| count("minLength", &serde_json::from_str(text).unwrap());

        for (text, expected) in
            [("0", 0), ("2.0", 2), ("2e3", 2000), ("-0", 0), ("1e30", usize::MAX), ("41", 41)]
        {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["-1", "1.5", "\"2\"", "null", "true", "1e-3"] {
            assert!(read(text).unwrap_err().contains("`minLength` takes a whole number"), "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let integer = types(&json!("integer")).unwrap();

        for (text, expected) in [("1", true), ("1.0", true), ("1e400", true), ("1.5", false)] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(integer.contains(&value), expected, "{text}");
        }
        assert!(types(&json!(["number", "null"])).unwrap().contains(&json!(1.5)));
        assert_eq!(types(&json!(["null", "integer"])).unwrap().names(), "null or integer");
    }
}
