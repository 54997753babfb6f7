//! A key set as its consumer wrote it, kept as text: as a tree it would take ten times the memory, for each
//! subscription.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A key set as its consumer wrote it. Two are the same if they say the same, in whatever order of
/// members.
#[derive(Clone, Debug)]
pub struct JwksText(Box<str>);

impl JwksText {
    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl From<&Value> for JwksText {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

impl PartialEq for JwksText {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || matches!((self.value(), other.value()), (Ok(one), Ok(other)) if one == other)
    }
}

impl<'de> Deserialize<'de> for JwksText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::from(&value))
    }
}

impl Serialize for JwksText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(json: &str) -> JwksText {
        serde_json::from_str(json).unwrap()
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<Option<bool>>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let members = prop::collection::vec((any::<String>(), inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn the_order_of_members_and_blanks_make_no_other_set() {
        let one = read(r#"{"keys": [{"kty": "EC", "crv": "P-256"}]}"#);

        assert_eq!(one, read(r#"{"keys":[{"crv":"P-256","kty":"EC"}]}"#));
        assert_ne!(one, read(r#"{"keys":[{"crv":"P-384","kty":"EC"}]}"#));
        assert_eq!(
            serde_json::to_value(&one).unwrap()["keys"],
            json!([{"kty": "EC", "crv": "P-256"}])
        );
    }

    proptest! {
        #[test]
        fn any_json_is_written_as_it_was_read(value in value()) {
            let text = JwksText::from(&value);

            prop_assert_eq!(serde_json::to_string(&text).unwrap(), value.to_string());
            prop_assert_eq!(read(&value.to_string()), text);
        }
    }
}
