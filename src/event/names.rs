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
    /// Names a subscription.
    SubscriptionId,
    "subscription id"
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
    /// Names a grant: what a consumer may hear of a publication.
    GrantId,
    "grant id"
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
}
