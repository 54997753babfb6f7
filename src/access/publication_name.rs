//! What a grant is for: one publication, or all of a domain.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes of the name of a publication.
const LONGEST: usize = 256;

/// What a grant is for: `domain/event`, or `domain/*` for every publication of a domain.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantedPublication(Arc<str>);

/// A text that names no publication.
#[derive(Debug, thiserror::Error)]
#[error("name a publication, `domain/event`, or all of a domain, `domain/*`")]
pub struct GrantedPublicationError;

impl GrantedPublication {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(domain, _)| domain)
    }

    /// Whether it is for every publication of its domain.
    pub fn is_of_domain(&self) -> bool {
        self.0.ends_with("/*")
    }

    /// Whether it is for a publication, `domain/event`.
    pub fn covers(&self, publication: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(domain) => publication.starts_with(domain),
            None => *self.0 == *publication,
        }
    }
}

/// Whether a text can be a part of the name of a publication.
pub(super) fn is_plain(part: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '/' | '*');
    !part.is_empty() && part.chars().all(allowed)
}

impl FromStr for GrantedPublication {
    type Err = GrantedPublicationError;

    fn from_str(text: &str) -> Result<Self, GrantedPublicationError> {
        let (domain, event) = text.split_once('/').ok_or(GrantedPublicationError)?;
        if text.len() <= LONGEST && is_plain(domain) && (event == "*" || is_plain(event)) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(GrantedPublicationError)
        }
    }
}

impl TryFrom<String> for GrantedPublication {
    type Error = GrantedPublicationError;

    fn try_from(text: String) -> Result<Self, GrantedPublicationError> {
        text.parse()
    }
}

impl From<GrantedPublication> for String {
    fn from(publication: GrantedPublication) -> Self {
        publication.0.to_string()
    }
}

impl fmt::Display for GrantedPublication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_grant_is_for_one_publication_or_for_all_of_one_domain() {
        let read = |text: &str| text.parse::<GrantedPublication>();
        let (one, all) = (read("pay/Payment.Failed").unwrap(), read("pay/*").unwrap());

        assert!(one.covers("pay/Payment.Failed") && !one.covers("pay/Payment.Failed.Late"));
        assert!(all.covers("pay/Payment.Failed") && !all.covers("payments/Payment.Failed"));
        assert_eq!((one.domain(), all.domain(), all.is_of_domain()), ("pay", "pay", true));
        for text in ["", "pay", "*/x", "pay/", "/x", "pay/x/y", "pay/Pay*", "pay/ x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,300}") {
            if let Ok(read) = text.parse::<GrantedPublication>() {
                prop_assert_eq!(read.as_str(), &*text);
            }
        }
    }
}
