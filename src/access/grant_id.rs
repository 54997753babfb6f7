//! What grants are called: a name that a domain chooses, and the domain before it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::GrantedPublication;
use crate::access::publication_name::is_plain;
use crate::event::GrantName;

/// A grant among all: `domain/name`. The domain is that of its publication, so that domains choose names
/// without knowing of each other.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantId {
    domain: Arc<str>,
    name: GrantName,
}

/// A text that names no grant.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a grant: expected `domain/name`, or a name of 1 to 64 characters of a-z, A-Z, 0-9, `.`, `_` and \
     `-`, the first a letter or digit"
)]
pub struct GrantIdError;

impl GrantId {
    /// The grant of this name for a publication.
    pub fn of(publication: &GrantedPublication, name: GrantName) -> Self {
        Self { domain: publication.domain().into(), name }
    }

    /// The text as one segment of a path (RFC 3986, section 3.3).
    pub fn segment(&self) -> String {
        self.to_string().replace('/', "%2F")
    }

    /// What the domain calls it.
    pub const fn name(&self) -> &GrantName {
        &self.name
    }
}

impl FromStr for GrantId {
    type Err = GrantIdError;

    fn from_str(text: &str) -> Result<Self, GrantIdError> {
        let (domain, name) = text.split_once('/').ok_or(GrantIdError)?;
        // The domain is one that a publication can have, and no longer.
        let is_domain =
            is_plain(domain) && format!("{domain}/*").parse::<GrantedPublication>().is_ok();
        let name = name.parse().map_err(|_| GrantIdError)?;
        if is_domain { Ok(Self { domain: domain.into(), name }) } else { Err(GrantIdError) }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.name)
    }
}

impl TryFrom<String> for GrantId {
    type Error = GrantIdError;

    fn try_from(text: String) -> Result<Self, GrantIdError> {
        text.parse()
    }
}

impl From<GrantId> for String {
    fn from(id: GrantId) -> Self {
        id.to_string()
    }
}

/// A grant as people name it: `domain/name`, or the name alone where it is plain which domain is meant.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum GrantReference {
    /// The name alone.
    Plain(GrantName),
    /// With its domain.
    Qualified(GrantId),
}

impl GrantReference {
    /// The name, without a domain.
    pub const fn name(&self) -> &GrantName {
        match self {
            Self::Plain(name) => name,
            Self::Qualified(id) => id.name(),
        }
    }

    /// Whether it may mean a grant.
    pub fn means(&self, id: &GrantId) -> bool {
        match self {
            Self::Plain(name) => name == id.name(),
            Self::Qualified(qualified) => qualified == id,
        }
    }
}

impl FromStr for GrantReference {
    type Err = GrantIdError;

    fn from_str(text: &str) -> Result<Self, GrantIdError> {
        if text.contains('/') {
            text.parse().map(Self::Qualified)
        } else {
            text.parse().map(Self::Plain).map_err(|_| GrantIdError)
        }
    }
}

impl fmt::Display for GrantReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => name.fmt(f),
            Self::Qualified(id) => id.fmt(f),
        }
    }
}

impl TryFrom<String> for GrantReference {
    type Error = GrantIdError;

    fn try_from(text: String) -> Result<Self, GrantIdError> {
        text.parse()
    }
}

impl From<GrantReference> for String {
    fn from(reference: GrantReference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_grant_is_named_with_its_domain_or_by_its_name_alone() {
        let id: GrantId = "payments/shop-payments".parse().unwrap();
        assert_eq!(id.to_string(), "payments/shop-payments");
        let read = |text: &str| text.parse::<GrantReference>();
        assert!(read("shop-payments").unwrap().means(&id));
        assert!(read("payments/shop-payments").unwrap().means(&id));
        assert!(!read("orders/shop-payments").unwrap().means(&id));
        let long = format!("{}/x", "d".repeat(300));
        for text in ["", "/", "payments/", "/x", "a/b/c", "*/x", "a b/x", "payments/-x", &long] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[a-z./*% -]{0,80}|.{0,300}") {
            if let Ok(read) = text.parse::<GrantReference>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
