//! Names of the things that events are delivered to and through.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A text that cannot be a name.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a {what}: expected 1 to 64 characters of a-z, A-Z, 0-9, `.`, `_` and `-`, the first a letter or digit"
)]
pub struct NameError {
    what: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 64 characters of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`, the first a letter or
        /// digit, so that it can stand in a path and in a log line as it is.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
                if first && text.len() <= 64 && text.chars().all(allowed) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(NameError { what: $what })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Names a subscription among all, for ever: seed of its chain, and `sub_id` of its tokens.
    SubscriptionId,
    "subscription id"
);
name!(
    /// Names a subscription among those of its consumer.
    SubscriptionName,
    "subscription name"
);
name!(
    /// Names a consumer: who subscribes, and whom tokens are sealed for.
    ConsumerId,
    "consumer id"
);
name!(
    /// Names a replay.
    ReplayId,
    "replay id"
);
name!(
    /// Names a redrive of dead letters.
    RedriveId,
    "redrive id"
);
name!(
    /// Names a grant among those of a domain: what a consumer may hear of its publications.
    GrantName,
    "grant name"
);
name!(
    /// Names a consumer's wish for a grant.
    AccessRequestId,
    "access request id"
);
name!(
    /// Names a caller of the API.
    CallerId,
    "caller id"
);

/// A subscription as people name it among all: `consumer/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// Whose it is.
    pub consumer: ConsumerId,
    /// What that consumer calls it.
    pub name: SubscriptionName,
}

impl FromStr for QualifiedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (consumer, name) =
            text.split_once('/').ok_or(NameError { what: "consumer and name, `consumer/name`" })?;
        Ok(Self { consumer: consumer.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.consumer, self.name)
    }
}

/// A subscription as callers name it: by its id or its name alone, or by `consumer/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionReference {
    /// An id, or a name among those that the caller may see.
    Plain(SubscriptionName),
    /// The name that a consumer gave it.
    Qualified(QualifiedName),
}

impl SubscriptionReference {
    /// The text as one segment of a path (RFC 3986, section 3.3).
    pub fn segment(&self) -> String {
        self.to_string().replace('/', "%2F")
    }
}

impl FromStr for SubscriptionReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            text.parse().map(Self::Qualified)
        } else {
            text.parse().map(Self::Plain)
        }
    }
}

impl fmt::Display for SubscriptionReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => name.fmt(f),
            Self::Qualified(name) => name.fmt(f),
        }
    }
}

impl serde::Serialize for SubscriptionReference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<SubscriptionId> for SubscriptionReference {
    fn from(id: SubscriptionId) -> Self {
        Self::Plain(SubscriptionName(id.0))
    }
}

impl SubscriptionName {
    /// The id of the same text.
    pub fn as_id(&self) -> SubscriptionId {
        SubscriptionId(Arc::clone(&self.0))
    }
}

impl SubscriptionId {
    /// The name of the same text.
    pub fn as_name(&self) -> SubscriptionName {
        SubscriptionName(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_path() {
        assert!("orders-eu.1".parse::<SubscriptionId>().is_ok());
        for text in ["", "-x", "a/b", "a b", &"x".repeat(65), "ü"] {
            assert!(text.parse::<SubscriptionId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_qualified_name_reads_what_it_writes() {
        let name: QualifiedName = "shop/orders-eu.1".parse().unwrap();
        assert_eq!((name.consumer.as_str(), name.name.as_str()), ("shop", "orders-eu.1"));
        assert_eq!(name.to_string(), "shop/orders-eu.1");
        for text in ["", "shop", "/", "shop/", "/orders", "a/b/c"] {
            assert!(text.parse::<QualifiedName>().is_err(), "{text}");
        }
        let reference = |text: &str| text.parse::<SubscriptionReference>();
        assert_eq!(
            reference("shop/orders").unwrap(),
            SubscriptionReference::Qualified("shop/orders".parse().unwrap())
        );
        assert_eq!(reference("shop/orders").unwrap().segment(), "shop%2Forders");
        assert_eq!(reference("orders").unwrap().segment(), "orders");
        assert!(reference("a/b/c").is_err() && reference("").is_err() && reference("%2F").is_err());
    }
}
