//! Extension context attributes of a CloudEvent: their names and their values (CloudEvents 1.0,
//! section 3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use crate::event::is_noncharacter;

/// Characters of a name. CloudEvents asks for 20 at most; a contract may name more.
const MAX_NAME: usize = 64;

/// Bytes of a value as text.
const MAX_VALUE: usize = 1024;

/// Attributes that the specification itself defines, and members that stand beside them.
const CORE: [&str; 9] = [
    "id",
    "source",
    "specversion",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "data",
];

/// Extension attributes that the gateway gives events and deliveries.
const OURS: [&str; 4] = ["idempotencykey", "traceparent", "sequence", "sequencetype"];

/// What the names of attributes that the gateway may need begin with.
const OUR_PREFIX: &str = "sealway";

/// Why a text cannot name an extension attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeNameError {
    /// CloudEvents allows no such name.
    #[error("an attribute's name has 1 to 64 characters of a-z and 0-9")]
    NotAName,
    /// CloudEvents defines it.
    #[error("CloudEvents itself defines this attribute")]
    Core,
    /// The gateway gives it its value.
    #[error("the gateway gives this attribute its value")]
    Ours,
}

/// The name of an extension attribute: 1 to 64 characters of `a-z` and `0-9`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Arc<str>);

impl AttributeName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a name that the log keeps. It was allowed when its event was made: names that the gateway
    /// took for itself since are names still.
    pub(super) fn from_stored(text: &str) -> Option<Self> {
        is_attribute_name(text).then(|| Self(Arc::from(text)))
    }
}

impl FromStr for AttributeName {
    type Err = AttributeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_attribute_name(text) {
            Err(AttributeNameError::NotAName)
        } else if CORE.contains(&text) {
            Err(AttributeNameError::Core)
        } else if OURS.contains(&text) || text.starts_with(OUR_PREFIX) {
            Err(AttributeNameError::Ours)
        } else {
            Ok(Self(Arc::from(text)))
        }
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether CloudEvents lets a context attribute have this name, whoever gives it its value.
pub fn is_attribute_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

/// Why a text cannot be the value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AttributeValueError(&'static str);

/// The value of an extension attribute, in the types of CloudEvents that JSON knows.
#[derive(Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A String of 1 to 1024 bytes without control characters.
    Text(Arc<str>),
    /// An Integer.
    Integer(i32),
    /// A Boolean.
    Boolean(bool),
}

impl AttributeValue {
    /// Takes a text.
    ///
    /// # Errors
    ///
    /// The caller's turn: CloudEvents allows no such text, or it is too long.
    pub fn text(text: &str) -> Result<Self, AttributeValueError> {
        let forbidden = |c: char| c.is_control() || is_noncharacter(c);
        Err(AttributeValueError(if text.is_empty() {
            "an empty text"
        } else if text.len() > MAX_VALUE {
            "a text of more than 1024 bytes"
        } else if text.contains(forbidden) {
            "a text with control characters or Unicode non-characters"
        } else {
            return Ok(Self::Text(Arc::from(text)));
        }))
    }

    /// Reads its JSON form; nothing if no attribute has such a value.
    pub fn of_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::text(text).ok(),
            Value::Bool(truth) => Some(Self::Boolean(*truth)),
            Value::Number(number) => number.as_str().parse().ok().map(Self::Integer),
            _ => None,
        }
    }

    /// Reads the JSON form of a value that the log keeps: of its text only the length is asked, since
    /// what texts may hold can become less.
    pub(super) fn from_stored(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) if (1..=MAX_VALUE).contains(&text.len()) => {
                Some(Self::Text(Arc::from(text.as_str())))
            }
            Value::String(_) => None,
            other => Self::of_json(other),
        }
    }

    /// Its JSON form (CloudEvents JSON format 1.0, section 2.2).
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(&**text),
            Self::Integer(number) => Value::from(*number),
            Self::Boolean(truth) => Value::from(*truth),
        }
    }

    /// How many bytes of memory its text takes.
    pub fn weight(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// The canonical text (CloudEvents 1.0, section 3.1).
impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(truth) => truth.fmt(f),
        }
    }
}

/// Shows the type only, because a value may be the event's.
impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Integer(_) => "Integer",
            Self::Boolean(_) => "Boolean",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_the_specification_and_of_the_gateway_are_refused_each_in_its_words() {
        for name in ["id", "type", "datacontenttype", "data"] {
            assert_eq!(name.parse::<AttributeName>(), Err(AttributeNameError::Core), "{name}");
        }
        for name in ["idempotencykey", "traceparent", "sequence", "sealwayreplay", "sealwayx"] {
            assert_eq!(name.parse::<AttributeName>(), Err(AttributeNameError::Ours), "{name}");
        }
        for name in ["", "correlationId", "correlation-id", "data_base64", "ü", &"a".repeat(65)] {
            assert_eq!(name.parse::<AttributeName>(), Err(AttributeNameError::NotAName), "{name}");
        }
        assert_eq!("correlationid".parse::<AttributeName>().unwrap().as_str(), "correlationid");
    }

    proptest! {
        #[test]
        fn a_name_is_taken_as_it_is_or_refused(text in "[a-zA-Z0-9_. -]{0,70}|\\PC{0,5}") {
            let plain = (1..=64).contains(&text.len())
                && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
            match text.parse::<AttributeName>() {
                Ok(name) => prop_assert!(plain && name.as_str() == text),
                Err(AttributeNameError::NotAName) => prop_assert!(!plain),
                Err(_) => prop_assert!(plain),
            }
        }

        #[test]
        fn a_value_comes_back_from_its_json(text in "\\PC{1,40}", number: i32, truth: bool) {
            let values = [
                AttributeValue::text(&text).ok(),
                Some(AttributeValue::Integer(number)),
                Some(AttributeValue::Boolean(truth)),
            ];
            for value in values.into_iter().flatten() {
                prop_assert_eq!(AttributeValue::of_json(&value.to_json()), Some(value));
            }
        }
    }

    #[test]
    fn a_value_is_of_a_type_of_cloudevents_and_never_shown_by_debug() {
        for value in [json!(1.5), json!(3_000_000_000_u64), json!([]), json!(null), json!("")] {
            assert_eq!(AttributeValue::of_json(&value), None, "{value}");
        }
        assert!(AttributeValue::text("a\nb").is_err());
        assert!(AttributeValue::text(&"x".repeat(1025)).is_err());
        let secret = AttributeValue::text("secret").unwrap();
        assert_eq!((format!("{secret:?}"), secret.to_string()), ("Text".into(), "secret".into()));
    }
}
