//! What a subscription asks for, and the digest by which checkpoints and evidence name it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::event::canonical;

/// What a subscription asks for, from a position of the log on.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionAsk {
    /// The `aud` of its tokens.
    pub audience: String,
    /// The first position of the log that all this applies to; 0 from the start of the log.
    pub epoch: u64,
    /// Its filters, as they are kept.
    pub filters: Vec<Value>,
    /// The grants by which its consumer could hear then what is not public, sorted; null without any.
    pub grants: Option<Vec<String>>,
    /// Its types.
    pub types: Vec<String>,
}

/// The part of it that stands in the document of the consumer.
#[derive(Clone, Eq, PartialEq)]
pub struct DocumentAsk {
    /// The `aud` of its tokens.
    pub audience: String,
    /// Its filters.
    pub filters: Vec<Value>,
    /// Its types.
    pub types: Vec<String>,
}

/// The part of it that only the gateway knows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayAsk {
    /// The first position of the log that all this applies to.
    pub epoch: u64,
    /// The grants by which its consumer hears what is not public.
    pub grants: Option<Vec<String>>,
}

impl DocumentAsk {
    /// What a subscription asks for whose document says this.
    pub fn with(&self, known: &GatewayAsk) -> SubscriptionAsk {
        let Self { audience, filters, types } = self.clone();
        let GatewayAsk { epoch, grants } = known.clone();
        SubscriptionAsk { audience, epoch, filters, grants, types }
    }
}

impl SubscriptionAsk {
    /// The part of it that only the gateway knows.
    pub fn of_gateway(&self) -> GatewayAsk {
        GatewayAsk { epoch: self.epoch, grants: self.grants.clone() }
    }

    /// The SHA-256 of its canonical form (RFC 8785).
    ///
    /// A number that has no canonical text stands there as a string, as it was written.
    pub fn digest(&self) -> AskedDigest {
        let filters: Vec<Value> = self.filters.iter().map(crossing).collect();
        let object = json!({
            "audience": self.audience, "epoch": self.epoch, "filters": filters,
            "grants": self.grants, "types": self.types,
        });
        // Every number of it has a canonical text now.
        let text = canonical(&object).unwrap_or_else(|_| object.to_string());
        AskedDigest(Sha256::digest(text).into())
    }

    /// Those of its members in the document of the consumer in which it differs from another.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let members = [
            ("audience", self.audience == other.audience),
            ("types", self.types == other.types),
            ("filters", self.filters.iter().map(crossing).eq(other.filters.iter().map(crossing))),
        ];
        members.into_iter().filter_map(|(name, is_same)| (!is_same).then_some(name)).collect()
    }
}

/// The same with a canonical text for each number.
fn crossing(value: &Value) -> Value {
    match value {
        Value::Number(number) => match canonical(value) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|_| value.clone()),
            Err(_) => Value::String(number.as_str().to_owned()),
        },
        Value::Array(items) => items.iter().map(crossing).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, one)| (name.clone(), crossing(one))).collect())
        }
        other => other.clone(),
    }
}

/// Shows sizes only: filters are the consumer's.
impl fmt::Debug for SubscriptionAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (types, filters) = (self.types.len(), self.filters.len());
        write!(f, "SubscriptionAsk(from {}, {types} types, {filters} filters)", self.epoch)
    }
}

impl fmt::Debug for DocumentAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentAsk({} types, {} filters)", self.types.len(), self.filters.len())
    }
}

/// The digest of what a subscription asks for. Its text form is unpadded base64url.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct AskedDigest([u8; 32]);

impl AskedDigest {
    /// Takes the bytes of a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for AskedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

/// A text that is not such a digest.
#[derive(Debug, thiserror::Error)]
#[error(
    "not the digest of what a subscription asks for: expected 43 characters of unpadded base64url"
)]
pub struct AskedDigestError;

impl FromStr for AskedDigest {
    type Err = AskedDigestError;

