//! CloudEvents context attributes as types, valid by construction (CloudEvents 1.0, section 3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::event::is_noncharacter;

/// A text that cannot be the context attribute it was meant for.
#[derive(Debug, thiserror::Error)]
#[error("`{attribute}` {reason}")]
pub struct AttributeError {
    attribute: &'static str,
    reason: &'static str,
}

/// The `source` of the gateway's own events, and of what it puts on event buses; no producer may use
/// it, so that nothing goes round.
pub const OWN_SOURCE: &str = "sealway";

const MAX_LENGTH: usize = 1024;

/// CloudEvents strings allow no control characters, surrogates or non-characters (section 3.1).
fn check(attribute: &'static str, text: &str) -> Result<Arc<str>, AttributeError> {
    let forbidden = |c: char| c.is_control() || is_noncharacter(c);
    let reason = if text.is_empty() {
        "must not be empty"
    } else if text.len() > MAX_LENGTH {
        "must not be longer than 1024 bytes"
    } else if text.contains(forbidden) {
        "must not contain control characters or Unicode non-characters"
    } else {
        return Ok(Arc::from(text));
    };
    Err(AttributeError { attribute, reason })
}

macro_rules! attribute {
    ($(#[$doc:meta])* $name:ident, $attribute:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text of 1 to 1024 bytes without control characters.
            ///
            /// # Errors
            ///
            /// The caller's turn: the text is not allowed by CloudEvents.
            pub fn new(text: &str) -> Result<Self, AttributeError> {
                check($attribute, text).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = AttributeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }
    };
}

attribute!(
    /// The CloudEvents `type`: what kind of occurrence it was, `Entity.Event.Metadata` by custom.
    EventType,
    "type"
);
attribute!(
    /// The CloudEvents `source`: the context in which the occurrence happened, a URI reference.
    EventSource,
    "source"
);
attribute!(
    /// The CloudEvents `subject`: what the occurrence was about within its source.
    Subject,
    "subject"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_says_its_name_when_it_refuses_a_text() {
        let refused = EventType::new("a\nb").unwrap_err();

        assert!(refused.to_string().starts_with("`type` must not contain control"));
        assert!(EventType::new("").is_err());
        assert!(Subject::new(&"x".repeat(1025)).is_err());
        assert_eq!(EventSource::new("/payments").unwrap().as_str(), "/payments");
    }
}
