//! Names of the domains that publish.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most bytes of a name.
const LONGEST: usize = 128;

/// A text that cannot be the name of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a domain's name is made of 1 to 128 letters, digits, `-`, `_` and `.`, each part between dots not empty"
)]
pub struct DomainNameError;

/// Names a domain, as its file of publications does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Arc<str>);

impl DomainName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_published_name(text) { Ok(Self(Arc::from(text))) } else { Err(DomainNameError) }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text can name a domain, or an event of one.
pub fn is_published_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let parts = text.split('.').all(|part| !part.is_empty());
    parts && text.len() <= LONGEST && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_named_by_letters_digits_and_three_marks() {
        for text in ["payments", "Payments.EU-1_a", &"x".repeat(LONGEST)] {
            assert_eq!(text.parse::<DomainName>().unwrap().to_string(), text);
        }
        for text in ["", ".", "a..b", "a/b", "a b", "ü", "*", &"x".repeat(LONGEST + 1)] {
            assert_eq!(text.parse::<DomainName>(), Err(DomainNameError), "{text}");
        }
    }
}