    fn from_str(text: &str) -> Result<Self, AskedDigestError> {
        let bytes =
            base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| AskedDigestError)?;
        bytes.try_into().map(Self).map_err(|_| AskedDigestError)
    }
}

impl TryFrom<String> for AskedDigest {
    type Error = AskedDigestError;

    fn try_from(text: String) -> Result<Self, AskedDigestError> {
        text.parse()
    }
}

impl From<AskedDigest> for String {
    fn from(digest: AskedDigest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> SubscriptionAsk {
        SubscriptionAsk {
            audience: "shop".to_owned(),
            epoch: 17,
            filters: vec![json!({"prefix": {"source": "/eu"}})],
            grants: Some(vec!["orders/shop".to_owned()]),
            types: vec!["Order.*".to_owned()],
        }
    }

    #[test]
    fn the_digest_is_that_of_the_documented_text() {
        let text = concat!(
            r#"{"audience":"shop","epoch":17,"filters":[{"prefix":{"source":"/eu"}}],"#,
            r#""grants":["orders/shop"],"types":["Order.*"]}"#,
        );
        let expected = AskedDigest::from_bytes(Sha256::digest(text).into());
        assert_eq!(asked().digest(), expected);
        assert_eq!(expected.to_string(), "fgOAo_3FWgM7zkNFtcBSCESr_zlSvbER8EBt6cICTCw");

        let bare = SubscriptionAsk {
            grants: None,
            filters: Vec::new(),
            types: Vec::new(),
            epoch: 0,
            ..asked()
        };
        let text = r#"{"audience":"shop","epoch":0,"filters":[],"grants":null,"types":[]}"#;
        assert_eq!(bare.digest(), AskedDigest::from_bytes(Sha256::digest(text).into()));
    }

    #[test]
    fn each_member_makes_another_digest() {
        let others = [
            SubscriptionAsk { audience: "other".to_owned(), ..asked() },
            SubscriptionAsk { epoch: 18, ..asked() },
            SubscriptionAsk { filters: Vec::new(), ..asked() },
            SubscriptionAsk { grants: None, ..asked() },
            SubscriptionAsk {
                types: vec!["Order.*".to_owned(), "Payment.*".to_owned()],
                ..asked()
            },
        ];
        for other in others {
            assert_ne!(other.digest(), asked().digest(), "{other:?}");
        }
    }

    #[test]
    fn a_filter_written_otherwise_is_the_same_and_every_number_counts() {
        let of = |text: &str| SubscriptionAsk {
            filters: vec![serde_json::from_str(text).unwrap()],
            ..asked()
        };
        let (one, same) = (of(r#"{"a": 1.0, "b": [1e2]}"#), of(r#"{"b": [100], "a": 1}"#));
        assert_eq!(one.digest(), same.digest());
        assert_eq!(one.differences(&same), [] as [&str; 0]);
        let (huge, other) = (of(r#"{"a": 1e999}"#), of(r#"{"a": 1e998}"#));
        assert_ne!(huge.digest(), other.digest());
        assert_eq!(huge.differences(&other), ["filters"]);
    }

    #[test]
    fn the_consumers_part_and_the_gateways_make_the_whole() {
        let SubscriptionAsk { audience, filters, types, .. } = asked();
        let document = DocumentAsk { audience, filters, types };

        assert_eq!(document.with(&asked().of_gateway()), asked());
        let other = DocumentAsk { types: Vec::new(), ..document };
        assert_eq!(other.with(&asked().of_gateway()).differences(&asked()), ["types"]);
    }

    #[test]
    fn what_is_shown_for_debugging_holds_no_filter() {
        assert_eq!(format!("{:?}", asked()), "SubscriptionAsk(from 17, 1 types, 1 filters)");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader_of_digests(text in ".{0,60}") {
            if let Ok(digest) = text.parse::<AskedDigest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
